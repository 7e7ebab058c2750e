internal import KafkaProtocol
internal import RecordFormat

/// What a consumer group is doing, by Kafka's names. It follows from the group's epochs and members.
enum ConsumerGroupState: String, CaseIterable, Sendable {
    /// There are no members.
    case empty = "Empty"
    /// The assignment is older than the group.
    case assigning = "Assigning"
    /// Not all members have what they are to have.
    case reconciling = "Reconciling"
    case stable = "Stable"
}

/// A group whose coordinator divides the partitions among the members (KIP-848). Its state is what its
/// records add up to, and changes by them only: a decision makes records (`ConsumerGroupDraft`), and what the
/// log has taken is applied.
///
/// Three epochs follow each other: the group's grows when members, subscriptions or topics change, the
/// target's says which of them the target assignment was made for, each member's which target it has come to.
final class ConsumerGroup {
    let id: String
    private(set) var epoch: Int32 = 0
    /// Of the target assignment.
    private(set) var targetEpoch: Int32 = 0
    private(set) var members: [String: ConsumerMember] = [:]
    /// IDs of static members by their instance IDs.
    private(set) var staticMembers: [String: String] = [:]
    /// What each member is to have.
    private(set) var targets: [String: PartitionSet] = [:]
    /// The topics that the last target was made of, by name.
    private(set) var topics: [String: GroupTopic] = [:]
    /// What each regular expression stands for.
    private(set) var patterns: [String: Set<String>] = [:]
    /// How many members use a regular expression, or read a topic by its name.
    private(set) var patternCounts: [String: Int] = [:]
    private(set) var nameCounts: [String: Int] = [:]
    private(set) var assignorCounts: [String: Int] = [:]
    private(set) var classicCount = 0
    /// How many classic members know a protocol.
    private(set) var classicProtocolCounts: [String: Int] = [:]
    /// Who has a partition, or may have it still.
    private var owners: [TopicID: [Int32: String]] = [:]

    // What follows is in no record.

    /// Topics that the members may read have changed since the target was made.
    var hasStaleTopics = true
    /// Names of topics that have come or gone, which regular expressions have to be asked about; nil: any.
    var changedNames: Set<String>?

    init(_ id: String) { self.id = id }

    /// When the partitions were divided last, in monotonic milliseconds; nil where that is not known.
    var lastAssignment: Int64?

    /// Nobody knows what has become of what was decided.
    func forgetDecisions() {
        hasStaleTopics = true
        changedNames = nil
        lastAssignment = nil
    }

    var state: ConsumerGroupState {
        if members.isEmpty { return .empty }
        if epoch > targetEpoch { return .assigning }
        return members.values.allSatisfy { $0.isReconciled(to: targetEpoch) } ? .stable : .reconciling
    }

    /// The member that has a partition, or may have it still.
    func owner(_ topic: TopicID, _ partition: Int32) -> String? { owners[topic]?[partition] }

    /// Whether any member reads the topic.
    func isSubscribed(to topic: String) -> Bool {
        nameCounts[topic] != nil
            || patterns.contains { patternCounts[$0.key] != nil && $0.value.contains(topic) }
    }

    /// The assignor that most members ask for; the name decides between equals.
    var preferredAssignor: String? {
        assignorCounts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
    }

    // MARK: Records

    func apply(_ record: ConsumerGroupRecord) {
        switch record {
        case .group(_, let value): epoch = value?.epoch ?? 0
        case .topics(_, let value):
            topics = [:]
            for topic in value?.topics ?? [] {
                topics[topic.topicName] = GroupTopic(
                    name: topic.topicName, id: topic.topicID, partitionCount: topic.numPartitions)
            }
        case .member(_, let id, let value): set(id, value)
        case .targetEpoch(_, let value): targetEpoch = value?.assignmentEpoch ?? 0
        case .target(_, let id, let value):
            targets[id] = value.map { PartitionSet($0.topicPartitions.map { ($0.topicID, $0.partitions) }) }
        case .current(_, let id, let value): setCurrent(id, value)
        case .pattern(_, let pattern, let value): patterns[pattern] = value.map { Set($0.topics) }
        }
    }

    private func set(_ id: String, _ value: ConsumerGroupMemberMetadataValue?) {
        let old = members[id]
        if let old { count(old, -1) }
        guard let value else {
            if let old {
                release(old)
                forgetInstance(old)
            }
            members[id] = nil
            return
        }
        var member = old ?? ConsumerMember(id: id)
        member.take(value)
        count(member, 1)
        if let old, old.instanceID != member.instanceID { forgetInstance(old) }
        if let instance = member.instanceID { staticMembers[instance] = id }
        members[id] = member
    }

    private func forgetInstance(_ member: ConsumerMember) {
        guard let instance = member.instanceID, staticMembers[instance] == member.id else { return }
        staticMembers[instance] = nil
    }

    private func setCurrent(_ id: String, _ value: ConsumerGroupCurrentMemberAssignmentValue?) {
        // What is left of one that has gone is of no use.
        guard var member = members[id] else {
            guard let value else { return }
            // Compaction may have moved the rest of the member behind this.
            var early = ConsumerMember(id: id)
            early.take(value)
            count(early, 1)
            members[id] = early
            return claim(early)
        }
        release(member)
        member.take(value)
        members[id] = member
        claim(member)
    }

    private func claim(_ member: ConsumerMember) {
        for (topic, partitions) in member.held.topics {
            for partition in partitions { owners[topic, default: [:]][partition] = member.id }
        }
    }

    private func release(_ member: ConsumerMember) {
        for (topic, partitions) in member.held.topics {
            for partition in partitions where owners[topic]?[partition] == member.id {
                owners[topic]?[partition] = nil
            }
            if owners[topic]?.isEmpty == true { owners[topic] = nil }
        }
    }

    private func count(_ member: ConsumerMember, _ change: Int) {
        for name in member.topicNames { Self.add(change, to: &nameCounts, name) }
        if let pattern = member.pattern { Self.add(change, to: &patternCounts, pattern) }
        if let assignor = member.assignor { Self.add(change, to: &assignorCounts, assignor) }
        guard let classic = member.classic else { return }
        classicCount += change
        for name in Set(classic.supportedProtocols.map(\.name)) {
            Self.add(change, to: &classicProtocolCounts, name)
        }
    }

    private static func add(_ change: Int, to counts: inout [String: Int], _ name: String) {
        let left = (counts[name] ?? 0) + change
        counts[name] = left > 0 ? left : nil
    }

    // MARK: The end

    /// What is written when the group goes, or becomes a classic one.
    var tombstones: [ConsumerGroupRecord] {
        let ids = members.keys.sorted()
        return ids.map { .current(group: id, member: $0, nil) }
            + Set(ids).union(targets.keys).sorted().map { .target(group: id, member: $0, nil) }
            + [.targetEpoch(id, nil)] + ids.map { .member(group: id, member: $0, nil) }
            + [.topics(id, nil)] + patterns.keys.sorted().map { .pattern(group: id, pattern: $0, nil) }
            + [.group(id, nil)]
    }
}
