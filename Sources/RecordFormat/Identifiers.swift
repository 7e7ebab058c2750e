/// Counts the leaders that a partition has had (KIP-101). -1: not known.
public struct LeaderEpoch: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: Int32

    @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }
    @inlinable public init(_ value: Int32) { rawValue = value }

    public static let none = LeaderEpoch(-1)

    @inlinable public static func < (left: LeaderEpoch, right: LeaderEpoch) -> Bool {
        left.rawValue < right.rawValue
    }

    public var description: String { String(rawValue) }
}

/// Names an idempotent or transactional producer (KIP-98). -1: a producer without one.
public struct ProducerID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: Int64

    @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }
    @inlinable public init(_ value: Int64) { rawValue = value }

    public static let none = ProducerID(-1)

    public var description: String { String(rawValue) }
}

/// Counts the incarnations of a producer ID; an older one is fenced (KIP-98). -1: none.
public struct ProducerEpoch: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: Int16

    @inlinable public init(rawValue: Int16) { self.rawValue = rawValue }
    @inlinable public init(_ value: Int16) { rawValue = value }

    public static let none = ProducerEpoch(-1)

    @inlinable public static func < (left: ProducerEpoch, right: ProducerEpoch) -> Bool {
        left.rawValue < right.rawValue
    }

    public var description: String { String(rawValue) }
}

/// A producer's number for a record within a partition: 0 ... 2^31-1, then 0 again. -1: none.
public struct SequenceNumber: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: Int32

    @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }
    @inlinable public init(_ value: Int32) { rawValue = value }

    public static let none = SequenceNumber(-1)

    /// The number `count` records later, wrapping as Kafka's does.
    @inlinable public func advanced(by count: Int32) -> SequenceNumber {
        SequenceNumber(Int32((Int64(rawValue) + Int64(count)) % (Int64(Int32.max) + 1)))
    }

    public var description: String { String(rawValue) }
}

/// Milliseconds since the Unix epoch, as records carry it. -1: none.
public struct Timestamp: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: Int64

    @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }
    @inlinable public init(_ milliseconds: Int64) { rawValue = milliseconds }

    public static let none = Timestamp(-1)

    @inlinable public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.rawValue < right.rawValue
    }

    public var description: String { String(rawValue) }
}

/// A partition of a topic. Written `topic-partition`, as its directory is named.
public struct TopicPartition: Hashable, Sendable, CustomStringConvertible {
    public let topic: String
    public let partition: Int32

    public init(topic: String, partition: Int32) {
        self.topic = topic
        self.partition = partition
    }

    public var description: String { "\(topic)-\(partition)" }
}
