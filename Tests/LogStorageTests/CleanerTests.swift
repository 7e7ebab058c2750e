import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

/// What compaction does to single logs, told one thing at a time.
@Suite("Compaction of a log")
struct CleanerTests {
    private func workload(_ configure: (inout LogConfiguration) -> Void = { _ in }) throws -> CleanerWorkload
    {
        try CleanerWorkload(seed: 1, configure: configure)
    }

    private func record(_ workload: CleanerWorkload, _ key: String, _ value: String?) -> Record {
        Record(
            offset: workload.log.logEndOffset,
            timestamp: Timestamp(workload.fixture.clock.wallClockMilliseconds()),
            key: Array(key.utf8), value: value.map { Array($0.utf8) })
    }

    private func put(_ workload: CleanerWorkload, _ key: String, _ value: String?, producer: Int64? = nil)
        throws
    {
        try workload.append(
            [record(workload, key, value)], producer: producer, isTransactional: producer != nil)
    }

    private func keys(_ log: PartitionLog) throws -> [String] {
        try records(in: batches(of: log)).map { record in
            String(decoding: record.key ?? [], as: UTF8.self) + (record.value == nil ? "-" : "")
        }
    }

    /// Ends the active segment and makes all of it safe.
    private func seal(_ workload: CleanerWorkload) throws {
        workload.fixture.lane.flush()
        try workload.log.roll()
        try workload.settle()
    }

    @Test("a tombstone goes when its horizon has passed, not before, and takes its values with it")
    func tombstones() throws {
        let workload = try workload()
        try put(workload, "a", "1")
        try put(workload, "b", "1")
        try put(workload, "a", nil)
        try seal(workload)
        let written = try #require(try records(in: batches(of: workload.log)).last?.timestamp)
        let clock = workload.fixture.clock
        clock.setWallClock(milliseconds: 2_000_000_000_000)
        _ = try #require(try workload.clean())
        #expect(try keys(workload.log) == ["b", "a-"])
        let horizon: Int64 = 2_000_000_010_000
        let tombstone = try #require(try batches(of: workload.log).last)
        #expect(tombstone.header.attributes.hasDeleteHorizon)
        #expect(tombstone.header.baseTimestamp == Timestamp(horizon))
        #expect(try records(in: [tombstone])[0].timestamp == written)

        try put(workload, "c", "1")
        try seal(workload)
        clock.setWallClock(milliseconds: horizon - 1)
        _ = try #require(try workload.clean())
        #expect(try keys(workload.log) == ["b", "a-", "c"])
        try put(workload, "d", "1")
        try seal(workload)
        clock.setWallClock(milliseconds: horizon)
        _ = try #require(try workload.clean())
        #expect(try keys(workload.log) == ["b", "c", "d"])
    }

    @Test("a reader passes over batches that only hold the end of their segment, a follower gets them")
    func emptyBatches() throws {
        // Two of these values are too much for one segment: each stays in its own.
        let workload = try workload { $0.segmentByteCount = 4096 }
        for _ in 0..<4 {
            try put(workload, "a", String(repeating: "v", count: 3000))
            try seal(workload)
        }
        try put(workload, "b", "1")
        try seal(workload)
        _ = try #require(try workload.clean())
        let log = workload.log
        #expect(try batches(of: log).prefix(3).map(\.header.recordCount) == [0, 0, 0])
        let read = try log.read(from: .zero, maximumByteCount: 1 << 20, limit: .highWatermark)
        #expect(read.slice?.firstOffset == Offset(3))
        let copied = try log.read(from: .zero, maximumByteCount: 1 << 20, limit: .logEnd)
        #expect(copied.slice?.firstOffset == .zero)
        #expect(copied.slice?.byteCount == RecordBatchHeader.byteCount)
    }

    @Test("markers stay while a batch of their transaction does, then until their horizon")
    func markers() throws {
        let workload = try workload { $0.producerIDExpirationMilliseconds = 100 }
        func markerCount() throws -> Int {
            try batches(of: workload.log).count { $0.header.attributes.isControl }
        }
        try put(workload, "a", "1", producer: 7)
        try workload.endTransaction(of: 7, isAbort: false)
        try put(workload, "b", "1", producer: 8)
        try workload.endTransaction(of: 8, isAbort: true)
        try seal(workload)
        workload.fixture.clock.advance(milliseconds: 1_000)
        workload.log.removeExpiredProducers()
        _ = try #require(try workload.clean())
        #expect(try keys(workload.log) == ["a"])
        #expect(try markerCount() == 2)
        // Now nothing of the aborted transaction is left, and then nothing of the other.
        try put(workload, "a", "2")
        try seal(workload)
        _ = try #require(try workload.clean())
        #expect(try markerCount() == 2)
        #expect(try workload.log.abortedTransactions(from: .zero, upTo: workload.log.logEndOffset).isEmpty)
        try put(workload, "c", "2")
        try seal(workload)
        _ = try #require(try workload.clean())
        workload.fixture.clock.advance(milliseconds: 10_000)
        try put(workload, "d", "2")
        try seal(workload)
        _ = try #require(try workload.clean())
        #expect(try markerCount() == 0)
        #expect(try keys(workload.log) == ["a", "c", "d"])
    }

    @Test(
        "the last batch of a producer stays, empty if need be, and the next one is still checked against it")
    func producerState() throws {
        let workload = try workload()
        try workload.append([record(workload, "a", "1")], producer: 5)
        try workload.append([record(workload, "a", "2")], producer: 5)
        try put(workload, "a", "3")
        try seal(workload)
        _ = try #require(try workload.clean())
        let stored = try batches(of: workload.log)
        #expect(stored.map(\.header.baseOffset) == [Offset(1), Offset(2)])
        #expect(stored[0].header.recordCount == 0 && stored[0].bytes.count == RecordBatchHeader.byteCount)
        #expect(stored[0].header.baseSequence == SequenceNumber(1))
        try workload.reopen(recoveryPoint: nil)
        #expect(workload.log.producers.entry(of: ProducerID(5))?.lastSequence == SequenceNumber(1))
        var again = RecordBatchBuilder()
        again.producerID = ProducerID(5)
        again.producerEpoch = ProducerEpoch(0)
        again.baseSequence = SequenceNumber(1)
        again.append(Record(offset: .zero, timestamp: Timestamp(1), key: [1], value: [2]))
        let repeated = try workload.log.appendAsLeader(
            BufferSlice(IOBuffer(copying: try again.finish(compressor: Compressor()))),
            leaderEpoch: LeaderEpoch(0), durably: false)
        #expect(repeated.isDuplicate && repeated.firstOffset == Offset(1))
    }

    @Test(
        "nothing is compacted above the high watermark, the last stable offset or the recovery point on disk")
    func bounds() throws {
        let workload = try workload()
        for _ in 0..<20 { try put(workload, "a", "1") }
        workload.fixture.lane.flush()
        try workload.log.roll()
        try put(workload, "b", "1", producer: 3)
        workload.fixture.lane.flush()
        try workload.log.roll()
        workload.fixture.settle()
        let log = workload.log
        #expect(try #require(try log.cleanability()).segmentCount == 0)
        log.advanceHighWatermark(to: log.logEndOffset)
        #expect(try #require(try log.cleanability()).segmentCount == 0)
        try log.syncNow()
        try log.noteCheckpointed(RecoveryPoint(recoveryPoint: Offset(19), logStartOffset: .zero))
        #expect(try #require(try log.cleanability()).segmentCount == 0)
        try log.noteCheckpointed(try log.prepareCheckpoint())
        #expect(try #require(try log.cleanability()).endOffset == Offset(20))
        try workload.endTransaction(of: 3, isAbort: false)
        workload.fixture.settle()
        #expect(try #require(try log.cleanability()).endOffset == Offset(20))
        log.advanceHighWatermark(to: log.logEndOffset)
        #expect(try #require(try log.cleanability()).endOffset == Offset(21))
        try log.syncNow()
    }

    @Test("a truncation cancels the round, lowers where the next begins, and tells the keeper first")
    func truncation() throws {
        let workload = try workload()
        for number in 0..<30 {
            try put(workload, "\(number % 4)", "\(number)")
            if number % 10 == 9 { try seal(workload) }
        }
        _ = try #require(try workload.clean())
        let log = workload.log
        #expect(log.firstDirtyOffset == Offset(30))
        for _ in 0..<10 { try put(workload, "x", "1") }
        try seal(workload)
        let plan = try log.planCleaning(try #require(try log.cleanability()))
        #expect(try log.cleanability() == nil)
        let round = CleaningRound(
            plan, configuration: CleanerWorkload.small(),
            throttle: DiskThrottle(
                bytesPerSecond: nil, timeSource: workload.fixture.clock, wait: { _ in }),
            secret: (0, 0))
        guard case .group(let group) = try round.next() else {
            return #expect(Bool(false), "nothing to compact")
        }
        let keeper = RecordingKeeper()
        log.recoveryPointKeeper = keeper
        // Compaction left nothing before it.
        #expect(try log.truncate(to: Offset(20)) == .zero)
        #expect(keeper.lowered == [.zero])
        #expect(log.firstDirtyOffset == .zero && log.checkpointedRecoveryPoint == .zero)
        #expect(try !log.commit(group, of: plan))
        #expect(throws: CleaningError.self) { _ = try round.next() }
        #expect(!log.isBeingCleaned)
        let names = try workload.fixture.fileSystem.contents(ofDirectory: log.path).map(\.name)
        #expect(!names.contains { $0.hasSuffix(".cleaned") || $0.hasSuffix(".swap") })
    }

    private final class RecordingKeeper: RecoveryPointKeeper {
        var lowered: [Offset] = []
        func lowerRecoveryPoint(of log: PartitionLog, to offset: Offset) { lowered.append(offset) }
        func writeLogStart(of log: PartitionLog, at offset: Offset) {}
    }

    @Test("retention takes segments from a round: it is given up, and the next one does without them")
    func retentionMeanwhile() throws {
        let workload = try workload { $0.cleanupPolicy = [.compact, .delete] }
        for _ in 0..<4 {
            for _ in 0..<15 { try workload.appendBatch() }
            try seal(workload)
        }
        let log = workload.log
        let plan = try log.planCleaning(try #require(try log.cleanability()))
        let round = CleaningRound(
            plan, configuration: CleanerWorkload.small(),
            throttle: DiskThrottle(
                bytesPerSecond: nil, timeSource: workload.fixture.clock, wait: { _ in }),
            secret: (0, 0))
        guard case .group(let group) = try round.next() else {
            return #expect(Bool(false), "nothing to compact")
        }
        var configuration = log.configuration
        configuration.retentionByteCount = log.byteCount / 2
        log.updateConfiguration(configuration)
        #expect(try log.deleteOldSegments() > 0)
        #expect(try !log.commit(group, of: plan))
        log.endCleaning(plan, because: .cancelled)
        let start = log.logStartOffset
        #expect(log.firstDirtyOffset == start)
        _ = try #require(try workload.clean())
        #expect(try records(in: batches(of: log)) == workload.model.records.filter { $0.offset >= start })
    }

    @Test("an abort marker that no transaction index knows ends the compaction of the log, loudly")
    func contradiction() throws {
        let workload = try workload()
        try put(workload, "a", "1")
        try put(workload, "a", "2", producer: 9)
        try workload.endTransaction(of: 9, isAbort: true)
        try seal(workload)
        for segment in workload.log.segments.all { segment.releaseFiles() }
        try workload.fixture.fileSystem.remove("\(LogFixture.path)/00000000000000000000.txnindex")
        let log = workload.log
        let before = try batches(of: log)
        let plan = try log.planCleaning(try #require(try log.cleanability()))
        let round = CleaningRound(
            plan, configuration: CleanerWorkload.small(),
            throttle: DiskThrottle(
                bytesPerSecond: nil, timeSource: workload.fixture.clock, wait: { _ in }),
            secret: (0, 0))
        let error = #expect(throws: CleaningError.self) { _ = try round.next() }
        log.endCleaning(plan, because: try #require(error))
        #expect(log.uncleanableReason?.contains("producer 9") == true)
        #expect(try log.cleanability() == nil)
        #expect(try batches(of: log) == before)
        #expect(workload.fixture.sink.lines(atLeast: .error).count == 1)
    }

    @Test("cleaner offsets that the log cannot have are not believed")
    func restoredOffsets() throws {
        let workload = try workload()
        for _ in 0..<10 { try put(workload, "a", "1") }
        try seal(workload)
        workload.log.restoreFirstDirtyOffset(Offset(10))
        #expect(workload.log.firstDirtyOffset == Offset(10))
        workload.log.restoreFirstDirtyOffset(Offset(11))
        #expect(workload.log.firstDirtyOffset == .zero)
    }
}
