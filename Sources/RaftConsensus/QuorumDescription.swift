/// What a leader knows of a replica (DescribeQuorum).
public struct ReplicaStatus: Hashable, Sendable {
    public var key: ReplicaKey
    /// Up to where it has the log, synced; nil before it has fetched in this epoch.
    public var logEndOffset: RaftOffset?
    /// When it last fetched, and when it last had all that the leader had; nil: not in this epoch.
    public var lastFetch: Duration?
    public var lastCaughtUp: Duration?
}

/// The quorum as its leader sees it (DescribeQuorum).
public struct QuorumDescription: Hashable, Sendable {
    public var leaderID: Int32
    public var epoch: RaftEpoch
    public var highWatermark: RaftOffset
    public var voters: [ReplicaStatus]
    /// In the order of their IDs.
    public var observers: [ReplicaStatus]
}

extension RaftNode {
    /// What the quorum looks like at `now`; nil on a node that does not lead.
    public func describeQuorum(now: Duration) -> QuorumDescription? {
        guard let leadership else { return nil }
        let quorum = log.voters.quorum
        func status(_ key: ReplicaKey, _ progress: FollowerProgress?) -> ReplicaStatus {
            if key.id == replica.id {
                return ReplicaStatus(
                    key: replica, logEndOffset: log.endOffset, lastFetch: now, lastCaughtUp: now)
            }
            return ReplicaStatus(
                key: key, logEndOffset: progress?.endOffset, lastFetch: progress?.lastFetch,
                lastCaughtUp: progress?.lastCaughtUp)
        }
        let observers = leadership.progress.filter { !quorum.contains($0.key) }
            .map { status($0.key, $0.value) }
            .sorted { ($0.key.id, $0.key.description) < ($1.key.id, $1.key.description) }
        return QuorumDescription(
            leaderID: replica.id, epoch: promise.epoch, highWatermark: highWatermark,
            voters: quorum.voters.map { status($0.key, leadership.progress(of: $0)) }, observers: observers)
    }
}
