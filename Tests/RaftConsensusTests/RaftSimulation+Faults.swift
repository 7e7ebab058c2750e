import Base
import RaftConsensus

/// What clients, operators and bad luck do.
extension RaftSimulation {
    private func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[Int(generator.next() % UInt64(elements.count))]
    }

    private var leaders: [SimulatedReplica] { replicas.filter(\.isLeader) }

    /// A client proposes a few records to who says that it leads.
    func propose() throws {
        guard let leader = pick(leaders) else { return }
        proposals += 1
        let bytes = withUnsafeBytes(of: UInt64(proposals).littleEndian) { Array($0.prefix(4)) }
        _ = try? leader.node?.propose(
            bytes, recordCount: 1 + Int64(generator.next() % 3), now: clock(leader))
        try drain(leader)
    }

    func injectFault() throws {
        guard let victim = pick(replicas) else { return }
        switch weather {
        case .newVoters where generator.next() % 2 == 0:
            try changeVoters()
            return
        case .shortReigns where generator.next() % 4 != 0:
            blocked = []
            return
        default: break
        }
        switch generator.next() % 24 {
        case 0...2: crash(victim)
        case 3: kill(victim)
        case 4, 5: isolate(victim)
        case 6: blockOneWay()
        case 7: split()
        case 8: bridge()
        case 9, 10: blocked = []
        case 11:
            lossPercent = [0, 0, 5, 20][Int(generator.next() % 4)]
            duplicatePercent = [0, 5, 30][Int(generator.next() % 3)]
        case 12: maximumDelay = Self.millisecond * [2, 5, 20, 60][Int(generator.next() % 4)]
        case 13: try jumpClock(victim)
        case 14: victim.slowness = victim.slowness == 1 ? 8 : 1
        case 15: loseDisk(victim)
        case 16:
            if let leader = pick(leaders) {
                leader.node?.resign(now: clock(leader))
                try drain(leader)
            }
        case 17, 18: try takeSnapshot(victim)
        case 19:
            if let leader = pick(leaders) { crash(leader) }
        default: try changeVoters()
        }
    }

    func crash(_ replica: SimulatedReplica) {
        if replica.node == nil { return }
        trace?.append("\(now / 1000) crash \(replica.id)")
        replica.stop()
        replica.disk.crash(&generator, tears: defect == .promiseOverwritten)
        let pause: Int64 = generator.next() % 2 == 0 ? 2 : 200
        events.add(.restart(replica.id), at: now + draw(pause * Self.millisecond))
    }

    /// A leader that has just been elected may not have long to reign.
    func overthrow(_ leader: SimulatedReplica) {
        guard hasFaults, weather == .shortReigns || weather == .newVoters else { return }
        if weather == .newVoters { events.add(.changeVoters, at: now + draw(10 * Self.millisecond)) }
        if generator.next() % 4 != 0 {
            events.add(.crash(leader.id, life: leader.life), at: now + draw(25 * Self.millisecond))
        }
    }

    func kill(_ replica: SimulatedReplica) {
        if replica.node == nil { return }
        trace?.append("\(now / 1000) kill \(replica.id)")
        replica.stop()
        replica.disk.kill(&generator)
        events.add(.restart(replica.id), at: now + draw(100 * Self.millisecond))
    }

    private func isolate(_ victim: SimulatedReplica) {
        for other in replicas where other.id != victim.id {
            blocked.insert([victim.id, other.id])
            blocked.insert([other.id, victim.id])
        }
    }

    private func blockOneWay() {
        guard let from = pick(replicas), let to = pick(replicas) else { return }
        blocked.insert([from.id, to.id])
    }

    private func split() {
        let sides = replicas.map { _ in generator.next() % 2 }
        for from in replicas {
            for to in replicas where sides[Int(from.id)] != sides[Int(to.id)] {
                blocked.insert([from.id, to.id])
            }
        }
    }

    /// Two halves that only one node hears both of.
    private func bridge() {
        guard let middle = pick(replicas) else { return }
        split()
        blocked = blocked.filter { !$0.contains(middle.id) }
    }

    private func jumpClock(_ victim: SimulatedReplica) throws {
        victim.clockSkew += (generator.next() % 3 == 0 ? -1 : 1) * draw(800 * Self.millisecond)
        victim.tickTime = .max
        victim.node?.tick(now: clock(victim))
        try drain(victim)
    }

    private func takeSnapshot(_ victim: SimulatedReplica) throws {
        guard let node = victim.node, victim.applied.offset > node.log.startOffset,
            let chain = victim.disk.written.chain(at: victim.applied.offset),
            let last = victim.disk.written.batches.last(where: { $0.batch.endOffset == victim.applied.offset }
            )
        else { return }
        var voters = victim.disk.written.startVoters
        for stored in victim.disk.written.batches where stored.batch.endOffset <= victim.applied.offset {
            voters = stored.batch.voters ?? voters
        }
        let id = SnapshotID(offset: victim.applied.offset, epoch: last.batch.epoch)
        let snapshot = SnapshotContent(id: id, chain: chain, voters: voters)
        try checker.took(snapshot, by: victim.id)
        victim.disk.add(snapshot)
        victim.node?.snapshotTaken(id)
        if generator.next() % 3 != 0 { victim.node?.advanceLogStart(to: id.offset) }
        try drain(victim)
    }

    // MARK: Voters and disks

    /// All voters that any log names, be it written or on a disk.
    private var namedQuorums: [Quorum] {
        replicas.flatMap { replica in
            [replica.disk.written, replica.disk.durable].flatMap { log in
                [log.startVoters] + log.batches.compactMap(\.batch.voters)
            }
        }
    }

    private func isLost(_ voter: Voter) -> Bool {
        replica(voter.key.id).map { !voter.matches($0.key) } ?? true
    }

    /// A disk is replaced by an empty one, unless voters that may have to do without it would be no majority.
    private func loseDisk(_ victim: SimulatedReplica) {
        for quorum in namedQuorums where quorum.contains(victim.key) {
            if quorum.voters.count < 3 || quorum.voters.contains(where: isLost) { return }
        }
        trace?.append("\(now / 1000) lose disk \(victim.id)")
        victim.stop()
        victim.lostDisks[victim.key] = victim.disk.durable
        victim.directory = RaftDirectoryID(high: UInt64(victim.id), low: generator.next())
        victim.keptPromise = QuorumPromise()
        victim.disk = SimulatedReplicaDisk(voters: Quorum([]))
        events.add(.restart(victim.id), at: now + draw(50 * Self.millisecond))
    }

    func changeVoters() throws {
        guard let leader = pick(leaders), let node = leader.node else { return }
        let voters = node.log.voters.quorum.voters
        let lost = voters.filter(isLost)
        let change: VoterChange
        if let gone = lost.first {
            change = .remove(gone.key)
        } else if generator.next() % 2 == 0, voters.count > 1, let voter = pick(voters) {
            change = .remove(voter.key)
        } else if let new = pick(replicas.filter { !node.log.voters.quorum.contains($0.key) }) {
            change = .add(Voter(key: new.key))
        } else if let voter = pick(voters) {
            change = .update(Voter(key: voter.key, supportedVersions: 0...2))
        } else {
            return
        }
        _ = try? leader.node?.propose(change, now: clock(leader))
        try drain(leader)
    }

    // MARK: The second phase

    /// No more faults: all that is left must come to agree, and go on.
    func settle() throws {
        hasFaults = false
        blocked = []
        maximumDelay = 3 * Self.millisecond
        for replica in replicas {
            replica.slowness = 1
            if replica.node == nil {
                start(replica)
                try drain(replica)
            }
        }
        let agreed = { [self] in
            let leaders = leaders
            guard let leader = leaders.max(by: { $0.node!.promise.epoch < $1.node!.promise.epoch }),
                let node = leader.node
            else { return false }
            let end = node.log.endOffset
            return node.highWatermark == end && replicas.allSatisfy { $0.applied.offset == end }
        }
        let deadline = now + 20_000 * Self.millisecond
        try run(until: deadline, or: agreed)
        if !agreed() { throw Violation("no agreement 20 s after the last fault: \(summary)") }
        let before = checker.committedEnd
        events.add(.client, at: now + Self.millisecond)
        try run(until: deadline) { [self] in checker.committedEnd > before && agreed() }
        if !(checker.committedEnd > before && agreed()) {
            throw Violation("nothing more is committed: \(summary)")
        }
        let states = Set(replicas.map(\.applied.state))
        if states.count != 1 { throw Violation("the states differ at \(checker.committedEnd)") }
    }

    var summary: String {
        replicas.map { replica in
            let node = replica.node
            return "\(replica.id) \(node?.role.rawValue ?? "down") epoch \(node?.promise.epoch ?? -1) end "
                + "\(node?.log.end.description ?? "-") committed \(node?.highWatermark ?? -1) voters "
                + "\(node?.log.voters.quorum.description ?? "-")"
        }.joined(separator: "; ")
    }
}
