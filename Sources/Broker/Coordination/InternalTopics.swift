internal import ClusterMetadata
internal import Coordinators
internal import KafkaProtocol
internal import RaftController
internal import Settings

/// Topics that the broker makes for itself.
enum InternalTopics {
    static func contains(_ name: String) -> Bool {
        name == GroupPartition.offsetsTopic || name == GroupPartition.transactionsTopic
    }

    /// How a topic is made that nobody has described: as the settings of internal topics say, or like any.
    static func new(_ name: String, _ broker: BrokerLane) -> CreateTopics.NewTopic {
        let settings = broker.settings
        switch name {
        case GroupPartition.offsetsTopic:
            return CreateTopics.NewTopic(
                name: name, partitionCount: Int32(clamping: settings[BrokerSettings.offsetsPartitions]),
                replicationFactor: factor(settings[BrokerSettings.offsetsReplicationFactor], broker),
                configuration: [
                    "cleanup.policy": "compact", "compression.type": "producer",
                    "segment.bytes": "\(settings[BrokerSettings.offsetsSegmentBytes])",
                ])
        case GroupPartition.transactionsTopic:
            var configuration: [String: String?] = [
                "cleanup.policy": "compact", "compression.type": "uncompressed",
                "segment.bytes": "\(settings[BrokerSettings.transactionSegmentBytes])",
            ]
            let minimum = settings[BrokerSettings.transactionMinimumInSync]
            if minimum > 0 { configuration["min.insync.replicas"] = "\(minimum)" }
            return CreateTopics.NewTopic(
                name: name, partitionCount: Int32(clamping: settings[BrokerSettings.transactionPartitions]),
                replicationFactor: factor(settings[BrokerSettings.transactionReplicationFactor], broker),
                configuration: configuration)
        default: return CreateTopics.NewTopic(name: name)
        }
    }

    /// Three, or as many as there are brokers, where nobody says.
    private static func factor(_ set: Int16, _ broker: BrokerLane) -> Int16 {
        set > 0 ? set : Int16(clamping: min(3, max(1, broker.metadata.brokers.unfenced.count)))
    }
}
