internal import KafkaProtocol
internal import RecordFormat

/// Why a request about a consumer group is refused.
struct GroupRefusal: Error {
    let code: ErrorCode
    let message: String

    init(_ code: ErrorCode, _ message: String) {
        self.code = code
        self.message = message
    }
}

/// ConsumerGroupHeartbeat: all that a member of a consumer group does (KIP-848).
extension GroupMachine {
    func heartbeat(
        _ request: ConsumerGroupHeartbeatRequest, _ caller: GroupCaller, random: UniqueID,
        _ now: CoordinatorMoment, _ effects: inout Effects
    ) -> ConsumerGroupHeartbeatResponse {
        do throws(GroupRefusal) {
            try validate(request, caller)
            if request.memberEpoch < ConsumerMember.joiningEpoch {
                return try leave(request, now, &effects)
            }
            return try proceed(request, caller, random, now, &effects)
        } catch {
            return ConsumerGroupHeartbeatResponse(errorCode: error.code, errorMessage: error.message)
        }
    }

    // MARK: What is asked

    private func validate(
        _ request: ConsumerGroupHeartbeatRequest, _ caller: GroupCaller
    ) throws(GroupRefusal) {
        func require(_ holds: Bool, _ message: String) throws(GroupRefusal) {
            if !holds { throw GroupRefusal(.invalidRequest, message) }
        }
        guard settings.servesConsumerGroups else {
            throw GroupRefusal(.unsupportedVersion, "The consumer group protocol is turned off.")
        }
        try require(!request.groupID.isEmpty, "GroupId can't be empty.")
        try require(request.instanceID != "", "InstanceId can't be empty.")
        try require(request.rackID != "", "RackId can't be empty.")
        let epoch = request.memberEpoch
        // Since version 1 members make their IDs themselves.
        try require(
            !request.memberID.isEmpty || epoch == ConsumerMember.joiningEpoch && caller.version == 0,
            "MemberId can't be empty.")
        try require(epoch >= ConsumerMember.pausingEpoch, "MemberEpoch \(epoch) is invalid.")
        try require(
            epoch != ConsumerMember.pausingEpoch || request.instanceID != nil, "InstanceId can't be null.")
        if epoch == ConsumerMember.joiningEpoch {
            try require(
                request.rebalanceTimeoutMilliseconds > 0,
                "RebalanceTimeoutMs must be provided in first request.")
            try require(
                request.topicPartitions?.isEmpty == true,
                "TopicPartitions must be empty when (re-)joining.")
            try require(
                request.subscribedTopicNames?.isEmpty == false
                    || request.subscribedTopicRegex?.isEmpty == false,
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-empty when (re-)joining.")
        }
        if let name = request.serverAssignor {
            let known = settings.consumerAssignors.map(\.rawValue)
            if !known.contains(name) {
                throw GroupRefusal(
                    .unsupportedAssignor,
                    "ServerAssignor \(name) is not supported. Supported assignors: "
                        + known.joined(separator: ", ") + ".")
            }
        }
    }

    // MARK: Members

    private func proceed(
        _ request: ConsumerGroupHeartbeatRequest, _ caller: GroupCaller, _ random: UniqueID,
        _ now: CoordinatorMoment, _ effects: inout Effects
    ) throws(GroupRefusal) -> ConsumerGroupHeartbeatResponse {
        let isJoining = request.memberEpoch == ConsumerMember.joiningEpoch
        let id = request.memberID.isEmpty ? Self.newConsumerID(random) : request.memberID
        let owned = request.topicPartitions.map { PartitionSet($0.map { ($0.topicID, $0.partitions) }) }
        var draft = try draft(of: request.groupID, isJoining: isJoining, now, &effects)
        let isMember =
            draft.group.members[id] != nil
            || request.instanceID.map { draft.group.staticMembers[$0] != nil } ?? false
        if !isMember && draft.group.members.count >= settings.consumerMaximumSize {
            throw GroupRefusal(
                .groupMaxSizeReached,
                "The consumer group has reached its maximum capacity of \(settings.consumerMaximumSize).")
        }
        let member = try member(
            id, request.instanceID, request.memberEpoch, owned, isJoining: isJoining, &draft)
        var updated = member
        updated.take(request, caller)
        // The expression is looked at before anything is decided, so that a bad one changes nothing.
        if let pattern = updated.pattern, pattern != member.pattern { try resolve(pattern, &draft, now) }
        let isNewSubscription = draft.set(updated)
        bringUpToDate(&draft, isNewSubscription, now)
        let isKnown = member.epoch == request.memberEpoch
        let next = draft.reconcile(updated, owned: owned)
        note(next, before: member, in: request.groupID, now)
        // What makes a group of another counts as a whole only.
        effects.isAtomic = consumerGroups[request.groupID] == nil
        effects.records += draft.records
        // Only what the member may not know is told.
        let isWhole =
            request.rebalanceTimeoutMilliseconds != -1 && owned != nil
            && (request.subscribedTopicNames != nil || request.subscribedTopicRegex != nil)
        let hasNews = !isKnown || next.assigned != member.assigned
        let isTold = tells(MemberKey(group: request.groupID, member: id), hasNews) || isJoining || isWhole
        return ConsumerGroupHeartbeatResponse(
            memberID: id, memberEpoch: next.epoch,
            heartbeatIntervalMilliseconds: Int32(clamping: heartbeatInterval(of: request.groupID)),
            assignment: isTold ? next.assigned.heartbeatAssignment : nil)
    }

    /// News are told twice: a request that went astray and came late may have had the first answer, which
    /// nobody reads.
    private func tells(_ key: MemberKey, _ hasNews: Bool) -> Bool {
        if hasNews {
            toldTwice.remove(key)
            return true
        }
        return toldTwice.insert(key).inserted
    }

    /// 16 random bytes as Kafka's clients write them.
    private static func newConsumerID(_ random: UniqueID) -> String { random.description }

    /// The member that asks, or a new one.
    private func member(
        _ id: String, _ instance: String?, _ epoch: Int32, _ owned: PartitionSet?, isJoining: Bool,
        _ draft: inout ConsumerGroupDraft
    ) throws(GroupRefusal) -> ConsumerMember {
        if let instance {
            let known = draft.group.staticMembers[instance].flatMap { draft[$0] }
            guard let known else {
                guard isJoining else { throw Self.unknown(id) }
                let other = draft[id]
                if let other { try fence(other, epoch, owned) }
                return other ?? ConsumerMember(id: id)
            }
            if known.id != id {
                guard isJoining else {
                    throw GroupRefusal(
                        .fencedInstanceID,
                        "Static member \(id) with instance id \(instance) was fenced by member \(known.id).")
                }
                guard known.isPausing else {
                    throw GroupRefusal(
                        .unreleasedInstanceID,
                        "Static member \(id) with instance id \(instance) cannot join the group because "
                            + "the instance id is owned by member \(known.id).")
                }
            }
            if known.isPausing && isJoining {
                let successor = known.successor(id)
                draft.replace(known, by: successor)
                return successor
            }
            try fence(known, epoch, owned)
            return known
        }
        guard let known = draft[id] else {
            guard isJoining else { throw Self.unknown(id) }
            return ConsumerMember(id: id)
        }
        try fence(known, epoch, owned)
        return known
    }

    static func unknown(_ id: String) -> GroupRefusal {
        GroupRefusal(.unknownMemberID, "Member \(id) is not a member of the group.")
    }

    /// A member that comes with the epoch before, and with no more than it has, has lost an answer. Others
    /// were given up, or are about to be: they have to begin anew. So has one that has said that it pauses,
    /// whose epoch is below all.
    private func fence(
        _ member: ConsumerMember, _ epoch: Int32, _ owned: PartitionSet?
    ) throws(GroupRefusal) {
        if epoch == member.epoch { return }
        if epoch < member.epoch, epoch == member.previousEpoch, let owned,
            owned.isSubset(of: member.assigned)
        {
            return
        }
        throw GroupRefusal(
            .fencedMemberEpoch,
            "The consumer group member has a \(epoch > member.epoch ? "greater" : "smaller") member epoch "
                + "(\(epoch)) than the one known by the group coordinator (\(member.epoch)). The member "
                + "must abandon all its partitions and rejoin.")
    }

    // MARK: The group

    /// The group as it is, a new one, or one that a classic group becomes.
    private func draft(
        of id: String, isJoining: Bool, _ now: CoordinatorMoment, _ effects: inout Effects
    ) throws(GroupRefusal) -> ConsumerGroupDraft {
        if let group = consumerGroups[id] { return ConsumerGroupDraft(group) }
        guard let classic = groups[id], classic.state != .empty || !classic.pendingJoins.isEmpty else {
            guard isJoining else {
                throw GroupRefusal(.groupIDNotFound, "Consumer group \(id) not found.")
            }
            let isRecorded = groups[id]?.isRecorded == true
            return ConsumerGroupDraft(ConsumerGroup(id), isRecorded ? [.classicGroup(id, nil)] : [])
        }
        guard isJoining else {
            throw GroupRefusal(.groupIDNotFound, "Group \(id) is not a consumer group.")
        }
        return try upgrade(classic, now, &effects)
    }

    /// After anything may have changed: topics, epoch, target.
    func bringUpToDate(
        _ draft: inout ConsumerGroupDraft, _ isNewSubscription: Bool, _ now: CoordinatorMoment
    ) {
        let group = draft.group
        let isDue = isNewSubscription || draft.epoch == 0 || draft.epoch > draft.targetEpoch
        if isDue || group.hasStaleTopics {
            updatePatterns(&draft, now)
            let hasChanged = draft.updateTopics(surroundings)
            if hasChanged || isNewSubscription || draft.epoch == 0 { draft.bump() }
            group.hasStaleTopics = false
            group.changedNames = []
        }
        if draft.epoch > draft.targetEpoch && mayAssign(group, now) {
            draft.assign(settings.consumerAssignors)
            group.lastAssignment = now.monotonicMilliseconds
        }
    }

    /// Whether the partitions may be divided anew. That takes time that grows with the members, so a large
    /// group has it done less often, for all who have come and gone meanwhile; until then those who come have
    /// nothing.
    func mayAssign(_ group: ConsumerGroup, _ now: CoordinatorMoment) -> Bool {
        guard let last = group.lastAssignment else { return true }
        let excess = Int64(group.members.count - settings.promptConsumerCount)
        return now.monotonicMilliseconds - last >= min(excess, heartbeatInterval(of: group.id))
    }

    func heartbeatInterval(of group: String) -> Int64 {
        surroundings.ownSettings(of: group).heartbeat ?? settings.consumerHeartbeat
    }
}

extension ConsumerMember {
    /// What the request says; what it leaves out stays.
    mutating func take(_ request: ConsumerGroupHeartbeatRequest, _ caller: GroupCaller) {
        if let instance = request.instanceID { instanceID = instance }
        if let rack = request.rackID { rackID = rack }
        if request.rebalanceTimeoutMilliseconds != -1 {
            rebalanceTimeout = request.rebalanceTimeoutMilliseconds
        }
        if let name = request.serverAssignor { assignor = name }
        if let names = request.subscribedTopicNames { topicNames = Set(names).sorted() }
        if let regex = request.subscribedTopicRegex { pattern = regex.isEmpty ? nil : regex }
        clientID = caller.clientID
        clientHost = caller.clientHost
        classic = nil
    }
}

extension PartitionSet {
    var heartbeatAssignment: ConsumerGroupHeartbeatResponse.Assignment {
        ConsumerGroupHeartbeatResponse.Assignment(
            topicPartitions: sorted.map {
                ConsumerGroupHeartbeatResponse.TopicPartitions(topicID: $0.topic, partitions: $0.partitions)
            })
    }
}
