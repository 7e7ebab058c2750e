import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

@Suite("Compaction of what Kafka compacted")
struct CleanerGoldenTests {
    /// A partition's directory of the golden logs, opened on a simulated disk.
    private func open(_ name: String, end: Int64) throws -> (LogFixture, PartitionLog) {
        var settings = LogFixture.smallSegments()
        settings.cleanupPolicy = .compact
        settings.minimumCleanableDirtyRatio = 0
        settings.segmentByteCount = 16_384
        let fixture = try LogFixture(configuration: settings)
        let path = "/data/\(name)"
        try fixture.fileSystem.createDirectory(path)
        for file in try GoldenLogs.files(endingWith: "") where file.hasPrefix("\(name)/") {
            let bytes = try GoldenLogs.bytes(file)
            let target = try fixture.fileSystem.open("/data/\(file)", .createNew)
            if !bytes.isEmpty { try target.write([BufferSlice(IOBuffer(copying: bytes))], at: 0) }
            try target.sync(.full)
        }
        try fixture.fileSystem.syncDirectory(path)
        let parsed = try #require(LogLayout.parse(directoryName: name))
        let log = try PartitionLog.open(
            LogOpening(
                partition: parsed.partition, path: path, configuration: settings, recoveryPoint: Offset(end),
                wasShutDownCleanly: true), in: fixture.directory, lane: fixture.lane)
        #expect(log.logEndOffset == Offset(end) && log.damage.isEmpty)
        return (fixture, log)
    }

    private func seal(_ log: PartitionLog, _ fixture: LogFixture) throws {
        fixture.lane.flush()
        try log.roll()
        fixture.settle()
        try log.syncNow()
        log.advanceHighWatermark(to: log.logEndOffset)
        try log.noteCheckpointed(try log.prepareCheckpoint())
    }

    private func clean(_ log: PartitionLog, _ fixture: LogFixture) throws -> CleaningSummary {
        let round = CleaningRound(
            try log.planCleaning(try #require(try log.cleanability())), configuration: CleanerConfiguration(),
            throttle: DiskThrottle(bytesPerSecond: nil, timeSource: fixture.clock, wait: { _ in }),
            secret: (7, 8))
        while true {
            switch try round.next() {
            case .group(let group): #expect(try log.commit(group, of: round.plan))
            case .finished(let summary):
                log.finishCleaning(round.plan, summary)
                return summary
            }
        }
    }

    @Test("a log that Kafka has compacted is not changed by doing it again")
    func compactedAgain() throws {
        let (fixture, log) = try open("golden-compacted-0", end: 600)
        let before = try batches(of: log)
        try seal(log, fixture)
        // Only what Kafka has compacted: up to 450.
        try log.noteCheckpointed(RecoveryPoint(recoveryPoint: Offset(450), logStartOffset: .zero))
        let summary = try clean(log, fixture)
        #expect(summary.endOffset == Offset(450))
        let after = try batches(of: log)
        #expect(try records(in: after) == records(in: before))
        // All but the tombstones' batches, which get a horizon if they have none, byte for byte.
        for (old, new) in zip(before, after) where !new.header.attributes.hasDeleteHorizon {
            #expect(old == new)
        }
        #expect(before.map(\.header.lastOffset) == after.map(\.header.lastOffset))
    }

    @Test("a log of Kafka's, compacted by us from its cleaner offset on, holds the latest record of each key")
    func compactedFurther() throws {
        let (fixture, log) = try open("golden-compacted-0", end: 600)
        log.restoreFirstDirtyOffset(Offset(450))
        let before = try records(in: batches(of: log))
        try seal(log, fixture)
        let summary = try clean(log, fixture)
        #expect(summary.endOffset == Offset(600))
        let latest = Dictionary(before.map { ($0.key, $0.offset) }, uniquingKeysWith: { max($0, $1) })
        let expected = before.filter { $0.key != nil && latest[$0.key] == $0.offset }
        #expect(expected.count < before.count && !expected.isEmpty)
        #expect(try records(in: batches(of: log)) == expected)
    }

    @Test("transactions of Kafka's: aborted records go, committed ones stay in all their bytes")
    func transactions() throws {
        let end = try #require(try GoldenLogs.batches("golden-txn-0/00000000000000000245.log").last).header
            .nextOffset
        let (fixture, log) = try open("golden-txn-0", end: end.rawValue)
        try seal(log, fixture)
        let stored = try batches(of: log)
        let aborted = try log.abortedTransactions(from: .zero, upTo: end)
        #expect(!aborted.isEmpty)
        func isAborted(_ batch: StoredBatch) -> Bool {
            batch.header.attributes.isTransactional && !batch.header.attributes.isControl
                && aborted.contains {
                    $0.producerID == batch.header.producerID && $0.firstOffset <= batch.header.baseOffset
                        && batch.header.baseOffset <= $0.lastOffset
                }
        }
        let visible = try records(in: stored.filter { !isAborted($0) })
        let latest = Dictionary(
            visible.filter { $0.key != nil }.map { ($0.key, $0.offset) }, uniquingKeysWith: { max($0, $1) })
        _ = try clean(log, fixture)
        let expected = visible.filter { $0.key != nil && latest[$0.key] == $0.offset }
        #expect(try records(in: batches(of: log)) == expected)
        #expect(try records(in: stored).count > expected.count)
        let unstable = log.producers.firstUndecidedOffset
        try log.rebuildProducers(upTo: log.logEndOffset)
        #expect(log.producers.firstUndecidedOffset == unstable)
        #expect(log.uncleanableReason == nil)
    }
}
