public import RecordFormat

/// What changed between two offsets of the metadata log, so that whoever follows it looks only at that.
/// The new state is in the image.
public struct MetadataDelta: Equatable, Sendable {
    /// What changed about a topic that there is now.
    public struct TopicChange: Equatable, Sendable {
        /// Whether the topic was made in between.
        public internal(set) var isNew = false
        /// Numbers of partitions that are new or changed.
        public internal(set) var partitions: Set<Int32> = []
    }

    /// A topic that was deleted in between.
    public struct DeletedTopic: Equatable, Sendable {
        public let name: String
        public let partitionCount: Int
    }

    /// Topics that there are now and that are new, or have new or changed partitions.
    public private(set) var topics: [TopicID: TopicChange] = [:]
    /// Topics that there were before and are no more. One of the same name may be new.
    public private(set) var deletedTopics: [TopicID: DeletedTopic] = [:]
    public private(set) var configurations: Set<ConfigurationResource> = []
    public private(set) var clientQuotas: Set<ClientQuotaEntity> = []
    /// Brokers that registered, went, or changed.
    public internal(set) var changedBrokers: Set<Int32> = []
    public internal(set) var changedFeatures: Set<String> = []
    public internal(set) var changesProducerIDs = false
    public internal(set) var changesCredentials = false

    public init() {}

    public var isEmpty: Bool { self == MetadataDelta() }

    mutating func noteCreated(_ topic: TopicID) { topics[topic] = TopicChange(isNew: true) }

    mutating func noteChanged(_ topic: TopicID, _ partition: Int32) {
        topics[topic, default: TopicChange()].partitions.insert(partition)
    }

    mutating func noteDeleted(_ topic: TopicImage) {
        let change = topics.removeValue(forKey: topic.id)
        configurations.remove(.topic(topic.name))
        // Nobody has seen one that came and went.
        if change?.isNew ?? false { return }
        deletedTopics[topic.id] = DeletedTopic(
            name: topic.name, partitionCount: topic.partitions.count)
    }

    mutating func noteConfiguration(_ resource: ConfigurationResource) { configurations.insert(resource) }

    mutating func noteQuota(_ entity: ClientQuotaEntity) { clientQuotas.insert(entity) }
}
