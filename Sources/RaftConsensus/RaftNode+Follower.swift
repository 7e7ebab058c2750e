/// A request to the leader, or to somebody who may know it: at most one is under way.
struct FetchAttempt: Hashable, Sendable {
    struct InFlight: Hashable, Sendable {
        let request: RequestNumber
        let deadline: Duration
    }

    var inFlight: InFlight?
    /// A pause after an answer of no use.
    var notBefore: Duration
}

/// What a replica does to have the leader's log: fetches, appends, cuts off what the leader does not have.
extension RaftNode {
    /// When the next request is to be sent or given up; nil while something else must come first.
    var fetchDue: Duration? {
        guard role == .follower || role == .unattached else { return nil }
        if let inFlight = fetching.inFlight { return inFlight.deadline }
        return mayRequest && (role == .follower || !knownNodes.isEmpty) ? fetching.notBefore : nil
    }

    /// A fetch tells what is synced, and so waits for that; and it would wait for a promise anyway.
    private var mayRequest: Bool {
        if effects.hasPromiseUnderWay { return false }
        if let download { return !download.isWhole }
        return log.isSynced || ignores(.fetchFromSyncedEnd)
    }

    /// Who may know the leader.
    private var knownNodes: [Int32] {
        let voters = log.voters.quorum.voters.map(\.key.id)
        return (voters + configuration.bootstrapNodes.filter { !voters.contains($0) })
            .filter { $0 != replica.id }
    }

    /// Sends the next request if it is time for it.
    mutating func requestIfDue() {
        if fault != nil { return }
        guard let due = fetchDue, now >= due else { return }
        if fetching.inFlight != nil {
            fetching.inFlight = nil
            if !mayRequest { return }
        }
        let target: Int32
        if role == .follower, let leader = promise.leaderID {
            target = leader
        } else {
            // A node that follows nobody asks one after another who leads.
            let nodes = knownNodes
            if nodes.isEmpty { return }
            target = nodes[Int(generator.next() % UInt64(nodes.count))]
        }
        let body: RaftMessage.Body
        if let download {
            body = .fetchSnapshot(
                FetchSnapshotRequest(
                    epoch: promise.epoch, replica: replica, snapshot: download.id,
                    position: download.position))
        } else {
            body = .fetch(
                FetchRequest(
                    epoch: promise.epoch, replica: replica, logEnd: log.end, highWatermark: highWatermark,
                    maximumWait: configuration.fetchMaximumWait))
        }
        let request = send(body, to: target)
        fetching.inFlight = .init(request: request, deadline: now + configuration.requestTimeout)
    }

    /// Takes the answer to the request that is under way, and says whether it is the leader's.
    mutating func isFromLeader(_ header: AnswerHeader, _ message: RaftMessage) -> Bool {
        if fetching.inFlight?.request != message.request, !ignores(.answerOnce) { return false }
        fetching.inFlight = nil
        fetching.notBefore = now + configuration.retryBackoff
        guard learn(header), header.epoch == promise.epoch, role == .follower,
            promise.leaderID == message.sender
        else { return false }
        if header.error != nil {
            // It led this epoch and says that it does so no longer.
            if header.error == .notLeaderOrFollower, header.leaderID == nil { becomeUnattached() }
            return false
        }
        hasHeardFromLeader = true
        electionDeadline = now + fetchDeadline()
        return true
    }

    mutating func handle(_ answer: FetchAnswer, _ message: RaftMessage) {
        guard isFromLeader(answer.header, message) else { return }
        if let id = answer.snapshot { return beginDownload(id) }
        if let end = answer.divergingEpoch { return truncate(after: end) }
        if case .batches(let batches) = answer.records, !batches.isEmpty {
            guard follows(batches) else { return }
            let ticket = log.append(batches)
            effects.add(.append(batches, ticket))
        }
        fetching.notBefore = now
        advanceHighWatermark(to: min(answer.highWatermark, log.endOffset))
    }

    /// Whether batches are what a leader of this epoch can have after this log.
    private func follows(_ batches: [RaftBatch]) -> Bool {
        var end = log.end
        for batch in batches {
            if batch.baseOffset != end.offset || batch.recordCount < 1 || batch.epoch < end.epoch
                || batch.epoch > promise.epoch
            {
                return false
            }
            end = OffsetAndEpoch(offset: batch.endOffset, epoch: batch.epoch)
        }
        return true
    }

    /// The leader's last epoch that is not after this log's ends there: at most up to there the logs agree.
    private mutating func truncate(after leaderEnd: OffsetAndEpoch) {
        let own = log.endOffset(of: leaderEnd.epoch)
        let target = own.epoch == leaderEnd.epoch ? min(own.offset, leaderEnd.offset) : own.offset
        if target < highWatermark {
            return halt(.truncationBelowHighWatermark(to: target, highWatermark: highWatermark))
        }
        if target >= log.endOffset { return }
        let ticket = log.truncate(to: target, keepingVoters: ignores(.votersFollowTheLog))
        effects.add(.truncate(to: target, ticket))
        fetching.notBefore = now
    }
}
