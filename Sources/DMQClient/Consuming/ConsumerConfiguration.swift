public import RecordFormat

/// Which records a consumer sees.
public enum IsolationLevel: Int8, Sendable {
    /// All, those of open and aborted transactions too.
    case readUncommitted = 0
    /// None of open and aborted transactions; it does not read past the first open one.
    case readCommitted = 1
}

/// Where reading a partition begins.
public enum StartPosition: Hashable, Sendable {
    case earliest
    /// Behind the last record there is.
    case latest
    case offset(Offset)
    /// At the first record with this time or a later one; behind the last where there is none.
    case timestamp(Timestamp)
    /// So many offsets before the end; at the beginning where there are not that many.
    case last(Int64)
}

/// What a consumer is made of. Sizes are in bytes, times in milliseconds.
public struct ConsumerConfiguration: Sendable {
    public var isolation = IsolationLevel.readUncommitted
    /// A broker answers a fetch when there is so much, or after `waitMilliseconds`.
    public var minimumByteCount = 1
    public var waitMilliseconds: Int64 = 500
    /// Of one answer, and of one partition in it; a single larger batch comes all the same.
    public var maximumByteCount = 50 << 20
    public var partitionByteCount = 1 << 20
    /// Fetched and not taken yet: above, nothing more is fetched.
    public var prefetchByteCount = 32 << 20
    /// Whether the checksum of every batch is compared.
    public var checksChecksums = true
    /// Where to go when the position is not in the log (any more); nil throws.
    public var resetPosition: StartPosition?
    /// How long a topic that no broker knows is waited for.
    public var topicMilliseconds: Int64 = 5_000

    public init() {}

    func check() throws(ClientError) {
        for (name, value) in [
            ("minimum fetch size", minimumByteCount), ("maximum fetch size", maximumByteCount),
            ("maximum partition fetch size", partitionByteCount), ("prefetch size", prefetchByteCount),
        ] where value < 0 || value > Int(Int32.max) {
            throw .configuration(setting: name, value: "\(value)", reason: "0 to 2147483647 are possible")
        }
    }
}

/// A record with its bytes, and where it stands.
public struct ConsumerRecord: Hashable, Sendable {
    public let partition: TopicPartition
    public let record: Record
    /// What the timestamp means.
    public let timestampType: TimestampType

    public init(partition: TopicPartition, record: Record, timestampType: TimestampType) {
        self.partition = partition
        self.record = record
        self.timestampType = timestampType
    }

    public var offset: Offset { record.offset }
    public var timestamp: Timestamp { record.timestamp }
    public var key: [UInt8]? { record.key }
    public var value: [UInt8]? { record.value }
    public var headers: [RecordHeader] { record.headers }
}

extension TimestampType {
    /// Kafka's name for it.
    public var name: String { self == .createTime ? "CreateTime" : "LogAppendTime" }
}
