import Base
import Foundation
import RecordFormat
import SimulationKit
import SystemIO
import Testing

/// The log directory that a Kafka 3.9 broker left at a clean stop.
enum GoldenLogs {
    static let directory: String = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("FormatTests/Golden/kafka-3.9").path

    static func path(_ relative: String) -> String { "\(directory)/\(relative)" }

    static func bytes(_ relative: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(relative))))
    }

    /// The names of the partitions' directories.
    static func partitions() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory)
            .filter { isDirectory(path($0)) }.sorted()
    }

    /// Paths, relative to the log directory, of all files in partitions whose names end with `ending`.
    static func files(endingWith ending: String) throws -> [String] {
        try partitions().flatMap { partition in
            try FileManager.default.contentsOfDirectory(atPath: path(partition))
                .filter { $0.hasSuffix(ending) }.sorted().map { "\(partition)/\($0)" }
        }
    }

    private static func isDirectory(_ path: String) -> Bool {
        var result: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &result) && result.boolValue
    }

    /// The batches of a log: where each begins, and its header.
    static func batches(_ log: String) throws -> [(position: Int64, header: RecordBatchHeader)] {
        let bytes = try bytes(log)
        var result: [(Int64, RecordBatchHeader)] = []
        var position = 0
        while position < bytes.count {
            let header = try RecordBatchHeader(parsing: bytes.span.bytes.extracting(position..<bytes.count))
            result.append((Int64(position), header))
            position += header.byteCount
        }
        return result
    }
}

/// A directory on the real disk, removed with the last reference.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "dmq-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func path(_ name: String) -> String { "\(path)/\(name)" }

    func write(_ bytes: [UInt8], _ name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path(name)))
    }

    func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name))))
    }
}

/// A disk for tests of the formats, real or simulated: both must do.
struct TestVolume: Sendable, CustomTestStringConvertible {
    let fileSystem: any FileSystem
    let directory: String
    let testDescription: String
    private let owner: (any Sendable)?

    static func real() throws -> TestVolume {
        let directory = try TemporaryDirectory()
        return TestVolume(
            fileSystem: PosixFileSystem(), directory: directory.path, testDescription: "real",
            owner: directory)
    }

    static func simulated(seed: UInt64) throws -> TestVolume {
        let fileSystem = SimulatedDisk(seed: seed).mount()
        try fileSystem.createDirectory("/data")
        return TestVolume(
            fileSystem: fileSystem, directory: "/data", testDescription: "simulated", owner: fileSystem.disk)
    }

    /// The one or the other.
    static func either(seed: UInt64) throws -> TestVolume {
        seed.isMultiple(of: 2) ? try real() : try simulated(seed: seed)
    }

    init(fileSystem: any FileSystem, directory: String, testDescription: String, owner: (any Sendable)? = nil)
    {
        self.fileSystem = fileSystem
        self.directory = directory
        self.testDescription = testDescription
        self.owner = owner
    }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    func write(_ bytes: [UInt8], _ name: String) throws {
        let file = try fileSystem.open(path(name), .createOrOpen)
        try file.truncate(to: 0)
        if !bytes.isEmpty { try file.write([BufferSlice(IOBuffer(copying: bytes))], at: 0) }
    }

    func bytes(_ name: String) throws -> [UInt8] {
        let file = try fileSystem.open(path(name), .read)
        let count = Int(try file.byteCount())
        guard count > 0 else { return [] }
        let buffer = IOBuffer(byteCount: count)
        let got = try file.read(into: buffer, 0..<count, at: 0)
        return buffer.bytes(0..<got).withUnsafeBytes { Array($0) }
    }
}

/// Big-endian bytes of a number, as the models of the tests write them.
func bigEndianBytes(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
}
