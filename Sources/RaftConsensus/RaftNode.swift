public import Base

/// A member of the quorum that replicates the metadata log, or an observer of it: Raft, shaped as KRaft
/// (KIP-595, 630, 853, 996).
///
/// A value: what comes in is handed to `step`, `tick`, `propose` and `complete`, and what is to be done comes
/// out of `takeEffects`. It reads no clock and draws its random numbers from a generator that it is given, so
/// the same inputs give the same outputs. RaftEffects.swift says what whoever runs it must do.
public struct RaftNode: Sendable {
    /// Who this node is.
    public let replica: ReplicaKey
    public let configuration: RaftConfiguration
    /// What this node has promised: written before anything that follows from it leaves.
    public internal(set) var promise: QuorumPromise
    /// What it knows of its log.
    public internal(set) var log: RaftLogView
    public internal(set) var role = RaftRole.unattached
    /// All before it is committed. It never falls.
    public internal(set) var highWatermark: RaftOffset
    /// Why the node takes no further part.
    public internal(set) var fault: RaftFault?

    /// The votes, while prospective or candidate.
    var ballot: Ballot?
    /// While leader.
    var leadership: Leadership?
    /// Whether the leader that is followed has answered.
    var hasHeardFromLeader = false
    /// When a role that waits for something has waited enough. Not used by leaders.
    var electionDeadline: Duration
    var fetching: FetchAttempt
    var download: SnapshotDownload?
    var lastRequest: UInt64
    var generator: SeededGenerator
    var effects = EffectQueue()
    /// The highest time that was told.
    var now: Duration
    let ignoredRule: SafetyRule?

    /// A node as it comes to life.
    ///
    /// - Parameters:
    ///   - replica: who it is. A directory that was found empty has a new ID.
    ///   - promise: what was found on stable storage.
    ///   - log: what was found of the log, all of it synced.
    ///   - generator: for time-outs and request numbers; seeded differently in each process's life.
    ///   - now: since any start, not going back.
    public init(
        replica: ReplicaKey, promise: QuorumPromise, log: RaftLogView, configuration: RaftConfiguration,
        generator: SeededGenerator, now: Duration
    ) {
        self.init(
            replica: replica, promise: promise, log: log, configuration: configuration, generator: generator,
            now: now, ignoring: nil)
    }

    /// A node that ignores a rule, for tests of the tests.
    @_spi(Canaries) public init(
        replica: ReplicaKey, promise: QuorumPromise, log: RaftLogView, configuration: RaftConfiguration,
        generator: SeededGenerator, now: Duration, ignoring rule: SafetyRule?
    ) {
        self.replica = replica
        self.configuration = configuration
        self.promise = promise
        self.log = log
        self.generator = generator
        self.now = now
        ignoredRule = rule
        // What a snapshot contains was committed.
        highWatermark = max(log.startOffset, log.snapshot?.offset ?? 0)
        electionDeadline = now
        fetching = FetchAttempt(notBefore: now)
        lastRequest = self.generator.next()
        // A log that has seen more than the promise tells that the promise is an old one.
        if log.end.epoch > promise.epoch { self.promise(QuorumPromise(epoch: log.end.epoch)) }
        // Whoever led or voted for itself before takes part in that epoch no more: what it had appended may
        // be lost, and other records must not take those places.
        if let leader = self.promise.leaderID, leader != replica.id {
            role = .follower
            electionDeadline = now + fetchDeadline()
        } else {
            electionDeadline = now + electionDelay()
        }
        requestIfDue()
    }

    /// Whether this node is a voter, as far as its log tells.
    public var isVoter: Bool { log.voters.quorum.contains(replica) }

    /// Whether it may ask for votes: also while it is not known to be committed that it is a voter no longer.
    /// Nobody else may have the record that says so, and then nobody else can be elected (Ongaro's thesis,
    /// section 4.2.2).
    var mayStand: Bool { log.quorums(notBelow: highWatermark).contains { $0.contains(replica) } }

    /// The leader of the node's epoch: itself, or whom it follows.
    public var leaderID: Int32? {
        switch role {
        case .leader: replica.id
        case .follower: promise.leaderID
        case .unattached, .prospective, .candidate, .resigned: nil
        }
    }

    /// When to call `tick`; nil when there is nothing to wait for.
    public var nextDeadline: Duration? {
        if fault != nil { return nil }
        var deadline: Duration?
        func consider(_ other: Duration?) {
            if let other { deadline = min(deadline ?? other, other) }
        }
        if let leadership {
            consider(leadership.nextAnnouncement)
            consider(checkQuorumDeadline(leadership))
            for progress in leadership.progress.values { consider(progress.parked?.deadline) }
        } else {
            consider(electionDeadline)
            consider(fetchDue)
        }
        return deadline
    }

    // MARK: What comes in

    /// Time has passed. Times before those told earlier change nothing.
    public mutating func tick(now: Duration) {
        if fault != nil { return }
        pass(to: now)
    }

    /// Takes a message that was sent to this node.
    public mutating func step(_ message: RaftMessage, now: Duration) {
        if fault != nil || message.receiver != replica.id || message.sender == replica.id { return }
        pass(to: now)
        if effects.isFull { return }
        switch message.body {
        case .vote(let request): handle(request, message)
        case .voteAnswer(let answer): handle(answer, message)
        case .beginQuorumEpoch(let request): handle(request, message)
        case .beginQuorumEpochAnswer(let header), .endQuorumEpochAnswer(let header): learn(header)
        case .endQuorumEpoch(let request): handle(request, message)
        case .fetch(let request): handle(request, message)
        case .fetchAnswer(let answer): handle(answer, message)
        case .fetchSnapshot(let request): handle(request, message)
        case .fetchSnapshotAnswer(let answer): handle(answer, message)
        }
        requestIfDue()
    }

    /// Something that was asked for is done.
    public mutating func complete(_ completion: RaftCompletion, now: Duration) {
        if fault != nil { return }
        // A promise is kept before the time is told: time may let a new one be made.
        if case .persisted(let token) = completion, !ignores(.promiseBeforeMessage) {
            effects.persisted(token)
        }
        pass(to: now)
        switch completion {
        case .persisted: break
        case .logSynced(let ticket):
            log.synced(ticket, ignoringCuts: ignores(.syncedMeansThisRecord))
            advanceHighWatermark()
        case .snapshotCompleted(let id, let voters): install(id, voters)
        case .snapshotFailed(let id): if download?.id == id { abandonDownload() }
        }
        requestIfDue()
    }

    /// What to do now, in this order. Call until it is empty.
    public mutating func takeEffects() -> [RaftEffect] {
        if ignores(.promiseBeforeMessage) { effects.stopWaiting() }
        return effects.take()
    }

    // MARK: Time

    private mutating func pass(to time: Duration) {
        now = max(now, time)
        if leadership != nil {
            leaderTick()
        } else {
            if now >= electionDeadline {
                // Who cannot keep its promises now cannot be elected either.
                if effects.hasPromiseUnderWay {
                    electionDeadline = now + electionDelay()
                } else {
                    electionTimedOut()
                }
            }
            requestIfDue()
        }
    }

    private mutating func electionTimedOut() {
        switch role {
        case .unattached, .resigned, .follower:
            if mayStand { becomeProspective() } else { becomeUnattached() }
        case .prospective: loseProspects()
        case .candidate: becomeProspective()
        case .leader: invariantFailed("a leader has no election time-out")
        }
    }

    /// A random time from nothing up to, not including, `limit`.
    mutating func random(below limit: Duration) -> Duration {
        let nanoseconds = limit / Duration.nanoseconds(1)
        return .nanoseconds(nanoseconds > 0 ? Int64(generator.next() % UInt64(nanoseconds)) : 0)
    }

    mutating func electionDelay() -> Duration {
        configuration.electionTimeout + random(below: configuration.electionTimeout)
    }

    mutating func fetchDeadline() -> Duration {
        configuration.fetchTimeout + random(below: configuration.fetchTimeout / 4)
    }

    // MARK: What goes out

    func ignores(_ rule: SafetyRule) -> Bool { ignoredRule == rule }

    /// Changes what is promised. All that follows waits until it is kept.
    mutating func promise(_ new: QuorumPromise) {
        if new == promise { return }
        promise = new
        effects.persist(new)
    }

    /// Sends a request with a number of its own.
    @discardableResult
    mutating func send(_ body: RaftMessage.Body, to receiver: Int32) -> RequestNumber {
        lastRequest &+= 1
        let number = RequestNumber(rawValue: lastRequest)
        effects.add(.send(RaftMessage(sender: replica.id, receiver: receiver, request: number, body: body)))
        return number
    }

    mutating func answer(_ request: RequestNumber, of receiver: Int32, _ body: RaftMessage.Body) {
        effects.add(.send(RaftMessage(sender: replica.id, receiver: receiver, request: request, body: body)))
    }

    /// What every answer says.
    func header(_ error: RaftError? = nil) -> AnswerHeader {
        AnswerHeader(error: error, epoch: promise.epoch, leaderID: leaderID)
    }

    mutating func halt(_ fault: RaftFault) {
        self.fault = fault
        effects.add(.halt(fault))
    }
}
