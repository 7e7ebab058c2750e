public import KafkaProtocol
public import RecordFormat

/// Whether a leader was elected from the replicas in sync, or has to be taken as it is (KIP-704).
public enum LeaderRecoveryState: Int8, Sendable {
    case recovered = 0
    case recovering = 1
}

/// What the metadata says about a partition.
public struct PartitionImage: Equatable, Sendable {
    /// Node IDs, the preferred leader first.
    public internal(set) var replicas: [Int32]
    /// Node IDs of the replicas in sync (ISR). Never empty.
    public internal(set) var inSyncReplicas: [Int32]
    /// In which log directory each replica lies, in the order of `replicas`.
    public internal(set) var directories: [DirectoryID]
    /// Node ID, `noLeader` while there is none.
    public internal(set) var leader: Int32
    /// Grows with each election.
    public internal(set) var leaderEpoch: LeaderEpoch
    /// Grows with each change of the partition.
    public internal(set) var partitionEpoch: Int32
    public internal(set) var leaderRecoveryState: LeaderRecoveryState
    /// What few partitions have at any time; a class, so that the many others pay one word for it.
    private var rare: Rare?

    /// In place of a leader's node ID.
    public static let noLeader: Int32 = -1
    /// In place of a leader's node ID in a change that elects nobody.
    static let leaderStays: Int32 = -2

    private final class Rare: Equatable, Sendable {
        let removingReplicas: [Int32]
        let addingReplicas: [Int32]
        let eligibleLeaders: [Int32]
        let lastKnownLeaders: [Int32]

        /// Nil when all are empty.
        init?(removing: [Int32], adding: [Int32], eligible: [Int32], lastKnown: [Int32]) {
            if removing.isEmpty && adding.isEmpty && eligible.isEmpty && lastKnown.isEmpty { return nil }
            removingReplicas = removing
            addingReplicas = adding
            eligibleLeaders = eligible
            lastKnownLeaders = lastKnown
        }

        static func == (left: Rare, right: Rare) -> Bool {
            left.removingReplicas == right.removingReplicas && left.addingReplicas == right.addingReplicas
                && left.eligibleLeaders == right.eligibleLeaders
                && left.lastKnownLeaders == right.lastKnownLeaders
        }
    }

    /// Replicas that a reassignment takes away (KIP-455).
    public var removingReplicas: [Int32] { rare?.removingReplicas ?? [] }
    /// Replicas that a reassignment adds (KIP-455).
    public var addingReplicas: [Int32] { rare?.addingReplicas ?? [] }
    /// Replicas not in sync that may become leader all the same (KIP-966).
    public var eligibleLeaders: [Int32] { rare?.eligibleLeaders ?? [] }
    /// Who was eligible last (KIP-966).
    public var lastKnownLeaders: [Int32] { rare?.lastKnownLeaders ?? [] }

    init(_ record: PartitionRecord, like other: PartitionImage?) {
        replicas = Self.share(record.replicas, other?.replicas)
        inSyncReplicas = Self.share(record.inSyncReplicas, replicas)
        let places =
            record.directories.isEmpty
            ? [DirectoryID](repeating: .unassigned, count: record.replicas.count) : record.directories
        directories = Self.share(places, other?.directories)
        leader = record.leader
        leaderEpoch = record.leaderEpoch
        partitionEpoch = record.partitionEpoch
        leaderRecoveryState = LeaderRecoveryState(rawValue: record.leaderRecoveryState) ?? .recovered
        rare = Rare(
            removing: record.removingReplicas, adding: record.addingReplicas,
            eligible: record.eligibleLeaderReplicas ?? [],
            lastKnown: record.lastKnownEligibleLeaderReplicas ?? [])
    }

    /// The memory of the other where both say the same: neighbouring partitions often do.
    private static func share<Value: Equatable>(_ value: [Value], _ other: [Value]?) -> [Value] {
        guard let other, other == value else { return value }
        return other
    }

    /// Takes over what a change says. The leader epoch grows when it names a leader, be it the same one.
    mutating func apply(_ change: PartitionChangeRecord) {
        if let replicas = change.replicas {
            moveDirectories(to: replicas)
            self.replicas = replicas
        }
        if let inSync = change.inSyncReplicas { inSyncReplicas = Self.share(inSync, replicas) }
        if let directories = change.directories, directories.count == replicas.count {
            self.directories = directories
        }
        if change.leader != Self.leaderStays {
            leader = change.leader
            leaderEpoch = LeaderEpoch(leaderEpoch.rawValue &+ 1)
        }
        partitionEpoch &+= 1
        if let state = LeaderRecoveryState(rawValue: change.leaderRecoveryState) {
            leaderRecoveryState = state
        }
        if rare != nil || change.removingReplicas != nil || change.addingReplicas != nil
            || change.eligibleLeaderReplicas != nil || change.lastKnownEligibleLeaderReplicas != nil
        {
            rare = Rare(
                removing: change.removingReplicas ?? removingReplicas,
                adding: change.addingReplicas ?? addingReplicas,
                eligible: change.eligibleLeaderReplicas ?? eligibleLeaders,
                lastKnown: change.lastKnownEligibleLeaderReplicas ?? lastKnownLeaders)
        }
    }

    /// The partition as it is after a change.
    public func applying(_ change: PartitionChangeRecord) -> PartitionImage {
        var result = self
        result.apply(change)
        return result
    }

    /// Replicas that stay keep their directories.
    private mutating func moveDirectories(to newReplicas: [Int32]) {
        directories = newReplicas.map { replica in
            guard let place = replicas.firstIndex(of: replica), place < directories.count else {
                return .unassigned
            }
            return directories[place]
        }
    }

    /// The record that makes this image.
    func record(
        topicID: TopicID, partition: Int32, _ version: MetadataVersion
    ) -> PartitionRecord {
        let hasEligible = version >= .withEligibleLeaders
        return PartitionRecord(
            partitionID: partition, topicID: topicID, replicas: replicas, inSyncReplicas: inSyncReplicas,
            removingReplicas: removingReplicas, addingReplicas: addingReplicas, leader: leader,
            leaderRecoveryState: leaderRecoveryState.rawValue, leaderEpoch: leaderEpoch,
            partitionEpoch: partitionEpoch, directories: version.hasDirectories ? directories : [],
            eligibleLeaderReplicas: hasEligible && !eligibleLeaders.isEmpty ? eligibleLeaders : nil,
            lastKnownEligibleLeaderReplicas: hasEligible && !lastKnownLeaders.isEmpty
                ? lastKnownLeaders : nil)
    }
}
