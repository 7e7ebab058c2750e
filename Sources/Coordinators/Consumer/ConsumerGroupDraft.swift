internal import KafkaProtocol
internal import RecordFormat

/// What a decision makes of a consumer group: records, in an order of which every beginning is a sound state,
/// and the group as they will make it. The group itself stays as it is until the log has the records.
struct ConsumerGroupDraft {
    let group: ConsumerGroup
    private(set) var records: [GroupRecord]
    private(set) var epoch: Int32
    private(set) var targetEpoch: Int32
    private(set) var topics: [String: GroupTopic]
    private(set) var patterns: [String: Set<String>]
    private(set) var isBumped = false
    private var changed: [String: ConsumerMember] = [:]
    private var removed: Set<String> = []
    private var newTargets: [String: PartitionSet] = [:]
    private var nameCounts: [String: Int]
    private(set) var patternCounts: [String: Int]
    private var assignorCounts: [String: Int]

    /// - Parameter records: those that the group comes from.
    init(_ group: ConsumerGroup, _ records: [GroupRecord] = []) {
        self.group = group
        self.records = records
        epoch = group.epoch
        targetEpoch = group.targetEpoch
        topics = group.topics
        patterns = group.patterns
        nameCounts = group.nameCounts
        patternCounts = group.patternCounts
        assignorCounts = group.assignorCounts
    }

    private mutating func add(_ record: ConsumerGroupRecord) { records.append(.consumer(record)) }

    // MARK: Members

    subscript(id: String) -> ConsumerMember? {
        removed.contains(id) ? nil : changed[id] ?? group.members[id]
    }

    /// By ID.
    var members: [ConsumerMember] {
        var all = group.members
        for id in removed { all[id] = nil }
        all.merge(changed) { $1 }
        return all.values.sorted { $0.id < $1.id }
    }

    /// Who it is and what it subscribes to.
    /// - Returns: whether its topics are others than before.
    mutating func set(_ member: ConsumerMember) -> Bool {
        let old = self[member.id]
        changed[member.id] = member
        removed.remove(member.id)
        if let old, old.metadata == member.metadata { return false }
        if let old { count(old, -1) }
        count(member, 1)
        add(.member(group: group.id, member: member.id, member.metadata))
        return old?.topicNames != member.topicNames || old?.pattern != member.pattern
    }

    /// What it has.
    mutating func setCurrent(_ member: ConsumerMember) {
        changed[member.id] = member
        add(.current(group: group.id, member: member.id, member.current))
    }

    mutating func remove(_ id: String) {
        guard let old = self[id] else { return }
        count(old, -1)
        changed[id] = nil
        removed.insert(id)
        add(.current(group: group.id, member: id, nil))
        add(.target(group: group.id, member: id, nil))
        add(.member(group: group.id, member: id, nil))
    }

    /// A static member comes back under another ID, and is to have what it was to have.
    mutating func replace(_ old: ConsumerMember, by new: ConsumerMember) {
        let target = target(of: old.id)
        if old.id != new.id { remove(old.id) }
        _ = set(new)
        if newTargets[new.id] != target || old.id != new.id { setTarget(new.id, target) }
        setCurrent(new)
    }

    private mutating func count(_ member: ConsumerMember, _ change: Int) {
        for name in member.topicNames { Self.add(change, to: &nameCounts, name) }
        if let pattern = member.pattern { Self.add(change, to: &patternCounts, pattern) }
        if let assignor = member.assignor { Self.add(change, to: &assignorCounts, assignor) }
    }

    private static func add(_ change: Int, to counts: inout [String: Int], _ name: String) {
        let left = (counts[name] ?? 0) + change
        counts[name] = left > 0 ? left : nil
    }

    // MARK: Epochs and topics

    /// Begins a new epoch; once in a decision.
    mutating func bump() {
        if isBumped { return }
        isBumped = true
        epoch += 1
        add(.group(group.id, ConsumerGroupMetadataValue(epoch: epoch)))
    }

    /// - Parameter names: what the regular expression stands for; nil where nobody uses it any more.
    mutating func setPattern(_ pattern: String, _ names: Set<String>?, version: Int64, timestamp: Int64) {
        patterns[pattern] = names
        add(
            .pattern(
                group: group.id, pattern: pattern,
                names.map {
                    ConsumerGroupRegularExpressionValue(
                        topics: $0.sorted(), version: version, timestamp: timestamp)
                }))
    }

    /// Looks up the topics that members read.
    /// - Returns: whether they are others than before, or have more partitions.
    mutating func updateTopics(_ surroundings: any GroupSurroundings) -> Bool {
        var names = Set(nameCounts.keys)
        for pattern in patternCounts.keys { names.formUnion(patterns[pattern] ?? []) }
        var next: [String: GroupTopic] = [:]
        for name in names { next[name] = surroundings.topic(named: name) }
        if next == topics { return false }
        topics = next
        typealias Topic = ConsumerGroupPartitionMetadataValue.TopicMetadata
        add(
            .topics(
                group.id,
                ConsumerGroupPartitionMetadataValue(
                    topics: next.values.sorted { $0.name < $1.name }.map {
                        Topic(topicID: $0.id, topicName: $0.name, numPartitions: $0.partitionCount)
                    })))
        return true
    }

    // MARK: The target

    func target(of id: String) -> PartitionSet {
        newTargets[id] ?? group.targets[id] ?? PartitionSet()
    }

    private mutating func setTarget(_ id: String, _ target: PartitionSet) {
        newTargets[id] = target
        typealias Topic = ConsumerGroupTargetAssignmentMemberValue.TopicPartition
        add(
            .target(
                group: group.id, member: id,
                ConsumerGroupTargetAssignmentMemberValue(
                    topicPartitions: target.sorted.map {
                        Topic(topicID: $0.topic, partitions: $0.partitions)
                    })))
    }

    /// The assignor that most members ask for; the name decides between equals.
    var preferredAssignor: String? {
        assignorCounts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
    }

    /// Divides the partitions anew.
    mutating func assign(_ assignors: [ConsumerAssignor]) {
        let preferred = preferredAssignor.flatMap(ConsumerAssignor.init(rawValue:))
        let assignor = preferred.flatMap { assignors.contains($0) ? $0 : nil } ?? assignors.first ?? .uniform
        let members = members
        let subject = AssignmentSubject(members, topics, patterns) { target(of: $0) }
        for (member, target) in zip(members, assignor.assign(subject))
        where newTargets[member.id] ?? group.targets[member.id] != target {
            setTarget(member.id, target)
        }
        targetEpoch = epoch
        add(.targetEpoch(group.id, ConsumerGroupTargetAssignmentMetadataValue(assignmentEpoch: epoch)))
    }

    // MARK: What was another group

    /// The epoch that a group has from what it was before.
    mutating func begin(epoch: Int32) {
        self.epoch = epoch
        targetEpoch = epoch
        add(.group(group.id, ConsumerGroupMetadataValue(epoch: epoch)))
        add(.targetEpoch(group.id, ConsumerGroupTargetAssignmentMetadataValue(assignmentEpoch: epoch)))
    }

    /// A member that has all that it is to have.
    mutating func adopt(_ member: ConsumerMember) {
        _ = set(member)
        setTarget(member.id, member.assigned)
        setCurrent(member)
    }

    // MARK: Reconciliation

    /// Brings a member one step on, towards its target.
    ///
    /// - Parameter owned: what it says that it has.
    mutating func reconcile(_ member: ConsumerMember, owned: PartitionSet?) -> ConsumerMember {
        let next = Reconciliation(
            target: target(of: member.id), epoch: targetEpoch, owned: owned,
            isFree: { [group, removed] topic, partition in
                group.owner(topic, partition).map { $0 == member.id || removed.contains($0) } ?? true
            }
        ).next(member)
        if next != member { setCurrent(next) }
        return next
    }
}
