internal import ClusterMetadata
internal import KafkaProtocol
internal import RecordFormat

/// Who leads a partition. A pure function.
enum LeaderElector {
    /// Finds the change that a partition needs when brokers come, go or change.
    ///
    /// - Parameters:
    ///   - inSync: the replicas in sync as they are to be; nil: as they are.
    ///   - isEligible: whether a broker may lead.
    ///   - allowsUnclean: whether a replica that is not in sync may lead when none that is can.
    ///   - keepsLeader: whether the leader stays where nobody can take its place.
    ///   - prefersFirst: whether the first replica leads if it can, though another one does.
    /// - Returns: nil when nothing changes.
    static func change(
        _ partition: PartitionImage, topicID: TopicID, number: Int32, inSync: [Int32]? = nil,
        isEligible: (Int32) -> Bool, allowsUnclean: Bool = false, keepsLeader: Bool = false,
        prefersFirst: Bool = false, bumpsEpoch: Bool = false
    ) -> PartitionChangeRecord? {
        var newInSync = inSync ?? partition.inSyncReplicas
        var leader = PartitionImage.noLeader
        var recovers = false
        let candidates = partition.replicas.filter { newInSync.contains($0) && isEligible($0) }
        if !prefersFirst, candidates.contains(partition.leader) {
            leader = partition.leader
        } else if let first = candidates.first {
            leader = first
        } else if allowsUnclean, let first = partition.replicas.first(where: isEligible) {
            leader = first
            newInSync = [first]
            recovers = true
        } else if keepsLeader {
            leader = partition.leader
        }
        // The last one in sync stays in sync, whatever becomes of it: it has what the others may lack.
        if newInSync.isEmpty { newInSync = partition.inSyncReplicas }

        var record = PartitionChangeRecord(partitionID: number, topicID: topicID)
        var changes = false
        if newInSync != partition.inSyncReplicas {
            record.inSyncReplicas = newInSync
            changes = true
        }
        // A smaller set in sync is a new epoch too, so that a leader that has not heard of it is fenced.
        let shrinks = !Set(partition.inSyncReplicas).subtracting(newInSync).isEmpty
        if leader != partition.leader || (shrinks && leader != PartitionImage.noLeader)
            || (bumpsEpoch && leader != PartitionImage.noLeader)
        {
            record.leader = leader
            changes = true
        }
        let state: LeaderRecoveryState = recovers ? .recovering : partition.leaderRecoveryState
        if state != partition.leaderRecoveryState {
            record.leaderRecoveryState = state.rawValue
            changes = true
        }
        return changes ? record : nil
    }
}
