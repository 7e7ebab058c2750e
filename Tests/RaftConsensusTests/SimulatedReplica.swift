import Base
@_spi(Canaries) import RaftConsensus

/// A node of the simulation: its disk, and its process while it runs.
final class SimulatedReplica {
    let id: Int32
    var directory: RaftDirectoryID
    var disk: SimulatedReplicaDisk
    var node: RaftNode?
    /// Counts the processes: what belonged to an earlier one comes to nothing.
    var life = 0
    /// What its clock is ahead, in nanoseconds.
    var clockSkew: Int64 = 0
    /// The state machine: all committed up to an offset, as a hash.
    var applied = (offset: RaftOffset(0), state: UInt64(0))
    var highWatermark: RaftOffset = 0
    /// When its next tick is planned; in nanoseconds.
    var tickTime = Int64.max
    var slowness: Int64 = 1
    /// What its disk was last reported to have.
    var keptPromise = QuorumPromise()
    /// What was on the disks that it has lost.
    var lostDisks: [ReplicaKey: LogImage] = [:]
    /// Whether its log has been cut since what it knows of it was compared with it.
    var isToBeCompared = false

    init(id: Int32, directory: RaftDirectoryID, voters: Quorum) {
        self.id = id
        self.directory = directory
        disk = SimulatedReplicaDisk(voters: voters)
    }

    var key: ReplicaKey { ReplicaKey(id: id, directoryID: directory) }
    var isLeader: Bool { node?.role == .leader }

    func start(
        _ configuration: RaftConfiguration, _ generator: SeededGenerator, now: Int64, ignoring: SafetyRule?
    ) {
        life += 1
        tickTime = .max
        isToBeCompared = false
        let image = disk.written
        applied = (image.start.offset, image.startChain)
        if let id = disk.latestSnapshot, let snapshot = disk.snapshots[id], id.offset > applied.offset,
            image.chain(at: id.offset) != nil
        {
            applied = (id.offset, snapshot.chain)
        }
        highWatermark = 0
        node = RaftNode(
            replica: key, promise: disk.promise, log: image.view(snapshot: disk.latestSnapshot),
            configuration: configuration, generator: generator, now: .nanoseconds(now + clockSkew),
            ignoring: ignoring)
    }

    func stop() {
        life += 1
        node = nil
    }
}
