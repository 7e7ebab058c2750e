import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

/// What is known of producers after appends that were taken found no room on the disk: that and nothing more
/// must be in the log, or a batch that is sent again is answered with offsets where it is not.
@Suite("Appends that were taken and found no room")
struct LostAppendTests {
    /// What keeps the log from being cut back at once.
    enum Hindrance: CaseIterable {
        /// There is no room for the leader epochs either.
        case noRoom
        /// There is no descriptor for a look at the directory.
        case noDescriptor

        var fault: DiskFault {
            switch self {
            case .noRoom:
                DiskFault(
                    [.open, .write], paths: .hasSuffix("leader-epoch-checkpoint.tmp"), trigger: .from(1),
                    effect: .fail(.noSpace))
            case .noDescriptor:
                DiskFault([.list], trigger: .from(1), effect: .fail(.tooManyOpenFiles))
            }
        }
    }

    private static let noRoomForRecords = DiskFault(
        [.write], paths: .hasSuffix(".log"), trigger: .from(1), effect: .fail(.noSpace))

    private func fixture(road: AppendRoad = .direct) throws -> LogFixture {
        var configuration = LogFixture.smallSegments()
        configuration.preallocatesSegments = false
        return try LogFixture(configuration: configuration, road: road)
    }

    private func append(
        to log: PartitionLog, producer: Int64 = 6, sequence: Int32, epoch: Int32 = 0, byteCount: Int = 20
    ) throws -> LogAppendResult {
        try log.appendAsLeader(
            TestBatches.batch(
                value: Array(repeating: 1, count: byteCount),
                timestamp: log.lane.timeSource.wallClockMilliseconds(), producerID: producer,
                producerEpoch: 0, sequence: sequence),
            leaderEpoch: LeaderEpoch(epoch), durably: true)
    }

    private func makeRoom(_ fixture: LogFixture) {
        fixture.disk.liftFaults()
        fixture.directory.refreshSpace()
    }

    private func lastSequences(_ log: PartitionLog) -> [Int64: Int32] {
        Dictionary(
            uniqueKeysWithValues: log.producerEntries.map {
                ($0.producerID.rawValue, $0.lastSequence.rawValue)
            })
    }

    @Test(
        "producers are known as far as the log goes, at once, when its leader epochs find no room",
        arguments: AppendRoad.allCases)
    func exactAtOnce(road: AppendRoad) throws {
        let fixture = try fixture(road: road)
        var log = try fixture.open()
        _ = try append(to: log, producer: 5, sequence: 0)
        fixture.settle()
        fixture.disk.install(DiskFaultPlan([Self.noRoomForRecords, Hindrance.noRoom.fault]))
        _ = try append(to: log, producer: 5, sequence: 1, epoch: 1)
        _ = try append(to: log, sequence: 0, epoch: 1)
        fixture.settle()
        #expect(log.logEndOffset == Offset(1) && log.cutTarget != nil)
        #expect(lastSequences(log) == [5: 0])
        makeRoom(fixture)
        for (producer, sequence, offset) in [(Int64(6), Int32(0), Int64(1)), (5, 1, 2)] {
            let result = try append(to: log, producer: producer, sequence: sequence, epoch: 1)
            #expect(!result.isDuplicate && result.firstOffset == Offset(offset))
        }
        fixture.settle()
        #expect(log.syncedEndOffset == Offset(3))
        var generator = SeededGenerator(seed: 1)
        _ = fixture.disk.crash(&generator, mode: .loseAll)
        fixture.mountAgain()
        log = try fixture.open()
        #expect(log.logEndOffset == Offset(3) && lastSequences(log) == [5: 1, 6: 0])
    }

    @Test(
        "a batch that was lost is taken when it comes again, though retention has rolled the log meanwhile",
        arguments: Hindrance.allCases)
    func retention(hindrance: Hindrance) throws {
        let fixture = try fixture()
        fixture.configuration.retentionMilliseconds = 1
        let log = try fixture.open()
        for sequence in 0..<3 { _ = try append(to: log, producer: 5, sequence: Int32(sequence)) }
        fixture.settle()
        log.advanceHighWatermark(to: Offset(3))
        fixture.disk.install(DiskFaultPlan([Self.noRoomForRecords, hindrance.fault]))
        _ = try append(to: log, sequence: 0, epoch: 1)
        fixture.settle()
        #expect(log.logEndOffset == Offset(3) && log.cutTarget != nil)
        fixture.clock.advance(milliseconds: 10)
        _ = try? log.deleteOldSegments()
        makeRoom(fixture)
        let again = try append(to: log, sequence: 0, epoch: 1)
        fixture.settle()
        #expect(!again.isDuplicate && log.syncedEndOffset == Offset(4))
        #expect(try values(of: log, from: Offset(3)).map(\.offset) == [3])
        log.advanceHighWatermark(to: Offset(4))
        fixture.clock.advance(milliseconds: 10)
        #expect(try log.deleteOldSegments() > 0)
    }

    @Test("no round of compaction is planned while a cut waits, and the next look finishes it")
    func compaction() throws {
        let fixture = try fixture()
        fixture.configuration.cleanupPolicy = .compact
        let log = try fixture.open()
        fixture.disk.install(DiskFaultPlan([Self.noRoomForRecords, Hindrance.noDescriptor.fault]))
        _ = try log.appendAsLeader(
            TestBatches.batch(
                [(key: [1], value: [2])], timestamp: 1000, producerID: 6, producerEpoch: 0, sequence: 0),
            leaderEpoch: LeaderEpoch(0), durably: true)
        fixture.settle()
        #expect(log.cutTarget != nil)
        #expect(throws: LogError.self) { try log.cleanability() }
        makeRoom(fixture)
        _ = try log.cleanability()
        #expect(log.cutTarget == nil && log.producerEntries.isEmpty)
    }

    @Test(
        "a batch is refused whose segment is rolled when that loses the batch before it",
        arguments: AppendRoad.allCases)
    func rollThatLoses(road: AppendRoad) throws {
        let fixture = try fixture(road: road)
        let log = try fixture.open()
        _ = try append(to: log, sequence: 0)
        fixture.settle()
        _ = try append(to: log, sequence: 1, byteCount: 2000)
        fixture.disk.install(DiskFaultPlan([Self.noRoomForRecords]))
        #expect(throws: LogError.self) { try append(to: log, sequence: 2, byteCount: 3000) }
        #expect(log.logEndOffset == Offset(1) && lastSequences(log) == [6: 0])
        makeRoom(fixture)
        #expect(throws: LogError.self) { try append(to: log, sequence: 2) }
        for sequence in 1...2 {
            #expect(try append(to: log, sequence: Int32(sequence)).firstOffset == Offset(Int64(sequence)))
        }
        fixture.settle()
        #expect(log.syncedEndOffset == Offset(3))
    }

    @Test("what a follower fetched is refused when the roll before it loses what came before")
    func fetchedAfterLoss() throws {
        let fixture = try fixture()
        let log = try fixture.open()
        func fetch(_ offset: Int64, byteCount: Int) throws {
            let batch = TestBatches.batch(
                value: Array(repeating: 1, count: byteCount), baseOffset: offset, leaderEpoch: 0)
            _ = try log.appendAsFollower(batch, durably: true)
        }
        try fetch(0, byteCount: 10)
        fixture.settle()
        try fetch(1, byteCount: 2000)
        fixture.disk.install(DiskFaultPlan([Self.noRoomForRecords]))
        #expect(throws: LogError.self) { try fetch(2, byteCount: 3000) }
        makeRoom(fixture)
        #expect(log.logEndOffset == Offset(1))
        for offset in 1..<4 as Range<Int64> { try fetch(offset, byteCount: 10) }
        fixture.settle()
        #expect(try values(of: log).map(\.offset) == [0, 1, 2, 3])
    }
}
