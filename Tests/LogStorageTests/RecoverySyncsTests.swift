import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

/// What a start after a crash brings to stable storage, how often it waits for that, and what a second crash
/// may find of it.
@Suite("The syncs of a start after a crash")
struct RecoverySyncsTests {
    /// A node on one simulated disk whose starts can be cut off.
    private final class Node {
        let disk: SimulatedDisk
        let clock = SimulatedClock()
        let settings = LogFixture.smallSegments()
        let paths: [String]
        var generator: SeededGenerator
        private(set) var store: LogStore?
        private(set) var manager: LogManager?
        /// How many jobs each call of `run` was given.
        private(set) var jobCounts: [Int] = []

        init(seed: UInt64, paths: [String] = ["/data"]) throws {
            generator = SeededGenerator(seed: seed)
            disk = SimulatedDisk(seed: seed, clock: clock)
            self.paths = paths
            try start()
        }

        /// - Returns: the partitions whose logs were opened.
        @discardableResult
        func start() throws -> [TopicPartition] {
            let fileSystem = disk.mount()
            let store = try LogStore(
                LogStoreConfiguration(directoryPaths: paths), fileSystem: fileSystem, timeSource: clock,
                logger: .silent
            ) { UniqueID(high: generator.next(), low: 2) }
            let queue = SimulatedAppendQueue(fileSystem, seed: generator.next())
            let manager = LogManager(store: store, lane: LogLane(queue: queue, timeSource: clock))
            self.store = store
            self.manager = manager
            jobCounts = []
            let settings = settings
            let recovered = store.recoverLogs(settings: { _ in settings }) { jobs in
                jobCounts.append(jobs.count)
                jobs.forEach { $0() }
            }
            for one in recovered { try manager.adopt(one) }
            return recovered.map(\.opening.partition)
        }

        /// - Parameter power: it went, and with it what was not synced.
        func stop(power: Bool) {
            manager?.all.forEach { $0.abandon() }
            manager = nil
            store = nil
            disk.liftFaults()
            if power { disk.crash(&generator) } else { disk.killProcesses(&generator) }
        }

        func log(_ number: Int) throws -> PartitionLog {
            let manager = try #require(manager)
            let partition = TopicPartition(topic: "t", partition: Int32(number))
            return try manager[partition] ?? manager.create(partition, settings: settings)
        }

        /// Half of the records are not asked to be synced.
        func append(_ count: Int, to log: PartitionLog) throws {
            let manager = try #require(manager)
            for number in 0..<count {
                _ = try log.appendAsLeader(
                    TestBatches.batch(count: 2), leaderEpoch: LeaderEpoch(0), durably: number < count / 2)
                manager.lane.flush()
                while manager.lane.queue.pendingCount > 0 { manager.lane.poll(waitNanoseconds: nil) }
            }
        }

        var syncCount: Int { disk.count(.sync) + disk.count(.syncDirectory) }
    }

    @Test("logs with records are synced side by side, with at most four syncs each")
    func fewWaits() throws {
        let node = try Node(seed: 1)
        for number in 0..<40 { try node.append(8, to: try node.log(number)) }
        // Every other log has a checkpoint amid its records.
        try #require(node.manager).checkpoint()
        for number in 0..<20 { try node.append(8, to: try node.log(number)) }
        node.stop(power: false)
        let before = node.syncCount
        #expect(try node.start().count == 40)
        // The log directory itself takes some more.
        #expect(node.syncCount - before <= 40 * 4 + 6)
        #expect(node.jobCounts == [2, 16])
        node.stop(power: true)
        #expect(try node.start().count == 40)
        for number in 0..<40 {
            // What was found after the kill has been synced since.
            #expect(try node.log(number).logEndOffset == Offset(number < 20 ? 32 : 16))
        }
    }

    @Test(
        "power that goes at any write of a start takes nothing that was synced, and no log",
        arguments: 1...2 as ClosedRange<UInt64>)
    func powerAtEveryWrite(seed: UInt64) throws {
        var change = 1
        var wentSooner = true
        while wentSooner {
            let node = try Node(seed: seed * 1000 + UInt64(change))
            for number in 0..<3 { try node.append(6 + 20 * number, to: try node.log(number)) }
            if seed == 2 {
                try #require(node.manager).checkpoint()
                for number in 0..<2 { try node.append(10, to: try node.log(number)) }
            }
            let synced = try (0..<3).map { try node.log($0).syncedEndOffset }
            node.stop(power: false)
            node.disk.install(.losingPower(atChange: change))
            _ = try? node.start()
            wentSooner = node.disk.hasLostPower
            node.stop(power: true)
            try node.start()
            for number in 0..<3 {
                let log = try node.log(number)
                #expect(log.damage.isEmpty)
                #expect(log.logEndOffset >= synced[number], "power at change \(change)")
                #expect(log.syncedEndOffset == log.logEndOffset)
                #expect(try values(of: log).count == Int(log.logEndOffset.rawValue))
                try node.append(2, to: log)
            }
            let ends = try (0..<3).map { try node.log($0).logEndOffset }
            let known = try (0..<3).map { try node.log($0).syncedEndOffset }
            node.stop(power: true)
            try node.start()
            for number in 0..<3 {
                let end = try node.log(number).logEndOffset
                #expect(end >= known[number] && end <= ends[number], "power at change \(change)")
            }
            change += 1
        }
        #expect(change > 15)
    }

    @Test("a log whose sync fails at start is not opened, nor are others of its directory from then on")
    func failedSync() throws {
        for change in 1...8 {
            let node = try Node(seed: 9, paths: ["/one", "/two"])
            for number in 0..<8 { try node.append(4, to: try node.log(number)) }
            let synced = try (0..<8).map { try node.log($0).syncedEndOffset }
            node.stop(power: false)
            node.disk.install(
                DiskFaultPlan([
                    DiskFault(
                        [.sync, .syncDirectory], paths: .hasPrefix("/one/t-"), trigger: .nth(change),
                        effect: .fail(.inputOutput))
                ]))
            let opened = try node.start()
            let failed = try #require(node.store).directories.filter { $0.directory.failure != nil }
            #expect(failed.map(\.directory.path) == ["/one"])
            #expect(opened.count >= 4 && opened.count < 8)
            node.stop(power: true)
            try node.start()
            for number in 0..<8 { #expect(try node.log(number).logEndOffset >= synced[number]) }
        }
    }
}
