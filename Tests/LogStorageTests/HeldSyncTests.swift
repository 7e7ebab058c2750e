import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

@Suite("Syncs that a lane holds back")
struct HeldSyncTests {
    private func append(_ count: Int, to log: PartitionLog, durably: Bool = true) throws {
        for _ in 0..<count {
            _ = try log.appendAsLeader(
                TestBatches.batch(), leaderEpoch: LeaderEpoch(0), durably: durably)
        }
    }

    private func wait(_ fixture: LogFixture) {
        while fixture.queue.pendingCount > 0 { fixture.lane.poll(waitNanoseconds: nil) }
    }

    @Test("Appends are written at once, and share one sync when it is let go")
    func shared() throws {
        let fixture = try LogFixture()
        let log = try fixture.open()
        fixture.lane.holdsSyncs = true
        for round in 1...5 {
            try append(2, to: log)
            fixture.lane.flush()
            #expect(log.writtenEndOffset == Offset(Int64(2 * round)))
            #expect(log.syncedEndOffset == .zero)
            #expect(fixture.lane.owesSyncs && fixture.queue.pendingCount == 0)
        }
        fixture.lane.syncHeld(afterOthers: true)
        #expect(!fixture.lane.owesSyncs && fixture.lane.holdsSyncs)
        #expect(fixture.queue.pendingCount == 1)
        wait(fixture)
        #expect(log.syncedEndOffset == Offset(10))
    }

    @Test("What comes while a sync is under way is held back when that has ended, and lost to nobody")
    func following() throws {
        let fixture = try LogFixture()
        let log = try fixture.open()
        fixture.lane.holdsSyncs = true
        try append(1, to: log)
        fixture.lane.flush()
        fixture.lane.syncHeld(afterOthers: true)
        try append(1, to: log)
        fixture.lane.flush()
        // Nothing to hold: the next sync could not begin yet.
        #expect(!fixture.lane.owesSyncs)
        wait(fixture)
        #expect(log.syncedEndOffset == Offset(1))
        #expect(fixture.lane.owesSyncs && fixture.queue.pendingCount == 0)
        fixture.lane.syncHeld(afterOthers: true)
        wait(fixture)
        #expect(log.syncedEndOffset == Offset(2))
    }

    @Test("An append that wants no sync leaves none to be owed")
    func relaxed() throws {
        let fixture = try LogFixture()
        let log = try fixture.open()
        fixture.lane.holdsSyncs = true
        try append(3, to: log, durably: false)
        fixture.lane.flush()
        #expect(log.writtenEndOffset == Offset(3) && !fixture.lane.owesSyncs)
        log.requestSync()
        fixture.lane.flush()
        #expect(fixture.lane.owesSyncs)
    }

    @Test("A roll, a sync at once and a close leave out nothing that was held back")
    func finished() throws {
        let fixture = try LogFixture()
        let log = try fixture.open()
        fixture.lane.holdsSyncs = true
        try append(2, to: log)
        fixture.lane.flush()
        try log.syncNow()
        #expect(log.syncedEndOffset == Offset(2))
        try append(1, to: log)
        fixture.lane.flush()
        try log.roll()
        wait(fixture)
        #expect(log.syncedEndOffset == Offset(3))
        try append(1, to: log)
        fixture.lane.flush()
        #expect(try log.close().recoveryPoint == Offset(4))
        fixture.lane.flush()
        #expect(!fixture.lane.owesSyncs)
    }

    @Test("A log that is not used any more is owed nothing, and those beside it get theirs")
    func closedAmongOthers() throws {
        let fixture = try LogFixture()
        let log = try fixture.open()
        fixture.lane.holdsSyncs = true
        try append(1, to: log)
        fixture.lane.flush()
        _ = try log.close()
        fixture.lane.syncHeld(afterOthers: true)
        #expect(!fixture.lane.owesSyncs && fixture.queue.pendingCount == 0)
    }

    @Test("Syncs of a directory begin together when those before them have ended, or when told to")
    func waves() throws {
        let fixture = try LogFixture()
        let logs = try (0..<3).map { try fixture.open(number: $0) }
        fixture.lane.holdsSyncs = true
        for isPatient in [true, false] {
            let before = logs[0].logEndOffset
            try append(1, to: logs[0])
            fixture.lane.flush()
            #expect(fixture.lane.owesSyncs)
            fixture.lane.syncHeld(afterOthers: true)
            #expect(fixture.queue.pendingCount == 1 && !fixture.lane.holdsBack)
            for log in logs[1...] { try append(1, to: log) }
            fixture.lane.flush()
            // They have nothing to begin before the first is done.
            #expect(!fixture.lane.owesSyncs && fixture.lane.holdsBack)
            fixture.lane.syncHeld(afterOthers: isPatient)
            #expect(fixture.queue.pendingCount == (isPatient ? 1 : 3))
            wait(fixture)
            #expect(fixture.lane.owesSyncs == isPatient)
            fixture.lane.syncHeld(afterOthers: true)
            #expect(fixture.queue.pendingCount == (isPatient ? 2 : 0))
            wait(fixture)
            #expect(logs.allSatisfy { $0.syncedEndOffset == before + 1 })
        }
    }

    @Test(
        "Nothing that was acknowledged is lost to a power cut between holding and syncing", arguments: 1...10)
    func powerCut(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let fixture = try LogFixture(seed: seed)
        let log = try fixture.open()
        for _ in 0..<60 {
            try append(1, to: log)
            fixture.lane.holdsSyncs = generator.chance(2, in: 3)
            fixture.lane.flush()
            if generator.chance(1, in: 3) { fixture.lane.poll(waitNanoseconds: generator.next() % 500_000) }
        }
        let promised = log.syncedEndOffset
        #expect(promised > .zero)
        fixture.disk.crash(&generator)
        fixture.mountAgain()
        #expect(try fixture.open().logEndOffset >= promised)
    }
}
