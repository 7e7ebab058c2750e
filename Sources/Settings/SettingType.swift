/// The type of a setting as DescribeConfigs tells it (KIP-569); raw values are the protocol's.
public enum SettingType: Int8, Sendable, CaseIterable {
    case boolean = 1
    case string = 2
    case int = 3
    case short = 4
    case long = 5
    case double = 6
    case list = 7
    case password = 9

    /// The word for it in tables.
    public var name: String {
        switch self {
        case .boolean: "boolean"
        case .string: "string"
        case .int: "int"
        case .short: "short"
        case .long: "long"
        case .double: "double"
        case .list: "list"
        case .password: "password"
        }
    }
}

/// What a setting belongs to.
public enum SettingScope: Sendable, Equatable {
    /// A node: from its file and its command line, some also while it runs.
    case broker
    /// A topic: over what the broker says for all of them.
    case topic
}

/// When a changed value of a broker's setting takes effect. Topic settings always do at once.
public enum UpdateMode: String, Sendable, CaseIterable {
    /// With the next start.
    case readOnly = "read-only"
    /// At once, for one broker.
    case perBroker = "per-broker"
    /// At once, for all brokers or for one.
    case clusterWide = "cluster-wide"
}
