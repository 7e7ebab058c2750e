/// Where records that were proposed will stand, if they come to be committed: as soon as the high watermark
/// has passed `endOffset` while the node has led in `epoch` without a break.
public struct Proposal: Hashable, Sendable {
    public let baseOffset: RaftOffset
    public let endOffset: RaftOffset
    public let epoch: RaftEpoch
}

/// A change of one voter (KIP-853).
public enum VoterChange: Hashable, Sendable {
    /// A replica that has followed the log becomes a voter.
    case add(Voter)
    case remove(ReplicaKey)
    /// A voter has other endpoints or versions; its disk is the same.
    case update(Voter)
}

/// Why a proposal was not taken. Nothing has changed then.
public enum RaftRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case notLeader(leaderID: Int32?)
    /// So many records wait to be committed that no more are taken.
    case tooManyUncommitted(Int64)
    /// The leader has committed nothing in its epoch yet.
    case epochNotCommitted(RaftEpoch)
    /// The voters at this offset are not committed yet.
    case changeInProgress(RaftOffset)
    /// Voters are known by number only (kraft.version 0).
    case unknownDirectory(Int32)
    case alreadyVoter(Int32)
    case notVoter(ReplicaKey)
    /// The replica must have the log first. `logEndOffset`: how much of it it has; nil, it does not fetch.
    case notCaughtUp(ReplicaKey, logEndOffset: RaftOffset?)
    case lastVoter(ReplicaKey)

    public var description: String {
        switch self {
        case .notLeader(let leader):
            "this node does not lead the quorum; "
                + (leader.map { "node \($0) does" } ?? "no leader is known")
        case .tooManyUncommitted(let count): "\(count) records wait to be committed"
        case .epochNotCommitted(let epoch): "nothing is committed in epoch \(epoch) yet; try again"
        case .changeInProgress(let offset): "the voters at offset \(offset) are not committed yet; try again"
        case .unknownDirectory(let id): "the directory ID of voter \(id) is not known"
        case .alreadyVoter(let id): "node \(id) is a voter already"
        case .notVoter(let key): "\(key) is not a voter"
        case .notCaughtUp(let key, let offset):
            "\(key) does not have the log yet, "
                + (offset.map { "only up to offset \($0)" } ?? "it does not fetch")
        case .lastVoter(let key): "\(key) is the last voter"
        }
    }
}

/// What a leader takes from above.
extension RaftNode {
    /// Appends records, as one batch.
    ///
    /// - Returns: where they stand. They are only queued then, neither synced nor committed.
    public mutating func propose(
        _ records: [UInt8], recordCount: Int64, now: Duration
    ) throws(RaftRefusal) -> Proposal {
        try requireLeadership(now)
        let uncommitted = log.endOffset - highWatermark
        if uncommitted >= configuration.maximumUncommittedRecords {
            throw .tooManyUncommitted(uncommitted)
        }
        return append(recordCount: recordCount, .records(records), voters: nil)
    }

    /// Appends voters, one of which is changed. They count at once.
    public mutating func propose(_ change: VoterChange, now: Duration) throws(RaftRefusal) -> Proposal {
        let leadership = try requireLeadership(now)
        let voters = log.voters
        if highWatermark <= leadership.epochStart, !ignores(.committedBeforeVoterChange) {
            throw .epochNotCommitted(promise.epoch)
        }
        if voters.offset >= highWatermark, !ignores(.oneVoterChange) {
            throw .changeInProgress(voters.offset)
        }
        let quorum = try Self.quorum(voters.quorum, after: change)
        if case .add(let voter) = change { try requireCaughtUp(voter.key, leadership) }
        return append(recordCount: 1, .voters, voters: quorum)
    }

    /// Stops leading, in favour of the voter that has the most of the log. A node that does not lead stays as
    /// it is.
    public mutating func resign(now: Duration) {
        tick(now: now)
        if fault == nil { becomeResigned() }
    }

    @discardableResult
    private mutating func requireLeadership(_ now: Duration) throws(RaftRefusal) -> Leadership {
        tick(now: now)
        guard fault == nil, let leadership else { throw .notLeader(leaderID: leaderID) }
        return leadership
    }

    private mutating func append(
        recordCount: Int64, _ payload: RaftPayload, voters: Quorum?
    ) -> Proposal {
        let proposal = Proposal(
            baseOffset: log.endOffset, endOffset: log.endOffset + recordCount, epoch: promise.epoch)
        appendAsLeader(recordCount: recordCount, payload, voters: voters)
        return proposal
    }

    private func requireCaughtUp(_ key: ReplicaKey, _ leadership: Leadership) throws(RaftRefusal) {
        let progress = leadership.progress[key]
        guard let caughtUp = progress?.lastCaughtUp, now <= caughtUp + configuration.caughtUpWithin else {
            throw .notCaughtUp(key, logEndOffset: progress?.endOffset)
        }
    }

    /// The voters after a change, if it can be made.
    static func quorum(_ quorum: Quorum, after change: VoterChange) throws(RaftRefusal) -> Quorum {
        if let unknown = quorum.voters.first(where: { $0.key.directoryID == nil }) {
            throw .unknownDirectory(unknown.key.id)
        }
        switch change {
        case .add(let voter):
            if voter.key.directoryID == nil { throw .unknownDirectory(voter.key.id) }
            if quorum.voter(voter.key.id) != nil { throw .alreadyVoter(voter.key.id) }
            return quorum.replacing(voter.key.id, with: voter)
        case .remove(let key):
            if !quorum.contains(key) { throw .notVoter(key) }
            if quorum.voters.count == 1 { throw .lastVoter(key) }
            return quorum.replacing(key.id, with: nil)
        case .update(let voter):
            if !quorum.contains(voter.key) { throw .notVoter(voter.key) }
            return quorum.replacing(voter.key.id, with: voter)
        }
    }
}
