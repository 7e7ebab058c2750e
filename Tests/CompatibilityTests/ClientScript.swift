import Foundation
import Testing

/// A script of `clients`, run in the environment of `tools/python-environment`.
struct ClientScript {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let python = root.appendingPathComponent(".build/python/bin/python")
    private static let folder = root.appendingPathComponent("Tests/CompatibilityTests/clients")

    let name: String

    /// - Returns: its exit status and all that it wrote.
    func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        try #require(
            FileManager.default.isExecutableFile(atPath: Self.python.path),
            "the Python environment is missing: run tools/python-environment, then the tests again")
        let process = Process()
        process.executableURL = Self.python
        process.arguments = ["-B", Self.folder.appendingPathComponent(name).path] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
