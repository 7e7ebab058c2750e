import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

/// What recovery keeps of the indexes of the segment that the recovery point lies in.
@Suite("Indexes after a crash")
struct IndexRecoveryTests {
    /// A log with an index entry for every batch but the first.
    private func fixture() throws -> LogFixture {
        var configuration = LogFixture.smallSegments()
        configuration.indexIntervalByteCount = 1
        return try LogFixture(configuration: configuration)
    }

    private func append(_ timestamps: [Int64], to log: PartitionLog, _ fixture: LogFixture) throws {
        for timestamp in timestamps {
            _ = try log.appendAsLeader(
                TestBatches.batch(timestamp: timestamp), leaderEpoch: LeaderEpoch(0), durably: true)
            fixture.settle()
        }
    }

    private func killAndOpen(_ fixture: LogFixture, recoveryPoint: Offset) throws -> PartitionLog {
        var generator = SeededGenerator(seed: 1)
        fixture.disk.killProcesses(&generator)
        fixture.mountAgain()
        return try fixture.open(recoveryPoint: recoveryPoint)
    }

    private func offset(_ log: PartitionLog, atTime timestamp: Int64) throws -> Int64? {
        try log.offset(forTimestamp: Timestamp(timestamp), limit: .logEnd)?.offset.rawValue
    }

    @Test("room allocated ahead in a time index is not taken for an entry of time zero")
    func zerosAreNoEntry() throws {
        let fixture = try fixture()
        var log = try fixture.open()
        try append([126, 146], to: log, fixture)
        let point = try log.prepareCheckpoint().recoveryPoint
        #expect(point == Offset(2))
        // The entry of the batch that is read again goes with the first start; the second finds zeros.
        log = try killAndOpen(fixture, recoveryPoint: point)
        log = try killAndOpen(fixture, recoveryPoint: point)
        #expect(try log.segments.active.timeIndex().entryCount == 0)
        try log.truncate(to: Offset(1))
        #expect(try offset(log, atTime: 124) == 0)
        let end = try log.close().recoveryPoint
        fixture.mountAgain()
        log = try fixture.open(recoveryPoint: end, clean: true)
        #expect(try offset(log, atTime: 124) == 0)
        #expect(try offset(log, atTime: 127) == nil)
    }

    @Test("an entry of time zero is kept where the first batch is of time zero")
    func timeZeroIsAnEntry() throws {
        let fixture = try fixture()
        var log = try fixture.open()
        try append([0, -1, -1], to: log, fixture)
        let point = try log.prepareCheckpoint().recoveryPoint
        for _ in 0..<2 {
            log = try killAndOpen(fixture, recoveryPoint: point)
            #expect(try offset(log, atTime: 0) == 0)
            #expect(try log.offsetOfMaximumTimestamp()?.offset == .zero)
        }
    }

    @Test("a disk without room for the time index does not lose the largest timestamp to a crash")
    func timesGoFirst() throws {
        let fixture = try fixture()
        var log = try fixture.open()
        fixture.disk.install(
            DiskFaultPlan([
                DiskFault(
                    [.allocate], paths: .hasSuffix(".timeindex"), trigger: .from(1), effect: .fail(.noSpace))
            ]))
        try append([10, 90, 50, 40], to: log, fixture)
        fixture.disk.liftFaults()
        let point = try log.prepareCheckpoint().recoveryPoint
        #expect(point == Offset(4))
        log = try killAndOpen(fixture, recoveryPoint: point)
        #expect(try offset(log, atTime: 60) == 1)
    }
}
