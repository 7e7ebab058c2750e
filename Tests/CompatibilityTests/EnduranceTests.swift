import Foundation
import Testing

/// A broker that is killed, and one that is lied to. Briefly here; with more rounds and seconds by
/// `tools/endure`.
@Suite("A broker under kills and attacks", .serialized)
struct EnduranceTests {
    private func run(_ script: String, _ arguments: [String]) throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("dmq-endure-\(UUID())")
        defer {
            try? FileManager.default.removeItem(at: directory)
            let siblings = directory.deletingLastPathComponent()
            for name in (try? FileManager.default.contentsOfDirectory(atPath: siblings.path)) ?? []
            where name.hasPrefix(directory.lastPathComponent + ".") {
                try? FileManager.default.removeItem(at: siblings.appendingPathComponent(name))
            }
        }
        let (status, output) = try ClientScript(name: script).run(
            ["--program", RunningBroker.program.path, "--directory", directory.path] + arguments)
        #expect(status == 0, "\(output)")
    }

    @Test("killed again and again, it loses nothing that it acknowledged, and has nothing twice")
    func kills() throws { try run("kill.py", ["--rounds", "10"]) }

    @Test(
        "groups of several libraries are given every record while members and the broker come, go and die",
        arguments: [
            ["--strategy", "eager"], ["--strategy", "cooperative"], ["--protocol", "consumer"],
            ["--protocol", "mixed"],
        ])
    func groups(options: [String]) throws {
        try run("groups.py", ["--seconds", "8", "--kill-broker"] + options)
    }

    @Test("a static member that is killed and comes back gets what it had, and nobody else hears of it")
    func staticMembers() throws { try run("groups.py", ["--static"]) }

    @Test("every input is in the output once, whoever is killed in the midst of a transaction")
    func transactions() throws { try run("transactions.py", ["--seconds", "12"]) }

    @Test("no peer takes it down, and others are served meanwhile")
    func hostile() throws { try run("hostile.py", ["--seconds", "10", "--idle", "300"]) }
}
