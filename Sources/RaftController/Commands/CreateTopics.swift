public import ClusterMetadata
internal import KafkaProtocol
public import RecordFormat

/// Makes topics, each on its own: one may be refused while others are made.
public struct CreateTopics: MutatingCommand {
    /// A topic to be made.
    public struct NewTopic: Hashable, Sendable {
        public var name: String
        /// Nil: as many as the cluster's default, or as `assignments` has.
        public var partitionCount: Int32?
        /// Nil: the cluster's default, or what `assignments` has.
        public var replicationFactor: Int16?
        /// The replicas of each partition, the preferred leader first; empty: the controller chooses.
        public var assignments: [Int32: [Int32]]
        /// Settings; those with nil are refused.
        public var configuration: [String: String?]

        public init(
            name: String, partitionCount: Int32? = nil, replicationFactor: Int16? = nil,
            assignments: [Int32: [Int32]] = [:], configuration: [String: String?] = [:]
        ) {
            self.name = name
            self.partitionCount = partitionCount
            self.replicationFactor = replicationFactor
            self.assignments = assignments
            self.configuration = configuration
        }
    }

    /// A topic that was made, or would have been.
    public struct CreatedTopic: Hashable, Sendable {
        public let id: TopicID
        public let partitionCount: Int32
        public let replicationFactor: Int16
        public let configuration: [String: String]
    }

    /// What became of one topic.
    public struct TopicOutcome: Sendable {
        public let name: String
        public let result: Result<CreatedTopic, CommandRefusal>
    }

    public var topics: [NewTopic]
    /// Nothing is made.
    public var validateOnly: Bool
    public var allowance: MutationAllowance?

    public init(topics: [NewTopic], validateOnly: Bool = false) {
        self.topics = topics
        self.validateOnly = validateOnly
    }

    /// The outcomes are in the order of the topics; one that is named twice has one outcome.
    public func decide(
        _ image: MetadataImage, _ context: inout DecisionContext
    ) throws(CommandRefusal) -> Decision<[TopicOutcome]> {
        try context.checkCount(topics.count)
        var counts: [String: Int] = [:]
        for topic in topics { counts[topic.name, default: 0] += 1 }
        var placer = ReplicaPlacer(image.brokers.sorted, holding: image.topics, &context.generator)
        var state = Draft(image: image, allowance: validateOnly ? nil : allowance)
        var outcomes: [TopicOutcome] = []
        for topic in topics {
            guard let count = counts.removeValue(forKey: topic.name) else { continue }
            do throws(CommandRefusal) {
                if count > 1 {
                    throw CommandRefusal(
                        .invalidRequest, "topic \(TopicName.quoted(topic.name)) is named \(count) times")
                }
                let made = try create(topic, &state, &placer, &context)
                outcomes.append(TopicOutcome(name: topic.name, result: .success(made)))
            } catch {
                outcomes.append(TopicOutcome(name: topic.name, result: .failure(error)))
            }
        }
        return Decision(outcomes, records: validateOnly ? [] : state.records)
    }

    public func mutationCount(_ outcome: [TopicOutcome]) -> Int {
        if validateOnly { return 0 }
        return outcome.reduce(0) { count, topic in
            if case .success(let made) = topic.result { count + Int(made.partitionCount) } else { count }
        }
    }

    public func refusals(in outcome: [TopicOutcome]) -> [CommandRefusal] {
        outcome.compactMap { if case .failure(let refusal) = $0.result { refusal } else { nil } }
    }

    /// What the topics before this one of the same command will have made.
    private struct Draft {
        let image: MetadataImage
        var allowance: MutationAllowance?
        var records: [MetadataRecord] = []
        var plainNames: [String: String] = [:]
        var partitionCount = 0

        /// An existing or new topic that metrics could not tell from `name`.
        func lookalike(of name: String) -> String? {
            image.topics.lookalike(of: name) ?? plainNames[TopicsImage.plain(name)]
        }
    }

    private func create(
        _ topic: NewTopic, _ draft: inout Draft, _ placer: inout ReplicaPlacer,
        _ context: inout DecisionContext
    ) throws(CommandRefusal) -> CreatedTopic {
        try checkName(topic.name, draft)
        let settings = try checkedSettings(topic, context.policy)
        let assignments = try assignments(topic, draft.image, &placer, context)
        let id = context.newTopicID(draft.image.topics)
        var records: [MetadataRecord] = [.topic(TopicRecord(name: topic.name, topicID: id))]
        for (key, value) in settings.sorted(by: { $0.key < $1.key }) {
            records.append(
                .configuration(
                    ConfigRecord(
                        resourceType: ConfigurationResourceType.topic.rawValue, resourceName: topic.name,
                        name: key, value: value)))
        }
        for (number, replicas) in assignments.enumerated() {
            records.append(
                .partition(
                    NewPartition.record(id, Int32(number), replicas: replicas, draft.image)))
        }
        try context.checkCount(draft.records.count + records.count)
        try context.policy.partitionLimit?.check(
            assignments.count, besides: draft.image.topics.partitionCount + draft.partitionCount)
        try draft.allowance?.take(assignments.count)
        draft.records += records
        draft.partitionCount += assignments.count
        draft.plainNames[TopicsImage.plain(topic.name)] = topic.name
        return CreatedTopic(
            id: id, partitionCount: Int32(assignments.count),
            replicationFactor: Int16(assignments.first?.count ?? 0), configuration: settings)
    }

    private func checkName(_ name: String, _ draft: Draft) throws(CommandRefusal) {
        if let problem = TopicName.problem(name) { throw CommandRefusal(.invalidTopicException, problem) }
        if draft.image.topics.id(named: name) != nil {
            throw CommandRefusal(.topicAlreadyExists, "topic \(name) exists already")
        }
        if name == MetadataLog.topic {
            throw CommandRefusal(.invalidTopicException, "\(name) is the cluster's own")
        }
        if let other = draft.lookalike(of: name) {
            throw CommandRefusal(
                .invalidTopicException,
                "topic \(name) collides with topic \(other): metrics cannot tell '.' from '_'")
        }
    }

    private func checkedSettings(
        _ topic: NewTopic, _ policy: CommandPolicy
    ) throws(CommandRefusal) -> [String: String] {
        var settings: [String: String] = [:]
        for (key, value) in topic.configuration.sorted(by: { $0.key < $1.key }) {
            guard let value else {
                throw CommandRefusal(.invalidConfig, "\(key) has no value; give one, or leave it out")
            }
            settings[key] = value
        }
        if let problem = policy.rules.problem(.topic(topic.name), settings) {
            throw CommandRefusal(.invalidConfig, problem)
        }
        return settings
    }

    /// The replicas of each partition.
    private func assignments(
        _ topic: NewTopic, _ image: MetadataImage, _ placer: inout ReplicaPlacer,
        _ context: DecisionContext
    ) throws(CommandRefusal) -> [[Int32]] {
        if !topic.assignments.isEmpty {
            if topic.partitionCount != nil {
                throw CommandRefusal(
                    .invalidRequest, "a topic with an assignment of replicas has no number of partitions")
            }
            if topic.replicationFactor != nil {
                throw CommandRefusal(
                    .invalidRequest, "a topic with an assignment of replicas has no replication factor")
            }
            try context.checkCount(topic.assignments.count)
            return try NewPartition.checked(topic.assignments, from: 0, factor: nil, image)
        }
        let count = topic.partitionCount ?? context.policy.defaultPartitionCount
        guard count > 0 else {
            throw CommandRefusal(
                .invalidPartitions, "a topic of \(count) partitions is not possible; ask for 1 or more")
        }
        // Before anything is made for them.
        try context.checkCount(Int(count))
        let usual = Int16(clamping: max(1, min(3, placer.brokerCount)))
        let factor = topic.replicationFactor ?? context.policy.defaultReplicationFactor ?? usual
        try NewPartition.checkFactor(factor, brokerCount: placer.brokerCount)
        guard placer.activeCount > 0 else {
            throw CommandRefusal(
                .invalidReplicationFactor, "all brokers are fenced; wait until one of them is there")
        }
        placer.beginTopic()
        return (0..<count).map { _ in placer.place(Int(factor)) }
    }
}

/// What topics and further partitions have in common.
enum NewPartition {
    /// The record of a new partition: all replicas that work are in sync, since all are empty.
    static func record(
        _ topicID: TopicID, _ number: Int32, replicas: [Int32], _ image: MetadataImage
    ) -> PartitionRecord {
        let active = replicas.filter { image.brokers[$0]?.isActive ?? false }
        return PartitionRecord(
            partitionID: number, topicID: topicID, replicas: replicas,
            inSyncReplicas: active.isEmpty ? Array(replicas.prefix(1)) : active,
            leader: active.first ?? PartitionImage.noLeader, leaderEpoch: LeaderEpoch(0),
            partitionEpoch: 0,
            directories: image.metadataVersion.hasDirectories
                ? replicas.map { image.brokers[$0]?.defaultDirectory ?? .unassigned } : [])
    }

    static func checkFactor(_ factor: Int16, brokerCount: Int) throws(CommandRefusal) {
        guard factor > 0 else {
            throw CommandRefusal(
                .invalidReplicationFactor,
                "a replication factor of \(factor) is not possible; ask for 1 or more")
        }
        guard Int(factor) <= brokerCount else {
            throw CommandRefusal(
                .invalidReplicationFactor,
                "a replication factor of \(factor) needs \(factor) brokers, the cluster has \(brokerCount); "
                    + "ask for \(brokerCount) or less, or add brokers")
        }
    }

    /// Checks an assignment of replicas by hand.
    ///
    /// - Parameters:
    ///   - first: the number that the first partition must have.
    ///   - factor: how many replicas each must have; nil: as many as the first one has.
    static func checked(
        _ assignments: [Int32: [Int32]], from first: Int32, factor: Int?, _ image: MetadataImage
    ) throws(CommandRefusal) -> [[Int32]] {
        var result: [[Int32]] = []
        var expected = factor
        for (number, replicas) in assignments.sorted(by: { $0.key < $1.key }) {
            func refusal(_ reason: String) -> CommandRefusal {
                CommandRefusal(.invalidReplicaAssignment, "partition \(number): \(reason)")
            }
            guard number == first + Int32(result.count) else {
                throw refusal("partitions must be numbered from \(first) on without gaps")
            }
            guard !replicas.isEmpty else { throw refusal("it has no replica") }
            guard Set(replicas).count == replicas.count else { throw refusal("a broker is named twice") }
            if let unknown = replicas.first(where: { image.brokers[$0] == nil }) {
                throw refusal("broker \(unknown) is not registered")
            }
            guard replicas.contains(where: { image.brokers[$0]?.isActive ?? false }) else {
                throw refusal("all of its brokers are fenced")
            }
            guard replicas.count == expected ?? replicas.count else {
                throw refusal("it has \(replicas.count) replicas, not \(expected ?? 0) as the others")
            }
            expected = replicas.count
            result.append(replicas)
        }
        return result
    }
}
