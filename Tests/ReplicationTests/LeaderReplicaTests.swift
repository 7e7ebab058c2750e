import LogStorage
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import Replication

@Suite("A partition that is led here")
struct LeaderReplicaTests {
    @Test("acks=1 hears when the append is written, acks=all when it is on stable storage, acks=0 at once")
    func acknowledgements() throws {
        let fixture = try ReplicaFixture()
        let leader = try fixture.lead(fixture.assignment())
        let waiter = RecordingWaiter()
        for (part, acks) in [RequiredAcks.none, .leader, .all].enumerated() {
            let appended = try leader.append(TestBatches.batch(), acks: acks, waiter: waiter, part: part)
            #expect(appended.result.firstOffset == Offset(Int64(part)))
            #expect(appended.isAcknowledged == (acks == .none))
        }
        #expect(waiter.finished == [])
        fixture.lane.flush()
        #expect(waiter.finished == [1])
        #expect(leader.log.highWatermark == Offset(0))
        fixture.settle()
        #expect(waiter.finished == [1, 2])
        #expect(leader.log.highWatermark == Offset(3))
        #expect(leader.log.syncedEndOffset == Offset(3))
    }

    @Test("with page-cache durability acks=all hears when the append is written, and nothing is synced")
    func pageCache() throws {
        let fixture = try ReplicaFixture()
        let leader = try fixture.lead(fixture.assignment(durability: .pageCache))
        let waiter = RecordingWaiter()
        _ = try leader.append(TestBatches.batch(count: 5), acks: .all, waiter: waiter, part: 9)
        fixture.lane.flush()
        #expect(waiter.finished == [9])
        #expect(leader.log.highWatermark == Offset(5))
        #expect(leader.log.syncedEndOffset == Offset(0))
        #expect(fixture.queue.pendingCount == 0)
    }

    @Test("a topic that stops asking for syncs releases whoever waited for one")
    func relaxed() throws {
        let fixture = try ReplicaFixture()
        let leader = try fixture.lead(fixture.assignment())
        let waiter = RecordingWaiter()
        _ = try leader.append(TestBatches.batch(), acks: .all, waiter: waiter, part: 1)
        fixture.lane.flush()
        #expect(waiter.finished == [])
        fixture.manager.apply(fixture.assignment(durability: .pageCache))
        #expect(waiter.finished == [1])
    }

    @Test("a batch sent again is acknowledged only when what the log has of it is on stable storage")
    func duplicate() throws {
        let fixture = try ReplicaFixture()
        let leader = try fixture.lead(fixture.assignment())
        let waiter = RecordingWaiter()
        let batch = { TestBatches.batch(count: 2, producerID: 5, producerEpoch: 0, sequence: 0) }
        _ = try leader.append(batch(), acks: .all, waiter: waiter, part: 0)
        let again = try leader.append(batch(), acks: .all, waiter: waiter, part: 1)
        #expect(again.result.isDuplicate)
        #expect(again.result.firstOffset == Offset(0))
        #expect(!again.isAcknowledged)
        fixture.settle()
        #expect(waiter.finished == [0, 1])
        #expect(leader.log.logEndOffset == Offset(2))
        let late = try leader.append(batch(), acks: .all, waiter: waiter, part: 2)
        #expect(late.isAcknowledged)
    }

    @Test("whoever is served may append again at once")
    func reentrant() throws {
        let fixture = try ReplicaFixture()
        let leader = try fixture.lead(fixture.assignment())
        let waiter = RecordingWaiter()
        var next = 1
        waiter.onFinished = {
            guard next < 50 else { return }
            next += 1
            do {
                _ = try leader.append(TestBatches.batch(), acks: .all, waiter: waiter, part: next)
            } catch {
                Issue.record(error)
            }
        }
        _ = try leader.append(TestBatches.batch(), acks: .all, waiter: waiter, part: 1)
        fixture.settle()
        #expect(waiter.finished == Array(1...50))
        #expect(leader.log.highWatermark == Offset(50))
    }

    @Test("a failed write fails those that wait, a failed disk also those that come")
    func failedDisk() throws {
        let fixture = try ReplicaFixture()
        let leader = try fixture.lead(fixture.assignment())
        let waiter = RecordingWaiter()
        _ = try leader.append(TestBatches.batch(), acks: .all, waiter: waiter, part: 0)
        fixture.settle()
        fixture.disk.install(
            DiskFaultPlan([DiskFault([.sync], trigger: .from(1), effect: .fail(.inputOutput))]))
        _ = try leader.append(TestBatches.batch(), acks: .all, waiter: waiter, part: 1)
        fixture.settle()
        #expect(waiter.finished == [0])
        #expect(waiter.errors.map(\.part) == [1])
        #expect(leader.log.highWatermark == Offset(1))
        #expect(throws: ReplicaError.self) { try fixture.manager.leader(of: leader.partition) }
        #expect(throws: ReplicaError.self) {
            try leader.append(TestBatches.batch(), acks: .all, waiter: waiter, part: 2)
        }
    }

    @Test("a cancelled request hears nothing, and its append stays")
    func cancelled() throws {
        let fixture = try ReplicaFixture()
        let leader = try fixture.lead(fixture.assignment())
        let gone = RecordingWaiter()
        let other = RecordingWaiter()
        _ = try leader.append(TestBatches.batch(), acks: .all, waiter: gone, part: 0)
        _ = try leader.append(TestBatches.batch(), acks: .all, waiter: other, part: 1)
        leader.cancel(gone)
        fixture.settle()
        #expect(gone.finished == [])
        #expect(other.finished == [1])
        #expect(leader.log.highWatermark == Offset(2))
    }

    @Test("requests of another leader epoch are refused by name")
    func epochs() throws {
        let fixture = try ReplicaFixture()
        let partition = ReplicaFixture.partition
        _ = try fixture.lead(fixture.assignment(leaderEpoch: 3))
        #expect(
            try fixture.manager.leader(of: partition, leaderEpoch: LeaderEpoch(3)).leaderEpoch.rawValue == 3)
        #expect(
            try fixture.manager.leader(of: partition, leaderEpoch: LeaderEpoch.none).leaderEpoch.rawValue == 3
        )
        do {
            _ = try fixture.manager.leader(of: partition, leaderEpoch: LeaderEpoch(2))
            Issue.record("an old epoch was taken")
        } catch {
            guard case .fencedLeaderEpoch = error else {
                Issue.record("\(error)")
                return
            }
        }
        do {
            _ = try fixture.manager.leader(of: partition, leaderEpoch: LeaderEpoch(4))
            Issue.record("a future epoch was taken")
        } catch {
            guard case .unknownLeaderEpoch = error else {
                Issue.record("\(error)")
                return
            }
        }
        fixture.manager.apply(fixture.assignment(leaderEpoch: 4))
        let leader = try fixture.manager.leader(of: partition, leaderEpoch: LeaderEpoch(4))
        #expect(leader.log.latestLeaderEpoch == LeaderEpoch(4))
    }

    @Test("min.insync.replicas holds for acks=all, and a topic of one replica is not asked for two")
    func inSyncReplicas() throws {
        let fixture = try ReplicaFixture()
        let waiter = RecordingWaiter()
        let alone = try fixture.lead(fixture.assignment(minimumInSyncReplicas: 2))
        _ = try alone.append(TestBatches.batch(), acks: .all, waiter: waiter, part: 0)
        var shrunk = fixture.assignment(minimumInSyncReplicas: 2)
        shrunk.replicas = [1, 2, 3]
        fixture.manager.apply(shrunk)
        do {
            _ = try alone.append(TestBatches.batch(), acks: .all, waiter: waiter, part: 1)
            Issue.record("one replica of three was enough")
        } catch {
            guard case .notEnoughReplicas(_, inSync: 1, needed: 2) = error else {
                Issue.record("\(error)")
                return
            }
        }
        _ = try alone.append(TestBatches.batch(), acks: .leader, waiter: waiter, part: 2)
        fixture.settle()
        #expect(waiter.finished.sorted() == [0, 2])
    }
}

@Suite("Fetches that wait")
struct FetchWaitersTests {
    @Test("a fetch is told once, when consumers may read more, not when only the leader has more")
    func toldOnce() throws {
        let fixture = try ReplicaFixture()
        let leader = try fixture.lead(fixture.assignment())
        let producer = RecordingWaiter()
        let fetch = RecordingWaiter()
        leader.wait(fetch, part: 4)
        _ = try leader.append(TestBatches.batch(), acks: .leader, waiter: producer, part: 0)
        fixture.lane.flush()
        #expect(fetch.advanced == [])
        let blocked = try leader.read(from: Offset(0), maximumByteCount: 1000, limit: .highWatermark)
        #expect(blocked.slice == nil)
        fixture.settle()
        #expect(fetch.advanced == [4])
        let read = try leader.read(from: Offset(0), maximumByteCount: 1000, limit: .highWatermark)
        #expect(read.slice?.nextOffset == Offset(1))
        _ = try leader.append(TestBatches.batch(), acks: .leader, waiter: producer, part: 1)
        fixture.settle()
        #expect(fetch.advanced == [4])
    }

    @Test("fetches that were answered elsewhere are forgotten, however many come")
    func bounded() {
        var waiters = FetchWaiters()
        let waiting = RecordingWaiter()
        waiters.add(waiting, part: 0)
        for part in 1...100_000 {
            let finished = RecordingWaiter()
            waiters.add(finished, part: part)
            finished.isFinished = true
            #expect(waiters.count <= 17)
        }
        #expect(waiters.takeAll().contains { $0.waiter === waiting })
        #expect(waiters.isEmpty)
    }

    @Test("a deleted partition wakes its fetches and fails its producers")
    func deleted() throws {
        let fixture = try ReplicaFixture()
        let leader = try fixture.lead(fixture.assignment())
        let producer = RecordingWaiter()
        let fetch = RecordingWaiter()
        _ = try leader.append(TestBatches.batch(), acks: .all, waiter: producer, part: 0)
        leader.wait(fetch, part: 1)
        fixture.manager.remove(leader.partition)
        #expect(producer.errors.map(\.part) == [0])
        #expect(fetch.advanced == [1])
        fixture.settle()
        #expect(throws: ReplicaError.self) { try fixture.manager.leader(of: ReplicaFixture.partition) }
        #expect(throws: ReplicaError.self) {
            try leader.read(from: Offset(0), maximumByteCount: 10, limit: .logEnd)
        }
    }

    @Test("a topic deleted and made again under its name begins empty")
    func madeAgain() throws {
        let fixture = try ReplicaFixture()
        let waiter = RecordingWaiter()
        let first = try fixture.lead(fixture.assignment())
        _ = try first.append(TestBatches.batch(count: 3), acks: .all, waiter: waiter, part: 0)
        fixture.settle()
        let second = try fixture.lead(fixture.assignment(topicID: TopicID(UniqueID(high: 8, low: 8))))
        #expect(second !== first)
        #expect(second.log.logEndOffset == Offset(0))
        #expect(throws: ReplicaError.self) {
            try first.append(TestBatches.batch(), acks: .all, waiter: waiter, part: 1)
        }
    }

    @Test("records before an offset are deleted up to the high watermark and no further")
    func deleteRecords() throws {
        let fixture = try ReplicaFixture()
        let leader = try fixture.lead(fixture.assignment())
        let waiter = RecordingWaiter()
        for part in 0..<10 {
            _ = try leader.append(TestBatches.batch(), acks: .all, waiter: waiter, part: part)
        }
        fixture.settle()
        #expect(try leader.deleteRecords(before: Offset(4)) == Offset(4))
        #expect(throws: ReplicaError.self) { try leader.deleteRecords(before: Offset(11)) }
        #expect(throws: ReplicaError.self) {
            try leader.read(from: Offset(3), maximumByteCount: 100, limit: .highWatermark)
        }
        #expect(try leader.deleteRecords(before: nil) == Offset(10))
    }
}

@Suite("Appends that wait")
struct ProduceWaitersTests {
    @Test("entries leave in order, whatever comes between, and memory follows what waits")
    func order() {
        var waiters = ProduceWaiters()
        let waiter = RecordingWaiter()
        var taken: [Int] = []
        var added = 0
        for round in 0..<2000 {
            for _ in 0..<(round % 7) {
                waiters.add(waiter, part: added, until: Offset(Int64(added) + 1))
                added += 1
            }
            while let entry = waiters.takeFirst(upTo: Offset(Int64(max(0, added - round % 5)))) {
                taken.append(entry.part)
            }
        }
        while let entry = waiters.takeFirst(upTo: Offset(Int64(added))) { taken.append(entry.part) }
        #expect(taken == Array(0..<added))
        #expect(waiters.count == 0)
    }

    @Test("those that lost their append are taken out, the others stay")
    func lost() {
        var waiters = ProduceWaiters()
        let waiter = RecordingWaiter()
        for part in 0..<10 { waiters.add(waiter, part: part, until: Offset(Int64(part) + 1)) }
        _ = waiters.takeFirst(upTo: Offset(1))
        #expect(waiters.takeAll(above: Offset(5)).map(\.part) == [5, 6, 7, 8, 9])
        #expect(waiters.count == 4)
        waiters.remove(waiter)
        #expect(waiters.count == 0)
    }
}
