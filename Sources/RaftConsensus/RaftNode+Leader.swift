internal import Base

/// What a leader does: appends, answers fetches, counts who has what.
extension RaftNode {
    /// Appends records of the leader's own.
    mutating func appendAsLeader(recordCount: Int64, _ payload: RaftPayload, voters: Quorum?) {
        let batch = RaftBatch(
            baseOffset: log.endOffset, recordCount: recordCount, epoch: promise.epoch, voters: voters,
            payload: payload)
        let ticket = log.append([batch])
        effects.add(.append([batch], ticket))
        answerParked()
        advanceHighWatermark()
    }

    // MARK: Time

    /// What a leader does as time passes.
    mutating func leaderTick() {
        guard let leadership else { return }
        if let deadline = checkQuorumDeadline(leadership), now >= deadline { return becomeResigned() }
        if now >= leadership.nextAnnouncement { announce() }
        answerParked()
    }

    /// When the leader must step down unless a majority fetches. Nil when it alone is one.
    func checkQuorumDeadline(_ leadership: Leadership) -> Duration? {
        if log.voters.quorum.isMajority([replica.id]) { return nil }
        let contact = log.voters.quorum.majorityValue { voter in
            voter.matches(replica) ? .seconds(Int64.max >> 1) : lastContact(voter, leadership)
        }
        return contact.map { $0 + configuration.checkQuorumTimeout }
    }

    private func lastContact(_ voter: Voter, _ leadership: Leadership) -> Duration {
        leadership.progress(of: voter)?.lastFetch ?? leadership.since
    }

    /// Tells voters who do not fetch that this node leads, again and again.
    mutating func announce() {
        guard var leadership else { return }
        let interval = configuration.fetchTimeout / 2
        leadership.nextAnnouncement = now + interval
        forgetObservers(&leadership)
        self.leadership = leadership
        for voter in log.voters.quorum.voters where voter.key.id != replica.id {
            if let last = leadership.progress(of: voter)?.lastFetch, now < last + interval { continue }
            let request = BeginQuorumEpochRequest(
                epoch: promise.epoch, leaderID: replica.id, voter: voter.key)
            send(.beginQuorumEpoch(request), to: voter.key.id)
        }
    }

    private func forgetObservers(_ leadership: inout Leadership) {
        let quorum = log.voters.quorum
        leadership.progress = leadership.progress.filter { key, progress in
            quorum.contains(key) || now < (progress.lastFetch ?? .zero) + configuration.observerTimeout
        }
    }

    // MARK: Fetches

    /// Why a request that only a leader answers is not answered.
    func refusal(of epoch: RaftEpoch) -> RaftError? {
        if epoch < promise.epoch { return .fencedLeaderEpoch }
        if epoch > promise.epoch { return .unknownLeaderEpoch }
        return leadership == nil ? .notLeaderOrFollower : nil
    }

    mutating func handle(_ request: FetchRequest, _ message: RaftMessage) {
        if let error = refusal(of: request.epoch) {
            let answer = FetchAnswer(header: header(error), highWatermark: highWatermark)
            return self.answer(message.request, of: message.sender, .fetchAnswer(answer))
        }
        var place = log.place(of: request.logEnd)
        if ignores(.divergenceCheck), request.logEnd.offset <= log.endOffset,
            request.logEnd.offset >= log.startOffset
        {
            place = .agrees
        }
        var answer = FetchAnswer(header: header(), highWatermark: highWatermark)
        switch place {
        case .diverges(let end): answer.divergingEpoch = end
        case .belowStart: answer.snapshot = log.snapshot
        case .agrees: return agreed(request, message)
        }
        let now = now
        update(request.replica) { $0.heard(at: now) }
        self.answer(message.request, of: message.sender, .fetchAnswer(answer))
    }

    /// A replica has all before its fetch offset, synced, as this log has it.
    private mutating func agreed(_ request: FetchRequest, _ message: RaftMessage) {
        let fetch = ParkedFetch(
            request: message.request, offset: request.logEnd.offset, highWatermark: request.highWatermark,
            deadline: now + min(request.maximumWait, configuration.fetchMaximumWait))
        let (leaderEnd, now) = (log.endOffset, now)
        let isKnown = update(request.replica) {
            $0.fetched(from: fetch.offset, leaderEnd: leaderEnd, at: now)
            $0.parked = fetch
        }
        if !isKnown { answer(fetch, of: message.sender) }
        advanceHighWatermark()
        answerParked()
    }

    /// Changes what is known of a replica. False when there are too many to know them all.
    @discardableResult
    mutating func update(_ key: ReplicaKey, _ change: (inout FollowerProgress) -> Void) -> Bool {
        guard var leadership else { return false }
        let isKnown = leadership.progress[key] != nil || log.voters.quorum.contains(key)
        let limit = configuration.maximumObservers + log.voters.quorum.voters.count
        if !isKnown, leadership.progress.count >= limit { return false }
        change(&leadership.progress[key, default: FollowerProgress()])
        self.leadership = leadership
        return true
    }

    /// Answers the fetches that wait for what there is now, or have waited enough.
    mutating func answerParked() {
        guard var leadership else { return }
        var ready: [(id: Int32, fetch: ParkedFetch)] = []
        for (key, progress) in leadership.progress {
            guard let fetch = progress.parked else { continue }
            let hasNews = fetch.offset < log.endOffset || fetch.highWatermark < highWatermark
            if !hasNews, now < fetch.deadline { continue }
            leadership.progress[key]?.parked = nil
            ready.append((key.id, fetch))
        }
        self.leadership = leadership
        // In an order that does not depend on the hash values of this process.
        ready.sort { ($0.id, $0.fetch.request.rawValue) < ($1.id, $1.fetch.request.rawValue) }
        for (id, fetch) in ready { answer(fetch, of: id) }
    }

    private mutating func answer(_ fetch: ParkedFetch, of id: Int32) {
        var answer = FetchAnswer(header: header(), highWatermark: highWatermark)
        if fetch.offset < log.startOffset {
            answer.snapshot = log.snapshot
        } else if fetch.offset < log.endOffset {
            answer.records = .read(from: fetch.offset, below: log.endOffset)
        }
        self.answer(fetch.request, of: id, .fetchAnswer(answer))
    }

    // MARK: What is committed

    /// Moves the high watermark to what a majority of the voters has on stable storage.
    mutating func advanceHighWatermark() {
        guard let leadership else { return }
        let own = ignores(.countSyncedEnd) ? log.endOffset : log.syncedEndOffset
        let reached = log.voters.quorum.majorityValue { voter in
            voter.matches(replica) ? own : leadership.progress(of: voter)?.endOffset ?? 0
        }
        guard let reached, reached > highWatermark else { return }
        // A majority that has a record of an earlier epoch may still lose it to a leader that never saw it;
        // one that has a record of this epoch may not (Raft, section 5.4.2).
        if reached <= leadership.epochStart, !ignores(.commitOwnEpoch) { return }
        advanceHighWatermark(to: reached)
        answerParked()
        let voters = log.voters
        if voters.offset < highWatermark, !voters.quorum.contains(replica) { becomeResigned() }
    }

    mutating func advanceHighWatermark(to offset: RaftOffset) {
        if offset <= highWatermark { return }
        highWatermark = offset
        effects.add(.advanceHighWatermark(to: offset))
    }
}
