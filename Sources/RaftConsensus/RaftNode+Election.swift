/// Votes, asked for and given.
extension RaftNode {
    mutating func askForVotes(isPreVote: Bool) {
        for voter in log.voters.quorum.voters where voter.key.id != replica.id {
            let request = VoteRequest(
                epoch: promise.epoch, candidate: replica, voter: voter.key, logEnd: log.end,
                isPreVote: isPreVote)
            send(.vote(request), to: voter.key.id)
        }
    }

    mutating func handle(_ request: VoteRequest, _ message: RaftMessage) {
        func reply(_ node: inout RaftNode, granted: Bool, _ error: RaftError? = nil) {
            let answer = VoteAnswer(
                header: node.header(error), isGranted: granted, isPreVote: request.isPreVote)
            node.answer(message.request, of: message.sender, .voteAnswer(answer))
        }
        if let directory = request.voter.directoryID, directory != replica.directoryID,
            !ignores(.diskIdentity)
        {
            return reply(&self, granted: false, .invalidVoterKey)
        }
        if request.epoch < promise.epoch { return reply(&self, granted: false, .fencedLeaderEpoch) }
        if request.epoch > promise.epoch { becomeUnattached(epoch: request.epoch) }
        let isUpToDate =
            request.logEnd.isAtLeastAsUpToDate(as: log.end) || ignores(.upToDateCandidate)
        if request.isPreVote { return reply(&self, granted: isUpToDate && wouldVote) }
        let grants = isUpToDate && canVote(for: request.candidate)
        if grants {
            var kept = promise
            kept.voted = request.candidate
            promise(kept)
            // Whoever has just voted gives its candidate time to win.
            if role == .unattached { electionDeadline = now + electionDelay() }
        }
        reply(&self, granted: grants)
    }

    /// Whether this node would help to replace the leader: not while it hears one.
    private var wouldVote: Bool {
        switch role {
        case .leader: false
        case .follower: !hasHeardFromLeader
        case .unattached, .prospective, .candidate, .resigned: true
        }
    }

    /// Whether the vote of this epoch is free, or was this candidate's already.
    private func canVote(for candidate: ReplicaKey) -> Bool {
        if ignores(.oneVotePerEpoch) { return role != .leader }
        if let voted = promise.voted { return voted == candidate && role != .leader }
        return promise.leaderID == nil
    }

    mutating func handle(_ answer: VoteAnswer, _ message: RaftMessage) {
        let isOfThisEpoch = learn(answer.header) && answer.header.epoch == promise.epoch
        guard fault == nil, isOfThisEpoch || ignores(.voteOfItsEpoch), var ballot,
            log.voters.quorum.voter(message.sender) != nil,
            (role == .prospective) == answer.isPreVote
        else { return }
        if answer.isGranted {
            ballot.granted.insert(message.sender)
            ballot.refused.remove(message.sender)
        } else if !ballot.granted.contains(message.sender) {
            ballot.refused.insert(message.sender)
        }
        let wasBlocked = self.ballot.map { log.voters.quorum.isBlocked(by: $0.refused) } ?? false
        self.ballot = ballot
        if log.voters.quorum.isMajority(ballot.granted) {
            if role == .prospective { becomeCandidate() } else { becomeLeader() }
        } else if log.voters.quorum.isBlocked(by: ballot.refused), !wasBlocked {
            if role == .prospective {
                loseProspects()
            } else {
                electionDeadline = min(electionDeadline, now + random(below: configuration.electionBackoff))
            }
        }
    }

    /// Nobody would vote for this node for now: back to where it came from, for a while.
    mutating func loseProspects() {
        if let leader = promise.leaderID, leader != replica.id {
            becomeFollower(of: leader, epoch: promise.epoch, after: electionDelay())
        } else {
            becomeUnattached()
        }
    }

    /// A leader has been elected.
    mutating func handle(_ request: BeginQuorumEpochRequest, _ message: RaftMessage) {
        func reply(_ node: inout RaftNode, _ error: RaftError? = nil) {
            node.answer(message.request, of: message.sender, .beginQuorumEpochAnswer(node.header(error)))
        }
        if request.epoch < promise.epoch { return reply(&self, .fencedLeaderEpoch) }
        if let directory = request.voter.directoryID, directory != replica.directoryID {
            return reply(&self, .invalidVoterKey)
        }
        learn(AnswerHeader(epoch: request.epoch, leaderID: request.leaderID))
        if fault == nil { reply(&self) }
    }

    /// The leader stops leading. The first of its successors asks for votes at once, the others later, one
    /// after another.
    mutating func handle(_ request: EndQuorumEpochRequest, _ message: RaftMessage) {
        defer {
            let error: RaftError? = request.epoch < promise.epoch ? .fencedLeaderEpoch : nil
            answer(message.request, of: message.sender, .endQuorumEpochAnswer(header(error)))
        }
        if request.epoch < promise.epoch { return }
        if request.epoch == promise.epoch {
            guard role == .follower || role == .unattached else { return }
            if let known = promise.leaderID, known != request.leaderID { return }
        }
        let place = request.preferredSuccessors.firstIndex { Voter(key: $0).matches(replica) }
        let delay = place.map { configuration.electionBackoff * $0 }
        becomeUnattached(epoch: request.epoch, after: delay)
    }
}
