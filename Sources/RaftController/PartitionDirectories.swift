public import ClusterMetadata
public import LogStorage
public import RecordFormat

/// What becomes of the partitions' directories that a node finds at its start, by what the metadata says.
public struct PartitionDirectories: Sendable {
    private let image: MetadataImage
    private let nodeID: Int32
    private let settings: @Sendable (String, [String: String]) -> LogConfiguration

    /// - Parameter settings: of a topic's logs, by its name and the settings that the topic has of its own.
    public init(
        _ image: MetadataImage, nodeID: Int32,
        settings: @escaping @Sendable (String, [String: String]) -> LogConfiguration
    ) {
        self.image = image
        self.nodeID = nodeID
        self.settings = settings
    }

    /// For `LogStore.recoverLogs(choosing:)`: those of partitions that this node has are opened, that of the
    /// metadata itself, which is open already, is left, and all others are set aside.
    ///
    /// - Parameter topicID: that the directory was made for; nil when it does not say.
    public func choice(_ partition: TopicPartition, _ topicID: TopicID?) -> FoundLogChoice {
        if partition == MetadataLog.partition { return .leave }
        guard let topic = image.topics[partition.topic] else {
            return .setAside(reason: "there is no topic \(partition.topic)")
        }
        if let topicID, topicID != topic.id {
            return .setAside(
                reason: "it is of an older topic of the same name: it has the ID \(topicID), not \(topic.id)")
        }
        guard let known = image.topics[topic.id, partition.partition] else {
            return .setAside(
                reason: "topic \(topic.name) has only \(topic.partitions.count) partitions")
        }
        guard known.replicas.contains(nodeID) else {
            return .setAside(reason: "node \(nodeID) has no replica of it, but \(known.replicas) have")
        }
        return .open(settings(topic.name, image.configurations[.topic(topic.name)]), topic.id)
    }
}
