import Base
import Foundation
import RecordFormat
import SystemIO
import Testing

@testable import LogStorage

/// The logs of a real Kafka, opened by the storage engine: as they are, after a clean stop and as after a
/// crash.
@Suite("Logs that Kafka 3.9 wrote")
struct GoldenLogTests {
    static let topics = [
        "golden-none", "golden-gzip", "golden-snappy", "golden-lz4", "golden-zstd", "golden-idempotent",
        "golden-txn",
        "golden-compacted", "golden-logappendtime",
    ]

    private static var golden: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden/kafka-3.9")
    }

    // Read once, never changed.
    nonisolated(unsafe) private static let expected: [String: [[Any]]] = {
        guard let data = try? Data(contentsOf: golden.appendingPathComponent("expected.json")),
            let rows = try? JSONSerialization.jsonObject(with: data) as? [String: [[Any]]]
        else { return [:] }
        return rows
    }()

    /// A copy of the log directory, and a store over it.
    private final class Copy {
        let path: String
        let store: LogStore
        let manager: LogManager

        init(markedClean: Bool) throws {
            path = FileManager.default.temporaryDirectory.appendingPathComponent("golden-\(UUID())").path
            try FileManager.default.copyItem(atPath: GoldenLogTests.golden.path, toPath: path)
            if markedClean {
                try Data(#"{"version":0,"brokerEpoch":-1}"#.utf8).write(
                    to: URL(fileURLWithPath: "\(path)/.kafka_cleanshutdown"))
            }
            store = try LogStore(
                LogStoreConfiguration(directoryPaths: [path]), fileSystem: PosixFileSystem(),
                timeSource: SystemClock(),
                logger: .silent, newID: { UniqueID(high: 1, low: 1) })
            manager = LogManager(
                store: store,
                lane: LogLane(queue: try AppendQueues.make(.auto, log: .silent), timeSource: SystemClock()))
            // Kafka's timestamps of 2023 must not expire.
            let recovered = store.recoverLogs(
                settings: { _ in
                    var settings = LogConfiguration()
                    settings.retentionMilliseconds = -1
                    return settings
                }, run: { jobs in jobs.forEach { $0() } })
            for log in recovered { try manager.adopt(log) }
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func log(_ topic: String) -> PartitionLog? { manager[TopicPartition(topic: topic, partition: 0)] }
    }

    /// A record as expected.json has it.
    private func row(_ record: Record, _ header: RecordBatchHeader) -> NSArray {
        func text(_ bytes: [UInt8]?) -> Any { bytes.map { Data($0).base64EncodedString() } ?? NSNull() }
        let type = header.attributes.timestampType == .logAppendTime ? 2 : 1
        let headers = record.headers.map {
            [String(decoding: $0.key, as: UTF8.self), text($0.value)] as [Any]
        }
        return [
            record.offset.rawValue, type, record.timestamp.rawValue, text(record.key), text(record.value),
            headers,
        ] as NSArray
    }

    private func rows(of log: PartitionLog, leavingOutAborted: Bool) throws -> [NSArray] {
        var rows: [NSArray] = []
        var next = log.logStartOffset
        let aborted = try log.abortedTransactions(from: next, upTo: log.logEndOffset)
        let decompressor = Decompressor()
        while let slice = try log.read(from: next, maximumByteCount: 5000, limit: .logEnd).slice {
            let buffer = IOBuffer(byteCount: slice.byteCount)
            #expect(
                try slice.file.read(into: buffer, 0..<slice.byteCount, at: slice.position) == slice.byteCount)
            var position = 0
            while position < slice.byteCount {
                let header = try RecordBatchHeader(parsing: buffer.bytes(position..<slice.byteCount))
                let batch = buffer.bytes(position..<position + header.byteCount)
                try RecordBatch.validate(batch, header: header)
                position += header.byteCount
                if header.attributes.isControl { continue }
                let isAborted =
                    header.attributes.isTransactional
                    && aborted.contains {
                        $0.producerID == header.producerID && $0.firstOffset <= header.baseOffset
                            && header.baseOffset < $0.lastOffset
                    }
                if leavingOutAborted && isAborted { continue }
                for record in try RecordBatch.records(of: batch, header: header, decompressor: decompressor) {
                    rows.append(row(record, header))
                }
            }
            next = slice.nextOffset
        }
        return rows
    }

    @Test("every record reads back as a consumer of Kafka read it", arguments: topics, [true, false])
    func records(topic: String, markedClean: Bool) throws {
        let copy = try Copy(markedClean: markedClean)
        let log = try #require(copy.log(topic))
        #expect(log.damage.isEmpty)
        let expected = try #require(Self.expected[topic]).map { $0 as NSArray }
        #expect(try rows(of: log, leavingOutAborted: false) == expected)
        if topic == "golden-txn" {
            let committed = try #require(Self.expected["golden-txn@read_committed"]).map { $0 as NSArray }
            #expect(try rows(of: log, leavingOutAborted: true) == committed)
        }
    }

    @Test("the internal topics open without damage", arguments: [true, false])
    func internalTopics(markedClean: Bool) throws {
        let copy = try Copy(markedClean: markedClean)
        #expect(copy.manager.all.count == Self.topics.count + 4)
        for log in copy.manager.all { #expect(log.damage.isEmpty && log.logEndOffset > .zero) }
    }

    @Test("a copy goes on being appended to, closed and opened again", arguments: topics)
    func appending(topic: String) throws {
        let copy = try Copy(markedClean: true)
        let log = try #require(copy.log(topic))
        let before = try rows(of: log, leavingOutAborted: false)
        let end = log.logEndOffset
        for number in 0..<20 {
            var builder = RecordBatchBuilder(codec: CompressionCodec.allCases[number % 5])
            builder.append(
                timestamp: Timestamp(1_700_000_000_000), key: Array("key".utf8).span.bytes,
                value: Array("value \(number)".utf8).span.bytes)
            let batch = BufferSlice(IOBuffer(copying: try builder.finish(compressor: Compressor())))
            let epoch = max(log.latestLeaderEpoch ?? LeaderEpoch(0), LeaderEpoch(0))
            let result = try log.appendAsLeader(batch, leaderEpoch: epoch, durably: true)
            #expect(result.firstOffset == end + Int64(number))
        }
        try log.syncNow()
        copy.manager.close()
        copy.store.markCleanShutdown()
        let opening = LogOpening(
            partition: TopicPartition(topic: topic, partition: 0), path: "\(copy.path)/\(topic)-0",
            recoveryPoint: end + 20, wasShutDownCleanly: true)
        let again = try PartitionLog.open(
            opening, in: LogDirectory(path: copy.path, fileSystem: PosixFileSystem()),
            lane: LogLane(queue: try AppendQueues.make(.epoll, log: .silent), timeSource: SystemClock()))
        let after = try rows(of: again, leavingOutAborted: false)
        #expect(after.count == before.count + 20)
        #expect(Array(after.prefix(before.count)) == before)
    }
}
