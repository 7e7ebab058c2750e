import Base
import CAllocationCounter
import Foundation
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

/// A log on the real disk: allocations are counted with the back ends that programs use.
private final class DiskLog: PartitionLogObserver {
    let path: String
    let lane: LogLane
    let log: PartitionLog
    private let buffers: [BufferSlice]
    private let source: Source
    private var next = 0
    private var nextSequence: Int32 = 0
    private(set) var acknowledgedCount = 0

    /// Whose batches are appended.
    enum Source: Sendable, CaseIterable {
        case producer, idempotentProducer, leader
    }

    /// An append queue, the road to it, and what appends wait for.
    struct Way: Sendable, CustomTestStringConvertible {
        let queue: AppendQueueChoice
        let road: AppendRoad
        let isDurable: Bool

        var testDescription: String {
            "\(queue.rawValue), \(road.rawValue), \(isDurable ? "synced" : "page cache")"
        }

        static let all = [AppendQueueChoice.ioUring, .epoll].flatMap { queue in
            AppendRoad.allCases.flatMap { road in
                [false, true].map { Way(queue: queue, road: road, isDurable: $0) }
            }
        }
    }

    static let recordsPerBatch = 4
    static let sequencePosition = 53

    init(_ way: Way, _ source: Source = .producer) throws {
        self.source = source
        path = NSTemporaryDirectory() + "dmq-allocation-" + UUID().uuidString
        let fileSystem = PosixFileSystem()
        try fileSystem.createDirectory(path)
        lane = LogLane(
            queue: try AppendQueues.make(way.queue, log: .silent), timeSource: SystemClock(), road: way.road)
        log = try PartitionLog.open(
            LogOpening(partition: LogFixture.partition, path: path + "/events-0"),
            in: LogDirectory(path: path, fileSystem: fileSystem), lane: lane)
        let now = lane.now.rawValue
        buffers = (0..<16).map { _ in
            TestBatches.batch(
                count: Self.recordsPerBatch, value: [UInt8](repeating: 7, count: 1024), timestamp: now,
                leaderEpoch: 1, producerID: source == .idempotentProducer ? 7 : -1,
                producerEpoch: source == .idempotentProducer ? 0 : -1)
        }
        log.observer = self
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func logAdvanced(_ log: PartitionLog) { acknowledgedCount += 1 }

    func logLostAppends(_ log: PartitionLog, from offset: Offset, because error: LogError) {
        Issue.record("lost appends from \(offset): \(error)")
    }

    /// One turn of a lane: as many appends as there are buffers, then the wait until all are where they
    /// should be.
    func turn(isDurable: Bool) throws {
        var left = buffers.count
        while left > 0 {
            let batch = buffers[next]
            next = (next + 1) % buffers.count
            try append(batch, isDurable: isDurable)
            left -= 1
        }
        lane.flush()
        while (isDurable ? log.syncedEndOffset : log.writtenEndOffset) < log.logEndOffset {
            lane.poll(waitNanoseconds: nil)
        }
    }

    private func append(_ batch: BufferSlice, isDurable: Bool) throws {
        var bytes = batch.buffer.mutableBytes(batch.range)
        let offset = source == .leader ? log.logEndOffset.rawValue : 0
        bytes.storeBytes(of: offset.bigEndian, toByteOffset: 0, as: Int64.self)
        if source == .idempotentProducer {
            bytes.storeBytes(
                of: nextSequence.bigEndian, toByteOffset: Self.sequencePosition, as: Int32.self)
            RecordBatch.updateChecksum(of: &bytes)
            nextSequence += Int32(Self.recordsPerBatch)
        }
        if source == .leader {
            _ = try log.appendAsFollower(batch, durably: isDurable)
        } else {
            _ = try log.appendAsLeader(batch, leaderEpoch: LeaderEpoch(1), durably: isDurable)
        }
    }

    /// Reads all slices from `offset` on. Returns the number of bytes.
    func readAll(from offset: Offset, sliceByteCount: Int, limit: ReadLimit) throws -> Int {
        var offset = offset
        var byteCount = 0
        while let slice = try log.read(from: offset, maximumByteCount: sliceByteCount, limit: limit).slice {
            byteCount += slice.byteCount
            offset = slice.nextOffset
        }
        return byteCount
    }
}

/// Heap allocations of this thread while `body` runs `count` times.
private func allocations(_ count: Int, _ body: () throws -> Void) rethrows -> UInt64 {
    let before = dmq_allocation_count()
    var left = count
    while left > 0 {
        try body()
        left -= 1
    }
    return dmq_allocation_count() - before
}

@Suite("A partition log and the heap")
struct AllocationTests {
    @Test(
        "appends that have found their pace allocate nothing", arguments: DiskLog.Way.all,
        DiskLog.Source.allCases)
    fileprivate func appends(_ way: DiskLog.Way, _ source: DiskLog.Source) throws {
        let disk = try DiskLog(way, source)
        // Arrays reach their size, the index a block that lasts for the rest: 64 KiB a turn, 128 bytes of
        // index.
        _ = try allocations(40) { try disk.turn(isDurable: way.isDurable) }
        let entriesBefore = try disk.log.segments.active.offsetIndex().entryCount
        let count = try allocations(20) { try disk.turn(isDurable: way.isDurable) }
        #expect(disk.acknowledgedCount >= 60)
        #expect(try disk.log.segments.active.offsetIndex().entryCount > entriesBefore)
        #expect(disk.log.logEndOffset == Offset(60 * 16 * Int64(DiskLog.recordsPerBatch)))
        #expect(count == 0)
    }

    @Test(
        "reads one after the other, and at random, allocate nothing", arguments: [1, 5000, 100_000],
        [ReadLimit.logEnd, .highWatermark, .lastStableOffset])
    func reads(sliceByteCount: Int, limit: ReadLimit) throws {
        let way = DiskLog.Way(queue: .epoll, road: .direct, isDurable: false)
        let disk = try DiskLog(way)
        _ = try allocations(10) { try disk.turn(isDurable: false) }
        try disk.log.roll()
        _ = try allocations(10) { try disk.turn(isDurable: false) }
        let end = UInt64(disk.log.logEndOffset.rawValue)
        // Readers up to the high watermark end within the second segment.
        let limitOffset = limit == .logEnd ? end : end - UInt64(16 * DiskLog.recordsPerBatch)
        disk.log.advanceHighWatermark(to: Offset(Int64(limitOffset)))
        let byteCount = Int(disk.log.byteCount) * Int(limitOffset) / Int(end)
        var readByteCount = try disk.readAll(from: .zero, sliceByteCount: sliceByteCount, limit: limit)
        #expect(readByteCount == byteCount)
        let inTurn = try allocations(3) {
            readByteCount += try disk.readAll(from: .zero, sliceByteCount: sliceByteCount, limit: limit)
        }
        #expect(readByteCount == 4 * byteCount)
        var generator = SeededGenerator(seed: 3)
        var found = 0
        let atRandom = try allocations(500) {
            let offset = Offset(Int64(generator.next() % limitOffset))
            let result = try disk.log.read(from: offset, maximumByteCount: sliceByteCount, limit: limit)
            if let slice = result.slice, slice.firstOffset <= offset, slice.nextOffset > offset { found += 1 }
        }
        #expect(found == 500)
        #expect(inTurn == 0)
        #expect(atRandom == 0)
    }
}
