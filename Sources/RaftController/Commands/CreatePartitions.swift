public import ClusterMetadata
internal import KafkaProtocol

/// Adds partitions to topics, each on its own.
public struct CreatePartitions: MutatingCommand {
    /// How far a topic is to grow.
    public struct Growth: Hashable, Sendable {
        public var name: String
        /// How many partitions the topic is to have.
        public var partitionCount: Int32
        /// The replicas of each new partition, in order; nil: the controller chooses.
        public var assignments: [[Int32]]?

        public init(name: String, partitionCount: Int32, assignments: [[Int32]]? = nil) {
            self.name = name
            self.partitionCount = partitionCount
            self.assignments = assignments
        }
    }

    /// What became of one topic.
    public struct TopicOutcome: Sendable {
        public let name: String
        /// Nil: done.
        public let refusal: CommandRefusal?
        /// How many partitions the topic gets.
        public let addedCount: Int
    }

    public var topics: [Growth]
    /// Nothing is made.
    public var validateOnly: Bool
    public var allowance: MutationAllowance?

    public init(topics: [Growth], validateOnly: Bool = false) {
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
        var records: [MetadataRecord] = []
        var outcomes: [TopicOutcome] = []
        var allowance = validateOnly ? nil : allowance
        for topic in topics {
            guard let count = counts.removeValue(forKey: topic.name) else { continue }
            do throws(CommandRefusal) {
                if count > 1 {
                    throw CommandRefusal(
                        .invalidRequest, "topic \(TopicName.quoted(topic.name)) is named \(count) times")
                }
                let new = try self.records(topic, image, &placer, context, before: records.count)
                try allowance?.take(new.count)
                records += new
                outcomes.append(TopicOutcome(name: topic.name, refusal: nil, addedCount: new.count))
            } catch {
                outcomes.append(TopicOutcome(name: topic.name, refusal: error, addedCount: 0))
            }
        }
        return Decision(outcomes, records: validateOnly ? [] : records)
    }

    public func mutationCount(_ outcome: [TopicOutcome]) -> Int {
        validateOnly ? 0 : outcome.reduce(0) { $0 + $1.addedCount }
    }

    public func refusals(in outcome: [TopicOutcome]) -> [CommandRefusal] { outcome.compactMap(\.refusal) }

    private func records(
        _ growth: Growth, _ image: MetadataImage, _ placer: inout ReplicaPlacer,
        _ context: DecisionContext, before recordCount: Int
    ) throws(CommandRefusal) -> [MetadataRecord] {
        guard let topic = image.topics[growth.name] else {
            throw CommandRefusal(
                .unknownTopicOrPartition, "there is no topic \(TopicName.quoted(growth.name))")
        }
        let present = Int32(topic.partitions.count)
        guard growth.partitionCount > present else {
            let relation = growth.partitionCount == present ? "that many" : "more: \(present)"
            throw CommandRefusal(
                .invalidPartitions,
                "topic \(topic.name) cannot get \(growth.partitionCount) partitions, it has \(relation) "
                    + "already; partitions cannot be taken away")
        }
        let added = growth.partitionCount - present
        try context.checkCount(recordCount + Int(added))
        // All records before these are partitions too.
        try context.policy.partitionLimit?.check(
            Int(added), besides: image.topics.partitionCount + recordCount)
        let factor = topic.partitions.first?.replicas.count ?? 1
        let replicas: [[Int32]]
        if let assignments = growth.assignments {
            guard assignments.count == Int(added) else {
                throw CommandRefusal(
                    .invalidReplicaAssignment,
                    "\(added) partitions are to be added, replicas are given for \(assignments.count)")
            }
            var numbered: [Int32: [Int32]] = [:]
            for (index, list) in assignments.enumerated() { numbered[present + Int32(index)] = list }
            replicas = try NewPartition.checked(numbered, from: present, factor: factor, image)
        } else {
            try NewPartition.checkFactor(Int16(clamping: factor), brokerCount: placer.brokerCount)
            placer.beginTopic(topic.partitions)
            replicas = (0..<added).map { _ in placer.place(factor) }
        }
        return replicas.enumerated().map { index, list in
            .partition(NewPartition.record(topic.id, present + Int32(index), replicas: list, image))
        }
    }
}
