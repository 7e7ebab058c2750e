import Base
@_spi(Canaries) import RaftConsensus

/// What a simulated shell does wrong on purpose.
enum ShellDefect: String, CaseIterable {
    /// It says that a promise is kept before it is written.
    case promiseNotSynced
    /// It says that the log is synced before it is.
    case logNotSynced
    /// It overwrites the promise in place, so that a crash can tear it, and then begins without one.
    case promiseOverwritten
    /// It answers for a leader that does not check where the logs part.
    case truncationForgotten
}

/// A quorum, its disks and its network from one seed: first with faults, then without.
final class RaftSimulation {
    enum Event {
        case deliver(RaftMessage)
        case promiseKept(Int32, life: Int, PersistToken)
        case synced(Int32, life: Int, LogTicket)
        case snapshotChecked(Int32, life: Int, SnapshotID)
        case tick(Int32, life: Int, at: Int64)
        case restart(Int32)
        case crash(Int32, life: Int)
        case changeVoters
        case client
        case fault
    }

    /// What bad luck has its eye on. Rare orders of events have to be looked for.
    enum Weather: CaseIterable {
        /// A bit of everything.
        case mixed
        /// Leaders fall soon after they have been elected, while their records are on few nodes.
        case shortReigns
        /// The power goes while a promise is being written.
        case brokenPromises
        /// Voters come and go, and leaders with them.
        case newVoters
    }

    static let millisecond: Int64 = 1_000_000

    let seed: UInt64
    let weather: Weather
    var generator: SeededGenerator
    let configuration: RaftConfiguration
    let ignoring: SafetyRule?
    let defect: ShellDefect?
    var now: Int64 = 0
    var events = DeadlineQueue<Event>()
    var replicas: [SimulatedReplica] = []
    var checker = RaftChecker()
    var hasFaults = true
    /// Pairs of nodes between which nothing gets through, one way.
    var blocked: Set<[Int32]> = []
    var lossPercent: UInt64 = 0
    var duplicatePercent: UInt64 = 0
    var maximumDelay: Int64 = 5 * RaftSimulation.millisecond
    var proposals = 0
    /// A promise that was reported to be kept and was not found again.
    var forgotten: Violation?
    var stepCount = 0
    /// What happened, if asked for.
    var trace: [String]?

    init(
        seed: UInt64, ignoring: SafetyRule? = nil, defect: ShellDefect? = nil, tracing: Bool = false
    ) {
        self.seed = seed
        self.ignoring = ignoring
        self.defect = defect
        weather = Weather.allCases[Int(seed % 4)]
        generator = SeededGenerator(seed: seed)
        trace = tracing ? [] : nil
        let counts =
            switch weather {
            case .shortReigns: [3, 5, 5, 4]
            case .newVoters: [4, 4, 3, 5, 2]
            case .mixed, .brokenPromises: [3, 3, 3, 5, 1, 2, 4]
            }
        let voterCount = counts[Int(generator.next() % UInt64(counts.count))]
        let observerCount = Int(generator.next() % 3)
        configuration = RaftConfiguration(
            fetchTimeout: .milliseconds(200), electionTimeout: .milliseconds(100),
            electionBackoff: .milliseconds(50), requestTimeout: .milliseconds(100),
            retryBackoff: .milliseconds(10), fetchMaximumWait: .milliseconds(60),
            bootstrapNodes: (0..<Int32(voterCount + observerCount)).map { $0 })
        func directory(_ id: Int) -> RaftDirectoryID { RaftDirectoryID(high: UInt64(id), low: 1) }
        let quorum = Quorum(
            (0..<voterCount).map {
                Voter(key: ReplicaKey(id: Int32($0), directoryID: directory($0)))
            })
        for id in 0..<(voterCount + observerCount) {
            replicas.append(SimulatedReplica(id: Int32(id), directory: directory(id), voters: quorum))
        }
        for replica in replicas { start(replica) }
    }

    // MARK: Running

    /// Runs through both phases.
    /// - Returns: what was broken, or nil.
    func run(milliseconds: Int64 = 2500) -> Violation? {
        do {
            events.add(.client, at: Self.millisecond)
            events.add(.fault, at: 50 * Self.millisecond)
            try run(until: milliseconds * Self.millisecond)
            try settle()
            return nil
        } catch let violation as Violation {
            return violation
        } catch {
            return Violation("\(error)")
        }
    }

    func run(until end: Int64, or isDone: () -> Bool = { false }) throws {
        while now < end, !isDone(), let (event, time) = events.takeDue(.max) {
            now = max(now, time)
            stepCount += 1
            if stepCount > 200_000 { throw Violation("more events than such a run can have") }
            try handle(event)
            if let forgotten { throw forgotten }
        }
    }

    func handle(_ event: Event) throws {
        switch event {
        case .deliver(let message):
            guard let replica = replica(message.receiver), replica.node != nil else { return }
            if blocked.contains([message.sender, message.receiver]) { return }
            trace?.append("\(now / 1000) deliver \(message)")
            replica.node?.step(message, now: clock(replica))
            try drain(replica)
        case .promiseKept(let id, let life, let token):
            guard let replica = living(id, life) else { return }
            replica.disk.finishPromise()
            replica.keptPromise = replica.disk.promise
            replica.node?.complete(.persisted(token), now: clock(replica))
            try drain(replica)
        case .synced(let id, let life, let ticket):
            guard let replica = living(id, life) else { return }
            replica.disk.sync(through: ticket)
            if defect != .logNotSynced { replica.node?.complete(.logSynced(ticket), now: clock(replica)) }
            try drain(replica)
        case .snapshotChecked(let id, let life, let snapshot):
            guard let replica = living(id, life) else { return }
            try checkSnapshot(snapshot, replica)
            try drain(replica)
        case .tick(let id, let life, let time):
            guard let replica = living(id, life), replica.tickTime == time else { return }
            replica.tickTime = .max
            replica.node?.tick(now: clock(replica))
            try drain(replica)
        case .restart(let id):
            if let replica = replica(id), replica.node == nil {
                start(replica)
                try drain(replica)
            }
        case .crash(let id, let life):
            if let replica = living(id, life), hasFaults { crash(replica) }
        case .changeVoters: if hasFaults { try changeVoters() }
        case .client:
            try propose()
            if hasFaults { events.add(.client, at: now + draw(20 * Self.millisecond)) }
        case .fault:
            guard hasFaults else { return }
            try injectFault()
            events.add(.fault, at: now + draw(120 * Self.millisecond))
        }
    }

    /// Draws a time below `limit`, at least 1.
    func draw(_ limit: Int64) -> Int64 { 1 + Int64(generator.next() % UInt64(limit)) }

    func replica(_ id: Int32) -> SimulatedReplica? {
        replicas.indices.contains(Int(id)) ? replicas[Int(id)] : nil
    }

    func living(_ id: Int32, _ life: Int) -> SimulatedReplica? {
        replica(id).flatMap { $0.life == life && $0.node != nil ? $0 : nil }
    }

    func clock(_ replica: SimulatedReplica) -> Duration { .nanoseconds(now + replica.clockSkew) }

    func start(_ replica: SimulatedReplica) {
        let (found, kept) = (replica.disk.promise, replica.keptPromise)
        if found.epoch < kept.epoch || (found.epoch == kept.epoch && kept.voted != nil && found.voted == nil)
        {
            forgotten = Violation("node \(replica.id) has promised \(kept) and finds \(found)")
        }
        replica.start(
            configuration, SeededGenerator(seed: generator.next()), now: now, ignoring: ignoring)
        trace?.append("\(now / 1000) start \(replica.id) \(replica.disk.promise)")
        planTick(replica)
        for stored in replica.disk.written.batches { try? checker.appended(stored, by: replica.id) }
    }

    private func planTick(_ replica: SimulatedReplica) {
        guard let deadline = replica.node?.nextDeadline else { return }
        let time = max(now + 1000, Int64(deadline / .nanoseconds(1)) - replica.clockSkew)
        if time >= replica.tickTime { return }
        replica.tickTime = time
        events.add(.tick(replica.id, life: replica.life, at: time), at: time)
    }

    // MARK: The shell

    /// Carries out what a node wants done.
    func drain(_ replica: SimulatedReplica) throws {
        while true {
            let effects = replica.node?.takeEffects() ?? []
            if effects.isEmpty { break }
            for effect in effects { try carryOut(effect, replica) }
        }
        if let node = replica.node {
            if node.highWatermark < replica.highWatermark {
                throw Violation("the high watermark of node \(replica.id) falls to \(node.highWatermark)")
            }
            replica.highWatermark = node.highWatermark
            try compareView(node, replica)
            if node.highWatermark > node.log.endOffset {
                throw Violation("node \(replica.id) has committed \(node.highWatermark) without having it")
            }
        }
        planTick(replica)
    }

    /// What a node knows of its log is how its log is, when it has nothing to be done to it.
    private func compareView(_ node: RaftNode, _ replica: SimulatedReplica) throws {
        guard replica.isToBeCompared, !replica.disk.isWritingPromise else { return }
        replica.isToBeCompared = false
        let view = replica.disk.written.view(snapshot: nil)
        if view.end != node.log.end || view.voters.quorum != node.log.voters.quorum {
            throw Violation(
                "node \(replica.id) takes its log to end at \(node.log.end) with voters "
                    + "\(node.log.voters.quorum), and it has \(view.end) and \(view.voters.quorum)")
        }
    }

    private func carryOut(_ effect: RaftEffect, _ replica: SimulatedReplica) throws {
        if trace != nil { trace?.append("\(now / 1000) \(replica.id) does \(effect)") }
        switch effect {
        case .persist(let promise, let token):
            replica.disk.beginWriting(promise)
            if weather == .brokenPromises, hasFaults, generator.next() % 4 == 0 {
                let time = now + draw(3 * Self.millisecond)
                events.add(.crash(replica.id, life: replica.life), at: time)
            }
            if defect == .promiseNotSynced {
                replica.node?.complete(.persisted(token), now: clock(replica))
            } else {
                let time = now + syncTime(replica)
                events.add(.promiseKept(replica.id, life: replica.life, token), at: time)
            }
        case .append(let batches, let ticket):
            try change(.append(batches), ticket, replica)
        case .truncate(let offset, let ticket):
            replica.isToBeCompared = defect == nil
            if defect != .truncationForgotten || replica.disk.written.batches.isEmpty {
                try change(.truncate(to: offset), ticket, replica)
            } else {
                replica.node?.complete(.logSynced(ticket), now: clock(replica))
            }
        case .resetLog(let id, let ticket):
            guard let snapshot = replica.disk.snapshots[id] else { throw Violation("\(id) is not there") }
            try change(.reset(snapshot), ticket, replica)
            if snapshot.id.offset > replica.applied.offset { replica.applied = (id.offset, snapshot.chain) }
        case .deleteRecords(let offset): replica.disk.change(.deleteBefore(offset), nil)
        case .send(let message): transmit(message, replica)
        case .writeSnapshot(let id, let position, let bytes):
            replica.disk.writePart(of: id, at: position, bytes)
        case .completeSnapshot(let id):
            events.add(.snapshotChecked(replica.id, life: replica.life, id), at: now + syncTime(replica))
        case .advanceHighWatermark(let offset): try apply(upTo: offset, replica)
        case .becameRole(let role, let epoch, _):
            if role == .leader {
                try checker.leads(replica.id, epoch, replica.disk.written)
                try checkVotes(replica, epoch)
                overthrow(replica)
            }
        case .halt(let fault): throw Violation("node \(replica.id) halts: \(fault)")
        }
    }

    private func syncTime(_ replica: SimulatedReplica) -> Int64 {
        let isStuck = hasFaults && generator.next() % 60 == 0
        return draw(Self.millisecond * (isStuck ? 150 : 2)) * replica.slowness
    }

    private func change(_ change: LogChange, _ ticket: LogTicket, _ replica: SimulatedReplica) throws {
        let before = replica.disk.written.batches.count
        replica.disk.change(change, ticket)
        if case .append(let batches) = change {
            invariant(replica.disk.written.batches.count == before + batches.count, "batches are missing")
            for stored in replica.disk.written.batches[before...] {
                try checker.appended(stored, by: replica.id)
                if stored.batch.payload == .voters, replica.isLeader { try checkVoterChange(stored, replica) }
            }
        }
        events.add(.synced(replica.id, life: replica.life, ticket), at: now + syncTime(replica))
        if defect == .logNotSynced { replica.node?.complete(.logSynced(ticket), now: clock(replica)) }
    }

    /// A leader changes voters only when something of its epoch is committed (Ongaro, raft-dev, July 2015).
    private func checkVoterChange(_ stored: StoredBatch, _ leader: SimulatedReplica) throws {
        let log = leader.disk.written
        let last = log.batches[..<log.index(of: leader.applied.offset)].last
        if let last, last.batch.epoch != stored.batch.epoch {
            throw Violation("node \(leader.id) changes voters in \(stored.batch.epoch) before it commits")
        }
    }

    private func checkSnapshot(_ id: SnapshotID, _ replica: SimulatedReplica) throws {
        guard let snapshot = checker.snapshot(id), replica.disk.written(id) == snapshot.bytes else {
            replica.node?.complete(.snapshotFailed(id), now: clock(replica))
            return
        }
        replica.disk.add(snapshot)
        replica.node?.complete(
            .snapshotCompleted(id, voters: snapshot.voters), now: clock(replica))
    }

    /// Sends a message, with the bytes that it names.
    private func transmit(_ message: RaftMessage, _ replica: SimulatedReplica) {
        var message = message
        switch message.body {
        case .fetchAnswer(var answer):
            if case .read(let from, let below) = answer.records {
                let log = replica.disk.written
                let limit =
                    weather == .shortReigns || weather == .newVoters ? 1 : Int(generator.next() % 6) + 1
                let batches = log.batches[log.index(of: from)...].prefix(limit).map(\.batch)
                answer.records = .batches(batches.filter { $0.baseOffset < below })
                message.body = .fetchAnswer(answer)
            }
        case .fetchSnapshotAnswer(var answer):
            if case .read(let id, let position) = answer.chunk {
                if let bytes = replica.disk.snapshots[id]?.bytes, position < bytes.count {
                    let part = Array(bytes[Int(position)...].prefix(5))
                    answer.chunk = .bytes(part, position: position, size: Int64(bytes.count))
                } else {
                    answer.header.error = .snapshotNotFound
                    answer.chunk = .none
                }
                message.body = .fetchSnapshotAnswer(answer)
            }
        default: break
        }
        var copies = 1
        if hasFaults {
            if generator.chance(lossPercent, in: 100) { copies = 0 }
            if generator.chance(duplicatePercent, in: 100) { copies += 1 }
        }
        var lateness: UInt64 = 200
        switch message.body {
        case .vote, .voteAnswer: lateness = 8
        default: break
        }
        for _ in 0..<copies {
            var delay = draw(maximumDelay)
            if hasFaults, generator.next() % lateness == 0 { delay *= 60 }
            events.add(.deliver(message), at: now + delay)
        }
    }

    // MARK: What is committed

    private func apply(upTo offset: RaftOffset, _ replica: SimulatedReplica) throws {
        guard let node = replica.node, offset > replica.applied.offset else { return }
        let log = replica.disk.written
        if replica.applied.offset < log.start.offset {
            throw Violation("node \(replica.id) cannot come from \(replica.applied.offset) to \(log.start)")
        }
        for stored in log.batches[log.index(of: replica.applied.offset)...] {
            if stored.batch.endOffset > offset { break }
            let state = StoredBatch.chain(replica.applied.state, stored.batch)
            try checker.committed(stored, state: state, by: replica.id, in: node.promise.epoch)
            replica.applied = (stored.batch.endOffset, state)
        }
        if replica.applied.offset != offset {
            throw Violation("node \(replica.id) has committed \(offset), but has \(replica.applied.offset)")
        }
        if node.role != .leader { return }
        try checkDurability(offset, replica.applied.state, node)
        if let last = log.batches.last(where: { $0.batch.endOffset == offset }),
            last.batch.epoch != node.promise.epoch
        {
            throw Violation("node \(replica.id) commits \(last.batch.epoch) by leading \(node.promise.epoch)")
        }
    }

    /// Who leads an epoch has the votes of a majority, on their disks; who has gone on may have given one.
    private func checkVotes(_ leader: SimulatedReplica, _ epoch: RaftEpoch) throws {
        guard let quorum = leader.node?.log.voters.quorum else { return }
        let granted = quorum.voters.count { voter in
            guard let replica = replica(voter.key.id), voter.matches(replica.key) else { return true }
            let promise = replica.disk.promise
            return promise.epoch > epoch || (promise.epoch == epoch && promise.voted == leader.key)
        }
        if granted < quorum.majorityCount {
            throw Violation("node \(leader.id) leads epoch \(epoch) with \(granted) votes of \(quorum)")
        }
    }

    /// What a leader says is committed is on the disks of a majority.
    private func checkDurability(_ offset: RaftOffset, _ chain: UInt64, _ node: RaftNode) throws {
        let voters = node.log.voters.quorum.voters
        let holders = voters.count { voter in
            guard let replica = replica(voter.key.id) else { return false }
            let log = voter.matches(replica.key) ? replica.disk.durable : replica.lostDisks[voter.key]
            return log.map { $0.start.offset > offset || $0.chain(at: offset) == chain } ?? false
        }
        if holders < node.log.voters.quorum.majorityCount {
            throw Violation(
                "node \(node.replica.id) commits \(offset) in epoch \(node.promise.epoch), which is on "
                    + "\(holders) of \(voters.count) disks")
        }
    }
}
