// Messages carry the facts of Kafka's requests, which whoever runs a node maps to the wire:
//
//   message                          Kafka's request                    from               to
//   vote                             Vote (KIP-595, 853, 996)           a candidate        every other voter
//   beginQuorumEpoch                 BeginQuorumEpoch                   a new leader       those not fetching
//   endQuorumEpoch                   EndQuorumEpoch                     a leader that goes every other voter
//   fetch                            Fetch of __cluster_metadata-0      any replica        the leader
//   fetchSnapshot                    FetchSnapshot (KIP-630)            a replica far behind the leader
//
// AddRaftVoter, RemoveRaftVoter and UpdateRaftVoter are `propose` of a `VoterChange`, DescribeQuorum is
// `describeQuorum`: people and other nodes ask them of the leader, and Raft sends neither.

/// Ties an answer to its request: unique among a node's requests, over restarts too.
public struct RequestNumber: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Why a request was refused; the wire has an error code for each.
public enum RaftError: Hashable, Sendable {
    /// The request's epoch is over.
    case fencedLeaderEpoch
    /// The request's epoch has not come to this node yet.
    case unknownLeaderEpoch
    case notLeaderOrFollower
    /// The voter that was meant had another disk.
    case invalidVoterKey
    case snapshotNotFound
    /// The chunk does not lie in the snapshot.
    case positionOutOfRange
}

/// What every answer says about the quorum.
public struct AnswerHeader: Hashable, Sendable {
    public var error: RaftError?
    public var epoch: RaftEpoch
    /// The leader of that epoch, if it is known.
    public var leaderID: Int32?

    public init(error: RaftError? = nil, epoch: RaftEpoch, leaderID: Int32?) {
        self.error = error
        self.epoch = epoch
        self.leaderID = leaderID
    }
}

/// Asks for a vote in `epoch`; in a pre-vote, whether there would be one in the epoch after (KIP-996).
public struct VoteRequest: Hashable, Sendable {
    public var epoch: RaftEpoch
    public var candidate: ReplicaKey
    /// Whom the candidate takes the receiver for.
    public var voter: ReplicaKey
    /// Where the candidate's log ends.
    public var logEnd: OffsetAndEpoch
    public var isPreVote: Bool

    public init(
        epoch: RaftEpoch, candidate: ReplicaKey, voter: ReplicaKey, logEnd: OffsetAndEpoch, isPreVote: Bool
    ) {
        self.epoch = epoch
        self.candidate = candidate
        self.voter = voter
        self.logEnd = logEnd
        self.isPreVote = isPreVote
    }
}

/// A vote, or none. `isPreVote` is the request's: the wire leaves it out, who asked knows it.
public struct VoteAnswer: Hashable, Sendable {
    public var header: AnswerHeader
    public var isGranted: Bool
    public var isPreVote: Bool

    public init(header: AnswerHeader, isGranted: Bool, isPreVote: Bool) {
        self.header = header
        self.isGranted = isGranted
        self.isPreVote = isPreVote
    }
}

/// A leader tells that it leads.
public struct BeginQuorumEpochRequest: Hashable, Sendable {
    public var epoch: RaftEpoch
    public var leaderID: Int32
    /// Whom the leader takes the receiver for.
    public var voter: ReplicaKey

    public init(epoch: RaftEpoch, leaderID: Int32, voter: ReplicaKey) {
        self.epoch = epoch
        self.leaderID = leaderID
        self.voter = voter
    }
}

/// A leader tells that it stops leading.
public struct EndQuorumEpochRequest: Hashable, Sendable {
    public var epoch: RaftEpoch
    public var leaderID: Int32
    /// The other voters, those with the most of the log first.
    public var preferredSuccessors: [ReplicaKey]

    public init(epoch: RaftEpoch, leaderID: Int32, preferredSuccessors: [ReplicaKey]) {
        self.epoch = epoch
        self.leaderID = leaderID
        self.preferredSuccessors = preferredSuccessors
    }
}

/// A replica asks for what comes after its log, and so tells how much of it is on its stable storage.
public struct FetchRequest: Hashable, Sendable {
    public var epoch: RaftEpoch
    public var replica: ReplicaKey
    /// Where the replica's log ends: the fetch offset and the last fetched epoch.
    public var logEnd: OffsetAndEpoch
    public var highWatermark: RaftOffset
    /// How long the leader may wait for something to answer.
    public var maximumWait: Duration

    public init(
        epoch: RaftEpoch, replica: ReplicaKey, logEnd: OffsetAndEpoch, highWatermark: RaftOffset,
        maximumWait: Duration
    ) {
        self.epoch = epoch
        self.replica = replica
        self.logEnd = logEnd
        self.highWatermark = highWatermark
        self.maximumWait = maximumWait
    }
}

/// The records of a fetch's answer.
public enum FetchedRecords: Hashable, Sendable {
    case none
    /// On the way out: the shell reads them when it sends, from `from` on, what fits, none at or after
    /// `below`.
    case read(from: RaftOffset, below: RaftOffset)
    /// On the way in.
    case batches([RaftBatch])
}

/// A fetch's answer: records, or where the logs diverge, or the snapshot to fetch instead.
public struct FetchAnswer: Hashable, Sendable {
    public var header: AnswerHeader
    public var highWatermark: RaftOffset
    public var divergingEpoch: OffsetAndEpoch?
    public var snapshot: SnapshotID?
    public var records: FetchedRecords

    public init(
        header: AnswerHeader, highWatermark: RaftOffset, divergingEpoch: OffsetAndEpoch? = nil,
        snapshot: SnapshotID? = nil, records: FetchedRecords = .none
    ) {
        self.header = header
        self.highWatermark = highWatermark
        self.divergingEpoch = divergingEpoch
        self.snapshot = snapshot
        self.records = records
    }
}

/// Asks for the bytes of a snapshot from a position on.
public struct FetchSnapshotRequest: Hashable, Sendable {
    public var epoch: RaftEpoch
    public var replica: ReplicaKey
    public var snapshot: SnapshotID
    public var position: Int64

    public init(epoch: RaftEpoch, replica: ReplicaKey, snapshot: SnapshotID, position: Int64) {
        self.epoch = epoch
        self.replica = replica
        self.snapshot = snapshot
        self.position = position
    }
}

/// The bytes of a snapshot's answer.
public enum SnapshotChunk: Hashable, Sendable {
    case none
    /// On the way out: the shell reads them when it sends, or answers `snapshotNotFound`.
    case read(SnapshotID, position: Int64)
    /// On the way in. `size` is the whole snapshot's.
    case bytes([UInt8], position: Int64, size: Int64)
}

/// A part of a snapshot.
public struct FetchSnapshotAnswer: Hashable, Sendable {
    public var header: AnswerHeader
    public var snapshot: SnapshotID
    public var chunk: SnapshotChunk

    public init(header: AnswerHeader, snapshot: SnapshotID, chunk: SnapshotChunk = .none) {
        self.header = header
        self.snapshot = snapshot
        self.chunk = chunk
    }
}

/// A message between two nodes. It may be lost, doubled, late or overtaken.
public struct RaftMessage: Hashable, Sendable {
    /// A request or an answer.
    public enum Body: Hashable, Sendable {
        case vote(VoteRequest)
        case voteAnswer(VoteAnswer)
        case beginQuorumEpoch(BeginQuorumEpochRequest)
        case beginQuorumEpochAnswer(AnswerHeader)
        case endQuorumEpoch(EndQuorumEpochRequest)
        case endQuorumEpochAnswer(AnswerHeader)
        case fetch(FetchRequest)
        case fetchAnswer(FetchAnswer)
        case fetchSnapshot(FetchSnapshotRequest)
        case fetchSnapshotAnswer(FetchSnapshotAnswer)
    }

    public var sender: Int32
    public var receiver: Int32
    /// An answer has its request's.
    public var request: RequestNumber
    public var body: Body

    public init(sender: Int32, receiver: Int32, request: RequestNumber, body: Body) {
        self.sender = sender
        self.receiver = receiver
        self.request = request
        self.body = body
    }
}
