public import ClusterMetadata
internal import KafkaProtocol
public import RecordFormat

/// A topic as a request names it.
public enum TopicReference: Hashable, Sendable {
    case name(String)
    case id(TopicID)
}

/// Deletes topics, each on its own.
public struct DeleteTopics: MutatingCommand {
    /// A topic that was there.
    public struct DeletedTopic: Hashable, Sendable {
        public let name: String
        public let id: TopicID
        public let partitionCount: Int
    }

    /// What became of one topic.
    public struct TopicOutcome: Sendable {
        public let topic: TopicReference
        public let result: Result<DeletedTopic, CommandRefusal>
    }

    public var topics: [TopicReference]
    public var allowance: MutationAllowance?

    public init(topics: [TopicReference]) { self.topics = topics }

    /// The outcomes are in the order of the topics.
    public func decide(
        _ image: MetadataImage, _ context: inout DecisionContext
    ) throws(CommandRefusal) -> Decision<[TopicOutcome]> {
        try context.checkCount(topics.count)
        var records: [MetadataRecord] = []
        var outcomes: [TopicOutcome] = []
        var removed: Set<TopicID> = []
        var allowance = allowance
        for reference in topics {
            do throws(CommandRefusal) {
                let topic = try find(reference, image)
                guard context.policy.allowsDeletion else {
                    throw CommandRefusal(
                        .topicDeletionDisabled, "topics may not be deleted: delete.topic.enable is false")
                }
                guard removed.insert(topic.id).inserted else {
                    throw CommandRefusal(.invalidRequest, "topic \(topic.name) is named more than once")
                }
                try allowance?.take(topic.partitions.count)
                records.append(.removeTopic(RemoveTopicRecord(topicID: topic.id)))
                outcomes.append(
                    TopicOutcome(
                        topic: reference,
                        result: .success(
                            DeletedTopic(
                                name: topic.name, id: topic.id, partitionCount: topic.partitions.count))))
            } catch {
                outcomes.append(TopicOutcome(topic: reference, result: .failure(error)))
            }
        }
        return Decision(outcomes, records: records)
    }

    public func mutationCount(_ outcome: [TopicOutcome]) -> Int {
        outcome.reduce(0) { count, topic in
            if case .success(let deleted) = topic.result { count + deleted.partitionCount } else { count }
        }
    }

    public func refusals(in outcome: [TopicOutcome]) -> [CommandRefusal] {
        outcome.compactMap { if case .failure(let refusal) = $0.result { refusal } else { nil } }
    }

    private func find(
        _ reference: TopicReference, _ image: MetadataImage
    ) throws(CommandRefusal) -> TopicImage {
        switch reference {
        case .name(let name):
            if let topic = image.topics[name] { return topic }
            throw CommandRefusal(
                .unknownTopicOrPartition, "there is no topic \(TopicName.quoted(name))")
        case .id(let id):
            if let topic = image.topics[id] { return topic }
            throw CommandRefusal(.unknownTopicID, "there is no topic with the ID \(id)")
        }
    }
}
