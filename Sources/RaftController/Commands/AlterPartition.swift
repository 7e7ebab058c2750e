public import ClusterMetadata
internal import KafkaProtocol
public import RecordFormat

/// A leader says which replicas are in sync with it (KIP-497, KIP-841).
public struct AlterPartition: ControllerCommand {
    /// What the leader of one partition says.
    public struct Change: Hashable, Sendable {
        public var topicID: TopicID
        public var partition: Int32
        public var leaderEpoch: LeaderEpoch
        public var partitionEpoch: Int32
        /// With the epochs of their brokers; nil: not known.
        public var inSyncReplicas: [Int32: Int64?]
        public var leaderRecoveryState: LeaderRecoveryState

        public init(
            topicID: TopicID, partition: Int32, leaderEpoch: LeaderEpoch, partitionEpoch: Int32,
            inSyncReplicas: [Int32: Int64?], leaderRecoveryState: LeaderRecoveryState = .recovered
        ) {
            self.topicID = topicID
            self.partition = partition
            self.leaderEpoch = leaderEpoch
            self.partitionEpoch = partitionEpoch
            self.inSyncReplicas = inSyncReplicas
            self.leaderRecoveryState = leaderRecoveryState
        }
    }

    /// A partition as it is after the change.
    public struct AlteredPartition: Hashable, Sendable {
        public let leader: Int32
        public let leaderEpoch: LeaderEpoch
        public let inSyncReplicas: [Int32]
        public let leaderRecoveryState: LeaderRecoveryState
        public let partitionEpoch: Int32

        init(_ partition: PartitionImage) {
            leader = partition.leader
            leaderEpoch = partition.leaderEpoch
            inSyncReplicas = partition.inSyncReplicas
            leaderRecoveryState = partition.leaderRecoveryState
            partitionEpoch = partition.partitionEpoch
        }
    }

    private struct Place: Hashable {
        let topicID: TopicID
        let partition: Int32
    }

    /// What became of the change of one partition.
    public struct PartitionOutcome: Sendable {
        public let topicID: TopicID
        public let partition: Int32
        public let result: Result<AlteredPartition, CommandRefusal>
    }

    public var brokerID: Int32
    public var brokerEpoch: Int64
    public var changes: [Change]

    public init(brokerID: Int32, brokerEpoch: Int64, changes: [Change]) {
        self.brokerID = brokerID
        self.brokerEpoch = brokerEpoch
        self.changes = changes
    }

    /// The outcomes are in the order of the changes.
    public func decide(
        _ image: MetadataImage, _ context: inout DecisionContext
    ) throws(CommandRefusal) -> Decision<[PartitionOutcome]> {
        _ = try RegisteredBroker.find(brokerID, epoch: brokerEpoch, image)
        try context.checkCount(changes.count)
        var records: [MetadataRecord] = []
        var outcomes: [PartitionOutcome] = []
        var named: Set<Place> = []
        for change in changes {
            var result: Result<AlteredPartition, CommandRefusal>
            do throws(CommandRefusal) {
                guard named.insert(Place(topicID: change.topicID, partition: change.partition)).inserted
                else { throw CommandRefusal(.invalidRequest, "the partition is named more than once") }
                let record = try self.record(change, image)
                records.append(.partitionChange(record))
                result = .success(AlteredPartition(try partition(change, image).applying(record)))
            } catch {
                result = .failure(error)
            }
            outcomes.append(
                PartitionOutcome(topicID: change.topicID, partition: change.partition, result: result))
        }
        return Decision(outcomes, records: records)
    }

    private func partition(
        _ change: Change, _ image: MetadataImage
    ) throws(CommandRefusal) -> PartitionImage {
        guard image.topics[change.topicID] != nil else {
            throw CommandRefusal(.unknownTopicID, "there is no topic with the ID \(change.topicID)")
        }
        guard let partition = image.topics[change.topicID, change.partition] else {
            throw CommandRefusal(
                .unknownTopicOrPartition,
                "topic \(change.topicID) has no partition \(change.partition)")
        }
        return partition
    }

    private func record(
        _ change: Change, _ image: MetadataImage
    ) throws(CommandRefusal) -> PartitionChangeRecord {
        let partition = try partition(change, image)
        let replicas = try checkedReplicas(change, partition, image)
        var record = PartitionChangeRecord(
            partitionID: change.partition, topicID: change.topicID, inSyncReplicas: replicas)
        // A smaller set in sync is a new epoch, so that a leader that has not heard of it is fenced.
        let shrinks = !Set(partition.inSyncReplicas).isSubset(of: replicas)
        if shrinks, partition.leader != PartitionImage.noLeader { record.leader = partition.leader }
        if change.leaderRecoveryState != partition.leaderRecoveryState {
            record.leaderRecoveryState = change.leaderRecoveryState.rawValue
        }
        return record
    }

    private func checkedReplicas(
        _ change: Change, _ partition: PartitionImage, _ image: MetadataImage
    ) throws(CommandRefusal) -> [Int32] {
        if change.leaderEpoch > partition.leaderEpoch {
            throw CommandRefusal(
                .notController,
                "leader epoch \(change.leaderEpoch) is not known here, only \(partition.leaderEpoch)")
        }
        if change.leaderEpoch < partition.leaderEpoch {
            throw CommandRefusal(
                .fencedLeaderEpoch,
                "leader epoch \(change.leaderEpoch) is over, \(partition.leaderEpoch) has begun")
        }
        guard partition.leader == brokerID else {
            throw CommandRefusal(
                .invalidRequest, "broker \(brokerID) does not lead it, broker \(partition.leader) does")
        }
        guard change.partitionEpoch == partition.partitionEpoch else {
            throw CommandRefusal(
                change.partitionEpoch > partition.partitionEpoch ? .notController : .invalidUpdateVersion,
                "partition epoch \(change.partitionEpoch) is not the present one, "
                    + "\(partition.partitionEpoch)")
        }
        let named = change.inSyncReplicas
        guard !named.isEmpty, named.keys.allSatisfy({ partition.replicas.contains($0) }),
            named.keys.contains(brokerID)
        else {
            throw CommandRefusal(
                .invalidRequest,
                "the replicas in sync must be some of \(partition.replicas), the leader among them")
        }
        if change.leaderRecoveryState == .recovering {
            guard partition.leaderRecoveryState == .recovering else {
                throw CommandRefusal(.invalidRequest, "a leader that has recovered does not recover again")
            }
            guard named.count == 1 else {
                throw CommandRefusal(.invalidRequest, "while the leader recovers it alone is in sync")
            }
        }
        for (id, epoch) in named.sorted(by: { $0.key < $1.key }) where id != brokerID {
            guard let broker = image.brokers[id], broker.isActive, (epoch ?? broker.epoch) == broker.epoch
            else {
                throw CommandRefusal(
                    .ineligibleReplica, "broker \(id) is fenced, stopping, or was started anew")
            }
        }
        return partition.replicas.filter { named.keys.contains($0) }
    }
}
