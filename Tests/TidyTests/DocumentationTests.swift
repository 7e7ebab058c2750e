import Foundation
import Testing

/// Public types and functions without a comment before them. A comment serves a run of declarations without
/// an empty line between them, and all overloads of its function in the file. What carries out a protocol is
/// described there.
///
/// - Parameter described: names of functions that protocols describe.
func undocumentedFaults(_ files: [ProjectFile], described: Set<String>) -> [Fault] {
    let declaration =
        #/
        ^(?:@\w+(?:\([^)]*\))?\s+)* public\s+
        (?:(?:static|final|mutating|consuming|borrowing|nonmutating|override|indirect)\s+)*
        (?<kind>struct|class|enum|protocol|actor|func|typealias)\s+ (?<name>[^\s(<:]+)
        /#
    let opensType = /\b(?:struct|class|enum|protocol|actor|extension) .*\{$/
    return files.flatMap { file -> [Fault] in
        let lines = file.lines.map { $0.drop { $0 == " " } }
        var documented: Set<String> = []
        return lines.indices.compactMap { place in
            guard let match = lines[place].firstMatch(of: declaration) else { return nil }
            let name = String(match.name)
            let start = lines[..<place].lastIndex { $0.isEmpty || $0.contains(opensType) } ?? -1
            if lines[(start + 1)..<place].contains(where: { $0.hasPrefix("///") }) {
                documented.insert(name)
                return nil
            }
            let isOperator = name.first.map { !$0.isLetter } ?? false
            if match.kind == "func" && (isOperator || described.contains(name) || documented.contains(name)) {
                return nil
            }
            return Fault(
                path: file.path, line: place + 1,
                message: "public \(name) needs a comment that says what it is for")
        }
    }
}

/// The names of all functions that protocols demand: those declared in the files, and the standard library's
/// that speak for themselves.
func protocolFunctions(in files: [ProjectFile]) -> Set<String> {
    var names: Set = ["hash", "encode", "next", "write"]
    for file in files {
        var isProtocol = false
        for line in file.lines {
            if line.contains(/^(?:public |private |fileprivate )?protocol .*\{$/) { isProtocol = true }
            if line == "}" { isProtocol = false }
            if isProtocol, let match = line.firstMatch(of: /^\s+(?:mutating |static )*func (\w+)/) {
                names.insert(String(match.1))
            }
        }
    }
    return names
}

/// Markdown files whose headings do not begin with one title of the first level.
func titleFaults(_ files: [ProjectFile]) -> [Fault] {
    files.filter { $0.path.hasSuffix(".md") }.compactMap { file in
        let titles = proseLines(of: file).filter { $0.text.hasPrefix("# ") }
        if titles.count == 1 && titles[0].line == 1 { return nil }
        return Fault(path: file.path, line: 0, message: "needs one title (# ...), on its first line")
    }
}

/// Links to files that do not exist, and paths in code font under the project's folders that do not either.
func linkFaults(_ files: [ProjectFile]) -> [Fault] {
    var known = Set(files.map(\.path))
    for path in known {
        var parts = path.split(separator: "/")
        while parts.popLast() != nil { known.insert(parts.joined(separator: "/")) }
    }
    return files.filter { $0.path.hasSuffix(".md") }.flatMap { file in
        proseLines(of: file).flatMap { number, line -> [Fault] in
            let links = line.matches(of: /\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/).map {
                resolved(String($0.1), from: file.path)
            }
            let quoted = line.matches(of: /`((?:Sources|Tests|Benchmarks|tools|docs)\/[\w.\/-]+)`/).map {
                String($0.1)
            }
            return (links + quoted).compactMap { target in
                let path = target.hasSuffix("/") ? String(target.dropLast()) : target
                if known.contains(path) { return nil }
                return Fault(path: file.path, line: number, message: "there is no \(target)")
            }
        }
    }
}

/// Pages under docs that the reading order does not lead to.
func unreachedFaults(_ files: [ProjectFile]) -> [Fault] {
    let order = "docs/reading-order.md"
    let pages = Dictionary(files.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
    var reached: Set = [order]
    var open = [order]
    while let page = open.popLast().flatMap({ pages[$0] }) {
        for match in (page.text ?? "").matches(of: /\]\((?!https?:)([^)#\s]+\.md)/) {
            let path = resolved(String(match.1), from: page.path)
            if reached.insert(path).inserted { open.append(path) }
        }
    }
    return files.filter {
        $0.path.hasPrefix("docs/") && $0.path.hasSuffix(".md") && !reached.contains($0.path)
    }.map {
        Fault(path: $0.path, line: 0, message: "no page on the way from \(order) links to it")
    }
}

/// Types that pages name in code font and that no source knows.
func unknownNameFaults(_ files: [ProjectFile]) -> [Fault] {
    var known: Set<Int> = []
    for file in files where file.isSwift || file.path.hasSuffix(".json") {
        insertNames(of: file.text ?? "", into: &known)
    }
    return files.filter { $0.path.hasPrefix("docs/") && $0.path.hasSuffix(".md") }.flatMap { file in
        proseLines(of: file).flatMap { number, line in
            line.matches(of: /`([A-Z][a-z]+[A-Z]\w*)[`.(]/).map { $0.1 }.filter { name in
                !known.contains(hash(of: Array(name.utf8)[...]))
            }.map { Fault(path: file.path, line: number, message: "no source has \($0)") }
        }
    }
}

/// Inserts the hashes of all words that begin with a capital letter: strings of that many would take seconds.
private func insertNames(of text: String, into known: inout Set<Int>) {
    let bytes = Array(text.utf8)
    var start = 0
    for end in 0...bytes.count {
        if end < bytes.count, isWordByte(bytes[end]) { continue }
        if start < end, (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(bytes[start]) {
            known.insert(hash(of: bytes[start..<end]))
        }
        start = end + 1
    }
}

private func isWordByte(_ byte: UInt8) -> Bool {
    // 32 is what tells small letters from capital ones.
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 32)
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "_")
}

private func hash(of bytes: ArraySlice<UInt8>) -> Int {
    bytes.reduce(bytes.count) { $0 &* 31 &+ Int($1) }
}

/// The settings that a page's tables name in their first columns.
func documentedSettings(in page: String) -> Set<String> {
    Set(page.matches(of: /(?m)^\| `([a-z0-9.]+)` \|/).map { String($0.1) })
}

/// The settings that the comments of a source begin with.
func declaredSettings(in source: String) -> Set<String> {
    Set(source.matches(of: /(?m)^ *\/\/\/ `([a-z]+(?:\.[a-z]+)+)`/).map { String($0.1) })
}

/// A relative link as a path from the root.
private func resolved(_ link: String, from page: String) -> String {
    var parts = page.split(separator: "/").dropLast().map(String.init)
    for part in link.split(separator: "/") {
        if part == ".." {
            _ = parts.popLast()
        } else if part != "." {
            parts.append(String(part))
        }
    }
    return parts.joined(separator: "/")
}

/// The lines of a Markdown file that are not in a code block, with their numbers from 1.
private func proseLines(of file: ProjectFile) -> [(line: Int, text: Substring)] {
    var isCode = false
    var result: [(line: Int, text: Substring)] = []
    for (number, line) in file.lines.enumerated() {
        if line.hasPrefix("```") {
            isCode.toggle()
        } else if !isCode {
            result.append((number + 1, line))
        }
    }
    return result
}

@Suite struct DocumentationTests {
    @Test("public types and functions say what they are for")
    func publics() {
        expectNone(
            undocumentedFaults(Repository.sources, described: protocolFunctions(in: Repository.sources)))
    }

    @Test("every Markdown file has one title")
    func titles() { expectNone(titleFaults(Repository.files)) }

    @Test("links and paths in the documentation lead somewhere")
    func links() { expectNone(linkFaults(Repository.files)) }

    @Test("the reading order leads to every page of the documentation")
    func reach() {
        #expect(Repository.files.contains { $0.path == "docs/reading-order.md" })
        expectNone(unreachedFaults(Repository.files))
    }

    @Test("types that the documentation names are in the sources")
    func names() { expectNone(unknownNameFaults(Repository.files)) }

    @Test("the settings that the storage engine goes by are on the page about them")
    func settings() {
        let code =
            Repository.text("Sources/LogStorage/LogConfiguration.swift")
            + Repository.text("Sources/LogStorage/LogStore.swift")
            + Repository.text("Sources/LogStorage/Cleaning/CleanerConfiguration.swift")
        #expect(declaredSettings(in: code).count > 10)
        let page = documentedSettings(in: Repository.text("docs/configuration.md"))
        #expect(declaredSettings(in: code).subtracting(page) == [])
        #expect(documentedSettings(in: "| `a.b` | x |\n| text `c.d` |") == ["a.b"])
        #expect(declaredSettings(in: "    /// `a.b`: is.\n    /// See `c.d`.\n    /// `e` no") == ["a.b"])
    }

    @Test("an undocumented public is found, a documented one and a private one are not")
    func findsUndocumented() {
        let text = """
            public struct A {}

            /// Is.
            @inlinable
            public static func b() {}
            public static func run() {}

            func c() {}
                public static func < (left: A, right: A) -> Bool { true }
                @frozen public enum D {}

            public func b(_ x: Int) {}

            public func e() {}

            public func known() {}
            """
        let file = ProjectFile(path: "Sources/Base/A.swift", text: text)
        #expect(undocumentedFaults([file], described: ["known"]).map(\.line) == [1, 10, 14])
        let demanding = ProjectFile(
            path: "Sources/Base/P.swift", text: "public protocol P {\n    func known()\n}\nfunc other() {}")
        #expect(protocolFunctions(in: [demanding]).isSuperset(of: ["known"]))
        #expect(!protocolFunctions(in: [demanding]).contains("other"))
    }

    @Test("a type that no source has is found in the documentation")
    func findsUnknownNames() {
        let files = [
            ProjectFile(path: "Sources/Base/A.swift", text: "struct LogThing {\n    let x: OtherThing }"),
            ProjectFile(
                path: "docs/a.md",
                text: "`LogThing` `OtherThing.x` `LogThin`\n`Log` `GoneThing.y(z:)` NoCode\n```\n`NoName`"),
        ]
        #expect(
            unknownNameFaults(files).map { "\($0.line) \($0.message)" } == [
                "1 no source has LogThin", "2 no source has GoneThing",
            ])
    }

    @Test("missing and second titles, dead links and unreached pages are found")
    func findsBadPages() {
        let files = [
            ProjectFile(path: "docs/reading-order.md", text: "# Order\n[a](a.md)\n[out](https://x.y/z.md)"),
            ProjectFile(
                path: "docs/a.md",
                text: "# A\n[b](more/b.md#part) `docs/none.md` `tools/`\n```\n# not a title\n```"),
            ProjectFile(path: "docs/more/b.md", text: "# B\n# Again\n[up](../a.md) [gone](gone.md)"),
            ProjectFile(path: "docs/lost.md", text: "text"),
            ProjectFile(path: "tools/x", text: ""),
        ]
        #expect(titleFaults(files).map(\.path) == ["docs/more/b.md", "docs/lost.md"])
        #expect(
            linkFaults(files).map(\.message) == ["there is no docs/none.md", "there is no docs/more/gone.md"])
        #expect(unreachedFaults(files).map(\.path) == ["docs/lost.md"])
    }
}
