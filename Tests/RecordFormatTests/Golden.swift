import Foundation
import RecordFormat

/// The log directory of a real Kafka 3.9 broker, and what a consumer read from it.
enum Golden {
    static let directory = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
            "FormatTests/Golden/kafka-3.9")

    /// A record as the consumer saw it.
    struct ExpectedRecord: Equatable {
        let offset: Int64
        let timestampType: Int
        let timestamp: Int64
        let key: [UInt8]?
        let value: [UInt8]?
        let headers: [ExpectedHeader]
    }

    struct ExpectedHeader: Equatable {
        let key: String
        let value: [UInt8]?
    }

    /// One whole batch and where it comes from.
    struct Batch: Sendable, CustomStringConvertible {
        let file: String
        let position: Int
        let bytes: [UInt8]

        var description: String { "\(file) at \(position)" }
    }

    /// The log files, also those that were about to be deleted, and the metadata snapshot, as paths below
    /// `directory`.
    static func logFiles() throws -> [String] {
        let manager = FileManager.default
        var result: [String] = []
        for folder in try manager.contentsOfDirectory(atPath: directory.path) {
            let path = directory.appendingPathComponent(folder)
            var isDirectory: ObjCBool = false
            guard manager.fileExists(atPath: path.path, isDirectory: &isDirectory), isDirectory.boolValue
            else { continue }
            for name in try manager.contentsOfDirectory(atPath: path.path)
            where name.hasSuffix(".log") || name.hasSuffix(".log.deleted") {
                result.append("\(folder)/\(name)")
            }
        }
        return result.sorted() + ["bootstrap.checkpoint"]
    }

    static func contents(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: directory.appendingPathComponent(path)))
    }

    /// The batches of one log file.
    static func batches(of file: String) throws -> [Batch] {
        let bytes = try contents(file)
        var position = 0
        var result: [Batch] = []
        while position < bytes.count {
            let header = try RecordBatchHeader(parsing: bytes.span.bytes.extracting(position..<bytes.count))
            let end = position + header.byteCount
            guard end <= bytes.count else { throw RecordBatchError.truncated(have: bytes.count, need: end) }
            result.append(Batch(file: file, position: position, bytes: Array(bytes[position..<end])))
            position = end
        }
        return result
    }

    /// The batches of all log files.
    static func allBatches() throws -> [Batch] { try logFiles().flatMap { try batches(of: $0) } }

    /// What the consumer read, by topic.
    static func expected() throws -> [String: [ExpectedRecord]] {
        let data = try Data(contentsOf: directory.appendingPathComponent("expected.json"))
        let topics = try JSONSerialization.jsonObject(with: data) as! [String: [[Any]]]
        return topics.mapValues { rows in
            rows.map { row in
                ExpectedRecord(
                    offset: (row[0] as! NSNumber).int64Value, timestampType: (row[1] as! NSNumber).intValue,
                    timestamp: (row[2] as! NSNumber).int64Value, key: bytes(row[3]), value: bytes(row[4]),
                    headers: (row[5] as? [[Any]] ?? []).map {
                        ExpectedHeader(key: $0[0] as! String, value: bytes($0[1]))
                    })
            }
        }
    }

    private static func bytes(_ base64: Any) -> [UInt8]? {
        (base64 as? String).flatMap { Data(base64Encoded: $0) }.map { [UInt8]($0) }
    }
}
