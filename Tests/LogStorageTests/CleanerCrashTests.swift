import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

@Suite("Compaction over crashes and faults")
struct CleanerCrashTests {
    /// A log with a round due, over which everything is durable.
    private func workload(seed: UInt64, steps: Int = 60) throws -> CleanerWorkload {
        let workload = try CleanerWorkload(seed: seed)
        for _ in 0..<steps { try workload.step() }
        try workload.endAllTransactions()
        for _ in 0..<12 { try workload.appendBatch() }
        try workload.settle()
        workload.fixture.clock.advance(milliseconds: 20_000)
        return workload
    }

    /// What a reader sees: all batches.
    private func states(seed: UInt64) throws -> (before: [[StoredBatch]], changes: Int) {
        let workload = try workload(seed: seed)
        var states: [[StoredBatch]] = []
        workload.fixture.disk.install(.none)
        _ = try #require(
            try workload.clean {
                let now = try batches(of: workload.log)
                if states.last != now { states.append(now) }
            })
        let changes = workload.fixture.disk.changeCount
        let last = try batches(of: workload.log)
        if states.last != last { states.append(last) }
        #expect(states.count > 2)
        return (states, changes)
    }

    private func leftovers(_ workload: CleanerWorkload) throws -> [String] {
        try workload.fixture.fileSystem.contents(ofDirectory: LogFixture.path).map(\.name)
            .filter { $0.hasSuffix(".cleaned") || $0.hasSuffix(".swap") || $0.hasSuffix(".tmp") }
    }

    /// What is known of producers, as far as it must survive being derived from the batches.
    private func producers(_ log: PartitionLog) -> [ProducerID: [Int64]] {
        Dictionary(
            uniqueKeysWithValues: log.producerEntries.map {
                ($0.producerID, [Int64($0.lastSequence.rawValue), Int64($0.producerEpoch.rawValue)])
            })
    }

    /// Opens the log again and looks at it: it is as before or after a group's swap, and can be compacted to
    /// its end.
    private func check(
        _ workload: CleanerWorkload, _ states: [[StoredBatch]], recoveryPoint: Offset?, end: Offset,
        producers expected: [ProducerID: [Int64]]
    ) throws {
        try workload.reopen(recoveryPoint: recoveryPoint)
        let log = workload.log
        #expect(log.damage.isEmpty)
        #expect(log.logEndOffset == end)
        #expect(try states.contains(batches(of: log)))
        #expect(try leftovers(workload) == [])
        #expect(producers(log) == expected)
        #expect(log.producers.firstUndecidedOffset == nil)
        // With the checkpoint of before the round, or of after it, the next round comes to the same end.
        log.advanceHighWatermark(to: end)
        try log.noteCheckpointed(try log.prepareCheckpoint())
        log.cleaning.restore(.zero)
        if try workload.clean() != nil {
            let compacted = try records(in: batches(of: log))
            #expect(try compacted == records(in: try #require(states.last)))
        }
    }

    @Test(
        "the power fails at every change of a round: the log is as before or after a swap", arguments: 1...3)
    func powerFailsEverywhere(seed: UInt64) throws {
        let (states, changes) = try states(seed: seed)
        var generator = SeededGenerator(seed: seed)
        for change in 1...changes {
            let workload = try workload(seed: seed)
            let expected = producers(workload.log)
            let end = workload.log.logEndOffset
            let point = workload.log.checkpointedRecoveryPoint
            workload.fixture.disk.install(.losingPower(atChange: change))
            #expect(throws: (any Error).self) { try workload.clean() }
            workload.fixture.disk.liftFaults()
            _ = workload.fixture.disk.crash(&generator)
            try check(
                workload, states, recoveryPoint: generator.chance(1, in: 3) ? nil : point, end: end,
                producers: expected)
        }
    }

    @Test(
        "the power fails between any two steps, and again at every change of the recovery", arguments: 1...2)
    func powerFailsInRecovery(seed: UInt64) throws {
        let (states, _) = try states(seed: seed)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<60 {
            let workload = try workload(seed: seed)
            let expected = producers(workload.log)
            let end = workload.log.logEndOffset
            let point = workload.log.checkpointedRecoveryPoint
            workload.fixture.disk.install(
                .losingPower(atChange: Int(generator.next() % 200) + 1))
            _ = try? workload.clean()
            workload.fixture.disk.liftFaults()
            _ = workload.fixture.disk.crash(&generator)
            for _ in 0..<3 {
                workload.fixture.disk.install(.losingPower(atChange: Int(generator.next() % 12) + 1))
                try? workload.reopen(recoveryPoint: point)
                workload.fixture.disk.liftFaults()
                _ = workload.fixture.disk.crash(&generator)
            }
            try check(workload, states, recoveryPoint: point, end: end, producers: expected)
        }
    }

    @Test(
        "every change fails once: the directory goes offline, and after a restart all is there",
        arguments: 1...2)
    func inputOutputErrors(seed: UInt64) throws {
        let (states, changes) = try states(seed: seed)
        var generator = SeededGenerator(seed: seed)
        for change in 1...changes {
            let workload = try workload(seed: seed)
            let expected = producers(workload.log)
            let end = workload.log.logEndOffset
            let point = workload.log.checkpointedRecoveryPoint
            workload.fixture.disk.install(.failing(change: change))
            do {
                _ = try workload.clean()
                // Only the removal of what is not needed may fail without harm.
                #expect(try states.last == batches(of: workload.log))
            } catch {
                #expect(workload.fixture.directory.failure != nil)
            }
            workload.fixture.disk.liftFaults()
            _ = workload.fixture.disk.crash(&generator, mode: .keepAll)
            try check(workload, states, recoveryPoint: point, end: end, producers: expected)
        }
    }

    @Test("a full disk at any write of a round puts it off; the log goes on as it was", arguments: 1...2)
    func noSpace(seed: UInt64) throws {
        let (states, changes) = try states(seed: seed)
        for change in stride(from: 1, through: changes, by: 1) {
            let workload = try workload(seed: seed)
            let log = workload.log
            let round = CleaningRound(
                try log.planCleaning(try #require(try log.cleanability())),
                configuration: CleanerWorkload.small(),
                throttle: DiskThrottle(
                    bytesPerSecond: nil, timeSource: workload.fixture.clock, wait: { _ in }),
                secret: (3, 4))
            workload.fixture.disk.install(
                DiskFaultPlan([
                    DiskFault(
                        [.write, .allocate], changesOnly: true, trigger: .from(change),
                        effect: .fail(.noSpace))
                ]))
            var failure: CleaningError?
            do {
                while case .group(let group) = try round.next() {
                    let isCommitted = try log.commit(group, of: round.plan)
                    #expect(isCommitted)
                }
            } catch {
                failure = try #require(error as? CleaningError)
            }
            workload.fixture.disk.liftFaults()
            guard let failure else { break }
            #expect(failure.isPassing)
            log.endCleaning(round.plan, because: failure)
            #expect(log.uncleanableReason == nil)
            #expect(workload.fixture.directory.failure == nil)
            #expect(try states.contains(batches(of: log)))
            #expect(try leftovers(workload) == [])
            _ = try workload.clean()
            #expect(try records(in: batches(of: log)) == records(in: try #require(states.last)))
        }
    }

    @Test("a disk without room for new names of a segment's files puts a round off", arguments: 1...4)
    func noSpaceForNames(rename: Int) throws {
        let workload = try workload(seed: 1)
        let log = workload.log
        let before = try batches(of: log)
        let round = CleaningRound(
            try log.planCleaning(try #require(try log.cleanability())),
            configuration: CleanerWorkload.small(),
            throttle: DiskThrottle(
                bytesPerSecond: nil, timeSource: workload.fixture.clock, wait: { _ in }),
            secret: (3, 4))
        guard case .group(let group) = try round.next() else { return #expect(Bool(false), "no group") }
        workload.fixture.disk.install(
            DiskFaultPlan([
                DiskFault(
                    [.rename], paths: .hasSuffix(".cleaned"), trigger: .nth(rename),
                    effect: .fail(.noSpace))
            ]))
        let error = #expect(throws: LogError.self) { try log.commit(group, of: round.plan) }
        workload.fixture.disk.liftFaults()
        #expect(workload.fixture.directory.failure == nil)
        log.endCleaning(round.plan, because: .log(try #require(error)))
        #expect(try batches(of: log) == before)
        #expect(try leftovers(workload) == [])
        _ = try #require(try workload.clean())
    }
}
