public import RecordFormat

/// A topic to be made.
public struct NewTopic: Sendable {
    public var name: String
    /// Nil: the broker's default.
    public var partitions: Int32?
    /// Nil: the broker's default.
    public var replicationFactor: Int16?
    /// Settings of the topic, such as `retention.ms`.
    public var settings: [(name: String, value: String)]

    public init(
        _ name: String, partitions: Int32? = nil, replicationFactor: Int16? = nil,
        settings: [(name: String, value: String)] = []
    ) {
        self.name = name
        self.partitions = partitions
        self.replicationFactor = replicationFactor
        self.settings = settings
    }
}

/// A topic that was made.
public struct CreatedTopic: Sendable {
    public let name: String
    public let id: TopicID
    /// -1 where the broker does not tell it. So the next one.
    public let partitions: Int32
    public let replicationFactor: Int16
}

/// What has settings.
public enum ConfigResource: Hashable, Sendable, CustomStringConvertible {
    case topic(String)
    /// One broker; nil for the defaults of all.
    case broker(Int32?)

    var kind: Int8 {
        switch self {
        case .topic: 2
        case .broker: 4
        }
    }

    var name: String {
        switch self {
        case .topic(let name): name
        case .broker(let id): id.map { String($0) } ?? ""
        }
    }

    public var description: String {
        switch self {
        case .topic(let name): "topic \(name)"
        case .broker(let id): id.map { "broker \($0)" } ?? "all brokers"
        }
    }
}

/// A setting as a broker describes it.
public struct ConfigEntry: Hashable, Sendable {
    public let name: String
    /// Nil where it has none, or is secret.
    public let value: String?
    public let isReadOnly: Bool
    public let isDefault: Bool
    public let isSensitive: Bool
    /// Where the value comes from, in Kafka's words: `DEFAULT_CONFIG`, `DYNAMIC_TOPIC_CONFIG`, ...
    public let source: String
    /// Kafka's name of the kind of value; `UNKNOWN` where the broker does not tell it.
    public let type: String
    public let documentation: String?
}

/// What is done to a setting.
public enum ConfigChange: Hashable, Sendable {
    case set(String)
    /// Back to the default.
    case delete
    /// Of a list: with these elements, without these elements.
    case append(String)
    case subtract(String)
}

/// The cluster and its brokers.
public struct ClusterDescription: Sendable {
    /// A member of the cluster.
    public struct Broker: Hashable, Sendable {
        public let id: Int32
        public let endpoint: BrokerEndpoint
        public let rack: String?
        public let isFenced: Bool
    }

    public let clusterID: String
    public let controllerID: Int32?
    /// By rising IDs.
    public let brokers: [Broker]
}

/// A directory that a broker keeps logs in.
public struct LogDirectoryDescription: Sendable {
    /// The log of a partition in the directory.
    public struct Replica: Hashable, Sendable {
        public let partition: TopicPartition
        public let byteCount: Int64
        /// How far the replica is behind, in offsets.
        public let offsetLag: Int64
        /// It is being moved here.
        public let isFuture: Bool
    }

    public let broker: Int32
    public let path: String
    /// Nil while the directory is in use; else why it is not.
    public let fault: String?
    /// Of the file system; nil where the broker does not tell it. So the next one.
    public let totalByteCount: Int64?
    public let usableByteCount: Int64?
    public let replicas: [Replica]
}
