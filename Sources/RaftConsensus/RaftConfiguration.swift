/// Time-outs and limits of a quorum's member. All members should have the same.
public struct RaftConfiguration: Hashable, Sendable {
    /// A follower that has not heard from its leader for so long, and up to a quarter longer, asks for votes.
    /// A leader from which no majority has fetched for one and a half times as long steps down.
    public var fetchTimeout: Duration
    /// How long to wait for votes, at least; at most twice as long, drawn anew each time.
    public var electionTimeout: Duration
    /// The most that a candidate that has been refused waits before it tries again.
    public var electionBackoff: Duration
    /// An answer that has not come by then is given up.
    public var requestTimeout: Duration
    /// The pause after an answer that was of no use.
    public var retryBackoff: Duration
    /// How long a leader may hold a fetch that it has nothing for. Well below `fetchTimeout`.
    public var fetchMaximumWait: Duration
    /// A replica may become a voter when it was at the log's end so recently.
    public var caughtUpWithin: Duration
    /// The leader takes no further records while so many are not committed.
    public var maximumUncommittedRecords: Int64
    /// Replicas that a leader keeps in mind beside the voters.
    public var maximumObservers: Int
    /// An observer that has not fetched for so long is forgotten.
    public var observerTimeout: Duration
    /// Nodes to ask for the leader while no voters are known.
    public var bootstrapNodes: [Int32]

    public init(
        fetchTimeout: Duration = .milliseconds(500), electionTimeout: Duration = .milliseconds(250),
        electionBackoff: Duration = .milliseconds(100), requestTimeout: Duration = .milliseconds(500),
        retryBackoff: Duration = .milliseconds(20), fetchMaximumWait: Duration = .milliseconds(200),
        caughtUpWithin: Duration = .seconds(10), maximumUncommittedRecords: Int64 = 1 << 20,
        maximumObservers: Int = 10_000, observerTimeout: Duration = .seconds(300),
        bootstrapNodes: [Int32] = []
    ) {
        self.fetchTimeout = fetchTimeout
        self.electionTimeout = electionTimeout
        self.electionBackoff = electionBackoff
        self.requestTimeout = requestTimeout
        self.retryBackoff = retryBackoff
        self.fetchMaximumWait = fetchMaximumWait
        self.caughtUpWithin = caughtUpWithin
        self.maximumUncommittedRecords = maximumUncommittedRecords
        self.maximumObservers = maximumObservers
        self.observerTimeout = observerTimeout
        self.bootstrapNodes = bootstrapNodes
    }

    /// After so long without fetches of a majority a leader steps down.
    var checkQuorumTimeout: Duration { fetchTimeout + fetchTimeout / 2 }
}
