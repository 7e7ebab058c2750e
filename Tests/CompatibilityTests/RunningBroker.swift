import Foundation
import Testing

/// `dmq server` as a process of its own, on a free port and with a data directory of its own, until it is let
/// go of.
final class RunningBroker {
    let bootstrap: String
    let directory: String
    private let process: Process

    private final class Marker {}

    /// The program as it was built, beside the tests.
    static var program: URL { Bundle(for: Marker.self).bundleURL.appendingPathComponent("dmq") }

    /// Starts a broker and returns when it takes connections.
    ///
    /// - Parameter directory: with the data of an earlier broker; nil: a new one.
    init(directory: String? = nil, settings: [String: String] = [:]) throws {
        let new = FileManager.default.temporaryDirectory.appendingPathComponent("dmq-broker-\(UUID())")
        self.directory = directory ?? new.path
        let process = Process()
        process.executableURL = Self.program
        process.arguments =
            ["server", "--listen", "127.0.0.1:0", "--data-dir", self.directory]
            + settings.sorted { $0.key < $1.key }.flatMap { ["--set", "\($0.key)=\($0.value)"] }
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        self.process = process
        bootstrap = try Self.address(in: output.fileHandleForReading)
        // Nobody reads what it says from here on; it must not wait for that.
        output.fileHandleForReading.readabilityHandler = { _ = $0.availableData }
    }

    /// The address in the banner: the first `host:port`.
    private static func address(in output: FileHandle) throws -> String {
        var text = ""
        while true {
            let more = output.availableData
            text += String(decoding: more, as: UTF8.self)
            for word in text.split(whereSeparator: { $0 == " " || $0 == "\n" }).dropLast() {
                let parts = word.split(separator: ":")
                if parts.count == 2, parts[0] == "127.0.0.1", let port = Int(parts[1]), port > 0 {
                    return String(word)
                }
            }
            try #require(!more.isEmpty, "the broker ended before it said where it listens: \(text)")
        }
    }

    /// Ends the process at once, as a crash would.
    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Asks the process to end, and waits.
    /// - Returns: its exit status.
    func stop() -> Int32 {
        process.terminate()
        process.waitUntilExit()
        return process.terminationStatus
    }

    deinit {
        if process.isRunning { kill() }
        try? FileManager.default.removeItem(atPath: directory)
    }
}
