import Foundation
import Testing

/// What a program did.
struct Finished {
    let status: Int32
    let output: Data
    let errors: String

    var text: String { String(decoding: output, as: UTF8.self) }
    var lines: [String] { text.split(separator: "\n").map(String.init) }

    /// The lines as JSON objects.
    func objects() throws -> [NSDictionary] {
        try lines.map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? NSDictionary)
        }
    }
}

/// Programs as they were built, run as a person runs them.
enum Programs {
    private final class Marker {}

    /// A program that was built beside the tests.
    static func built(_ name: String) -> URL {
        Bundle(for: Marker.self).bundleURL.appendingPathComponent(name)
    }

    /// No program runs longer: a test that hangs is to fail.
    private static let seconds = "120"

    static func process(_ program: URL, _ arguments: [String]) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
        process.arguments = ["--signal=KILL", seconds, program.path] + arguments
        process.standardInput = FileHandle.nullDevice
        return process
    }

    /// Runs a program to its end.
    /// - Parameter environment: variables that are set beside those of the tests.
    static func run(
        _ program: URL, _ arguments: [String], input: Data = Data(), environment: [String: String] = [:]
    ) throws -> Finished {
        let directory = TemporaryDirectory()
        let (inputPath, outputPath, errorPath) = (directory / "in", directory / "out", directory / "err")
        try input.write(to: URL(fileURLWithPath: inputPath))
        for path in [outputPath, errorPath] { try Data().write(to: URL(fileURLWithPath: path)) }
        let process = process(program, arguments)
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
        process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: inputPath))
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: outputPath))
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errorPath))
        try process.run()
        process.waitUntilExit()
        return Finished(
            status: process.terminationStatus, output: try Data(contentsOf: URL(fileURLWithPath: outputPath)),
            errors: String(decoding: try Data(contentsOf: URL(fileURLWithPath: errorPath)), as: UTF8.self))
    }
}

/// A directory that goes with its owner.
final class TemporaryDirectory {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("dmq-command-\(UUID())").path

    init() { try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    static func / (directory: TemporaryDirectory, name: String) -> String { "\(directory.path)/\(name)" }
}

/// A running `dmq server` on a port of its own, which ends with its owner.
final class BrokerProcess {
    let address: String
    let directory = TemporaryDirectory()
    private let settings: [String]
    private var process: Process

    init(_ settings: [String] = []) throws {
        self.settings = settings
        (process, address) = try Self.start(directory, "127.0.0.1:0", settings)
    }

    /// - Returns: the broker, and the address that it prints.
    private static func start(
        _ directory: TemporaryDirectory, _ address: String, _ settings: [String]
    ) throws -> (Process, String) {
        let process = Programs.process(
            Programs.built("dmq"),
            ["server", "--listen", address, "--data-dir", directory / "data"]
                + settings.flatMap { ["--set", $0] })
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        var banner = Data()
        while !String(decoding: banner, as: UTF8.self).contains("data in") {
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { break }
            banner += more
        }
        let words = String(decoding: banner, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        let found = try #require(words.first { $0.hasPrefix("127.0.0.1:") }, "no banner: \(words)")
        return (process, String(found))
    }

    /// Ends the broker without a warning, and starts it again at the same address.
    func killAndRestart() throws {
        killGroup()
        (process, _) = try Self.start(directory, address, settings)
    }

    deinit { killGroup() }

    private func killGroup() {
        // Both the broker and the program that bounds its life, which makes them a group. A child begins with
        // the signals blocked that the thread which started it had blocked: a polite one might not arrive.
        kill(-process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Runs `dmq` against the broker.
    @discardableResult
    func dmq(_ arguments: String..., input: String = "") throws -> Finished {
        try dmq(arguments, input: Data(input.utf8))
    }

    @discardableResult
    func dmq(_ arguments: [String], input: Data = Data()) throws -> Finished {
        try Programs.run(
            Programs.built("dmq"), arguments, input: input, environment: ["DMQ_BOOTSTRAP": address])
    }

    @discardableResult
    func kcat(_ arguments: [String], input: Data = Data()) throws -> Finished {
        try Programs.run(URL(fileURLWithPath: "/usr/bin/kcat"), ["-b", address] + arguments, input: input)
    }
}
