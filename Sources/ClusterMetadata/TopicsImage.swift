internal import KafkaProtocol
public import RecordFormat

/// What the metadata says about a topic.
public struct TopicImage: Equatable, Sendable {
    public let name: String
    public let id: TopicID
    /// By partition number, from 0 on without gaps.
    public internal(set) var partitions: [PartitionImage] = []
}

/// All topics, by name and by ID.
public struct TopicsImage: Equatable, Sendable {
    private var topics: [TopicID: TopicImage] = [:]
    private var ids: [String: TopicID] = [:]
    /// Names with a `.` or a `_`, by the name that metrics give them, in which both look the same.
    private var lookalikes: [String: [String]] = [:]
    /// Partitions of all topics together.
    public private(set) var partitionCount = 0

    public var count: Int { topics.count }

    /// In no order.
    public var all: some Collection<TopicImage> & Sendable { topics.values }

    /// By name, for listings.
    public var sortedByName: [TopicImage] { topics.values.sorted { $0.name < $1.name } }

    public subscript(id: TopicID) -> TopicImage? { topics[id] }

    public subscript(name: String) -> TopicImage? { ids[name].flatMap { topics[$0] } }

    /// The ID of the topic of that name, nil when there is none.
    public func id(named name: String) -> TopicID? { ids[name] }

    public subscript(id: TopicID, partition: Int32) -> PartitionImage? {
        guard let topic = topics[id], topic.partitions.indices.contains(Int(partition)) else { return nil }
        return topic.partitions[Int(partition)]
    }

    /// A topic whose name differs from `name` only by `.` and `_`, which metrics could not tell apart.
    public func lookalike(of name: String) -> String? {
        guard Self.isAmbiguous(name) else { return nil }
        return lookalikes[Self.plain(name)]?.first { $0 != name }
    }

    /// Whether another name could be taken for this one.
    public static func isAmbiguous(_ name: String) -> Bool {
        name.utf8.contains { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") }
    }

    /// The name with every `.` as `_`.
    public static func plain(_ name: String) -> String {
        String(decoding: name.utf8.map { $0 == UInt8(ascii: ".") ? UInt8(ascii: "_") : $0 }, as: UTF8.self)
    }

    // MARK: Changes

    mutating func add(_ record: TopicRecord) throws(MetadataImageError) {
        guard topics[record.topicID] == nil else { throw .topicExists(record.name, record.topicID) }
        guard ids[record.name] == nil else { throw .topicExists(record.name, record.topicID) }
        topics[record.topicID] = TopicImage(name: record.name, id: record.topicID)
        ids[record.name] = record.topicID
        if Self.isAmbiguous(record.name) {
            lookalikes[Self.plain(record.name), default: []].append(record.name)
        }
    }

    /// - Returns: the topic that was removed.
    mutating func remove(_ id: TopicID) throws(MetadataImageError) -> TopicImage {
        guard let topic = topics.removeValue(forKey: id) else { throw .unknownTopic(id) }
        ids[topic.name] = nil
        partitionCount -= topic.partitions.count
        if Self.isAmbiguous(topic.name) {
            let plain = Self.plain(topic.name)
            lookalikes[plain]?.removeAll { $0 == topic.name }
            if lookalikes[plain]?.isEmpty ?? false { lookalikes[plain] = nil }
        }
        return topic
    }

    /// Adds the next partition of a topic, or replaces one.
    /// - Returns: whether it is new.
    mutating func set(_ record: PartitionRecord) throws(MetadataImageError) -> Bool {
        guard let place = topics.index(forKey: record.topicID) else { throw .unknownTopic(record.topicID) }
        let number = Int(record.partitionID)
        let count = topics.values[place].partitions.count
        guard number >= 0, number <= count else {
            throw .unknownPartition(record.topicID, record.partitionID)
        }
        if number < count {
            topics.values[place].partitions[number] = PartitionImage(
                record, like: topics.values[place].partitions[number])
            return false
        }
        topics.values[place].partitions.append(
            PartitionImage(record, like: topics.values[place].partitions.last))
        partitionCount += 1
        return true
    }

    mutating func change(_ record: PartitionChangeRecord) throws(MetadataImageError) {
        guard let place = topics.index(forKey: record.topicID) else { throw .unknownTopic(record.topicID) }
        let number = Int(record.partitionID)
        guard topics.values[place].partitions.indices.contains(number) else {
            throw .unknownPartition(record.topicID, record.partitionID)
        }
        topics.values[place].partitions[number].apply(record)
    }
}
