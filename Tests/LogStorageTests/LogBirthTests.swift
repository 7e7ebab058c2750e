import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

/// What is durable of a log that was just made, and when.
@Suite("A log that has never held a record")
struct LogBirthTests {
    private let topicID = TopicID(UniqueID(high: 7, low: 8))

    private final class Node {
        let disk: SimulatedDisk
        let clock = SimulatedClock()
        private(set) var fileSystem: SimulatedFileSystem!
        private(set) var store: LogStore!
        private(set) var manager: LogManager!
        var generator: SeededGenerator

        init(seed: UInt64) throws {
            generator = SeededGenerator(seed: seed)
            disk = SimulatedDisk(seed: seed, clock: clock)
            try start()
        }

        func start() throws {
            fileSystem = disk.mount()
            store = try LogStore(
                LogStoreConfiguration(directoryPaths: ["/data"]), fileSystem: fileSystem, timeSource: clock,
                logger: .silent
            ) { UniqueID(high: 1, low: 2) }
            let queue = SimulatedAppendQueue(fileSystem, seed: 1)
            manager = LogManager(store: store, lane: LogLane(queue: queue, timeSource: clock))
        }

        func letGo() {
            manager.all.forEach { $0.abandon() }
            manager = nil
            store = nil
        }

        /// As a node does at start: takes up what is there, makes what is missing.
        func takeUp(_ partitions: [TopicPartition], _ topicID: TopicID, _ settings: LogConfiguration) throws {
            let recovered = store.recoverLogs(
                choosing: { _, _ in .open(settings, topicID) }, newID: { UniqueID(high: 5, low: 6) },
                run: { $0.forEach { $0() } })
            for one in recovered { try manager.adopt(one) }
            for partition in partitions where manager[partition] == nil {
                _ = try manager.create(partition, topicID: topicID, settings: settings)
            }
        }

        func append(_ count: Int, to log: PartitionLog) throws {
            for _ in 0..<count {
                _ = try log.appendAsLeader(TestBatches.batch(), leaderEpoch: LeaderEpoch(3), durably: true)
            }
            manager.lane.flush()
            while manager.lane.queue.pendingCount > 0 { manager.lane.poll(waitNanoseconds: nil) }
        }

        var syncCount: Int { disk.count(.sync) + disk.count(.syncDirectory) }
    }

    private func partitions(_ count: Int32) -> [TopicPartition] {
        (0..<count).map { TopicPartition(topic: "t", partition: $0) }
    }

    @Test("a hundred partitions are made, checkpointed, closed and opened without a sync for any of them")
    func costsNothing() throws {
        let node = try Node(seed: 1)
        let settings = LogFixture.smallSegments()
        let all = partitions(100)
        let before = node.syncCount
        for partition in all {
            let log = try node.manager.create(partition, topicID: topicID, settings: settings)
            try log.assignLeaderEpoch(LeaderEpoch(0))
        }
        try node.manager.checkpoint()
        #expect(node.syncCount == before)
        node.manager.close()
        node.store.markCleanShutdown()
        node.letGo()
        node.disk.killProcesses(&node.generator)
        try node.start()
        let removedBefore = node.disk.count(.remove)
        try node.takeUp(all, topicID, settings)
        #expect(node.manager.all.count == 100 && node.disk.count(.remove) == removedBefore)
        // The mark of the clean stop, and its removal, cost some.
        #expect(node.syncCount < before + 20)
        let touched = try #require(node.manager[all[7]])
        try node.append(1, to: touched)
        let metadata = try PartitionMetadata.read(touched.path + "/partition.metadata", node.fileSystem)
        #expect(metadata?.topicID == topicID)
    }

    @Test("logs that are written to share the sync of the directory that theirs are in")
    func sharedSync() throws {
        let node = try Node(seed: 2)
        let all = partitions(20)
        for partition in all {
            _ = try node.manager.create(partition, topicID: topicID, settings: LogFixture.smallSegments())
        }
        let before = node.disk.count(.syncDirectory)
        for partition in all { try node.append(1, to: try #require(node.manager[partition])) }
        // Each its own directory, and one for all.
        #expect(node.disk.count(.syncDirectory) == before + 21)
    }

    @Test(
        "power that goes at any write while logs are made, or taken up as they were made, loses nothing",
        arguments: [false, true])
    func powerAtEveryWrite(areThere: Bool) throws {
        let settings = LogFixture.smallSegments()
        let all = partitions(3)
        var change = 0
        var wentSooner = true
        while wentSooner {
            change += 1
            let node = try Node(seed: UInt64(change))
            if areThere {
                try node.takeUp(all, topicID, settings)
                node.letGo()
                node.disk.killProcesses(&node.generator)
                try node.start()
            }
            node.disk.install(.losingPower(atChange: change))
            var kept: [TopicPartition: Offset] = [:]
            do {
                try node.takeUp(all, topicID, settings)
                for partition in all {
                    let log = try #require(node.manager[partition])
                    try node.append(1, to: log)
                    kept[partition] = log.syncedEndOffset
                }
            } catch is LogError {
                // The power went.
            }
            wentSooner = node.disk.hasLostPower
            node.letGo()
            node.disk.liftFaults()
            node.disk.crash(&node.generator)
            try node.start()
            try node.takeUp(all, topicID, settings)
            for partition in all {
                let log = try #require(node.manager[partition])
                #expect(log.logEndOffset >= kept[partition] ?? .zero, "power at change \(change)")
                #expect(log.damage.isEmpty)
                let end = log.logEndOffset
                try node.append(1, to: log)
                #expect(log.syncedEndOffset == end + 1)
            }
        }
        #expect(change > 10)
    }

    @Test(
        "whatever a power cut leaves of logs just made, they begin again, and nothing acknowledged is lost",
        arguments: 1...40 as ClosedRange<UInt64>)
    func powerCut(seed: UInt64) throws {
        let node = try Node(seed: seed)
        let settings = LogFixture.smallSegments()
        let all = partitions(6)
        var kept: [TopicPartition: Int64] = [:]
        for round in 0..<4 {
            if round > 0 {
                // Somewhere amid the making of logs and the first appends.
                node.disk.install(.losingPower(atChange: Int(node.generator.next() % 60) + 1))
            }
            do {
                try node.takeUp(all, topicID, settings)
                for partition in all where node.generator.chance(1, in: 2) {
                    let log = try #require(node.manager[partition])
                    #expect(log.logEndOffset.rawValue >= kept[partition, default: 0])
                    try node.append(2, to: log)
                    kept[partition] = log.syncedEndOffset.rawValue
                }
                try node.manager.checkpoint()
            } catch is LogError {
                // The power went.
            }
            let power = node.disk.hasLostPower || node.generator.chance(1, in: 2)
            node.letGo()
            node.disk.liftFaults()
            if power { node.disk.crash(&node.generator) } else { node.disk.killProcesses(&node.generator) }
            try node.start()
        }
        try node.takeUp(all, topicID, settings)
        for partition in all {
            let log = try #require(node.manager[partition])
            #expect(log.logEndOffset.rawValue >= kept[partition, default: 0])
            #expect(log.damage.isEmpty)
            if log.logEndOffset > .zero { #expect(log.latestLeaderEpoch == LeaderEpoch(3)) }
            try node.append(1, to: log)
        }
    }
}
