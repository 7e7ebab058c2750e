import Base
import Foundation
import RecordFormat
import SystemIO
import Testing

@testable import dmq_dump_log

/// The log directory that a Kafka 3.9 broker left, and what a consumer read from it.
enum DumpGolden {
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("FormatTests/Golden/kafka-3.9").path

    static func partitions() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory)
            .filter { FileManager.default.fileExists(atPath: "\(directory)/\($0)/leader-epoch-checkpoint") }
            .sorted()
    }

    static func expected() throws -> [String: [[Any]]] {
        let data = try Data(contentsOf: URL(fileURLWithPath: "\(directory)/expected.json"))
        return try JSONSerialization.jsonObject(with: data) as! [String: [[Any]]]
    }
}

/// A run of the program within the test's process.
struct DumpResult {
    let status: Int32
    let text: String
    let errors: String

    init(_ arguments: [String]) {
        var text = ""
        var errors = ""
        status = DumpCommand.run(
            arguments, PosixFileSystem(), error: { errors += $0 },
            output: { (block) throws(IOError) in text += block })
        self.text = text
        self.errors = errors
    }

    var lines: [Substring] { text.split(separator: "\n") }

    /// The lines as JSON objects.
    func objects() throws -> [[String: Any]] {
        try lines.map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
    }

    func objects(_ type: String) throws -> [[String: Any]] {
        try objects().filter { $0["type"] as? String == type }
    }
}

/// A copy of golden files that may be damaged, removed with the last reference.
final class DumpCopy {
    let path: String

    init(partition: String) throws {
        path = NSTemporaryDirectory() + "dmq-dump-" + UUID().uuidString + "/" + partition
        try FileManager.default.createDirectory(
            atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: "\(DumpGolden.directory)/\(partition)", toPath: path)
    }

    deinit { try? FileManager.default.removeItem(atPath: (path as NSString).deletingLastPathComponent) }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: file(name))))
    }

    func write(_ bytes: [UInt8], _ name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
    }

    /// Changes the bytes of a file.
    func change(_ name: String, _ body: (inout [UInt8]) -> Void) throws {
        var bytes = try bytes(name)
        body(&bytes)
        try write(bytes, name)
    }

    func verify() throws -> (status: Int32, damages: [[String: Any]], information: [[String: Any]]) {
        let result = DumpResult(["--verify", "--json", path])
        return (result.status, try result.objects("damage"), try result.objects("information"))
    }
}

/// Batches of our own.
enum DumpBatches {
    /// A batch of one record.
    static func batch(
        baseOffset: Int64, timestamp: Int64 = 1_700_000_600_000, value: [UInt8]
    ) throws -> [UInt8] {
        var builder = RecordBatchBuilder(baseOffset: Offset(baseOffset), partitionLeaderEpoch: LeaderEpoch(0))
        builder.append(timestamp: Timestamp(timestamp), key: nil, value: value.span.bytes)
        return try builder.finish(compressor: Compressor())
    }
}
