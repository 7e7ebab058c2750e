import Base
import LogStorage
import RecordFormat
import SimulationKit
import SystemIO

@testable import Replication

/// A lane's replicas on a simulated disk.
final class ReplicaFixture {
    let clock = SimulatedClock()
    let disk: SimulatedDisk
    let queue: SimulatedAppendQueue
    let lane: LogLane
    let store: LogStore
    let manager: ReplicaManager
    let sink = RecordingLogSink()

    static let partition = TopicPartition(topic: "events", partition: 0)
    static let topicID = TopicID(UniqueID(high: 7, low: 7))

    init(seed: UInt64 = 1) throws {
        disk = SimulatedDisk(clock: clock)
        let fileSystem = disk.mount()
        var next = seed
        let logger = Logger(component: "test", minimumLevel: .debug, sink: sink)
        store = try LogStore(
            LogStoreConfiguration(directoryPaths: ["/data"]), fileSystem: fileSystem, timeSource: clock,
            logger: logger
        ) {
            next += 1
            return UniqueID(high: next, low: next)
        }
        queue = SimulatedAppendQueue(fileSystem, seed: seed)
        lane = LogLane(queue: queue, timeSource: clock)
        var name: UInt64 = 1000
        manager = ReplicaManager(logs: LogManager(store: store, lane: lane), logger: logger) {
            name += 1
            return UniqueID(high: name, low: name)
        }
    }

    func assignment(
        _ partition: TopicPartition = ReplicaFixture.partition, topicID: TopicID = ReplicaFixture.topicID,
        leaderEpoch: Int32 = 0, durability: AckDurability = .synced, minimumInSyncReplicas: Int = 1
    ) -> PartitionAssignment {
        var settings = LogConfiguration()
        settings.durability = durability
        settings.segmentByteCount = 16 << 10
        settings.fileDeleteDelayMilliseconds = 0
        return PartitionAssignment(
            partition: partition, topicID: topicID, leaderEpoch: LeaderEpoch(leaderEpoch), replicas: [1],
            inSyncReplicas: [1], minimumInSyncReplicas: minimumInSyncReplicas, settings: settings)
    }

    /// A partition that is led from now on.
    func lead(_ assignment: PartitionAssignment) throws -> LeaderReplica {
        manager.apply(assignment)
        return try manager.leader(of: assignment.partition)
    }

    /// Lets everything that is in flight come to its end.
    func settle() {
        lane.flush()
        while queue.pendingCount > 0 { lane.poll(waitNanoseconds: nil) }
    }
}

/// A request that notes what it is told.
final class RecordingWaiter: ProduceWaiter, FetchWaiter {
    private(set) var finished: [Int] = []
    private(set) var errors: [(part: Int, error: ReplicaError)] = []
    private(set) var advanced: [Int] = []
    var isFinished = false
    var onFinished: (() -> Void)?

    func appendFinished(part: Int, error: ReplicaError?) {
        if let error { errors.append((part, error)) } else { finished.append(part) }
        onFinished?()
    }

    func partitionAdvanced(part: Int) { advanced.append(part) }
}
