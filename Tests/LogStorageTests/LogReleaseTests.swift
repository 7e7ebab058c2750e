import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

/// A log may be let go of at any time, with appends that wait, are being written or being synced.
@Suite("Logs that are let go of")
struct LogReleaseTests {
    /// What a log leaves in flight.
    enum Moment: CaseIterable {
        case appended, flushed, submitted, rolled
    }

    private func append(to log: PartitionLog, _ lane: LogLane, until moment: Moment) throws {
        _ = try log.appendAsLeader(TestBatches.batch(), leaderEpoch: LeaderEpoch(0), durably: true)
        if moment == .appended { return }
        lane.flush()
        if moment == .submitted { lane.queue.submit() }
        if moment == .rolled { try log.roll() }
    }

    @Test(
        "a log that is abandoned with requests in flight is not held, nor is its lane, nor any file",
        arguments: AppendRoad.allCases, Moment.allCases)
    func abandoned(road: AppendRoad, moment: Moment) throws {
        weak var disk: SimulatedDisk?
        weak var released: PartitionLog?
        let reservations: ReservationCount
        do {
            let fixture = try LogFixture(road: road)
            let log = try fixture.open()
            disk = fixture.disk
            released = log
            reservations = fixture.disk.reservations
            try append(to: log, fixture.lane, until: moment)
            log.abandon()
        }
        #expect(released == nil)
        #expect(disk == nil)
        #expect(reservations.count == 0)
    }

    @Test(
        "a log that nobody abandons or closes lets go of its lane all the same",
        arguments: AppendRoad.allCases)
    func dropped(road: AppendRoad) throws {
        weak var disk: SimulatedDisk?
        do {
            let fixture = try LogFixture(road: road)
            let log = try fixture.open()
            disk = fixture.disk
            try append(to: log, fixture.lane, until: .submitted)
            #expect(fixture.queue.pendingCount > 0)
        }
        #expect(disk == nil)
    }

    @Test(
        "a log that is closed is not held by the lane that it asked for a flush",
        arguments: AppendRoad.allCases)
    func closed(road: AppendRoad) throws {
        weak var disk: SimulatedDisk?
        weak var released: PartitionLog?
        do {
            let fixture = try LogFixture(road: road)
            do {
                let log = try fixture.open()
                released = log
                try append(to: log, fixture.lane, until: .appended)
                _ = try log.close()
            }
            #expect(released == nil)
            disk = fixture.disk
        }
        #expect(disk == nil)
    }

    @Test(
        "a log deleted with appends in flight writes nothing more, and its lane goes on",
        arguments: AppendRoad.allCases, Moment.allCases)
    func deleted(road: AppendRoad, moment: Moment) throws {
        let disk = SimulatedDisk()
        let fileSystem = disk.mount()
        let store = try LogStore(
            LogStoreConfiguration(directoryPaths: ["/data"]), fileSystem: fileSystem, timeSource: disk.clock,
            logger: .silent
        ) { UniqueID(high: 1, low: 2) }
        let queue = SimulatedAppendQueue(fileSystem, seed: 1)
        let manager = LogManager(
            store: store, lane: LogLane(queue: queue, timeSource: disk.clock, road: road))
        weak var deleted: PartitionLog?
        do {
            let log = try manager.create(LogFixture.partition, settings: LogFixture.smallSegments())
            deleted = log
            try append(to: log, manager.lane, until: moment)
        }
        let other = try manager.create(
            TopicPartition(topic: "other", partition: 0), settings: LogFixture.smallSegments())
        try manager.delete(LogFixture.partition, id: (1, 2))
        #expect(deleted == nil)
        let writes = disk.count(.write)
        let isWriting = road == .queued && (moment == .flushed || moment == .submitted)
        manager.lane.flush()
        while queue.pendingCount > 0 { manager.lane.poll(waitNanoseconds: nil) }
        #expect(disk.count(.write) == writes + (isWriting ? 1 : 0))
        try append(to: other, manager.lane, until: .flushed)
        while queue.pendingCount > 0 { manager.lane.poll(waitNanoseconds: nil) }
        #expect(other.syncedEndOffset == Offset(1))
    }
}
