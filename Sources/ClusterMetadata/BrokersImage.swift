internal import KafkaProtocol
public import RecordFormat

/// Where a broker or controller listens.
public struct NodeEndpoint: Hashable, Sendable {
    /// Of the listener, such as `PLAINTEXT`.
    public var name: String
    public var host: String
    public var port: UInt16
    /// Kafka's number of the security protocol: 0 plain text, 1 TLS, 2 SASL, 3 SASL over TLS.
    public var securityProtocol: Int16

    public init(name: String, host: String, port: UInt16, securityProtocol: Int16 = 0) {
        self.name = name
        self.host = host
        self.port = port
        self.securityProtocol = securityProtocol
    }
}

/// What the metadata says about a broker.
public struct BrokerImage: Equatable, Sendable {
    public let id: Int32
    /// Of the process that registered: drawn at its start.
    public let incarnationID: UniqueID
    /// Offset of the registration; requests of earlier incarnations carry a smaller one.
    public let epoch: Int64
    public let endpoints: [NodeEndpoint]
    /// The levels of each feature that it supports.
    public let features: [String: ClosedRange<Int16>]
    public let rack: String?
    /// Not to be counted on: no leader, and not shown to clients.
    public internal(set) var isFenced: Bool
    /// About to stop.
    public internal(set) var isInControlledShutdown: Bool
    /// Its log directories that work.
    public internal(set) var directories: [DirectoryID]

    /// Where new replicas go: the one directory it has, otherwise left for it to choose.
    public var defaultDirectory: DirectoryID { directories.count == 1 ? directories[0] : .unassigned }

    /// Whether it may lead partitions and be in sync.
    public var isActive: Bool { !isFenced && !isInControlledShutdown }

    init(_ record: RegisterBrokerRecord) {
        id = record.brokerID
        incarnationID = record.incarnationID
        epoch = record.brokerEpoch
        endpoints = record.endPoints.map {
            NodeEndpoint(
                name: $0.name, host: $0.host, port: $0.port, securityProtocol: $0.securityProtocol)
        }
        var features: [String: ClosedRange<Int16>] = [:]
        for feature in record.features {
            let highest = max(feature.minSupportedVersion, feature.maxSupportedVersion)
            features[feature.name] = feature.minSupportedVersion...highest
        }
        self.features = features
        rack = record.rack
        isFenced = record.fenced
        isInControlledShutdown = record.inControlledShutdown
        directories = record.logDirs
    }

    /// The record that makes this image.
    func record(_ version: MetadataVersion) -> RegisterBrokerRecord {
        RegisterBrokerRecord(
            brokerID: id, incarnationID: incarnationID, brokerEpoch: epoch,
            endPoints: endpoints.map {
                RegisterBrokerRecord.BrokerEndpoint(
                    name: $0.name, host: $0.host, port: $0.port, securityProtocol: $0.securityProtocol)
            },
            features: features.sorted { $0.key < $1.key }.map {
                RegisterBrokerRecord.BrokerFeature(
                    name: $0.key, minSupportedVersion: $0.value.lowerBound,
                    maxSupportedVersion: $0.value.upperBound)
            },
            rack: rack, fenced: isFenced, inControlledShutdown: isInControlledShutdown,
            logDirs: version.hasDirectories ? directories : [])
    }
}

/// All registered brokers.
public struct BrokersImage: Equatable, Sendable {
    private var brokers: [Int32: BrokerImage] = [:]

    public var count: Int { brokers.count }
    public subscript(id: Int32) -> BrokerImage? { brokers[id] }
    /// By node ID.
    public var sorted: [BrokerImage] { brokers.values.sorted { $0.id < $1.id } }
    /// Those that clients are told about, by node ID.
    public var unfenced: [BrokerImage] { sorted.filter { !$0.isFenced } }

    mutating func set(_ record: RegisterBrokerRecord) { brokers[record.brokerID] = BrokerImage(record) }

    mutating func remove(_ id: Int32, epoch: Int64) throws(MetadataImageError) {
        _ = try place(of: id, epoch: epoch)
        brokers[id] = nil
    }

    mutating func setFenced(_ isFenced: Bool, _ id: Int32, epoch: Int64) throws(MetadataImageError) {
        let place = try place(of: id, epoch: epoch)
        brokers.values[place].isFenced = isFenced
    }

    mutating func change(_ record: BrokerRegistrationChangeRecord) throws(MetadataImageError) {
        let place = try place(of: record.brokerID, epoch: record.brokerEpoch)
        // -1 lifts the fence, 1 sets it, 0 says nothing.
        if record.fenced != 0 { brokers.values[place].isFenced = record.fenced > 0 }
        if record.inControlledShutdown > 0 { brokers.values[place].isInControlledShutdown = true }
        if !record.logDirs.isEmpty { brokers.values[place].directories = record.logDirs }
    }

    private func place(
        of id: Int32, epoch: Int64
    ) throws(MetadataImageError) -> Dictionary<Int32, BrokerImage>.Index {
        guard let place = brokers.index(forKey: id) else { throw .unknownBroker(id) }
        let known = brokers.values[place].epoch
        guard known == epoch else { throw .staleBrokerEpoch(id, found: epoch, expected: known) }
        return place
    }
}
