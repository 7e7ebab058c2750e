internal import Base
internal import KafkaProtocol

/// From one generation to the next.
extension GroupMachine {
    /// Begins a rebalance, or ends the one that is being prepared when nobody is missing.
    func prepareOrComplete(_ group: ClassicGroup, _ now: CoordinatorMoment, _ effects: inout Effects) {
        switch group.state {
        case .empty, .stable, .completingRebalance: prepareRebalance(group, now, &effects)
        case .preparingRebalance: completeIfAllJoined(group, now, &effects)
        case .dead: break
        }
    }

    func prepareRebalance(_ group: ClassicGroup, _ now: CoordinatorMoment, _ effects: inout Effects) {
        // Assignments that are not given out are never given out.
        if group.state == .completingRebalance { takeBackAssignments(group, .rebalanceInProgress, &effects) }
        group.syncTimer = nil
        let isFirst = group.state == .empty
        group.transition(to: .preparingRebalance, now)
        if isFirst {
            group.hasNewMember = false
            let delay = settings.initialRebalanceDelay
            schedule(
                group, .initialDelay(milliseconds: delay, remaining: max(group.rebalanceTimeout - delay, 0)),
                after: delay, now)
        } else if group.hasAllJoined {
            completeJoin(group, now, &effects)
        } else {
            schedule(group, .completion, after: group.rebalanceTimeout, now)
        }
    }

    private func takeBackAssignments(_ group: ClassicGroup, _ code: ErrorCode, _ effects: inout Effects) {
        for place in group.members.all.indices {
            group.update(place) {
                $0.assignment = []
                guard let token = $0.syncing else { return }
                $0.syncing = nil
                effects.answer(token, .sync(SyncGroupResponse(errorCode: code)))
            }
        }
    }

    private func schedule(
        _ group: ClassicGroup, _ kind: ClassicGroup.JoinTimer, after delay: Int64, _ now: CoordinatorMoment
    ) {
        let serial = takeSerial()
        group.joinTimer = (serial, kind)
        schedule(.join(group: group.id, serial: serial), at: now.monotonicMilliseconds + delay)
    }

    func joinTimer(_ id: String, _ serial: UInt64, _ now: CoordinatorMoment, _ effects: inout Effects) {
        guard let group = groups[id], let timer = group.joinTimer, timer.serial == serial else { return }
        group.joinTimer = nil
        guard group.state == .preparingRebalance else { return }
        if case .initialDelay(let delay, let remaining) = timer.kind, group.hasNewMember, remaining > 0 {
            // More members may follow the one that came.
            group.hasNewMember = false
            let next = min(settings.initialRebalanceDelay, remaining)
            schedule(
                group, .initialDelay(milliseconds: next, remaining: max(remaining - delay, 0)), after: next,
                now)
        } else {
            completeJoin(group, now, &effects)
        }
    }

    /// The delay before the first generation is waited for in any case.
    func completeIfAllJoined(_ group: ClassicGroup, _ now: CoordinatorMoment, _ effects: inout Effects) {
        if case .initialDelay = group.joinTimer?.kind { return }
        if group.state == .preparingRebalance && group.hasAllJoined { completeJoin(group, now, &effects) }
    }

    /// Whoever has not joined by now is no member any more, but for static members, which stay until their
    /// session is over.
    private func completeJoin(_ group: ClassicGroup, _ now: CoordinatorMoment, _ effects: inout Effects) {
        group.joinTimer = nil
        for member in group.members.all where member.joining == nil && member.instanceID == nil {
            group.remove(member.id)
        }
        if !group.members.isEmpty && !electLeader(group) {
            // Static members only, none of which is there: they may come until their sessions end.
            return schedule(group, .completion, after: group.rebalanceTimeout, now)
        }
        group.beginGeneration(now)
        if group.state == .empty {
            effects.records.append(group.record)
            return
        }
        for place in group.members.all.indices {
            let id = group.members[place].id
            if let token = group.takeJoining(place) {
                effects.answer(token, .join(generation(of: group, for: id)))
            }
            group.update(place) { $0.isNew = false }
            group.pendingSyncs.insert(id)
            touch(group, place, group.members[place].sessionTimeout, now)
        }
        let serial = takeSerial()
        group.syncTimer = serial
        schedule(
            .sync(group: group.id, serial: serial), at: now.monotonicMilliseconds + group.rebalanceTimeout)
    }

    /// The leader has to be one who is there.
    private func electLeader(_ group: ClassicGroup) -> Bool {
        if let leader = group.leaderID, group.members[leader]?.joining != nil { return true }
        guard let other = group.members.all.first(where: { $0.joining != nil }) else { return false }
        group.leaderID = other.id
        return true
    }

    /// Members that have not asked for their assignment are gone.
    func syncTimer(_ id: String, _ serial: UInt64, _ now: CoordinatorMoment, _ effects: inout Effects) {
        guard let group = groups[id], group.syncTimer == serial else { return }
        group.syncTimer = nil
        guard group.state == .completingRebalance || group.state == .stable, !group.pendingSyncs.isEmpty
        else { return }
        for member in group.pendingSyncs.sorted() { group.remove(member) }
        prepareRebalance(group, now, &effects)
    }

    // MARK: Sessions

    /// The member is there, and counts as gone only after `timeout` more milliseconds.
    func touch(_ group: ClassicGroup, _ place: Int, _ timeout: Int64, _ now: CoordinatorMoment) {
        let deadline = now.monotonicMilliseconds + timeout
        var isNeeded = false
        group.update(place) {
            $0.deadline = deadline
            isNeeded = $0.timer.map { $0 > deadline } ?? true
            if isNeeded { $0.timer = deadline }
        }
        // Otherwise the timer that there is comes before, and looks again.
        if isNeeded { schedule(.session(group: group.id, member: group.members[place].id), at: deadline) }
    }

    func sessionTimer(
        _ id: String, _ memberID: String, _ deadline: Int64, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) {
        guard let group = groups[id], let place = group.members.place(of: memberID),
            group.members[place].timer == deadline
        else { return }
        let member = group.members[place]
        group.update(place) { $0.timer = nil }
        if member.deadline > now.monotonicMilliseconds {
            group.update(place) { $0.timer = member.deadline }
            return schedule(.session(group: id, member: memberID), at: member.deadline)
        }
        // Whoever is waiting for us is there; its time begins with its answer.
        if !member.isNew && (member.joining != nil || member.syncing != nil) { return }
        expel(group, memberID, now, &effects)
    }

    func pendingJoinTimer(
        _ id: String, _ memberID: String, _ deadline: Int64, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) {
        guard let group = groups[id], group.pendingJoins[memberID] == deadline else { return }
        group.pendingJoins[memberID] = nil
        completeIfAllJoined(group, now, &effects)
    }

    /// Takes a member out, and has the others divide its partitions.
    func expel(
        _ group: ClassicGroup, _ memberID: String, _ now: CoordinatorMoment, _ effects: inout Effects
    ) {
        guard let member = group.remove(memberID) else { return }
        if let token = member.joining {
            effects.answer(
                token, .join(JoinGroupResponse(errorCode: .unknownMemberID, memberID: memberID)))
        }
        if let token = member.syncing {
            effects.answer(token, .sync(SyncGroupResponse(errorCode: .unknownMemberID)))
        }
        switch group.state {
        case .stable, .completingRebalance: prepareRebalance(group, now, &effects)
        case .preparingRebalance: completeIfAllJoined(group, now, &effects)
        case .empty, .dead: break
        }
    }
}
