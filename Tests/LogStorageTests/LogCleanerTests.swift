import Base
import Foundation
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

/// The cleaner over several logs, driven by one thread: lane, worker, lane, ...
@Suite("The log cleaner")
final class LogCleanerTests {
    private let fixture: LogFixture
    private let cleaner: LogCleaner
    private let waited = Locked(UInt64(0))
    private var logs: [PartitionLog] = []

    init() throws {
        var settings = LogFixture.smallSegments()
        settings.cleanupPolicy = .compact
        fixture = try LogFixture(configuration: settings)
        cleaner = Self.cleaner(fixture)
    }

    private static func cleaner(
        _ fixture: LogFixture, bytesPerSecond: Double? = nil, waited: Locked<UInt64>? = nil
    ) -> LogCleaner {
        var configuration = CleanerWorkload.small()
        configuration.backoffMilliseconds = 15_000
        let clock = fixture.clock
        return LogCleaner(
            configuration: configuration,
            throttle: DiskThrottle(bytesPerSecond: bytesPerSecond, timeSource: clock) { nanoseconds in
                waited?.withLock { $0 += nanoseconds }
                clock.advance(nanoseconds: nanoseconds)
            }, timeSource: clock, logger: fixture.sink.logger(), secret: { (5, 6) })
    }

    /// A log with `clean` batches below the cleaner offset and `dirty` ones above, all of one key.
    private func addLog(_ name: String, clean: Int = 0, dirty: Int) throws -> PartitionLog {
        let log = try PartitionLog.open(
            LogOpening(
                partition: TopicPartition(topic: name, partition: 0), path: "/data/\(name)-0",
                configuration: fixture.configuration), in: fixture.directory, lane: fixture.lane)
        try fill(log, clean)
        let firstDirty = log.logEndOffset
        try fill(log, dirty)
        log.restoreFirstDirtyOffset(firstDirty)
        logs.append(log)
        return log
    }

    private func fill(_ log: PartitionLog, _ count: Int) throws {
        for _ in 0..<count {
            var builder = RecordBatchBuilder()
            builder.append(
                Record(
                    offset: .zero, timestamp: Timestamp(fixture.clock.wallClockMilliseconds()), key: [1],
                    value: [2]))
            let bytes = try builder.finish(compressor: Compressor())
            _ = try log.appendAsLeader(
                BufferSlice(IOBuffer(copying: bytes)), leaderEpoch: LeaderEpoch(0), durably: false)
        }
        fixture.lane.flush()
        try log.roll()
        fixture.settle()
        try log.syncNow()
        log.advanceHighWatermark(to: log.logEndOffset)
        try log.noteCheckpointed(try log.prepareCheckpoint())
    }

    /// Turns of lane and worker until the worker has nothing to do.
    private func run(_ cleaner: LogCleaner? = nil) {
        let cleaner = cleaner ?? self.cleaner
        repeat { cleaner.maintain(logs, lane: 0) } while cleaner.runNext()
    }

    private func names(_ log: PartitionLog) throws -> [String] {
        try fixture.fileSystem.contents(ofDirectory: log.path).map(\.name)
    }

    @Test("compacts the dirtiest log first, then the next, and leaves those that are not dirty enough")
    func order() throws {
        let little = try addLog("little", clean: 40, dirty: 10)
        let much = try addLog("much", dirty: 50)
        let some = try addLog("some", clean: 10, dirty: 40)
        var order: [PartitionLog] = []
        for _ in 0..<20 {
            cleaner.maintain(logs, lane: 0)
            for log in logs where log.isBeingCleaned && order.last !== log { order.append(log) }
            if !cleaner.runNext() { break }
        }
        #expect(order.map(\.partition.topic) == ["much", "some"])
        #expect(much.firstDirtyOffset == Offset(50) && some.firstDirtyOffset == Offset(50))
        #expect(try records(in: batches(of: much)).map(\.offset) == [Offset(49)])
        #expect(try records(in: batches(of: some)).map(\.offset) == [Offset(49)])
        #expect(try records(in: batches(of: little)).count == 50)
    }

    @Test("an overdue log goes before a dirtier one")
    func overdue() throws {
        _ = try addLog("dirty", dirty: 50)
        fixture.configuration.maximumCompactionLagMilliseconds = 5_000
        let old = try addLog("old", clean: 40, dirty: 10)
        fixture.clock.advance(milliseconds: 60_000)
        cleaner.maintain(logs, lane: 0)
        #expect(old.isBeingCleaned)
        run()
        #expect(old.firstDirtyOffset == Offset(50))
    }

    @Test("waits before it looks again when no log is worth it")
    func backoff() throws {
        run()
        let log = try addLog("late", dirty: 20)
        fixture.clock.advance(milliseconds: 14_000)
        run()
        #expect(log.firstDirtyOffset == .zero)
        fixture.clock.advance(milliseconds: 1_000)
        run()
        #expect(log.firstDirtyOffset == Offset(20))
    }

    @Test("a log that fails is named with its reason and left alone; the others are compacted")
    func failingLog() throws {
        let broken = try addLog("broken", dirty: 60)
        let sound = try addLog("sound", clean: 5, dirty: 50)
        fixture.disk.flipBits(of: "\(broken.path)/00000000000000000000.log", at: 300, mask: [0xFF])
        run()
        #expect(broken.uncleanableReason?.contains("00000000000000000000.log is damaged") == true)
        #expect(!broken.isBeingCleaned && broken.firstDirtyOffset == .zero)
        #expect(sound.firstDirtyOffset == Offset(55))
        #expect(fixture.sink.lines(containing: "not compacted any more", "broken-0").count == 1)
        #expect(try !names(broken).contains { $0.hasSuffix(".cleaned") })
        #expect(fixture.directory.failure == nil)
        try fill(broken, 30)
        fixture.clock.advance(milliseconds: 20_000)
        run()
        #expect(fixture.sink.lines(containing: "not compacted any more").count == 1)
    }

    @Test(
        "a log that is closed, deleted or truncated between any two steps is let go", arguments: 0..<3, 0..<4)
    func closedMeanwhile(way: Int, steps: Int) throws {
        let log = try addLog("gone", dirty: 300)
        let other = try addLog("other", clean: 30, dirty: 40)
        cleaner.maintain(logs, lane: 0)
        #expect(log.isBeingCleaned)
        for step in 0..<steps {
            if step % 2 == 0 { cleaner.runNext() } else { cleaner.maintain(logs, lane: 0) }
        }
        switch way {
        case 0:
            _ = try log.close()
            logs.removeAll { $0 === log }
        case 1:
            log.abandon()
            try log.place.move(to: "/data/gone-0.11111111111111111111111111111111-delete")
            logs.removeAll { $0 === log }
        default: try log.truncate(to: Offset(10))
        }
        #expect(!log.isBeingCleaned)
        run()
        #expect(other.firstDirtyOffset == Offset(70))
        #expect(log.uncleanableReason == nil)
        #expect(fixture.directory.failure == nil)
        #expect(fixture.sink.lines(atLeast: .warn) == [])
        if way == 2 {
            #expect(try !names(log).contains { $0.hasSuffix(".cleaned") || $0.hasSuffix(".swap") })
            // Where it was compacted already, nothing was left before the offset.
            #expect(log.logEndOffset == Offset(10) || log.logEndOffset == .zero)
        }
    }

    @Test("a failed disk ends the round of its log and no other")
    func failedDisk() throws {
        let log = try addLog("log", dirty: 50)
        fixture.disk.install(
            DiskFaultPlan([
                DiskFault(
                    [.write], paths: .hasSuffix(".cleaned"), trigger: .nth(1), effect: .fail(.inputOutput))
            ]))
        run()
        #expect(fixture.directory.failure != nil)
        #expect(!log.isBeingCleaned)
        run()
    }

    @Test("does not read and write faster than it may, by the clock")
    func throttled() throws {
        let log = try addLog("log", dirty: 200)
        let rate = 10_000.0
        let slow = Self.cleaner(fixture, bytesPerSecond: rate, waited: waited)
        let start = fixture.clock.monotonicNanoseconds()
        let read = 2 * log.byteCount
        run(slow)
        #expect(log.firstDirtyOffset == Offset(200))
        let seconds = Double(fixture.clock.monotonicNanoseconds() - start) / 1e9
        // Every byte is read twice; what is left is written; the last piece is not waited for.
        #expect(seconds >= Double(read - 700) / rate)
        #expect(waited.withLock { $0 } > 0)
    }

    @Test("two lanes share the worker; each commits its own")
    func lanes() throws {
        let first = try addLog("first", dirty: 50)
        let second = try addLog("second", clean: 10, dirty: 50)
        for _ in 0..<10 {
            cleaner.maintain([first], lane: 0)
            cleaner.maintain([second], lane: 1)
            if !cleaner.runNext() && !cleaner.runNext() { break }
        }
        #expect(first.firstDirtyOffset == Offset(50) && second.firstDirtyOffset == Offset(60))
    }

    @Test("after stop nothing is begun and what was offered is let go")
    func stopped() throws {
        let log = try addLog("log", dirty: 50)
        cleaner.maintain(logs, lane: 0)
        cleaner.stop()
        #expect(!cleaner.runNext())
        run()
        #expect(log.firstDirtyOffset == .zero)
        #expect(log.cleaning.cancellation?.isCancelled ?? true)
    }

    @Test("real threads compact several logs, slowly and as fast as they can", arguments: [nil, 400_000.0])
    func threads(bytesPerSecond: Double?) throws {
        for number in 0..<4 { _ = try addLog("log\(number)", clean: number, dirty: 150) }
        var configuration = CleanerWorkload.small()
        configuration.threadCount = 2
        configuration.bytesPerSecond = bytesPerSecond
        let woken = DispatchSemaphore(value: 0)
        let threads = CleanerThreads(
            configuration: configuration, timeSource: SystemClock(), hasOutcome: { _ in woken.signal() })
        // Each lane has two of the logs; both are this thread.
        while !logs.allSatisfy({ $0.firstDirtyOffset >= Offset(150) }) {
            threads.cleaner.maintain(Array(logs[0..<2]), lane: 0)
            threads.cleaner.maintain(Array(logs[2..<4]), lane: 1)
            if logs.contains(where: \.isBeingCleaned) { woken.wait() }
        }
        threads.stop()
        for log in logs { #expect(try records(in: batches(of: log)).count == 1) }
    }

    @Test("a stop ends rounds that wait for the throttle")
    func stopWhileThrottled() throws {
        let log = try addLog("log", dirty: 100)
        var configuration = CleanerWorkload.small()
        configuration.bytesPerSecond = 0.001
        let threads = CleanerThreads(
            configuration: configuration, timeSource: SystemClock(), hasOutcome: { _ in })
        threads.cleaner.maintain(logs, lane: 0)
        #expect(log.isBeingCleaned)
        threads.stop()
        threads.cleaner.maintain(logs, lane: 0)
        #expect(log.firstDirtyOffset == .zero)
    }
}
