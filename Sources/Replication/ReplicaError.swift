public import LogStorage
public import RecordFormat

/// Why a replica did not do what it was asked. The broker maps each case to one Kafka error code, named with
/// it.
public enum ReplicaError: Error, Sendable {
    /// UNKNOWN_TOPIC_OR_PARTITION: this broker holds no such partition (any more).
    case unknownPartition(TopicPartition)
    /// KAFKA_STORAGE_ERROR: the partition is here, but its log could not be opened or its disk failed.
    case offline(TopicPartition, reason: String)
    /// FENCED_LEADER_EPOCH: who asks has missed an election (KIP-320).
    case fencedLeaderEpoch(TopicPartition, asked: LeaderEpoch, current: LeaderEpoch)
    /// UNKNOWN_LEADER_EPOCH: who asks knows of an election that this broker has not heard of yet.
    case unknownLeaderEpoch(TopicPartition, asked: LeaderEpoch, current: LeaderEpoch)
    /// NOT_ENOUGH_REPLICAS: fewer replicas are in sync than `min.insync.replicas` asks for.
    case notEnoughReplicas(TopicPartition, inSync: Int, needed: Int)
    /// NOT_LEADER_OR_FOLLOWER: the partition was handed to another broker while the request waited.
    case notLeader(TopicPartition)
    /// What the log said.
    case log(TopicPartition, LogError)
}

extension ReplicaError {
    /// Whether the same may go through later, without anybody doing something about this partition.
    var mayPass: Bool {
        switch self {
        case .log(_, .noSpace), .log(_, .tooManyOpenFiles): true
        default: false
        }
    }
}

extension ReplicaError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unknownPartition(let partition): "partition \(partition) is not on this broker"
        case .offline(let partition, let reason): "partition \(partition) is offline: \(reason)"
        case .fencedLeaderEpoch(let partition, let asked, let current):
            "partition \(partition) is in leader epoch \(current), the request is of the older epoch \(asked)"
        case .unknownLeaderEpoch(let partition, let asked, let current):
            "partition \(partition) is in leader epoch \(current), the request is of the later epoch \(asked)"
        case .notEnoughReplicas(let partition, let inSync, let needed):
            """
            partition \(partition) has \(inSync) in-sync replicas, min.insync.replicas asks for \(needed); \
            lower it for the topic, or add replicas
            """
        case .notLeader(let partition): "this broker does not lead partition \(partition) any more"
        case .log(let partition, let error): "partition \(partition): \(error)"
        }
    }
}
