import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

/// How many files a log keeps open, and what becomes of it when none can be opened.
@Suite("A log and the descriptors of its process")
struct DescriptorTests {
    private let partition = TopicPartition(topic: "t", partition: 0)
    private let topicID = TopicID(UniqueID(high: 7, low: 8))

    private final class Node {
        let disk: SimulatedDisk
        let clock = SimulatedClock()
        private(set) var store: LogStore!
        private(set) var manager: LogManager!
        private var nextID: UInt64 = 1

        init() throws {
            disk = SimulatedDisk(clock: clock)
            try start()
        }

        func start() throws {
            let fileSystem = disk.mount()
            store = try LogStore(
                LogStoreConfiguration(directoryPaths: ["/one", "/two"]), fileSystem: fileSystem,
                timeSource: clock, logger: .silent
            ) {
                nextID += 1
                return UniqueID(high: nextID, low: 2)
            }
            let queue = SimulatedAppendQueue(fileSystem, seed: 1)
            manager = LogManager(store: store, lane: LogLane(queue: queue, timeSource: clock))
        }

        func stop(cleanly: Bool) {
            if cleanly {
                manager.close()
                store.markCleanShutdown()
            }
            manager.all.forEach { $0.abandon() }
            manager = nil
            store = nil
            var generator = SeededGenerator(seed: 3)
            disk.killProcesses(&generator)
        }

        func recover(_ settings: LogConfiguration, _ topicID: TopicID) -> [RecoveredPartition] {
            store.recoverLogs(
                choosing: { _, _ in .open(settings, topicID) }, newID: { UniqueID(high: 5, low: 6) },
                run: { $0.forEach { $0() } })
        }

        func append(_ count: Int, to log: PartitionLog) throws {
            for _ in 0..<count {
                _ = try log.appendAsLeader(TestBatches.batch(), leaderEpoch: LeaderEpoch(0), durably: true)
                manager.lane.flush()
                while manager.lane.queue.pendingCount > 0 { manager.lane.poll(waitNanoseconds: nil) }
            }
        }

        func failOpenings(from number: Int) {
            disk.install(
                DiskFaultPlan([
                    DiskFault([.open, .list], trigger: .from(number), effect: .fail(.tooManyOpenFiles))
                ]))
        }
    }

    @Test("a log that is written to keeps one file open, however many entries its indexes get")
    func oneDescriptor() throws {
        let fixture = try LogFixture()
        let log = try fixture.open()
        for _ in 0..<40 {
            _ = try log.appendAsLeader(TestBatches.batch(), leaderEpoch: LeaderEpoch(0), durably: true)
            fixture.settle()
            #expect(fixture.disk.openFileCount == log.segmentCount)
        }
        #expect(log.segments.active.openedOffsetIndex?.entryCount ?? 0 > 0)
        for segment in log.segments.all.dropLast() { segment.releaseFiles() }
        #expect(fixture.disk.openFileCount == 1)
    }

    @Test("an index follows its log's directory to another name, and grows and is sealed there")
    func renamedDirectory() throws {
        let fixture = try LogFixture()
        let log = try fixture.open()
        for _ in 0..<4 {
            _ = try log.appendAsLeader(TestBatches.batch(), leaderEpoch: LeaderEpoch(0), durably: true)
        }
        fixture.settle()
        try log.place.move(to: "/data/moved-0")
        // What stands under the old name meanwhile is nobody's business.
        try fixture.fileSystem.createDirectory(LogFixture.path)
        let index = try #require(log.segments.active.openedOffsetIndex)
        for number in 1...600 { index.append(Offset(Int64(number) + 100), at: Int64(number) + 3000) }
        #expect(index.entryCount >= 600)
        try index.seal()
        let attributes = try fixture.fileSystem.attributes(of: index.path)
        #expect(index.path.hasPrefix("/data/moved-0/"))
        #expect(attributes?.byteCount == Int64(index.byteCount))
        #expect(try fixture.fileSystem.contents(ofDirectory: LogFixture.path).isEmpty)
    }

    @Test(
        "a log that no descriptor was left for at start is taken up later, whole",
        arguments: [true, false], 1...14)
    func laterStart(cleanly: Bool, opening: Int) throws {
        let node = try Node()
        let settings = LogFixture.smallSegments()
        let log = try node.manager.create(partition, topicID: topicID, settings: settings)
        try node.append(60, to: log)
        log.advanceHighWatermark(to: Offset(60))
        try log.advanceLogStart(to: Offset(20))
        try node.manager.checkpoint()
        node.stop(cleanly: cleanly)
        try node.start()
        node.failOpenings(from: opening + 2)
        for one in node.recover(settings, topicID) { _ = try? node.manager.adopt(one) }
        let isMissing = node.manager[partition] == nil
        if isMissing {
            #expect(throws: LogError.self) {
                try node.manager.create(partition, topicID: topicID, settings: settings)
            }
        }
        #expect(node.store.onlineDirectories.count == 2)
        node.disk.liftFaults()
        let found =
            try node.manager[partition]
            ?? node.manager.create(partition, topicID: topicID, settings: settings)
        #expect(found.logStartOffset == Offset(20) && found.logEndOffset == Offset(60))
        #expect(found.highWatermark == Offset(60))
        try node.append(5, to: found)
        #expect(found.syncedEndOffset == Offset(65))
    }

    @Test("a log that could not be made whole is, under the same name, when there are descriptors again")
    func laterCreation() throws {
        for opening in 1...40 {
            let node = try Node()
            let settings = LogFixture.smallSegments()
            node.failOpenings(from: opening)
            if (try? node.manager.create(partition, topicID: topicID, settings: settings)) != nil {
                #expect(opening > 3)
                return
            }
            #expect(node.manager[partition] == nil && node.store.onlineDirectories.count == 2)
            node.disk.liftFaults()
            let log = try node.manager.create(partition, topicID: topicID, settings: settings)
            try node.append(30, to: log)
            node.stop(cleanly: false)
            try node.start()
            #expect(node.recover(settings, topicID).count == 1)
        }
        Issue.record("a log takes more than 40 openings")
    }
}
