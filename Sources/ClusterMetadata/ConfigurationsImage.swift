internal import KafkaProtocol

/// What a configuration is of; raw values are the protocol's.
public enum ConfigurationResourceType: Int8, Hashable, Sendable, CaseIterable {
    case topic = 2
    case broker = 4
    case brokerLogger = 8
    case clientMetrics = 16
    case group = 32
}

/// Something that has a configuration. A broker's name is its node ID, the empty name stands for all brokers.
public struct ConfigurationResource: Hashable, Sendable, CustomStringConvertible {
    public let type: ConfigurationResourceType
    public let name: String

    public init(_ type: ConfigurationResourceType, _ name: String) {
        self.type = type
        self.name = name
    }

    /// The settings of a topic.
    public static func topic(_ name: String) -> ConfigurationResource { ConfigurationResource(.topic, name) }
    /// The settings of one broker.
    public static func broker(_ id: Int32) -> ConfigurationResource {
        ConfigurationResource(.broker, String(id))
    }
    /// What holds for all brokers.
    public static let allBrokers = ConfigurationResource(.broker, "")

    public var description: String { "\(type) \(name.isEmpty ? "(default)" : name)" }
}

/// The settings that differ from their defaults, by resource.
public struct ConfigurationsImage: Equatable, Sendable {
    private var values: [ConfigurationResource: [String: String]] = [:]
    /// Records of resources that are not known here, so that a snapshot keeps them.
    private var foreign: [ForeignResource: [String: String]] = [:]

    private struct ForeignResource: Hashable {
        let type: Int8
        let name: String
    }

    /// The settings of a resource; empty for one that has none.
    public subscript(resource: ConfigurationResource) -> [String: String] { values[resource] ?? [:] }

    /// Resources that have settings, in no order.
    public var resources: some Collection<ConfigurationResource> & Sendable { values.keys }

    /// - Returns: the resource, nil for one that is not known here.
    mutating func set(_ record: ConfigRecord) -> ConfigurationResource? {
        guard let type = ConfigurationResourceType(rawValue: record.resourceType) else {
            let resource = ForeignResource(type: record.resourceType, name: record.resourceName)
            foreign[resource, default: [:]][record.name] = record.value
            if foreign[resource]?.isEmpty ?? false { foreign[resource] = nil }
            return nil
        }
        let resource = ConfigurationResource(type, record.resourceName)
        values[resource, default: [:]][record.name] = record.value
        if values[resource]?.isEmpty ?? false { values[resource] = nil }
        return resource
    }

    mutating func remove(_ resource: ConfigurationResource) { values[resource] = nil }

    /// The records that make this image, in a fixed order.
    func appendRecords(to records: inout [MetadataRecord]) {
        var all = values.map { ($0.key.type.rawValue, $0.key.name, $0.value) }
        all += foreign.map { ($0.key.type, $0.key.name, $0.value) }
        for (type, name, settings) in all.sorted(by: { ($0.0, $0.1) < ($1.0, $1.1) }) {
            for (key, value) in settings.sorted(by: { $0.key < $1.key }) {
                records.append(
                    .configuration(
                        ConfigRecord(resourceType: type, resourceName: name, name: key, value: value)))
            }
        }
    }
}
