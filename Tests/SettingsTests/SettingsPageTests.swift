import Foundation
import Settings
import Testing

@Suite struct SettingsPageTests {
    private static let path = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../docs/configuration.md")

    /// With `DMQ_REWRITE_PAGES` set the page is written anew, which is what tools/configuration does.
    @Test("docs/configuration.md has the tables as they are now; tools/configuration writes them")
    func current() throws {
        let page = try String(contentsOf: Self.path, encoding: .utf8)
        let updated = SettingsPage.updated(page)
        if ProcessInfo.processInfo.environment["DMQ_REWRITE_PAGES"] != nil {
            try updated.write(to: Self.path, atomically: true, encoding: .utf8)
        } else {
            let isCurrent = page == updated
            #expect(isCurrent, "run tools/configuration")
        }
        for table in SettingsPage.tables { #expect(page.contains("<!-- table: \(table) -->")) }
    }

    @Test("what stands around the tables stays, and writing them twice changes nothing")
    func around() {
        let page = "a\n\n<!-- table: unserved -->\n| stale |\n\n<!-- end -->\n\nb | c\n"
        let updated = SettingsPage.updated(page)
        let begins = updated.hasPrefix("a\n\n<!-- table: unserved -->\n\n| key | of |")
        let ends = updated.hasSuffix("|\n\n<!-- end -->\n\nb | c\n")
        let isStale = updated.contains("stale")
        let isStable = SettingsPage.updated(updated) == updated
        #expect(begins && ends && !isStale && isStable)
    }
}
