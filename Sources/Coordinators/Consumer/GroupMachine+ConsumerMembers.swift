internal import KafkaProtocol
internal import RecordFormat

/// Members of consumer groups: how they go, and how long they may be silent.
extension GroupMachine {
    struct MemberKey: Hashable {
        let group: String
        let member: String
    }

    /// What is waited for of a member. Each may be waited for by itself.
    enum MemberWait: Hashable {
        /// That it is heard of.
        case session
        /// That it gives back what it is not to have.
        case revocation
        /// That a classic member joins again, as it was told to.
        case join
        /// That a classic member asks for its assignment.
        case sync
    }

    struct WaitKey: Hashable {
        let key: MemberKey
        let wait: MemberWait
    }

    // MARK: Leaving

    func leave(
        _ request: ConsumerGroupHeartbeatRequest, _ now: CoordinatorMoment, _ effects: inout Effects
    ) throws(GroupRefusal) -> ConsumerGroupHeartbeatResponse {
        guard let group = consumerGroups[request.groupID] else {
            throw GroupRefusal(.groupIDNotFound, "Consumer group \(request.groupID) not found.")
        }
        var id = request.memberID
        if let instance = request.instanceID {
            guard let known = group.staticMembers[instance] else { throw Self.unknown(id) }
            guard known == id else {
                throw GroupRefusal(
                    .fencedInstanceID,
                    "Static member \(id) with instance id \(instance) was fenced by member \(known).")
            }
            id = known
        }
        guard var member = group.members[id] else { throw Self.unknown(id) }
        if request.memberEpoch == ConsumerMember.pausingEpoch {
            // Nobody else gets what it has until its session is over.
            var draft = ConsumerGroupDraft(group)
            member.setEpoch(ConsumerMember.pausingEpoch)
            member.state = .stable
            member.revoking = PartitionSet()
            draft.setCurrent(member)
            effects.records += draft.records
            touch(MemberKey(group: group.id, member: id), now)
            stopWaiting(.revocation, MemberKey(group: group.id, member: id))
        } else {
            remove([id], from: group, now, &effects)
        }
        return ConsumerGroupHeartbeatResponse(
            memberID: request.memberID, memberEpoch: request.memberEpoch)
    }

    /// Takes members out; the others get what they had with their next heartbeats. Where only classic members
    /// are left, the group becomes a classic one, if it may.
    func remove(
        _ ids: [String], from group: ConsumerGroup, _ now: CoordinatorMoment, _ effects: inout Effects
    ) {
        for id in ids { stopWaiting(MemberKey(group: group.id, member: id)) }
        if let records = downgrade(group, without: Set(ids), now) {
            effects.records += records
            return
        }
        var draft = ConsumerGroupDraft(group)
        for id in ids { draft.remove(id) }
        for pattern in draft.patterns.keys.sorted() where draft.patternCounts[pattern] == nil {
            draft.setPattern(pattern, nil, version: 0, timestamp: 0)
        }
        draft.bump()
        effects.records += draft.records
    }

    // MARK: Time

    func session(of group: String) -> Int64 {
        surroundings.ownSettings(of: group).session ?? settings.consumerSession
    }

    /// The member was heard of.
    func touch(_ key: MemberKey, _ now: CoordinatorMoment, timeout: Int64? = nil) {
        wait(.session, key, timeout ?? session(of: key.group), now)
    }

    /// What a member is after a heartbeat decides what is waited for.
    func note(
        _ member: ConsumerMember, before: ConsumerMember, in group: String, _ now: CoordinatorMoment
    ) {
        let key = MemberKey(group: group, member: member.id)
        touch(key, now)
        stopWaiting(.join, key)
        stopWaiting(.sync, key)
        guard member.state == .unrevoked else { return stopWaiting(.revocation, key) }
        if before.state != .unrevoked || before.revoking != member.revoking {
            wait(.revocation, key, Int64(max(member.rebalanceTimeout, 0)), now)
        }
    }

    /// Counts from now, whatever was waited for before.
    func wait(_ wait: MemberWait, _ key: MemberKey, _ timeout: Int64, _ now: CoordinatorMoment) {
        let name = WaitKey(key: key, wait: wait)
        let deadline = now.monotonicMilliseconds + timeout
        // A timer that comes before looks again; one that comes after is given up.
        if let timer = waits[name]?.timer, timer <= deadline {
            waits[name]?.deadline = deadline
        } else {
            waits[name] = (deadline, deadline)
            schedule(.consumer(name), at: deadline)
        }
    }

    func stopWaiting(_ wait: MemberWait, _ key: MemberKey) { waits[WaitKey(key: key, wait: wait)] = nil }

    private func stopWaiting(_ key: MemberKey) {
        for wait in [MemberWait.session, .revocation, .join, .sync] { stopWaiting(wait, key) }
        toldTwice.remove(key)
    }

    func consumerTimer(
        _ name: WaitKey, _ timer: Int64, _ now: CoordinatorMoment, _ effects: inout Effects
    ) {
        guard let waited = waits[name], waited.timer == timer else { return }
        if waited.deadline > now.monotonicMilliseconds {
            waits[name] = (waited.deadline, waited.deadline)
            return schedule(.consumer(name), at: waited.deadline)
        }
        waits[name] = nil
        guard let group = consumerGroups[name.key.group], group.members[name.key.member] != nil else {
            toldTwice.remove(name.key)
            return
        }
        remove([name.key.member], from: group, now, &effects)
    }

    /// Members that nothing is waited for are given time to be heard of: after loading, and where the log did
    /// not take what was to end them.
    func beginSessions(_ group: ConsumerGroup, _ now: CoordinatorMoment) {
        for member in group.members.values.sorted(by: { $0.id < $1.id }) {
            let key = MemberKey(group: group.id, member: member.id)
            if waits[WaitKey(key: key, wait: .session)] == nil {
                touch(key, now, timeout: member.classicSession)
            }
            if member.state == .unrevoked && waits[WaitKey(key: key, wait: .revocation)] == nil {
                wait(.revocation, key, Int64(max(member.rebalanceTimeout, 0)), now)
            }
        }
    }

    // MARK: Topics

    /// Topics have come, gone, or got more partitions. Groups that may read them divide anew with the next
    /// heartbeat of any member.
    public func topicsChanged(_ names: Set<String>) {
        for group in consumerGroups.values {
            if !group.patternCounts.isEmpty {
                group.hasStaleTopics = true
                group.changedNames?.formUnion(names)
                if let count = group.changedNames?.count, count > Self.changedNamesLimit {
                    group.changedNames = nil
                }
            } else if names.contains(where: { group.nameCounts[$0] != nil }) {
                group.hasStaleTopics = true
            }
        }
    }

    /// Beyond it all names are asked about, which costs as much.
    private static let changedNamesLimit = 1_000
}
