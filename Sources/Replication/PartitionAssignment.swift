public import LogStorage
public import RecordFormat

/// What the cluster's metadata says about a partition that this broker holds a replica of.
public struct PartitionAssignment: Sendable, Equatable {
    public let partition: TopicPartition
    public let topicID: TopicID
    public var leaderEpoch: LeaderEpoch
    /// Node IDs of all replicas, the preferred leader first.
    public var replicas: [Int32]
    /// Node IDs of the replicas that are in sync (ISR).
    public var inSyncReplicas: [Int32]
    /// `min.insync.replicas`, as the topic says it.
    public var minimumInSyncReplicas: Int
    public var settings: LogConfiguration

    public init(
        partition: TopicPartition, topicID: TopicID, leaderEpoch: LeaderEpoch, replicas: [Int32],
        inSyncReplicas: [Int32], minimumInSyncReplicas: Int, settings: LogConfiguration
    ) {
        self.partition = partition
        self.topicID = topicID
        self.leaderEpoch = leaderEpoch
        self.replicas = replicas
        self.inSyncReplicas = inSyncReplicas
        self.minimumInSyncReplicas = minimumInSyncReplicas
        self.settings = settings
    }
}
