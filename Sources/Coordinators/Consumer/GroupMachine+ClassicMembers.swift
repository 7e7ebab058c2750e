internal import KafkaProtocol
internal import RecordFormat

/// Members of consumer groups that still use JoinGroup, SyncGroup, Heartbeat and LeaveGroup (KIP-848). Their
/// epoch is their generation. A heartbeat tells them to join again when there is something to give back or
/// to get, and joining is their step of reconciliation. There is no leader among them.
extension GroupMachine {
    // MARK: JoinGroup

    func join(
        _ joiner: Joiner, into group: ConsumerGroup, _ now: CoordinatorMoment, _ effects: inout Effects
    ) -> JoinGroupResponse {
        if group.members.isEmpty {
            // It goes; the client tries again, and finds none.
            effects.records += group.tombstones.map { .consumer($0) }
            return joiner.refusal(.coordinatorLoadInProgress)
        }
        guard joiner.protocolType == Self.consumerType, isSupported(joiner, group),
            let favourite = joiner.protocols.first, let said = Self.subscription(favourite)
        else { return joiner.refusal(.inconsistentGroupProtocol) }
        let known = joiner.instanceID.flatMap { group.staticMembers[$0] }
        let isMember = group.members[joiner.memberID] != nil || known != nil
        guard isMember || group.members.count < settings.consumerMaximumSize else {
            return joiner.refusal(.groupMaxSizeReached, memberID: "")
        }
        if joiner.memberID.isEmpty && joiner.knowsPendingJoins {
            return joiner.refusal(.memberIDRequired, memberID: joiner.newID)
        }
        let id = joiner.memberID.isEmpty ? joiner.newID : joiner.memberID
        if let known, known != id, !joiner.memberID.isEmpty { return joiner.refusal(.fencedInstanceID) }
        if joiner.instanceID != nil && known == nil && !joiner.memberID.isEmpty {
            return joiner.refusal(.unknownMemberID)
        }
        // JoinGroup has no epoch: it would take away what a member of the other protocol has.
        if group.members[id]?.isClassic == false { return joiner.refusal(.unknownMemberID) }
        var draft = ConsumerGroupDraft(group)
        var member = draft[id] ?? ConsumerMember(id: id)
        if let known, known != id, let old = draft[known] {
            member = old.successor(id)
            draft.replace(old, by: member)
        }
        let before = member
        member.take(joiner, said)
        bringUpToDate(&draft, draft.set(member), now)
        let owned = partitions(said.ownedPartitions.map { ($0.topic, $0.partitions) })
        let next = draft.reconcile(member, owned: owned)
        effects.records += draft.records
        note(next, before: before, in: group.id, now)
        let key = MemberKey(group: group.id, member: id)
        touch(key, now, timeout: joiner.sessionTimeout)
        stopWaiting(.revocation, key)
        wait(.sync, key, joiner.rebalanceTimeout, now)
        return JoinGroupResponse(
            generationID: next.epoch, protocolType: Self.consumerType, protocolName: favourite.name,
            leader: "", memberID: id)
    }

    /// Whether there is a protocol that all classic members know.
    private func isSupported(_ joiner: Joiner, _ group: ConsumerGroup) -> Bool {
        let own = group.members[joiner.memberID]?.classic
        let others = group.classicCount - (own == nil ? 0 : 1)
        if others == 0 { return !joiner.protocols.isEmpty }
        return joiner.protocols.contains { one in
            let isOwn = own?.supportedProtocols.contains { $0.name == one.name } ?? false
            return (group.classicProtocolCounts[one.name] ?? 0) - (isOwn ? 1 : 0) == others
        }
    }

    // MARK: SyncGroup and Heartbeat

    /// The classic member that asks.
    private func member(
        _ id: String, _ instance: String?, _ group: ConsumerGroup
    ) throws(GroupRefusal) -> ConsumerMember {
        if let instance, let known = group.staticMembers[instance], known != id {
            throw GroupRefusal(.fencedInstanceID, "\(instance) is another member's.")
        }
        guard let member = group.members[id], member.isClassic,
            instance == nil || member.instanceID == instance
        else { throw Self.unknown(id) }
        return member
    }

    func sync(
        _ request: SyncGroupRequest, in group: ConsumerGroup, _ now: CoordinatorMoment
    ) -> SyncGroupResponse {
        let member: ConsumerMember
        do throws(GroupRefusal) {
            member = try self.member(request.memberID, request.groupInstanceID, group)
        } catch {
            return SyncGroupResponse(errorCode: error.code)
        }
        if request.generationID != member.epoch { return SyncGroupResponse(errorCode: .illegalGeneration) }
        let favourite = member.classic?.supportedProtocols.first
        guard request.protocolType == nil || request.protocolType == Self.consumerType,
            request.protocolName == nil || request.protocolName == favourite?.name
        else { return SyncGroupResponse(errorCode: .inconsistentGroupProtocol) }
        let key = MemberKey(group: group.id, member: member.id)
        stopWaiting(.sync, key)
        touch(key, now, timeout: member.classicSession)
        return SyncGroupResponse(
            protocolType: Self.consumerType, protocolName: favourite?.name,
            assignment: assignmentBytes(member.assigned, Self.version(favourite?.metadata ?? [])))
    }

    func heartbeat(
        _ request: HeartbeatRequest, in group: ConsumerGroup, _ now: CoordinatorMoment
    ) -> ErrorCode {
        let member: ConsumerMember
        do throws(GroupRefusal) {
            member = try self.member(request.memberID, request.groupInstanceID, group)
        } catch {
            return error.code
        }
        if request.generationID != member.epoch { return .illegalGeneration }
        let key = MemberKey(group: group.id, member: member.id)
        touch(key, now, timeout: member.classicSession)
        guard hasToJoin(member, group, now) else { return .none }
        if waits[WaitKey(key: key, wait: .join)] == nil {
            wait(.join, key, Int64(max(member.rebalanceTimeout, 0)), now)
        }
        return .rebalanceInProgress
    }

    /// There is a newer target, or something to give back, or something to get that is free by now.
    private func hasToJoin(
        _ member: ConsumerMember, _ group: ConsumerGroup, _ now: CoordinatorMoment
    ) -> Bool {
        if member.epoch < group.targetEpoch || group.hasStaleTopics { return true }
        if group.epoch > group.targetEpoch && mayAssign(group, now) { return true }
        switch member.state {
        case .stable: return false
        case .unrevoked, .unknown: return true
        case .unreleased:
            let missing = (group.targets[member.id] ?? PartitionSet()).subtracting(member.assigned)
            return missing.filter { group.owner($0, $1) != nil }.count < missing.count
        }
    }

    // MARK: LeaveGroup

    func leave(
        _ leaving: [LeaveGroupRequest.MemberIdentity], _ group: ConsumerGroup, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) -> [LeaveGroupResponse.MemberResponse] {
        var gone: [String] = []
        let answers = leaving.map { one in
            var code = ErrorCode.none
            // An administrator knows the instance ID only.
            let isNamed = one.memberID.isEmpty && one.groupInstanceID != nil
            let id = isNamed ? one.groupInstanceID.flatMap { group.staticMembers[$0] } ?? "" : one.memberID
            do throws(GroupRefusal) {
                gone.append(try member(id, one.groupInstanceID, group).id)
            } catch {
                code = error.code
            }
            return LeaveGroupResponse.MemberResponse(
                memberID: one.memberID, groupInstanceID: one.groupInstanceID, errorCode: code)
        }
        if !gone.isEmpty { remove(Set(gone).sorted(), from: group, now, &effects) }
        return answers
    }
}

extension ConsumerMember {
    var classicSession: Int64? { classic.map { Int64($0.sessionTimeoutMilliseconds) } }

    mutating func take(_ joiner: Joiner, _ said: ConsumerProtocolSubscription) {
        if let instance = joiner.instanceID { instanceID = instance }
        rackID = said.rackID
        clientID = joiner.caller.clientID
        clientHost = joiner.caller.clientHost
        rebalanceTimeout = Int32(clamping: joiner.rebalanceTimeout)
        topicNames = Set(said.topics).sorted()
        pattern = nil
        assignor = nil
        classic = Classic(
            sessionTimeoutMilliseconds: Int32(clamping: joiner.sessionTimeout),
            supportedProtocols: joiner.protocols.map { .init(name: $0.name, metadata: $0.metadata) })
    }
}
