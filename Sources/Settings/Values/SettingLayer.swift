/// Where a broker's value stands. A later layer's goes before an earlier one's.
public enum SettingLayer: Int, Sendable, CaseIterable {
    case defaults, file, commandLine, allBrokers, thisBroker

    /// What clients are told of it.
    public var source: SettingSource {
        switch self {
        case .defaults: .defaults
        case .file, .commandLine: .staticBroker
        case .allBrokers: .dynamicAllBrokers
        case .thisBroker: .dynamicBroker
        }
    }
}

/// Where a value comes from, as DescribeConfigs tells it (KIP-226); raw values are the protocol's.
public enum SettingSource: Int8, Sendable, CaseIterable {
    case topic = 1
    case dynamicBroker = 2
    case dynamicAllBrokers = 3
    case staticBroker = 4
    case defaults = 5

    /// Kafka's name for it.
    public var name: String {
        switch self {
        case .topic: "DYNAMIC_TOPIC_CONFIG"
        case .dynamicBroker: "DYNAMIC_BROKER_CONFIG"
        case .dynamicAllBrokers: "DYNAMIC_DEFAULT_BROKER_CONFIG"
        case .staticBroker: "STATIC_BROKER_CONFIG"
        case .defaults: "DEFAULT_CONFIG"
        }
    }
}
