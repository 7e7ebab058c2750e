internal import KafkaProtocol

/// Consumer groups as administrators see them, and what they may do with offsets.
extension GroupMachine {
    /// The type that they are listed under (KIP-848).
    static let consumerType = "consumer"

    /// What tells members of the two protocols apart in descriptions.
    private enum MemberType: Int8 { case classic = 0, consumer }

    func describeConsumerGroup(_ id: String) -> ConsumerGroupDescribeResponse.DescribedGroup {
        typealias Described = ConsumerGroupDescribeResponse.DescribedGroup
        guard let group = consumerGroups[id] else {
            return Described(
                errorCode: .groupIDNotFound,
                errorMessage: groups[id] == nil
                    ? "Group \(id) not found." : "Group \(id) is not a consumer group.", groupID: id)
        }
        let assignor = group.preferredAssignor ?? settings.consumerAssignors.first?.rawValue
        return Described(
            groupID: id, groupState: group.state.rawValue, groupEpoch: group.epoch,
            assignmentEpoch: group.targetEpoch, assignorName: assignor ?? "",
            members: group.members.values.sorted { $0.id < $1.id }.map { member in
                ConsumerGroupDescribeResponse.Member(
                    memberID: member.id, instanceID: member.instanceID, rackID: member.rackID,
                    memberEpoch: member.epoch, clientID: member.clientID, clientHost: member.clientHost,
                    subscribedTopicNames: member.topicNames, subscribedTopicRegex: member.pattern,
                    assignment: described(member.assigned),
                    targetAssignment: described(group.targets[member.id] ?? PartitionSet()),
                    memberType: (member.isClassic ? MemberType.classic : .consumer).rawValue)
            })
    }

    private func described(_ partitions: PartitionSet) -> ConsumerGroupDescribeResponse.Assignment {
        ConsumerGroupDescribeResponse.Assignment(
            topicPartitions: partitions.sorted.compactMap { topic, numbers in
                // A topic that is gone has no name.
                surroundings.topic(id: topic).map {
                    ConsumerGroupDescribeResponse.TopicPartitions(
                        topicID: topic, topicName: $0.name, partitions: numbers)
                }
            })
    }

    func listConsumerGroups(
        states: Set<String>, types: Set<String>
    ) -> [ListGroupsResponse.ListedGroup] {
        if !types.isEmpty && !types.contains(Self.consumerType) { return [] }
        return consumerGroups.values.compactMap { group in
            let state = group.state.rawValue
            if !states.isEmpty && !states.contains(state.lowercased()) { return nil }
            return ListGroupsResponse.ListedGroup(
                groupID: group.id, protocolType: Self.consumerType, groupState: state,
                groupType: Self.consumerType)
        }
    }

    func delete(
        _ group: ConsumerGroup, _ effects: inout Effects
    ) -> DeleteGroupsResponse.DeletableGroupResult {
        guard group.members.isEmpty else {
            return DeleteGroupsResponse.DeletableGroupResult(groupID: group.id, errorCode: .nonEmptyGroup)
        }
        effects.isAtomic = false
        effects.records += offsets.allKeys(of: group.id).map { .offset($0, nil) }
        effects.records += group.tombstones.map { .consumer($0) }
        return DeleteGroupsResponse.DeletableGroupResult(groupID: group.id)
    }

    // MARK: Offsets

    /// What speaks against a commit, in a transaction or not.
    func commitProblem(_ group: ConsumerGroup, _ one: Committer) -> ErrorCode? {
        // Administrators, and transactions of producers that say nothing about a member.
        if one.epoch < 0 && group.members.isEmpty || one.isInTransaction && !one.isNamed { return nil }
        guard let member = group.members[one.member] else { return .unknownMemberID }
        if let version = one.version, version < 9, !member.isClassic { return .unsupportedVersion }
        return epochProblem(member, one.epoch)
    }

    private func epochProblem(_ member: ConsumerMember, _ epoch: Int32) -> ErrorCode? {
        if epoch == member.epoch { return nil }
        return member.isClassic ? .illegalGeneration : .staleMemberEpoch
    }

    /// What speaks against a look at offsets; who does not say who it is may look.
    func fetchProblem(_ request: OffsetFetchRequest.OffsetFetchRequestGroup) -> ErrorCode? {
        guard let group = consumerGroups[request.groupID] else { return nil }
        if request.memberID == nil && request.memberEpoch < 0 { return nil }
        guard let member = group.members[request.memberID ?? ""] else { return .unknownMemberID }
        return epochProblem(member, request.memberEpoch)
    }

    /// Looks after the offsets of a group: those of topics that nobody reads go after their time, and the
    /// group itself when there is nothing left of it.
    func sweep(_ group: ConsumerGroup, _ now: CoordinatorMoment, _ effects: inout Effects) {
        effects.isAtomic = false
        let all = offsets.sorted(of: group.id)
        let expired = all.filter { key, committed in
            if group.isSubscribed(to: key.topic) || offsets.hasPending(key) { return false }
            if let own = committed.expireTimestamp { return now.wallClockMilliseconds >= own }
            return now.wallClockMilliseconds - committed.commitTimestamp >= settings.offsetsRetention
        }
        for (key, _) in expired { effects.records.append(.offset(key, nil)) }
        guard expired.count == all.count, group.members.isEmpty, !offsets.hasPending(of: group.id) else {
            return
        }
        effects.records += group.tombstones.map { .consumer($0) }
    }
}
