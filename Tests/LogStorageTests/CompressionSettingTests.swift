import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

/// `compression.type`, and syncs that logs ask for themselves.
@Suite("A log that compresses, and syncs by itself")
struct CompressionSettingTests {
    private static let codecs: [CompressionCodec] = [.none, .gzip, .snappy, .lz4, .zstd]

    /// Some without a key, without a value, with headers.
    private func record(_ number: Int) -> Record {
        var record = Record(
            offset: Offset(Int64(number)), timestamp: Timestamp(1_700_000_000_000 + Int64(number)),
            key: Array("key \(number)".utf8), value: [UInt8](repeating: UInt8(number), count: 300))
        if number % 3 == 0 { record.key = nil }
        if number % 7 == 1 { record.value = nil }
        if number % 5 == 0 { record.headers = [RecordHeader(key: Array("h".utf8), value: [1, 2])] }
        return record
    }

    private func append(_ bytes: [UInt8], to log: PartitionLog) throws -> LogAppendResult {
        try log.appendAsLeader(
            BufferSlice(IOBuffer(copying: bytes)), leaderEpoch: LeaderEpoch(4), durably: true)
    }

    private func bytes(_ codec: CompressionCodec) throws -> [UInt8] {
        var builder = RecordBatchBuilder(
            codec: codec, producerID: ProducerID(9), producerEpoch: ProducerEpoch(0),
            baseSequence: SequenceNumber(0))
        for number in 0..<20 { builder.append(record(number)) }
        return try builder.finish(compressor: Compressor())
    }

    private func records(_ bytes: [UInt8]) throws -> [Record] {
        let header = try RecordBatchHeader(parsing: bytes.span.bytes)
        try RecordBatch.validate(bytes.span.bytes, header: header)
        return try RecordBatch.records(of: bytes.span.bytes, header: header, decompressor: Decompressor())
    }

    @Test(
        "Batches of every codec are stored with the codec that is set, and say the same",
        arguments: codecs, codecs)
    func codec(sent: CompressionCodec, stored: CompressionCodec) throws {
        var settings = LogConfiguration()
        settings.compression = StoredCompression(stored, level: stored.levels.map { $0.lowerBound })
        settings.timestampBeforeMaximumMilliseconds = .max
        settings.timestampAfterMaximumMilliseconds = .max
        let fixture = try LogFixture(configuration: settings)
        let log = try fixture.open()
        let sentBytes = try bytes(sent)
        let original = try records(sentBytes)
        _ = try append(sentBytes, to: log)
        let again = try append(sentBytes, to: log)
        #expect(again.isDuplicate)
        fixture.settle()
        let found = try #require(try batches(of: log).first)
        #expect(found.header.attributes.codec == stored)
        #expect(found.header.partitionLeaderEpoch == LeaderEpoch(4))
        #expect(found.header.producerID == ProducerID(9))
        #expect(found.header.recordCount == 20)
        let kept = try records(found.bytes)
        #expect(kept == original)
        // As sent, byte for byte, where nothing has to be done.
        let first = RecordBatchHeader.byteCount
        if sent == stored { #expect(found.bytes[first...] == sentBytes[first...]) }
        // It opens again as it was.
        let expected = log.logEndOffset
        _ = try log.close()
        let reopened = try fixture.open()
        #expect(reopened.logEndOffset == expected)
    }

    @Test("What a codec makes too large is refused, and nothing is stored")
    func tooLarge() throws {
        var settings = LogConfiguration()
        settings.compression = StoredCompression(.none)
        settings.timestampBeforeMaximumMilliseconds = .max
        settings.timestampAfterMaximumMilliseconds = .max
        settings.maximumBatchByteCount = 2_000
        let fixture = try LogFixture(configuration: settings)
        let log = try fixture.open()
        let sent = try bytes(.zstd)
        #expect(throws: LogError.self) { try append(sent, to: log) }
        #expect(log.logEndOffset == .zero)
    }

    @Test("flush.messages syncs every so many records, though nobody waits for it")
    func flushMessages() throws {
        var settings = LogConfiguration()
        settings.flushRecordCount = 5
        let fixture = try LogFixture(configuration: settings)
        let log = try fixture.open()
        for count in 1...14 {
            _ = try log.appendAsLeader(TestBatches.batch(), leaderEpoch: LeaderEpoch(0), durably: false)
            fixture.settle()
            #expect(log.syncedEndOffset == Offset(Int64(count / 5 * 5)), "\(count) records")
        }
    }

    @Test("flush.ms syncs what has waited for so long, before the next look would be too late")
    func flushMilliseconds() throws {
        let node = try LogManagerTests.Node()
        var settings = LogConfiguration()
        #expect(node.manager.flushOverdue(interval: 100) == nil)
        settings.flushMilliseconds = 1_000
        let log = try node.manager.create(TopicPartition(topic: "t", partition: 0), settings: settings)
        for _ in 0..<3 {
            let before = log.logEndOffset
            _ = try log.appendAsLeader(TestBatches.batch(), leaderEpoch: LeaderEpoch(0), durably: false)
            node.settle()
            for passed in stride(from: 0, through: 800, by: 100) {
                #expect(node.manager.flushOverdue(interval: 100) == 1_000)
                node.settle()
                #expect(log.syncedEndOffset == before, "after \(passed) ms")
                node.clock.advance(milliseconds: 100)
            }
            node.manager.flushOverdue(interval: 100)
            node.settle()
            #expect(log.syncedEndOffset == log.logEndOffset)
        }
        settings.flushMilliseconds = 0
        log.updateConfiguration(settings)
        _ = try log.appendAsLeader(TestBatches.batch(), leaderEpoch: LeaderEpoch(0), durably: false)
        node.settle()
        #expect(log.syncedEndOffset == log.logEndOffset)
    }
}
