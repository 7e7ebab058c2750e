import Base
import RaftConsensus

/// A quorum that does what a script says, and tells what it does. Nodes count from 1.
///
/// command            what it does
/// voters N           N nodes with empty disks that are voters
/// observer N         one more node, with the number N
/// lapse N MS         time passes for a node
/// deliver            messages are delivered, in the order in which they were sent, until there are none
/// drop               all messages under way are lost
/// cut N, join N      messages from and to a node are lost, or no longer
/// hold N, release N  what a node writes is not synced, or is again, with all that waited
/// propose N TEXT     a client proposes a record to a node
/// add N M, remove N M   an operator asks node N to make M a voter, or to remove it
/// resign N           a leader is told to go
/// snapshot N         a node takes a snapshot of what is committed, and its log starts there
/// crash N            a node loses its power, and what was not synced
/// start N            it comes back
/// newdisk N          it comes back with an empty disk
/// status             tells where everyone is
/// quietly COMMAND    what the command brings about is not told
struct ScenarioCluster {
    private struct Member {
        var directory: UInt64
        var disk: SimulatedReplicaDisk
        var node: RaftNode?
        var life: UInt64 = 1
        var holds = false
        var token: PersistToken?
        var ticket: LogTicket?
        var now = Duration.zero

        func key(_ id: Int32) -> ReplicaKey {
            ReplicaKey(id: id, directoryID: RaftDirectoryID(high: UInt64(id), low: directory))
        }
    }

    private var members: [Int32: Member] = [:]
    private var network: [RaftMessage] = []
    private var cut: Set<Int32> = []
    private var snapshots: [SnapshotID: SnapshotContent] = [:]
    private var lines: [String] = []

    /// Carries out one command.
    /// - Returns: what came of it, line by line.
    mutating func run(_ command: String) throws -> [String] {
        var words = command.split(separator: " ").map(String.init)
        let isQuiet = words.first == "quietly"
        if isQuiet { words.removeFirst() }
        lines = []
        try carryOut(words)
        return isQuiet ? [] : lines
    }

    private mutating func carryOut(_ words: [String]) throws {
        guard let verb = words.first else { throw Violation("an empty command") }
        let number = words.count > 1 ? Int32(words[1]) : nil
        switch (verb, number) {
        case ("voters", let count?): try createVoters(count)
        case ("observer", let id?):
            members[id] = Member(directory: 1, disk: SimulatedReplicaDisk(voters: Quorum([])))
            try start(id)
        case ("lapse", let id?):
            guard words.count == 3, let time = Int(words[2]) else { throw Violation("lapse N MS") }
            members[id]?.now += .milliseconds(time)
            try with(id) { node, now in node.tick(now: now) }
        case ("deliver", nil): try deliver()
        case ("drop", nil): network = []
        case ("cut", let id?): cut.insert(id)
        case ("join", let id?): cut.remove(id)
        case ("hold", let id?): members[id]?.holds = true
        case ("release", let id?):
            members[id]?.holds = false
            try with(id) { _, _ in }
        case ("propose", let id?):
            let bytes = Array(words[2...].joined(separator: " ").utf8)
            try ask(id) { node, now throws(RaftRefusal) in
                _ = try node.propose(bytes, recordCount: 1, now: now)
            }
        case ("add", let id?), ("remove", let id?): try changeVoters(id, words)
        case ("resign", let id?): try with(id) { node, now in node.resign(now: now) }
        case ("snapshot", let id?): try takeSnapshot(id)
        case ("crash", let id?):
            members[id]?.node = nil
            members[id]?.disk.loseUnsynced()
        case ("start", let id?): try start(id)
        case ("newdisk", let id?):
            members[id]?.directory += 1
            members[id]?.disk = SimulatedReplicaDisk(voters: Quorum([]))
            try start(id)
        case ("status", nil): tellStatus()
        default: throw Violation("unknown command: \(words.joined(separator: " "))")
        }
    }

    // MARK: Commands

    private mutating func createVoters(_ count: Int32) throws {
        for id in 1...count {
            members[id] = Member(directory: 1, disk: SimulatedReplicaDisk(voters: Quorum([])))
        }
        let quorum = Quorum(members.map { Voter(key: $0.value.key($0.key)) })
        for id in 1...count {
            members[id]?.disk = SimulatedReplicaDisk(voters: quorum)
            try start(id)
        }
    }

    private mutating func start(_ id: Int32) throws {
        guard var member = members[id] else { throw Violation("there is no node \(id)") }
        member.life += 1
        (member.token, member.ticket, member.holds) = (nil, nil, false)
        member.node = RaftNode(
            replica: member.key(id), promise: member.disk.promise,
            log: member.disk.written.view(snapshot: member.disk.latestSnapshot),
            configuration: RaftConfiguration(bootstrapNodes: members.keys.sorted()),
            generator: SeededGenerator(seed: UInt64(id) << 32 + member.life), now: member.now)
        members[id] = member
        try drain(id)
    }

    private mutating func with(_ id: Int32, _ change: (inout RaftNode, Duration) -> Void) throws {
        guard var node = members[id]?.node, let now = members[id]?.now else {
            throw Violation("node \(id) does not run")
        }
        change(&node, now)
        members[id]?.node = node
        try drain(id)
    }

    private mutating func ask(
        _ id: Int32, _ change: (inout RaftNode, Duration) throws(RaftRefusal) -> Void
    ) throws {
        var refusal: RaftRefusal?
        try with(id) { node, now in
            do throws(RaftRefusal) { try change(&node, now) } catch { refusal = error }
        }
        if let refusal { lines.append("\(id) refuses: \(refusal)") }
    }

    private mutating func changeVoters(_ id: Int32, _ words: [String]) throws {
        guard words.count == 3, let other = Int32(words[2]), let member = members[other] else {
            throw Violation("\(words[0]) N M")
        }
        var key = member.key(other)
        if words[0] == "remove", let voter = members[id]?.node?.log.voters.quorum.voter(other) {
            key = voter.key
        }
        let change: VoterChange = words[0] == "add" ? .add(Voter(key: key)) : .remove(key)
        try ask(id) { node, now throws(RaftRefusal) in _ = try node.propose(change, now: now) }
    }

    private mutating func takeSnapshot(_ id: Int32) throws {
        guard let member = members[id], let node = member.node,
            let chain = member.disk.written.chain(at: node.highWatermark),
            let last = member.disk.written.batches.last(where: { $0.batch.endOffset == node.highWatermark })
        else { throw Violation("node \(id) has nothing to take a snapshot of") }
        let name = SnapshotID(offset: node.highWatermark, epoch: last.batch.epoch)
        let snapshot = SnapshotContent(id: name, chain: chain, voters: node.log.voters.quorum)
        snapshots[name] = snapshot
        members[id]?.disk.add(snapshot)
        try with(id) { node, _ in
            node.snapshotTaken(name)
            node.advanceLogStart(to: name.offset)
        }
    }

    private mutating func tellStatus() {
        for (id, member) in members.sorted(by: { $0.key < $1.key }) {
            guard let node = member.node else {
                lines.append("\(id) is down, log \(member.disk.durable.endOffset)")
                continue
            }
            lines.append(
                "\(id) \(node.role.rawValue) epoch \(node.promise.epoch) log \(node.log.startOffset)..<"
                    + "\(node.log.end) committed \(node.highWatermark) voters \(node.log.voters.quorum)")
        }
    }

    // MARK: Messages and effects

    private mutating func deliver() throws {
        var count = 0
        while !network.isEmpty {
            count += 1
            if count > 2000 { throw Violation("messages without end") }
            let message = network.removeFirst()
            let isLost = cut.contains(message.sender) || cut.contains(message.receiver)
            if isLost || members[message.receiver]?.node == nil { continue }
            try with(message.receiver) { node, now in node.step(message, now: now) }
        }
    }

    private mutating func drain(_ id: Int32) throws {
        while true {
            guard let now = members[id]?.now else { return }
            let effects = members[id]?.node?.takeEffects() ?? []
            for effect in effects { try carryOut(effect, id) }
            if members[id]?.holds == true {
                if effects.isEmpty { return } else { continue }
            }
            if let token = members[id]?.token {
                members[id]?.token = nil
                members[id]?.disk.finishPromise()
                members[id]?.node?.complete(.persisted(token), now: now)
            } else if let ticket = members[id]?.ticket {
                members[id]?.ticket = nil
                members[id]?.disk.sync(through: ticket)
                members[id]?.node?.complete(.logSynced(ticket), now: now)
            } else if effects.isEmpty {
                return
            }
        }
    }

    private mutating func carryOut(_ effect: RaftEffect, _ id: Int32) throws {
        switch effect {
        case .persist(let promise, let token):
            let vote = promise.voted.map { " vote \($0.id)" } ?? ""
            let leader = promise.leaderID.map { " leader \($0)" } ?? ""
            lines.append("\(id) promises epoch \(promise.epoch)\(vote)\(leader)")
            members[id]?.disk.beginWriting(promise)
            members[id]?.token = token
        case .append(let batches, let ticket):
            for batch in batches { lines.append("\(id) appends \(ScenarioText.of(batch))") }
            members[id]?.disk.change(.append(batches), ticket)
            members[id]?.ticket = ticket
        case .truncate(let offset, let ticket):
            lines.append("\(id) cuts its log at \(offset)")
            members[id]?.disk.change(.truncate(to: offset), ticket)
            members[id]?.ticket = ticket
        case .resetLog(let name, let ticket):
            lines.append("\(id) begins its log after snapshot \(name)")
            guard let snapshot = members[id]?.disk.snapshots[name] else { throw Violation("no \(name)") }
            members[id]?.disk.change(.reset(snapshot), ticket)
            members[id]?.ticket = ticket
        case .deleteRecords(let offset):
            lines.append("\(id) starts its log at \(offset)")
            members[id]?.disk.change(.deleteBefore(offset), nil)
        case .send(let message): transmit(message, id)
        case .writeSnapshot(let name, let position, let bytes):
            members[id]?.disk.writePart(of: name, at: position, bytes)
        case .completeSnapshot(let name):
            guard let snapshot = snapshots[name], let now = members[id]?.now else {
                throw Violation("nobody took \(name)")
            }
            lines.append("\(id) has all of snapshot \(name)")
            members[id]?.disk.add(snapshot)
            members[id]?.node?.complete(.snapshotCompleted(name, voters: snapshot.voters), now: now)
        case .advanceHighWatermark(let offset): lines.append("\(id) has committed up to \(offset)")
        case .becameRole(let role, let epoch, let leader):
            let whom = role == .follower ? leader.map { " of \($0)" } ?? "" : ""
            lines.append("\(id) is \(role.rawValue)\(whom) in epoch \(epoch)")
        case .halt(let fault): lines.append("\(id) halts: \(fault)")
        }
    }

    private mutating func transmit(_ message: RaftMessage, _ id: Int32) {
        var message = message
        guard let disk = members[id]?.disk else { return }
        switch message.body {
        case .fetchAnswer(var answer):
            if case .read(let from, let below) = answer.records {
                let batches = disk.written.batches[disk.written.index(of: from)...].map(\.batch)
                answer.records = .batches(batches.filter { $0.baseOffset < below })
                message.body = .fetchAnswer(answer)
            }
        case .fetchSnapshotAnswer(var answer):
            if case .read(let name, let position) = answer.chunk, let bytes = disk.snapshots[name]?.bytes {
                answer.chunk = .bytes(
                    Array(bytes[Int(position)...]), position: position, size: Int64(bytes.count))
                message.body = .fetchSnapshotAnswer(answer)
            }
        default: break
        }
        if let text = ScenarioText.of(message) { lines.append("\(id) -> \(message.receiver) \(text)") }
        network.append(message)
    }
}

/// How scripts tell batches and messages.
enum ScenarioText {
    static func of(_ batch: RaftBatch) -> String {
        let place = "\(batch.baseOffset)..<\(batch.endOffset)@\(batch.epoch)"
        let voters = batch.voters.map { " voters \($0)" } ?? ""
        switch batch.payload {
        case .records(let bytes): return "\(place) '\(String(decoding: bytes, as: UTF8.self))'"
        case .leaderChange(let leader, _): return "\(place) leader \(leader)\(voters)"
        case .voters: return "\(place)\(voters)"
        }
    }

    private static func of(_ header: AnswerHeader) -> String {
        header.error.map { "error \($0)" } ?? "epoch \(header.epoch)"
    }

    /// Nil for what says nothing of interest: answers to announcements.
    static func of(_ message: RaftMessage) -> String? {
        switch message.body {
        case .vote(let request):
            return (request.isPreVote ? "pre-vote" : "vote")
                + "? epoch \(request.epoch) log \(request.logEnd)"
        case .voteAnswer(let answer):
            let error = answer.header.error.map { " (\($0))" } ?? ""
            return (answer.isPreVote ? "pre-vote" : "vote") + (answer.isGranted ? ": yes" : ": no") + error
        case .beginQuorumEpoch(let request): return "I lead epoch \(request.epoch)"
        case .endQuorumEpoch(let request):
            return "I end epoch \(request.epoch); after me \(request.preferredSuccessors.map(\.id))"
        case .beginQuorumEpochAnswer, .endQuorumEpochAnswer: return nil
        case .fetch(let request): return "fetch from \(request.logEnd) committed \(request.highWatermark)"
        case .fetchAnswer(let answer):
            if let end = answer.divergingEpoch { return "diverges at \(end)" }
            if let id = answer.snapshot { return "fetch snapshot \(id)" }
            if case .batches(let batches) = answer.records, let first = batches.first, let last = batches.last
            {
                return "records \(first.baseOffset)..<\(last.endOffset) committed \(answer.highWatermark)"
            }
            return "nothing, " + of(answer.header) + " committed \(answer.highWatermark)"
        case .fetchSnapshot(let request): return "snapshot \(request.snapshot) from \(request.position)"
        case .fetchSnapshotAnswer(let answer): return "part of \(answer.snapshot), " + of(answer.header)
        }
    }
}
