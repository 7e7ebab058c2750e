internal import Base

/// The ways from role to role. All that a role has of its own is set up and cleared here.
extension RaftNode {
    /// Ends what the last role had under way.
    private mutating func leaveRole() {
        let parked = (leadership?.progress ?? [:]).compactMap { key, progress in
            progress.parked.map { (key.id, $0.request) }
        }
        leadership = nil
        ballot = nil
        hasHeardFromLeader = false
        download = nil
        fetching = FetchAttempt(notBefore: now)
        role = .unattached
        // In an order that does not depend on the hash values of this process.
        for (id, request) in parked.sorted(by: { ($0.0, $0.1.rawValue) < ($1.0, $1.1.rawValue) }) {
            answer(
                request, of: id,
                .fetchAnswer(
                    FetchAnswer(header: header(.notLeaderOrFollower), highWatermark: highWatermark)))
        }
    }

    private mutating func become(_ role: RaftRole) {
        self.role = role
        effects.add(.becameRole(role, epoch: promise.epoch, leaderID: leaderID))
    }

    /// Follows nobody: in a higher epoch whose leader is not known, or after the leader has gone.
    mutating func becomeUnattached(epoch: RaftEpoch? = nil, after delay: Duration? = nil) {
        leaveRole()
        if let epoch, epoch > promise.epoch { promise(QuorumPromise(epoch: epoch)) }
        electionDeadline = now + (delay ?? electionDelay())
        become(.unattached)
    }

    /// Follows the leader of an epoch.
    mutating func becomeFollower(of leader: Int32, epoch: RaftEpoch, after delay: Duration? = nil) {
        if epoch == promise.epoch, let known = promise.leaderID, known != leader {
            return halt(.twoLeaders(epoch: epoch, known: known, other: leader))
        }
        leaveRole()
        let voted = epoch == promise.epoch ? promise.voted : nil
        promise(QuorumPromise(epoch: epoch, leaderID: leader, voted: voted))
        electionDeadline = now + (delay ?? fetchDeadline())
        become(.follower)
    }

    /// Asks the others whether they would vote for this node, without disturbing a leader that they hear.
    mutating func becomeProspective() {
        leaveRole()
        ballot = Ballot(granted: [replica.id])
        electionDeadline = now + electionDelay()
        become(.prospective)
        askForVotes(isPreVote: true)
        if log.voters.quorum.isMajority([replica.id]) { becomeCandidate() }
    }

    /// Begins an epoch and votes for itself in it.
    mutating func becomeCandidate() {
        leaveRole()
        promise(QuorumPromise(epoch: promise.epoch.next, voted: replica))
        ballot = Ballot(granted: [replica.id])
        electionDeadline = now + electionDelay()
        become(.candidate)
        askForVotes(isPreVote: false)
        if log.voters.quorum.isMajority([replica.id]) { becomeLeader() }
    }

    mutating func becomeLeader() {
        let granting = ballot?.granted.sorted() ?? []
        leaveRole()
        promise(QuorumPromise(epoch: promise.epoch, leaderID: replica.id, voted: promise.voted))
        leadership = Leadership(epochStart: log.endOffset, since: now, nextAnnouncement: now)
        become(.leader)
        // Voters that only the configuration or a snapshot of nothing tells are put into the log, for those
        // who come later to find.
        let voters = log.voters
        let isFirst = voters.offset < 0 && voters.quorum.voters.allSatisfy { $0.key.directoryID != nil }
        appendAsLeader(
            recordCount: isFirst ? 3 : 1, .leaderChange(leaderID: replica.id, grantingVoters: granting),
            voters: isFirst ? voters.quorum : nil)
        announce()
    }

    /// Leads no longer, and does not follow anybody in this epoch.
    mutating func becomeResigned() {
        guard let leadership else { return }
        let successors = successors(leadership)
        leaveRole()
        electionDeadline = now + configuration.electionTimeout + electionDelay()
        become(.resigned)
        let request = EndQuorumEpochRequest(
            epoch: promise.epoch, leaderID: replica.id, preferredSuccessors: successors)
        for successor in successors { send(.endQuorumEpoch(request), to: successor.id) }
    }

    /// The other voters, those with the most of the log first.
    private func successors(_ leadership: Leadership) -> [ReplicaKey] {
        let others = log.voters.quorum.voters.filter { $0.key.id != replica.id }
        let ends: [(key: ReplicaKey, end: RaftOffset)] = others.map { voter in
            (voter.key, leadership.progress(of: voter)?.endOffset ?? 0)
        }
        return ends.sorted { $0.end == $1.end ? $0.key.id < $1.key.id : $0.end > $1.end }.map(\.key)
    }

    /// Learns what a message says about the quorum.
    /// - Returns: false when the message is of an epoch that is over.
    @discardableResult
    mutating func learn(_ header: AnswerHeader) -> Bool {
        if header.epoch < promise.epoch { return false }
        let leader = header.leaderID == replica.id ? nil : header.leaderID
        if header.epoch > promise.epoch {
            if let leader {
                becomeFollower(of: leader, epoch: header.epoch)
            } else {
                becomeUnattached(epoch: header.epoch)
            }
        } else if let leader {
            switch role {
            case .unattached, .prospective, .candidate: becomeFollower(of: leader, epoch: header.epoch)
            case .leader, .follower, .resigned:
                if let known = leaderID, known != leader {
                    halt(.twoLeaders(epoch: header.epoch, known: known, other: leader))
                }
            }
        }
        return fault == nil
    }
}
