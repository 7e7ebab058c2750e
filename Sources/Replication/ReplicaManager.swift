public import Base
public import LogStorage
public import RecordFormat

/// The replicas of one lane: follows what the metadata says about them and finds the one that a request
/// names. Owned by the lane.
public final class ReplicaManager {
    public let logs: LogManager
    private let logger: Logger
    private let newID: () -> UniqueID
    private var replicas: [TopicPartition: State] = [:]

    private enum State {
        case leader(LeaderReplica)
        /// The log could not be made or opened. Boxed, so that a state is as cheap to copy as a reference.
        indirect case offline(reason: String)
    }

    /// What could not be done for want of room or descriptors, and is tried again.
    private var postponed: [TopicPartition: PartitionAssignment] = [:]

    /// Deleted partitions whose logs could not be put away yet.
    private var undeleted: Set<TopicPartition> = []

    /// - Parameter newID: 128 random bits, for the names of directories that wait to be deleted.
    public init(logs: LogManager, logger: Logger, newID: @escaping () -> UniqueID) {
        self.logs = logs
        self.logger = logger.named("replicas")
        self.newID = newID
    }

    /// All partitions that are led here, in no order.
    public var leaders: [LeaderReplica] {
        replicas.values.compactMap { if case .leader(let leader) = $0 { leader } else { nil } }
    }

    public var count: Int { replicas.count }

    // MARK: What metadata says

    /// Takes over what the metadata says about a partition that this lane holds: makes its log when there is
    /// none, or exchanges settings and epoch. A failure leaves the partition offline, with the reason, until
    /// the next call for it, or `retry`.
    public func apply(_ assignment: PartitionAssignment) {
        let partition = assignment.partition
        do throws(ReplicaError) {
            if case .leader(let leader) = replicas[partition] {
                if leader.topicID == assignment.topicID { return try leader.update(assignment) }
                // Deleted and created again while nobody looked.
                remove(partition)
            }
            replicas[partition] = .leader(
                try LeaderReplica(log: try log(for: assignment), assignment: assignment))
            postponed[partition] = nil
        } catch {
            // Once is enough of what is tried again and again.
            if postponed[partition] == nil {
                logger.log(
                    .error, "partition offline",
                    [LogField("partition", partition), LogField("reason", error)])
            }
            postponed[partition] = error.mayPass ? assignment : nil
            replicas[partition] = .offline(reason: "\(error)")
        }
    }

    /// Tries again what has failed for want of room on the disk or of descriptors: from time to time.
    public func retry() {
        for partition in undeleted { try? delete(partition) }
        for (partition, assignment) in postponed {
            apply(assignment)
            guard postponed[partition] == nil else { continue }
            logger.log(.info, "partition online", [LogField("partition", partition)])
        }
    }

    private func log(for assignment: PartitionAssignment) throws(ReplicaError) -> PartitionLog {
        if undeleted.contains(assignment.partition) {
            // The log that is there is of a topic that was deleted.
            do { try delete(assignment.partition) } catch { throw .log(assignment.partition, error) }
        }
        if let log = logs[assignment.partition] {
            log.updateConfiguration(assignment.settings)
            return log
        }
        do {
            return try logs.create(
                assignment.partition, topicID: assignment.topicID, settings: assignment.settings)
        } catch {
            throw .log(assignment.partition, error)
        }
    }

    /// The partition was deleted: whoever waits is told, its log goes.
    public func remove(_ partition: TopicPartition) {
        postponed[partition] = nil
        if case .leader(let leader) = replicas.removeValue(forKey: partition) {
            leader.end(.unknownPartition(partition))
        }
        do {
            try delete(partition)
        } catch {
            logger.log(
                .error, "log not deleted", [LogField("partition", partition), LogField("reason", error)])
        }
    }

    private func delete(_ partition: TopicPartition) throws(LogError) {
        undeleted.insert(partition)
        let id = newID()
        try logs.delete(partition, id: (id.high, id.low))
        undeleted.remove(partition)
    }

    /// A log that is in use has moved to another log directory.
    public func noteMoved(to log: PartitionLog) {
        if case .leader(let leader) = replicas[log.partition] { leader.move(to: log) }
    }

    // MARK: Requests

    /// The replica that leads `partition` here.
    ///
    /// - Parameter leaderEpoch: that the request believes in; nil or -1 asks nothing.
    public func leader(
        of partition: TopicPartition, leaderEpoch: LeaderEpoch? = nil
    ) throws(ReplicaError) -> LeaderReplica {
        switch replicas[partition] {
        case .leader(let leader):
            if let failure = leader.log.directory.failure {
                throw .offline(partition, reason: "\(failure)")
            }
            try leader.checkEpoch(leaderEpoch)
            return leader
        case .offline(let reason): throw .offline(partition, reason: reason)
        case nil: throw .unknownPartition(partition)
        }
    }

    /// Ends all leaderships: whoever waits is told, nothing is appended any more. The logs are closed by
    /// `LogManager.close`.
    public func close() {
        for leader in leaders { leader.end(.notLeader(leader.partition)) }
        replicas.removeAll()
    }
}
