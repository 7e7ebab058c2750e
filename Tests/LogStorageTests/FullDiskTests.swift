import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

/// Whatever a full disk interrupts half way is finished, or taken back, and the log goes on when there is
/// room.
@Suite("A log on a disk that is full for a while")
struct FullDiskTests {
    private func append(_ count: Int, to log: PartitionLog, _ fixture: LogFixture) throws {
        for _ in 0..<count {
            _ = try log.appendAsLeader(
                TestBatches.batch(value: Array(repeating: 7, count: 200)), leaderEpoch: LeaderEpoch(0),
                durably: true)
            fixture.settle()
        }
    }

    /// Operations of these kinds on files with these endings find no room.
    private func fill(
        _ fixture: LogFixture, _ operations: Set<IOOperation>, endings: String...
    ) {
        fixture.disk.install(
            DiskFaultPlan(
                endings.map {
                    DiskFault(operations, paths: .hasSuffix($0), trigger: .from(1), effect: .fail(.noSpace))
                }))
    }

    private func makeRoom(_ fixture: LogFixture) {
        fixture.disk.liftFaults()
        fixture.directory.refreshSpace()
    }

    /// Every offset is read on its own, so that each index entry is followed.
    private func expectReadable(_ log: PartitionLog) throws {
        for offset in log.logStartOffset.rawValue..<log.logEndOffset.rawValue {
            let found = try log.read(from: Offset(offset), maximumByteCount: 1, limit: .logEnd).slice
            #expect(try #require(found).firstOffset <= Offset(offset), "reading from \(offset)")
            #expect(try #require(found).nextOffset > Offset(offset), "reading from \(offset)")
        }
    }

    @Test("an abort marker that the transaction index has no room for is taken back", arguments: [0, 1])
    func abortMarker(alreadyIndexed: Int) throws {
        let fixture = try LogFixture()
        let log = try fixture.open()
        var sequence: Int32 = 0
        func begin() throws {
            _ = try log.appendAsLeader(
                TestBatches.batch(
                    producerID: 5, producerEpoch: 0, sequence: sequence, isTransactional: true),
                leaderEpoch: LeaderEpoch(0), durably: true)
            sequence += 1
            fixture.settle()
        }
        func abort() throws {
            _ = try log.appendAsLeader(
                TestBatches.marker(isAbort: true, producerID: 5, producerEpoch: 0),
                leaderEpoch: LeaderEpoch(0), origin: .coordinator, durably: true)
            fixture.settle()
        }
        for _ in 0..<alreadyIndexed {
            try begin()
            try abort()
        }
        try begin()
        let end = log.logEndOffset
        fill(fixture, [.open, .write], endings: ".txnindex")
        #expect(throws: LogError.self) { try abort() }
        #expect(log.logEndOffset == end && fixture.directory.failure == nil)
        makeRoom(fixture)
        try append(12, to: log, fixture)
        try expectReadable(log)
        log.advanceHighWatermark(to: log.logEndOffset)
        #expect(log.lastStableOffset == end - 1)
        try abort()
        log.advanceHighWatermark(to: log.logEndOffset)
        #expect(log.lastStableOffset == log.logEndOffset)
        let aborted = try log.abortedTransactions(from: .zero, upTo: log.logEndOffset)
        #expect(aborted.map(\.firstOffset).last == end - 1 && aborted.count == alreadyIndexed + 1)
        try expectReadable(log)
    }

    @Test("what a follower fetched is taken whole or not at all when its abort marker finds no room")
    func fetchedMarker() throws {
        let fixture = try LogFixture()
        let log = try fixture.open()
        try append(3, to: log, fixture)
        var bytes: [UInt8] = []
        for slice in [
            TestBatches.batch(
                count: 2, baseOffset: 3, leaderEpoch: 0, producerID: 5, producerEpoch: 0, sequence: 0,
                isTransactional: true),
            TestBatches.marker(
                isAbort: true, producerID: 5, producerEpoch: 0, baseOffset: 5, leaderEpoch: 0),
        ] {
            bytes += slice.bytes.withUnsafeBytes { Array($0) }
        }
        fill(fixture, [.open, .write], endings: ".txnindex")
        let fetched = BufferSlice(IOBuffer(copying: bytes))
        #expect(throws: LogError.self) { try log.appendAsFollower(fetched, durably: true) }
        #expect(log.logEndOffset == Offset(3) && log.producerEntries.isEmpty)
        makeRoom(fixture)
        #expect(try log.appendAsFollower(fetched, durably: true) == Offset(6))
        fixture.settle()
        #expect(log.writtenEndOffset == Offset(6))
        try append(12, to: log, fixture)
        log.advanceHighWatermark(to: log.logEndOffset)
        #expect(log.lastStableOffset == log.logEndOffset)
        #expect(try log.abortedTransactions(from: .zero, upTo: Offset(6)).count == 1)
        try expectReadable(log)
    }

    @Test(
        "a log that is to begin anew elsewhere waits for room, whatever there was none for",
        arguments: [".log", ".index", ".timeindex", "leader-epoch-checkpoint.tmp"], [5, 0, 40])
    func beginsAnew(ending: String, offset: Int64) throws {
        let fixture = try LogFixture()
        let log = try fixture.open()
        try append(20, to: log, fixture)
        fill(fixture, [.open, .allocate, .write], endings: ending)
        #expect(throws: LogError.self) { try log.truncateFullyAndStart(at: Offset(offset)) }
        #expect(fixture.directory.failure == nil)
        // Nothing is there to be read, and nobody is told something else.
        _ = try? log.read(from: log.logStartOffset, maximumByteCount: 1000, limit: .logEnd)
        #expect(throws: LogError.self) { try append(1, to: log, fixture) }
        makeRoom(fixture)
        try append(20, to: log, fixture)
        #expect(log.logStartOffset == Offset(offset) && log.logEndOffset == Offset(offset + 20))
        try expectReadable(log)
    }

    @Test(
        "a segment that found no room leaves no name behind that a cut and regrown log would trip over",
        arguments: [".index", ".timeindex"])
    func interruptedRoll(ending: String) throws {
        let fixture = try LogFixture()
        var log = try fixture.open()
        try append(10, to: log, fixture)
        fill(fixture, [.open, .allocate], endings: ending)
        #expect(throws: LogError.self) { try log.roll() }
        makeRoom(fixture)
        try log.truncate(to: Offset(8))
        try append(4, to: log, fixture)
        #expect(log.segmentCount == 1 && log.syncedEndOffset == Offset(12))
        var generator = SeededGenerator(seed: 1)
        _ = fixture.disk.crash(&generator, mode: .loseAll)
        fixture.mountAgain()
        log = try fixture.open(recoveryPoint: Offset(12))
        #expect(log.logEndOffset == Offset(12) && log.segmentCount == 1 && log.damage.isEmpty)
        try expectReadable(log)
    }

    @Test("segments whose files find no room for their new names are deleted later", arguments: 1...9)
    func deletedSegments(rename: Int) throws {
        let fixture = try LogFixture()
        fixture.configuration.segmentByteCount = 600
        fixture.configuration.retentionByteCount = 600
        let log = try fixture.open()
        try append(20, to: log, fixture)
        log.advanceHighWatermark(to: log.logEndOffset)
        fixture.disk.install(
            DiskFaultPlan([DiskFault([.rename], trigger: .from(rename), effect: .fail(.noSpace))]))
        _ = try? log.deleteOldSegments()
        #expect(fixture.directory.failure == nil)
        // What is not open or known any more is looked up in the files again.
        for segment in log.segments.all.dropLast() {
            segment.releaseFiles()
            segment.knownLargestTimestamp = nil
        }
        try expectReadable(log)
        makeRoom(fixture)
        try log.deleteOldSegments()
        try log.removeDeletedFiles()
        #expect(log.segmentCount < 3)
        try expectReadable(log)
        let names = try fixture.fileSystem.contents(ofDirectory: log.path).map(\.name)
        #expect(!names.contains { $0.hasSuffix(".deleted") })
        #expect(names.filter { $0.hasSuffix(".timeindex") }.count == log.segmentCount, "\(names)")
    }
}
