// Records of `__consumer_offsets`, as Kafka writes them. Key and value begin with their version, big endian.
//
//   key version   value versions   of
//   0, 1          0 ... 4          an offset that a group has committed
//   2             0 ... 4          a classic group with its members
//   3 ... 8, 16   0                a consumer group: see ConsumerGroupRecord
//   others                         groups of other protocols
//
// A key without a value is a tombstone. We write key versions 1 and 2, value version 3; an offset with a time
// to expire at, which only old clients ask for, in value version 1.

public import KafkaProtocol
public import RecordFormat

/// What an offset is committed for.
public struct OffsetKey: Hashable, Sendable {
    public let group: String
    public let topic: String
    public let partition: Int32

    public init(group: String, topic: String, partition: Int32) {
        self.group = group
        self.topic = topic
        self.partition = partition
    }
}

/// An offset as a group has committed it.
public struct CommittedOffset: Hashable, Sendable {
    public var offset: Offset
    /// Of the record before it; none where the client did not say.
    public var leaderEpoch: LeaderEpoch
    public var metadata: String
    /// Milliseconds since the Unix epoch.
    public var commitTimestamp: Int64
    /// When it expires, where the client said so; milliseconds since the Unix epoch.
    public var expireTimestamp: Int64?

    public init(
        offset: Offset, leaderEpoch: LeaderEpoch = .none, metadata: String = "", commitTimestamp: Int64,
        expireTimestamp: Int64? = nil
    ) {
        self.offset = offset
        self.leaderEpoch = leaderEpoch
        self.metadata = metadata
        self.commitTimestamp = commitTimestamp
        self.expireTimestamp = expireTimestamp
    }

    init(_ value: OffsetCommitValue) {
        self.init(
            offset: value.offset, leaderEpoch: value.leaderEpoch, metadata: value.metadata,
            commitTimestamp: value.commitTimestamp,
            expireTimestamp: value.expireTimestamp >= 0 ? value.expireTimestamp : nil)
    }
}

/// The end of a transaction, as its marker says it.
public struct TransactionEnd: Hashable, Sendable {
    public let producer: CoordinatorProducer
    public let isCommit: Bool
    /// Of the transaction coordinator.
    public let coordinatorEpoch: Int32
    /// See `ProducerStates.checkMarker`.
    public let transactionVersion: Int16

    public init(
        producer: CoordinatorProducer, isCommit: Bool, coordinatorEpoch: Int32, transactionVersion: Int16
    ) {
        self.producer = producer
        self.isCommit = isCommit
        self.coordinatorEpoch = coordinatorEpoch
        self.transactionVersion = transactionVersion
    }

    /// The control record.
    public var record: CoordinatorRecordBytes {
        let record = ControlRecord.endTransaction(isCommit: isCommit, coordinatorEpoch: coordinatorEpoch)
        return CoordinatorRecordBytes(key: record.encodedKey(), value: record.encodedValue())
    }
}

/// A record of `__consumer_offsets`.
public enum GroupRecord: CoordinatorRecord, Equatable {
    /// Nil: the offset is deleted.
    case offset(OffsetKey, CommittedOffset?)
    /// Counts once the producer's transaction is committed.
    case pendingOffset(OffsetKey, CommittedOffset, by: CoordinatorProducer)
    /// The control record that decides what a producer's transaction has committed.
    case endOfTransaction(TransactionEnd)
    /// Nil: the group is deleted.
    case classicGroup(String, GroupMetadataValue?)
    case consumer(ConsumerGroupRecord)

    private static let offsetKeyVersion: Int16 = 1
    private static let groupKeyVersion: Int16 = 2
    private static let valueVersion: Int16 = 3
    private static let expiringValueVersion: Int16 = 1

    public var batchKind: CoordinatorBatchKind {
        switch self {
        case .pendingOffset(_, _, let producer): .transactional(producer)
        case .endOfTransaction(let end):
            .marker(end.producer, transactionVersion: end.transactionVersion)
        default: .plain
        }
    }

    public func encoded() throws(ProtocolError) -> CoordinatorRecordBytes {
        switch self {
        case .pendingOffset(let key, let committed, _): return try Self.offset(key, committed).encoded()
        case .endOfTransaction(let end): return end.record
        case .offset(let key, let committed):
            let keyBytes = try OffsetCommitKey(group: key.group, topic: key.topic, partition: key.partition)
                .encodedVersioned(Self.offsetKeyVersion)
            guard let committed else { return CoordinatorRecordBytes(key: keyBytes, value: nil) }
            let value = OffsetCommitValue(
                offset: committed.offset, leaderEpoch: committed.leaderEpoch, metadata: committed.metadata,
                commitTimestamp: committed.commitTimestamp, expireTimestamp: committed.expireTimestamp ?? -1)
            return CoordinatorRecordBytes(
                key: keyBytes,
                value: try value.encodedVersioned(
                    committed.expireTimestamp == nil ? Self.valueVersion : Self.expiringValueVersion))
        case .classicGroup(let group, let value):
            return CoordinatorRecordBytes(
                key: try GroupMetadataKey(group: group).encodedVersioned(Self.groupKeyVersion),
                value: try value?.encodedVersioned(Self.valueVersion))
        case .consumer(let record): return try record.encoded()
        }
    }

    /// Reads a record of the log; nil for a kind that is not served, which stays there without being looked
    /// at.
    ///
    /// - Throws: when a key of a kind that is known, or its value, cannot be read.
    public init?(key: RawSpan, value: RawSpan?) throws(ProtocolError) {
        let version = try MessageReader.leadingVersion(of: key)
        switch version {
        case 0, Self.offsetKeyVersion:
            let decoded = try OffsetCommitKey(decodingVersioned: key)
            var committed: CommittedOffset?
            if let value { committed = CommittedOffset(try OffsetCommitValue(decodingVersioned: value)) }
            self = .offset(
                OffsetKey(group: decoded.group, topic: decoded.topic, partition: decoded.partition),
                committed)
        case Self.groupKeyVersion:
            let decoded = try GroupMetadataKey(decodingVersioned: key)
            var metadata: GroupMetadataValue?
            if let value {
                metadata = try GroupMetadataValue(decodingVersioned: value)
                // Before version 1 the session time-out stood for both.
                if try MessageReader.leadingVersion(of: value) == 0 { metadata?.takeSessionTimeouts() }
            }
            self = .classicGroup(decoded.group, metadata)
        default:
            guard let record = try ConsumerGroupRecord(version: version, key: key, value: value) else {
                return nil
            }
            self = .consumer(record)
        }
    }
}

extension GroupMetadataValue {
    fileprivate mutating func takeSessionTimeouts() {
        for place in members.indices { members[place].rebalanceTimeout = members[place].sessionTimeout }
    }
}
