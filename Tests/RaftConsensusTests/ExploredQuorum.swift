import Base
@_spi(Canaries) import RaftConsensus

/// A small quorum as a value: one state among all that it can come to.
///
/// Time has no part in it: any time-out may come at any time. What has been sent stays on the way: it may
/// come at any time, again and again, or never. So the messages only become more, and few sets of them have
/// to be looked at. Where nodes crash, promises and logs are synced when it pleases the disk, and a crash
/// loses what is not, or nothing; where they do not, a sync that takes long is the same as a message that
/// does.
struct ExploredQuorum {
    /// What can happen next.
    enum Step {
        case deliver(Int)
        case keepPromise(Int)
        case syncLog(Int)
        case timeout(Int)
        case retry(Int)
        case propose(Int)
        case crash(Int, keepsWritten: Bool)
        case remove(Int, voter: Int)
    }

    /// What may happen how often: without bounds there would be no end.
    struct Budget: Hashable, Sendable {
        var timeouts = 0
        var proposals = 0
        var crashes = 0
        var removals = 0
    }

    private struct Replica {
        var node: RaftNode
        var disk: SimulatedReplicaDisk
        var token: PersistToken?
        var ticket: LogTicket?
        var applied = (offset: RaftOffset(0), state: UInt64(0))
        var now = Duration.zero
    }

    /// While a promise is being written a node takes no more messages than have so many effects. The same one
    /// could come for ever.
    private static let maximumHeldEffects = 2

    private static let configuration = RaftConfiguration(
        fetchTimeout: .seconds(1000), electionTimeout: .seconds(1000), electionBackoff: .seconds(1),
        requestTimeout: .milliseconds(1), retryBackoff: .zero, fetchMaximumWait: .zero)

    private var replicas: [Replica] = []
    private var network: [RaftMessage] = []
    private var budget: Budget
    private var checker = RaftChecker()
    private let ignoring: SafetyRule?
    private let syncsAtOnce: Bool

    /// All that happened ends up in one of these.
    var committedEnd: RaftOffset { checker.committedEnd }

    init(voters: Int, budget: Budget, ignoring: SafetyRule? = nil) throws {
        self.budget = budget
        self.ignoring = ignoring
        syncsAtOnce = budget.crashes == 0
        let keys = (0..<voters).map {
            ReplicaKey(id: Int32($0), directoryID: RaftDirectoryID(high: 0, low: UInt64($0)))
        }
        let quorum = Quorum(keys.map { Voter(key: $0) })
        for key in keys {
            let disk = SimulatedReplicaDisk(voters: quorum)
            replicas.append(Replica(node: makeNode(key, disk), disk: disk))
        }
        for index in replicas.indices { try drain(index) }
        forgetRepetitions()
    }

    /// - Parameter life: makes the numbers of its requests others than those of the node's earlier lives.
    private func makeNode(_ key: ReplicaKey, _ disk: SimulatedReplicaDisk, life: Int = 0) -> RaftNode {
        RaftNode(
            replica: key, promise: disk.promise, log: disk.written.view(snapshot: nil),
            configuration: Self.configuration,
            generator: SeededGenerator(seed: UInt64(key.id) + UInt64(life) << 32),
            now: .zero,
            ignoring: ignoring)
    }

    // MARK: Steps

    /// All that can happen next.
    var steps: [Step] {
        var steps = network.indices
            .filter { replicas[Int(network[$0].receiver)].node.heldEffectCount < Self.maximumHeldEffects }
            .map { Step.deliver($0) }
        for (index, replica) in replicas.enumerated() {
            let isLeader = replica.node.role == .leader
            if replica.token != nil { steps.append(.keepPromise(index)) }
            if replica.ticket != nil { steps.append(.syncLog(index)) }
            if budget.timeouts > 0 { steps.append(.timeout(index)) }
            if let awaited = replica.node.awaitedRequest, !network.contains(where: { $0.request == awaited })
            {
                steps.append(.retry(index))
            }
            if isLeader, budget.proposals > 0 { steps.append(.propose(index)) }
            if budget.crashes > 0 {
                steps.append(.crash(index, keepsWritten: false))
                steps.append(.crash(index, keepsWritten: true))
            }
            if isLeader, budget.removals > 0 {
                steps += replicas.indices.map { .remove(index, voter: $0) }
            }
        }
        return steps
    }

    /// Makes a step.
    /// - Returns: false when it cannot be made.
    mutating func take(_ step: Step) throws -> Bool {
        defer { forgetRepetitions() }
        switch step {
        case .deliver(let place):
            let message = network[place]
            let index = Int(message.receiver)
            replicas[index].node.step(message, now: replicas[index].now)
            try drain(index)
        case .keepPromise(let index):
            guard let token = replicas[index].token else { return false }
            replicas[index].token = nil
            replicas[index].disk.finishPromise()
            replicas[index].node.complete(.persisted(token), now: replicas[index].now)
            try drain(index)
        case .syncLog(let index):
            guard let ticket = replicas[index].ticket else { return false }
            replicas[index].ticket = nil
            replicas[index].disk.sync(through: ticket)
            replicas[index].node.complete(.logSynced(ticket), now: replicas[index].now)
            try drain(index)
        case .timeout(let index):
            budget.timeouts -= 1
            try pass(.seconds(100_000), index)
        case .retry(let index): try pass(.milliseconds(2), index)
        case .propose(let index):
            budget.proposals -= 1
            let now = replicas[index].now
            guard (try? replicas[index].node.propose([7], recordCount: 1, now: now)) != nil else {
                return false
            }
            try drain(index)
        case .crash(let index, let keepsWritten):
            budget.crashes -= 1
            try crash(index, keepsWritten: keepsWritten)
        case .remove(let index, let voter):
            budget.removals -= 1
            let (key, now) = (replicas[voter].node.replica, replicas[index].now)
            guard (try? replicas[index].node.propose(.remove(key), now: now)) != nil else { return false }
            try drain(index)
        }
        return true
    }

    private mutating func pass(_ time: Duration, _ index: Int) throws {
        replicas[index].now += time
        replicas[index].node.tick(now: replicas[index].now)
        try drain(index)
    }

    private mutating func crash(_ index: Int, keepsWritten: Bool) throws {
        var replica = replicas[index]
        if keepsWritten {
            replica.disk.keepAll()
        } else {
            replica.disk.loseUnsynced()
        }
        replica.token = nil
        replica.ticket = nil
        replica.applied = (0, 0)
        replica.now = .zero
        replica.node = makeNode(replica.node.replica, replica.disk, life: budget.crashes + 1)
        replicas[index] = replica
        try drain(index)
    }

    // MARK: The shell

    private mutating func drain(_ index: Int) throws {
        while true {
            let effects = replicas[index].node.takeEffects()
            if effects.isEmpty { return }
            for effect in effects { try carryOut(effect, index) }
            if !syncsAtOnce { continue }
            let now = replicas[index].now
            if let token = replicas[index].token {
                replicas[index].token = nil
                replicas[index].disk.finishPromise()
                replicas[index].node.complete(.persisted(token), now: now)
            }
            if let ticket = replicas[index].ticket {
                replicas[index].ticket = nil
                replicas[index].disk.sync(through: ticket)
                replicas[index].node.complete(.logSynced(ticket), now: now)
            }
        }
    }

    /// Whether a message can still do more than tell an epoch that its receiver can learn in other ways. What
    /// cannot is as good as lost, and there would be too many of them.
    private func isOfUse(_ message: RaftMessage) -> Bool {
        let receiver = replicas[Int(message.receiver)].node
        switch message.body {
        case .vote(let request): return request.epoch >= receiver.promise.epoch
        case .voteAnswer(let answer):
            return answer.header.epoch > receiver.promise.epoch
                || (answer.isGranted && answer.header.epoch == receiver.promise.epoch)
        case .beginQuorumEpoch(let request): return request.epoch >= receiver.promise.epoch
        case .endQuorumEpoch(let request): return request.epoch >= receiver.promise.epoch
        case .beginQuorumEpochAnswer(let header), .endQuorumEpochAnswer(let header):
            return header.epoch > receiver.promise.epoch
        case .fetch(let request): return receiver.role == .leader && request.epoch == receiver.promise.epoch
        case .fetchAnswer(let answer):
            return answer.header.epoch >= receiver.promise.epoch && isAwaited(message)
        case .fetchSnapshot, .fetchSnapshotAnswer: return true
        }
    }

    /// Drops what makes no difference: what is of no use, and messages that say the same as others.
    private mutating func forgetRepetitions() {
        struct Content: Hashable {
            let sender: Int32
            let receiver: Int32
            let body: RaftMessage.Body
        }
        var seen: Set<Content> = []
        // The last of several equal ones is the one that may be waited for.
        network = network.reversed().filter { message in
            if !isOfUse(message) { return false }
            return seen.insert(
                Content(sender: message.sender, receiver: message.receiver, body: message.body)
            ).inserted
        }.reversed()
    }

    private mutating func carryOut(_ effect: RaftEffect, _ index: Int) throws {
        let id = replicas[index].node.replica.id
        switch effect {
        case .persist(let promise, let token):
            replicas[index].disk.beginWriting(promise)
            replicas[index].token = token
        case .append(let batches, let ticket):
            let before = replicas[index].disk.written.batches.count
            replicas[index].disk.change(.append(batches), ticket)
            replicas[index].ticket = ticket
            for stored in replicas[index].disk.written.batches[before...] {
                try checker.appended(stored, by: id)
            }
        case .truncate(let offset, let ticket):
            replicas[index].disk.change(.truncate(to: offset), ticket)
            replicas[index].ticket = ticket
        case .send(let message): transmit(message, index)
        case .advanceHighWatermark(let offset): try apply(upTo: offset, index)
        case .becameRole(let role, let epoch, _):
            if role == .leader { try checker.leads(id, epoch, replicas[index].disk.written) }
        case .halt(let fault): throw Violation("node \(id) halts: \(fault)")
        case .resetLog, .deleteRecords, .writeSnapshot, .completeSnapshot:
            throw Violation("node \(id) wants \(effect), and there are no snapshots")
        }
    }

    private mutating func transmit(_ message: RaftMessage, _ index: Int) {
        var message = message
        if case .fetchAnswer(var answer) = message.body, case .read(let from, let below) = answer.records {
            let log = replicas[index].disk.written
            // One batch at a time: what is on the way matters more than how fast it is.
            let batches = log.batches[log.index(of: from)...].prefix(1).map(\.batch)
            answer.records = .batches(batches.filter { $0.baseOffset < below })
            message.body = .fetchAnswer(answer)
        }
        network.append(message)
    }

    private mutating func apply(upTo offset: RaftOffset, _ index: Int) throws {
        let replica = replicas[index]
        let log = replica.disk.written
        for stored in log.batches[log.index(of: replica.applied.offset)...] {
            if stored.batch.endOffset > offset { break }
            let state = StoredBatch.chain(replicas[index].applied.state, stored.batch)
            try checker.committed(
                stored, state: state, by: replica.node.replica.id, in: replica.node.promise.epoch)
            replicas[index].applied = (stored.batch.endOffset, state)
        }
    }

    // MARK: Knowing a state again

    /// A number that equal states share. Messages count as a set: whether one is the answer that its receiver
    /// waits for matters, its number does not.
    var fingerprint: Int {
        var hasher = Hasher()
        hasher.combine(budget)
        for replica in replicas {
            replica.node.hashState(into: &hasher)
            hasher.combine(replica.disk.promise)
            hasher.combine(replica.disk.written.endChain)
            hasher.combine(replica.disk.durable.endChain)
            hasher.combine(replica.token == nil)
            hasher.combine(replica.ticket == nil)
        }
        var messages: Set<Int> = []
        for message in network {
            var one = Hasher()
            one.combine(message.sender)
            one.combine(message.receiver)
            one.combine(message.body)
            one.combine(isAwaited(message))
            messages.insert(one.finalize())
        }
        hasher.combine(messages)
        checker.hashHistory(into: &hasher)
        return hasher.finalize()
    }

    private func isAwaited(_ message: RaftMessage) -> Bool {
        replicas.contains { $0.node.awaitedRequest == message.request }
    }
}
