/// Settings of a broker that belong together, under one heading of the page.
public struct SettingFamily: Sendable {
    public let title: String
    public let introduction: String
    public let settings: [SettingDescriptor]
}

/// The settings of a broker: Kafka's under their names, and dmq's own. What holds for topics without values
/// of their own stands in `TopicSettings`.
public enum BrokerSettings {
    /// All of them, in the order of the page.
    public static let families: [SettingFamily] = [
        node, network, topics, logs, topicDefaults, compaction, cluster, groups, transactions, quotas,
    ]

    static let topicDefaults = SettingFamily(
        title: "What topics have without their own settings",
        introduction: """
            Each gives the value of a topic's setting to the topics that have none of their own. Of several
            for one setting the first that is set decides.
            """,
        settings: TopicSettings.brokerDefaults)
}
