/// A fetch that waits at the leader for something to answer.
struct ParkedFetch: Hashable, Sendable {
    let request: RequestNumber
    let offset: RaftOffset
    /// What the replica knows to be committed.
    let highWatermark: RaftOffset
    let deadline: Duration
}

/// What a leader knows of another replica, a voter or an observer.
struct FollowerProgress: Hashable, Sendable {
    /// All before it is synced by the replica and the same as the leader's. Nil before its first fetch that
    /// agreed. It does not go down: what a replica has synced of this leader's log it keeps, and a fetch that
    /// comes late says only what was true before.
    private(set) var endOffset: RaftOffset?
    /// When it last fetched in this epoch.
    private(set) var lastFetch: Duration?
    /// When it last had all that the leader had.
    private(set) var lastCaughtUp: Duration?
    private var leaderEndAtLastFetch: RaftOffset?
    var parked: ParkedFetch?

    /// It asked for something, whatever it was.
    mutating func heard(at now: Duration) { lastFetch = now }

    /// It fetched from `offset`, up to which its log agrees.
    mutating func fetched(from offset: RaftOffset, leaderEnd: RaftOffset, at now: Duration) {
        if offset >= leaderEnd {
            lastCaughtUp = now
        } else if let before = leaderEndAtLastFetch, let lastFetch, offset >= before {
            // It had at `lastFetch` what the leader had then.
            lastCaughtUp = max(lastCaughtUp ?? lastFetch, lastFetch)
        }
        leaderEndAtLastFetch = leaderEnd
        lastFetch = now
        endOffset = max(endOffset ?? offset, offset)
    }
}

/// A leader's own state.
struct Leadership: Hashable, Sendable {
    /// The offset of the record that began the epoch.
    let epochStart: RaftOffset
    let since: Duration
    var progress: [ReplicaKey: FollowerProgress] = [:]
    /// When voters that do not fetch are told next who leads.
    var nextAnnouncement: Duration

    /// What is known of a voter; its disk counts where the quorum knows it.
    func progress(of voter: Voter) -> FollowerProgress? {
        if voter.key.directoryID != nil { return progress[voter.key] }
        // Where disks are not known, the node's latest is taken.
        return progress.filter { $0.key.id == voter.key.id }.values
            .max { ($0.lastFetch ?? .zero) < ($1.lastFetch ?? .zero) }
    }
}
