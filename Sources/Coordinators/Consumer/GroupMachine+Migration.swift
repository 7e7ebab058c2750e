internal import KafkaProtocol
internal import RecordFormat

/// Groups change their protocol while they run (KIP-848): a classic group becomes a consumer group with the
/// first member that sends heartbeats of that kind, and a classic one again when its last such member goes.
/// The others stay members and keep what they have.
extension GroupMachine {
    /// What a classic member has said and been given, in terms of topics.
    private struct Conversion {
        let member: ClassicMember
        let subscription: ConsumerProtocolSubscription
        var assigned: PartitionSet
    }

    // MARK: Up

    /// A consumer group in the place of the classic one. Whoever waits in that is told to come again.
    func upgrade(
        _ classic: ClassicGroup, _ now: CoordinatorMoment, _ effects: inout Effects
    ) throws(GroupRefusal) -> ConsumerGroupDraft {
        func refuse(_ reason: String) -> GroupRefusal {
            GroupRefusal(
                .groupIDNotFound,
                "Group \(classic.id) is not a consumer group, and stays as it is: \(reason).")
        }
        guard settings.mayUpgrade else { throw refuse("group.consumer.migration.policy has it so") }
        guard classic.usesConsumerProtocol || classic.members.isEmpty else {
            throw refuse("its members are no consumers")
        }
        guard classic.members.count <= settings.consumerMaximumSize else {
            throw refuse("it has too many members")
        }
        guard let conversions = conversions(of: classic) else {
            throw refuse("only its members understand what they have said or been given")
        }
        let records = records(of: classic, conversions)
        let group = ConsumerGroup(classic.id)
        for case .consumer(let record) in records { group.apply(record) }
        for one in conversions {
            touch(
                MemberKey(group: group.id, member: one.member.id), now, timeout: one.member.sessionTimeout)
        }
        for place in classic.members.all.indices {
            if let token = classic.takeJoining(place) {
                let id = classic.members[place].id
                effects.answer(
                    token, .join(JoinGroupResponse(errorCode: .rebalanceInProgress, memberID: id)))
            }
            if let token = classic.members[place].syncing {
                classic.update(place) { $0.syncing = nil }
                effects.answer(token, .sync(SyncGroupResponse(errorCode: .rebalanceInProgress)))
            }
        }
        return ConsumerGroupDraft(group, records)
    }

    private func conversions(of classic: ClassicGroup) -> [Conversion]? {
        var taken = PartitionSet()
        var result: [Conversion] = []
        for member in classic.members.all.sorted(by: { $0.id < $1.id }) {
            let chosen = member.protocols.first { $0.name == classic.protocolName } ?? member.protocols.first
            guard let chosen, let subscription = Self.subscription(chosen) else { return nil }
            var assigned = PartitionSet()
            if !member.assignment.isEmpty {
                guard let given = Self.assignment(member.assignment) else { return nil }
                assigned = partitions(given.assignedPartitions.map { ($0.topic, $0.partitions) })
            }
            // One whose leader was wrong about it does not keep what somebody else has too.
            assigned = assigned.subtracting(taken)
            taken.formUnion(assigned)
            result.append(Conversion(member: member, subscription: subscription, assigned: assigned))
        }
        return result
    }

    private func records(of classic: ClassicGroup, _ conversions: [Conversion]) -> [GroupRecord] {
        var draft = ConsumerGroupDraft(ConsumerGroup(classic.id), [.classicGroup(classic.id, nil)])
        draft.begin(epoch: max(classic.generation, 1))
        for one in conversions {
            var member = ConsumerMember(id: one.member.id)
            member.instanceID = one.member.instanceID
            member.clientID = one.member.clientID
            member.clientHost = one.member.clientHost
            member.rackID = one.subscription.rackID
            member.rebalanceTimeout = Int32(clamping: one.member.rebalanceTimeout)
            member.topicNames = Set(one.subscription.topics).sorted()
            member.classic = ConsumerMember.Classic(
                sessionTimeoutMilliseconds: Int32(clamping: one.member.sessionTimeout),
                supportedProtocols: one.member.protocols.map { .init(name: $0.name, metadata: $0.metadata) })
            member.setEpoch(draft.epoch)
            member.assigned = one.assigned
            draft.adopt(member)
        }
        return draft.records
    }

    // MARK: Down

    /// - Returns: the records that make a classic group of what is left without some members; nil where it
    ///   has to stay a consumer group.
    func downgrade(
        _ group: ConsumerGroup, without gone: Set<String>, _ now: CoordinatorMoment
    ) -> [GroupRecord]? {
        let left = group.members.values.filter { !gone.contains($0.id) }.sorted { $0.id < $1.id }
        guard settings.mayDowngrade, !left.isEmpty, left.count <= settings.maximumSize,
            left.allSatisfy(\.isClassic), let chosen = Self.commonProtocol(left)
        else { return nil }
        let value = GroupMetadataValue(
            // No leader: nobody has divided the partitions.
            protocolType: Self.consumerType, generation: group.epoch, protocol: chosen, leader: nil,
            currentStateTimestamp: now.wallClockMilliseconds,
            members: left.map { member in
                let metadata = member.classic?.supportedProtocols.first { $0.name == chosen }?.metadata ?? []
                return GroupMetadataValue.MemberMetadata(
                    memberID: member.id, groupInstanceID: member.instanceID, clientID: member.clientID,
                    clientHost: member.clientHost, rebalanceTimeout: member.rebalanceTimeout,
                    sessionTimeout: member.classic?.sessionTimeoutMilliseconds ?? 0, subscription: metadata,
                    assignment: assignmentBytes(member.assigned, Self.version(metadata)))
            })
        return group.tombstones.map { .consumer($0) } + [.classicGroup(group.id, value)]
    }

    /// The first member's favourite among the protocols that all know.
    private static func commonProtocol(_ members: [ConsumerMember]) -> String? {
        let known = members.map { Set($0.classic?.supportedProtocols.map(\.name) ?? []) }
        return members.first?.classic?.supportedProtocols.first { one in
            known.allSatisfy { $0.contains(one.name) }
        }?.name
    }

    // MARK: What classic consumers say

    static func version(_ metadata: [UInt8]) -> Int16 {
        (try? MessageReader.leadingVersion(of: metadata.span.bytes)) ?? 0
    }

    /// Protocols that every client has. What their members say beside topics and partitions is not missed.
    private static let builtInProtocols: Set = ["range", "roundrobin", "sticky", "cooperative-sticky"]

    /// Nil where it cannot be read, or has something that only the members' own assignor understands.
    static func subscription(_ chosen: ClassicProtocol) -> ConsumerProtocolSubscription? {
        let bytes = chosen.metadata.span.bytes
        // Newer versions add at the end.
        let version = min(version(chosen.metadata), ConsumerProtocolSubscription.versions.upperBound)
        let read = try? ConsumerProtocolSubscription(
            decoding: bytes, version: version, from: MemoryLayout<Int16>.size)
        guard let read else { return nil }
        let isPlain = read.userData?.isEmpty ?? true
        return isPlain || builtInProtocols.contains(chosen.name) ? read : nil
    }

    private static func assignment(_ bytes: [UInt8]) -> ConsumerProtocolAssignment? {
        let version = min(version(bytes), ConsumerProtocolAssignment.versions.upperBound)
        return try? ConsumerProtocolAssignment(
            decoding: bytes.span.bytes, version: version, from: MemoryLayout<Int16>.size)
    }

    /// Topics that are gone are left out.
    func partitions(_ named: [(String, [Int32])]) -> PartitionSet {
        PartitionSet(
            named.compactMap { name, numbers in
                surroundings.topic(named: name).map { ($0.id, numbers) }
            })
    }

    /// An assignment as classic consumers read it.
    func assignmentBytes(_ assigned: PartitionSet, _ version: Int16) -> [UInt8] {
        let value = ConsumerProtocolAssignment(
            assignedPartitions: assigned.sorted.compactMap { topic, numbers in
                surroundings.topic(id: topic).map { .init(topic: $0.name, partitions: numbers) }
            })
        let known = ConsumerProtocolAssignment.versions
        return (try? value.encodedVersioned(min(max(version, 0), known.upperBound))) ?? []
    }
}
