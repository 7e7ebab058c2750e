internal import Base
internal import KafkaProtocol
public import RecordFormat

/// Why a record cannot follow those before it: the log is damaged, or was written by something else.
public enum MetadataImageError: Error, Hashable, Sendable, CustomStringConvertible {
    case topicExists(String, TopicID)
    case unknownTopic(TopicID)
    case unknownPartition(TopicID, Int32)
    case unknownBroker(Int32)
    case staleBrokerEpoch(Int32, found: Int64, expected: Int64)
    case unsupportedMetadataVersion(Int16)

    public var description: String {
        switch self {
        case .topicExists(let name, let id): "topic \(name) (\(id)) is made a second time"
        case .unknownTopic(let id): "a record is about a topic \(id) that does not exist"
        case .unknownPartition(let id, let number):
            "a record is about partition \(number) of topic \(id), which does not exist or does not "
                + "follow the topic's last one"
        case .unknownBroker(let id): "a record is about broker \(id), which is not registered"
        case .staleBrokerEpoch(let id, let found, let expected):
            "a record is about epoch \(found) of broker \(id), which has epoch \(expected)"
        case .unsupportedMetadataVersion(let level):
            "metadata.version \(level) is not supported, only \(MetadataVersion.oldest) to "
                + "\(MetadataVersion.newest); run the release that the cluster was upgraded with"
        }
    }
}

/// The cluster's metadata: what the records of the metadata log add up to. A value; each lane keeps its own
/// and applies the committed records to it in place.
public struct MetadataImage: Equatable, Sendable {
    public private(set) var topics = TopicsImage()
    public private(set) var brokers = BrokersImage()
    public private(set) var configurations = ConfigurationsImage()
    public private(set) var clientQuotas = ClientQuotasImage()
    public private(set) var credentials = CredentialsImage()
    /// The level of each feature that is on, `metadata.version` among them.
    public private(set) var features: [String: Int16] = [:]
    /// The first producer ID that no broker has been given.
    public private(set) var nextProducerID = ProducerID(0)
    private var controllers: [Int32: RegisterControllerRecord] = [:]
    private var producerIDs: ProducerIDsRecord?

    public init() {}

    /// What is written; `standard` until a record says otherwise.
    public var metadataVersion: MetadataVersion {
        features[MetadataVersion.featureName].map { MetadataVersion($0) } ?? .standard
    }

    /// Whether no record has been applied.
    public var isEmpty: Bool { self == MetadataImage() }

    /// Takes over a record, in place.
    public mutating func apply(_ record: MetadataRecord) throws(MetadataImageError) {
        var delta = MetadataDelta()
        try apply(record, noting: &delta)
    }

    /// Takes over a record, in place, and notes in `delta` what it changed. After an error the image is what
    /// it was before.
    public mutating func apply(
        _ record: MetadataRecord, noting delta: inout MetadataDelta
    ) throws(MetadataImageError) {
        switch record {
        case .topic, .partition, .partitionChange, .removeTopic:
            try applyToTopics(record, &delta)
        case .registerBroker, .unregisterBroker, .fenceBroker, .unfenceBroker, .brokerRegistrationChange:
            try applyToBrokers(record, &delta)
        case .configuration(let record):
            if let resource = configurations.set(record) { delta.noteConfiguration(resource) }
        case .clientQuota(let record): delta.noteQuota(clientQuotas.set(record))
        case .featureLevel(let record): try apply(record, &delta)
        case .producerIDs(let record):
            producerIDs = record
            nextProducerID = record.nextProducerID
            delta.changesProducerIDs = true
        case .accessControlEntry, .removeAccessControlEntry, .delegationToken, .removeDelegationToken,
            .userScramCredential, .removeUserScramCredential:
            applyToCredentials(record)
            delta.changesCredentials = true
        case .registerController(let record): controllers[record.controllerID] = record
        case .noOperation, .zooKeeperMigration, .beginTransaction, .endTransaction, .abortTransaction: break
        }
    }

    private mutating func applyToTopics(
        _ record: MetadataRecord, _ delta: inout MetadataDelta
    ) throws(MetadataImageError) {
        switch record {
        case .topic(let record):
            try topics.add(record)
            delta.noteCreated(record.topicID)
        case .partition(let record):
            _ = try topics.set(record)
            delta.noteChanged(record.topicID, record.partitionID)
        case .partitionChange(let record):
            try topics.change(record)
            delta.noteChanged(record.topicID, record.partitionID)
        case .removeTopic(let record):
            let topic = try topics.remove(record.topicID)
            configurations.remove(.topic(topic.name))
            delta.noteDeleted(topic)
        default: invariantFailed("\(record.type) is not about topics")
        }
    }

    private mutating func applyToBrokers(
        _ record: MetadataRecord, _ delta: inout MetadataDelta
    ) throws(MetadataImageError) {
        switch record {
        case .registerBroker(let record):
            brokers.set(record)
            delta.changedBrokers.insert(record.brokerID)
        case .unregisterBroker(let record):
            try brokers.remove(record.brokerID, epoch: record.brokerEpoch)
            delta.changedBrokers.insert(record.brokerID)
        case .fenceBroker(let record):
            try brokers.setFenced(true, record.id, epoch: record.epoch)
            delta.changedBrokers.insert(record.id)
        case .unfenceBroker(let record):
            try brokers.setFenced(false, record.id, epoch: record.epoch)
            delta.changedBrokers.insert(record.id)
        case .brokerRegistrationChange(let record):
            try brokers.change(record)
            delta.changedBrokers.insert(record.brokerID)
        default: invariantFailed("\(record.type) is not about brokers")
        }
    }

    private mutating func apply(
        _ record: FeatureLevelRecord, _ delta: inout MetadataDelta
    ) throws(MetadataImageError) {
        if record.name == MetadataVersion.featureName,
            !MetadataVersion.supported.contains(MetadataVersion(record.featureLevel))
        {
            throw .unsupportedMetadataVersion(record.featureLevel)
        }
        features[record.name] = record.featureLevel == 0 ? nil : record.featureLevel
        delta.changedFeatures.insert(record.name)
    }

    private mutating func applyToCredentials(_ record: MetadataRecord) {
        switch record {
        case .accessControlEntry(let record): credentials.accessControlEntries[record.id] = record
        case .removeAccessControlEntry(let record): credentials.accessControlEntries[record.id] = nil
        case .delegationToken(let record): credentials.delegationTokens[record.tokenID] = record
        case .removeDelegationToken(let record): credentials.delegationTokens[record.tokenID] = nil
        case .userScramCredential(let record): credentials.set(record)
        case .removeUserScramCredential(let record): credentials.remove(record)
        default: invariantFailed("\(record.type) is not about credentials")
        }
    }

    // MARK: Back to records

    /// Calls `body` with the records that make this image from an empty one, in a fixed order, topic by
    /// topic, so that not all of them have to be in memory at once.
    public func forEachRecordGroup<Failure: Error>(
        _ body: ([MetadataRecord]) throws(Failure) -> Void
    ) throws(Failure) {
        let version = metadataVersion
        var records: [MetadataRecord] = []
        // The version first: it says how the others are to be read.
        let names = features.sorted {
            ($0.key == MetadataVersion.featureName ? "" : $0.key)
                < ($1.key == MetadataVersion.featureName ? "" : $1.key)
        }
        for (name, level) in names {
            records.append(.featureLevel(FeatureLevelRecord(name: name, featureLevel: level)))
        }
        records += brokers.sorted.map { .registerBroker($0.record(version)) }
        records += controllers.values.sorted { $0.controllerID < $1.controllerID }
            .map { .registerController($0) }
        try body(records)
        for topic in topics.all.sorted(by: { $0.id < $1.id }) {
            records = [.topic(TopicRecord(name: topic.name, topicID: topic.id))]
            for (number, partition) in topic.partitions.enumerated() {
                records.append(
                    .partition(partition.record(topicID: topic.id, partition: Int32(number), version)))
            }
            try body(records)
        }
        records = []
        configurations.appendRecords(to: &records)
        clientQuotas.appendRecords(to: &records)
        if let producerIDs { records.append(.producerIDs(producerIDs)) }
        credentials.appendRecords(to: &records)
        try body(records)
    }

    /// All records that make this image from an empty one.
    public func records() -> [MetadataRecord] {
        var all: [MetadataRecord] = []
        forEachRecordGroup { all += $0 }
        return all
    }
}
