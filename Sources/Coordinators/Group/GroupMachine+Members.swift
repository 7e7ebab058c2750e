internal import KafkaProtocol

/// SyncGroup, Heartbeat and LeaveGroup.
extension GroupMachine {
    // MARK: SyncGroup

    func sync(
        _ request: SyncGroupRequest, _ token: ReplyToken, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) {
        func refuse(_ code: ErrorCode) {
            effects.answer(token, .sync(SyncGroupResponse(errorCode: code)))
        }
        if request.groupID.isEmpty { return refuse(.invalidGroupID) }
        if let group = consumerGroups[request.groupID] {
            return effects.answer(token, .sync(sync(request, in: group, now)))
        }
        guard let group = groups[request.groupID] else { return refuse(.unknownMemberID) }
        if let problem = group.problem(request.memberID, request.groupInstanceID) { return refuse(problem) }
        guard let place = group.members.place(of: request.memberID) else { return refuse(.unknownMemberID) }
        if request.generationID != group.generation { return refuse(.illegalGeneration) }
        if let type = request.protocolType, type != group.protocolType {
            return refuse(.inconsistentGroupProtocol)
        }
        if let name = request.protocolName, name != group.protocolName {
            return refuse(.inconsistentGroupProtocol)
        }
        switch group.state {
        case .empty, .dead: refuse(.unknownMemberID)
        case .preparingRebalance: refuse(.rebalanceInProgress)
        case .completingRebalance:
            group.pendingSyncs.remove(request.memberID)
            if let old = group.members[place].syncing {
                effects.answer(old, .sync(SyncGroupResponse(errorCode: .rebalanceInProgress)))
            }
            group.update(place) { $0.syncing = token }
            if group.leaderID == request.memberID {
                takeAssignments(request.assignments, group, now, &effects)
            }
        case .stable:
            group.pendingSyncs.remove(request.memberID)
            if group.pendingSyncs.isEmpty { group.syncTimer = nil }
            touch(group, place, group.members[place].sessionTimeout, now)
            effects.answer(token, .sync(assignment(of: place, group)))
        }
    }

    /// The leader has decided: from here on the group is stable, and whoever waits gets its assignment.
    private func takeAssignments(
        _ assignments: [SyncGroupRequest.SyncGroupRequestAssignment], _ group: ClassicGroup,
        _ now: CoordinatorMoment, _ effects: inout Effects
    ) {
        for place in group.members.all.indices { group.update(place) { $0.assignment = [] } }
        for one in assignments {
            // One who has gone meanwhile needs none.
            guard let place = group.members.place(of: one.memberID) else { continue }
            group.update(place) { $0.assignment = one.assignment }
        }
        group.transition(to: .stable, now)
        if group.pendingSyncs.isEmpty { group.syncTimer = nil }
        effects.records.append(group.record)
        for place in group.members.all.indices {
            guard let token = group.members[place].syncing else { continue }
            effects.answer(token, .sync(assignment(of: place, group)))
            group.update(place) { $0.syncing = nil }
            touch(group, place, group.members[place].sessionTimeout, now)
        }
    }

    private func assignment(of place: Int, _ group: ClassicGroup) -> SyncGroupResponse {
        SyncGroupResponse(
            protocolType: group.protocolType, protocolName: group.protocolName,
            assignment: group.members[place].assignment)
    }

    // MARK: Heartbeat

    func heartbeat(
        _ request: HeartbeatRequest, _ now: CoordinatorMoment, _ effects: inout Effects
    ) -> ErrorCode {
        if request.groupID.isEmpty { return .invalidGroupID }
        if let group = consumerGroups[request.groupID] { return heartbeat(request, in: group, now) }
        guard let group = groups[request.groupID] else { return .unknownMemberID }
        if let problem = group.problem(request.memberID, request.groupInstanceID) { return problem }
        guard let place = group.members.place(of: request.memberID) else { return .unknownMemberID }
        if request.generationID != group.generation { return .illegalGeneration }
        switch group.state {
        case .empty, .dead: return .unknownMemberID
        case .preparingRebalance:
            touch(group, place, group.members[place].sessionTimeout, now)
            return .rebalanceInProgress
        case .completingRebalance, .stable:
            touch(group, place, group.members[place].sessionTimeout, now)
            return .none
        }
    }

    // MARK: LeaveGroup

    func leave(
        _ request: LeaveGroupRequest, _ caller: GroupCaller, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) -> LeaveGroupResponse {
        if request.groupID.isEmpty { return LeaveGroupResponse(errorCode: .invalidGroupID) }
        // Before version 3 one member left at a time.
        let leaving =
            caller.version >= 3
            ? request.members : [LeaveGroupRequest.MemberIdentity(memberID: request.memberID)]
        let answers: [LeaveGroupResponse.MemberResponse]
        if let group = consumerGroups[request.groupID] {
            answers = leave(leaving, group, now, &effects)
        } else {
            answers = leaving.map { one in
                LeaveGroupResponse.MemberResponse(
                    memberID: one.memberID, groupInstanceID: one.groupInstanceID,
                    errorCode: leave(one, request.groupID, now, &effects))
            }
        }
        guard caller.version >= 3 else {
            return LeaveGroupResponse(errorCode: answers.first?.errorCode ?? .none)
        }
        return LeaveGroupResponse(members: answers)
    }

    private func leave(
        _ one: LeaveGroupRequest.MemberIdentity, _ groupID: String, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) -> ErrorCode {
        guard let group = groups[groupID] else { return .unknownMemberID }
        var id = one.memberID
        if id.isEmpty, let instance = one.groupInstanceID {
            // As an administrator does it, who knows the name only.
            guard let known = group.staticMembers[instance] else { return .unknownMemberID }
            id = known
        } else if group.pendingJoins[id] != nil {
            group.pendingJoins[id] = nil
            completeIfAllJoined(group, now, &effects)
            return .none
        } else if let problem = group.problem(id, one.groupInstanceID) {
            return problem
        }
        expel(group, id, now, &effects)
        return .none
    }
}
