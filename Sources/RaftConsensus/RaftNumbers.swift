/// Counts the leaders of a quorum, Raft's term (KIP-595). 0: before the first election.
public struct RaftEpoch: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible,
    ExpressibleByIntegerLiteral
{
    public let rawValue: Int32

    public init(rawValue: Int32) { self.rawValue = rawValue }
    public init(_ value: Int32) { rawValue = value }
    public init(integerLiteral value: Int32) { rawValue = value }

    /// The epoch after this one.
    public var next: RaftEpoch { RaftEpoch(rawValue + 1) }

    public static func < (left: RaftEpoch, right: RaftEpoch) -> Bool { left.rawValue < right.rawValue }

    public var description: String { String(rawValue) }
}

/// The place of a record in the replicated log. The module does not know RecordFormat, whose `Offset` this
/// is.
public struct RaftOffset: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible,
    ExpressibleByIntegerLiteral
{
    public let rawValue: Int64

    public init(rawValue: Int64) { self.rawValue = rawValue }
    public init(_ value: Int64) { rawValue = value }
    public init(integerLiteral value: Int64) { rawValue = value }

    public static func < (left: RaftOffset, right: RaftOffset) -> Bool { left.rawValue < right.rawValue }
    public static func + (left: RaftOffset, right: Int64) -> RaftOffset { RaftOffset(left.rawValue + right) }
    public static func - (left: RaftOffset, right: Int64) -> RaftOffset { RaftOffset(left.rawValue - right) }
    /// The number of offsets from `right` up to, not including, `left`.
    public static func - (left: RaftOffset, right: RaftOffset) -> Int64 { left.rawValue - right.rawValue }

    public var description: String { String(rawValue) }
}

/// Where a log, an epoch or a snapshot ends: the offset after its last record, and that record's epoch.
public struct OffsetAndEpoch: Hashable, Sendable, CustomStringConvertible {
    public var offset: RaftOffset
    public var epoch: RaftEpoch

    public init(offset: RaftOffset, epoch: RaftEpoch) {
        self.offset = offset
        self.epoch = epoch
    }

    /// Whether a log that ends here has all that a majority can have committed, as far as a log that ends at
    /// `other` can tell (Raft, section 5.4.1).
    public func isAtLeastAsUpToDate(as other: OffsetAndEpoch) -> Bool {
        epoch > other.epoch || (epoch == other.epoch && offset >= other.offset)
    }

    public var description: String { "\(offset)@\(epoch)" }
}

/// A snapshot is named by what it contains: all records below `offset`, the last of them of `epoch`
/// (KIP-630).
public typealias SnapshotID = OffsetAndEpoch
