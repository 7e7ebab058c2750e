import Foundation
import Testing

/// A script: lines of comment (`#`), commands (`> `), and after each what must come of it.
struct Scenario {
    let name: String
    let text: String

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Scenarios")

    /// All scripts of the folder, by name.
    static func all() throws -> [Scenario] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasSuffix(".scenario") }.sorted()
            .map { name in
                Scenario(
                    name: name,
                    text: try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8))
            }
    }

    /// The script with what really comes of its commands.
    func played() throws -> String {
        var cluster = ScenarioCluster()
        var output: [String] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty || line.hasPrefix("#") { output.append(String(line)) }
            guard line.hasPrefix("> ") else { continue }
            output.append(String(line))
            output += try cluster.run(String(line.dropFirst(2)))
        }
        return output.joined(separator: "\n")
    }
}

@Suite struct ScenarioTests {
    /// `DMQ_REWRITE_SCENARIOS=1` writes down what happens; only differences that are understood are
    /// committed.
    @Test("conversations go as their scripts tell them")
    func scripts() throws {
        let rewrites = ProcessInfo.processInfo.environment["DMQ_REWRITE_SCENARIOS"] == "1"
        let scenarios = try Scenario.all()
        #expect(scenarios.count >= 9)
        for scenario in scenarios {
            let played = try scenario.played()
            if rewrites {
                let file = Scenario.folder.appendingPathComponent(scenario.name)
                try played.write(to: file, atomically: true, encoding: .utf8)
            } else {
                #expect(played == scenario.text, "\(scenario.name)")
            }
        }
    }
}
