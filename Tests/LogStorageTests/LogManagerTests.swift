import Base
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import LogStorage

@Suite("Log directories and the logs in them")
struct LogManagerTests {
    /// A disk and a process on it, restarted at will.
    final class Node {
        let clock = SimulatedClock()
        let disk: SimulatedDisk
        let sink = RecordingLogSink()
        var configuration: LogStoreConfiguration
        private(set) var store: LogStore
        private(set) var manager: LogManager
        private(set) var fileSystem: SimulatedFileSystem
        private var nextID: UInt64 = 100

        init(directories: [String] = ["/one", "/two"]) throws {
            disk = SimulatedDisk(clock: clock)
            configuration = LogStoreConfiguration(directoryPaths: directories)
            fileSystem = disk.mount()
            (store, manager) = try Self.start(configuration, fileSystem, clock, sink, seed: 100)
        }

        private static func start(
            _ configuration: LogStoreConfiguration, _ fileSystem: SimulatedFileSystem,
            _ clock: SimulatedClock,
            _ sink: RecordingLogSink, seed: UInt64
        ) throws -> (LogStore, LogManager) {
            var next = seed * 1000
            let store = try LogStore(
                configuration, fileSystem: fileSystem, timeSource: clock,
                logger: Logger(component: "test", minimumLevel: .debug, sink: sink)
            ) {
                next += 1000
                return UniqueID(high: next, low: next)
            }
            let lane = LogLane(queue: SimulatedAppendQueue(fileSystem, seed: seed), timeSource: clock)
            return (store, LogManager(store: store, lane: lane))
        }

        /// - Parameter power: it was lost, so that only what was synced is there.
        func restart(power: Bool = false) throws {
            nextID += 1
            var generator = SeededGenerator(seed: nextID)
            if power {
                disk.crash(&generator, mode: .loseAll)
            } else {
                disk.killProcesses(&generator)
            }
            fileSystem = disk.mount()
            (store, manager) = try Self.start(configuration, fileSystem, clock, sink, seed: nextID)
            let settings = LogFixture.smallSegments()
            for recovered in store.recoverLogs(settings: { _ in settings }, run: { $0.forEach { $0() } }) {
                try manager.adopt(recovered)
            }
        }

        func append(_ count: Int, to log: PartitionLog) throws {
            for _ in 0..<count {
                _ = try log.appendAsLeader(TestBatches.batch(), leaderEpoch: LeaderEpoch(0), durably: true)
            }
            settle()
        }

        func settle() {
            manager.lane.flush()
            while manager.lane.queue.pendingCount > 0 { manager.lane.poll(waitNanoseconds: nil) }
        }
    }

    private func partition(_ number: Int) -> TopicPartition {
        TopicPartition(topic: "t", partition: Int32(number))
    }

    @Test("logs spread over the directories and come back after a clean stop without being read")
    func cleanStop() throws {
        let node = try Node()
        for number in 0..<6 {
            let log = try node.manager.create(partition(number), settings: LogFixture.smallSegments())
            try node.append(50 + number, to: log)
            log.advanceHighWatermark(to: Offset(40))
        }
        let used = Set(node.manager.all.map(\.directory.path))
        #expect(used == ["/one", "/two"])
        let cluster = node.store.clusterID
        node.manager.close()
        node.store.markCleanShutdown()
        try node.restart()
        #expect(node.store.clusterID == cluster)
        let wereClean = node.store.directories.map(\.wasShutDownCleanly)
        #expect(wereClean == [true, true])
        for number in 0..<6 {
            let log = try #require(node.manager[partition(number)])
            #expect(log.logEndOffset == Offset(Int64(50 + number)))
            #expect(log.highWatermark == Offset(40))
        }
        // The mark is gone: a crash now is a crash.
        try node.restart()
        let areClean = node.store.directories.map(\.wasShutDownCleanly)
        #expect(areClean == [false, false])
    }

    @Test(
        "a checkpoint bounds what a restart after a crash reads, and nothing synced is lost",
        arguments: 1...10)
    func crash(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let node = try Node()
        let log = try node.manager.create(partition(0), settings: LogFixture.smallSegments())
        try node.append(100, to: log)
        try node.manager.checkpoint()
        try node.append(20, to: log)
        #expect(log.syncedEndOffset == Offset(120))
        _ = node.disk.crash(&generator)
        try node.restart()
        let again = try #require(node.manager[partition(0)])
        #expect(again.logEndOffset == Offset(120))
        #expect(again.damage.isEmpty)
    }

    @Test("a truncation below the checkpointed recovery point lowers it first", arguments: 1...10)
    func truncationLowersRecoveryPoint(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let node = try Node(directories: ["/one"])
        let log = try node.manager.create(partition(0), settings: LogFixture.smallSegments())
        try node.append(100, to: log)
        try node.manager.checkpoint()
        try log.truncate(to: Offset(30))
        for _ in 0..<80 {
            _ = try log.appendAsLeader(TestBatches.batch(), leaderEpoch: LeaderEpoch(1), durably: false)
        }
        node.manager.lane.flush()
        _ = node.disk.crash(&generator)
        try node.restart()
        let again = try #require(node.manager[partition(0)])
        #expect(again.logEndOffset >= Offset(30))
        #expect(again.damage.isEmpty)
    }

    @Test("a directory whose disk fails goes offline once; the others go on")
    func failure() throws {
        let node = try Node()
        let first = try node.manager.create(partition(0), settings: LogFixture.smallSegments())
        let second = try node.manager.create(partition(1), settings: LogFixture.smallSegments())
        #expect(first.directory !== second.directory)
        first.directory.fail(IOError(.sync, "disk", .inputOutput))
        first.directory.fail(IOError(.sync, "disk", .inputOutput))
        #expect(node.sink.lines(containing: "offline").count == 1)
        #expect(throws: LogError.self) {
            try first.appendAsLeader(TestBatches.batch(), leaderEpoch: LeaderEpoch(0), durably: true)
        }
        try node.append(10, to: second)
        #expect(second.syncedEndOffset == Offset(10))
        node.manager.maintain()
        try node.manager.checkpoint()
    }

    @Test("a directory in use, of another node or of another cluster is refused, with the remedy")
    func refusals() throws {
        let node = try Node(directories: ["/one"])
        func refusal(_ configuration: LogStoreConfiguration, _ fileSystem: SimulatedFileSystem) -> String {
            do {
                _ = try LogStore(
                    configuration, fileSystem: fileSystem, timeSource: node.clock, logger: .silent,
                    newID: { UniqueID(high: 1, low: 1000) })
                return "not refused"
            } catch {
                return "\(error)"
            }
        }
        #expect(refusal(node.configuration, node.fileSystem).contains("in use by another process"))
        var generator = SeededGenerator(seed: 1)
        node.disk.killProcesses(&generator)
        var other = node.configuration
        other.nodeID = 7
        #expect(refusal(other, node.disk.mount()).contains("set node.id = 1"))
        node.disk.killProcesses(&generator)
        other = node.configuration
        other.clusterID = "another"
        #expect(refusal(other, node.disk.mount()).contains("belongs to cluster"))
    }

    @Test("a deleted log is gone at once, its files after the delay")
    func deletion() throws {
        let node = try Node(directories: ["/one"])
        var settings = LogFixture.smallSegments()
        settings.fileDeleteDelayMilliseconds = 60_000
        let log = try node.manager.create(partition(0), settings: settings)
        try node.append(10, to: log)
        try node.manager.delete(partition(0), id: (1, 2))
        #expect(node.manager[partition(0)] == nil)
        let again = try node.manager.create(partition(0), settings: settings)
        #expect(again.logEndOffset == .zero)
        func directories() throws -> Int {
            try node.fileSystem.contents(ofDirectory: "/one").filter { $0.kind == .directory }.count
        }
        #expect(try directories() == 2)
        node.manager.maintain()
        #expect(try directories() == 2)
        node.clock.advance(milliseconds: 61_000)
        node.manager.maintain()
        #expect(try directories() == 1)
    }
}
