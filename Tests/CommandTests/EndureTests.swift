import Foundation
import Testing

@Suite("Records on a real disk, and a process that is killed")
struct EndureTests {
    /// The program as it was built, beside the tests.
    private static var program: URL {
        Bundle(for: Marker.self).bundleURL.appendingPathComponent("dmq-bench")
    }

    private final class Marker {}

    private func start(_ arguments: [String]) throws -> (Process, FileHandle) {
        let process = Process()
        process.executableURL = Self.program
        process.arguments = ["storage"] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        return (process, pipe.fileHandleForReading)
    }

    /// The largest number behind `synced` in what has been printed.
    private func lastSynced(_ text: Data) -> Int {
        // Only whole lines count: a number may be cut in its middle.
        let lines = String(decoding: text, as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        return lines.dropLast().compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.max() ?? 0
    }

    @Test(
        "killed again and again, it holds every record that it had reported as synced",
        arguments: ["io_uring", "epoll"], ["direct", "queued"])
    func kills(backEnd: String, road: String) throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("endure-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let options = ["--directory", directory, "--back-end", backEnd, "--road", road]
        var promised = 0
        for round in 0..<8 {
            let (process, output) = try start(["endure"] + options)
            var text = Data()
            // Each round lets it go on for a little longer.
            while text.count < 40 + round * 3000 {
                let more = output.availableData
                if more.isEmpty { break }
                text += more
            }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            text += output.readDataToEndOfFile()
            promised = max(promised, lastSynced(text))

            let (checker, verdict) = try start(["check"] + options)
            let said = String(decoding: verdict.readDataToEndOfFile(), as: UTF8.self)
            checker.waitUntilExit()
            #expect(checker.terminationStatus == 0, "\(said)")
            let held = said.split(whereSeparator: { $0 == " " || $0 == "\n" }).last.flatMap { Int($0) } ?? 0
            #expect(held >= promised, "promised \(promised), \(said)")
        }
        #expect(promised > 100)
    }
}
