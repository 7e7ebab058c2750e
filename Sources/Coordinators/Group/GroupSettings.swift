/// The settings that a group coordinator goes by. Times are milliseconds.
public struct GroupSettings: Hashable, Sendable {
    /// `group.min.session.timeout.ms`
    public var minimumSession: Int64 = 6_000
    /// `group.max.session.timeout.ms`
    public var maximumSession: Int64 = 1_800_000
    /// `group.initial.rebalance.delay.ms`
    public var initialRebalanceDelay: Int64 = 3_000
    /// `group.max.size`: members of a group.
    public var maximumSize = Int(Int32.max)
    /// `offset.metadata.max.bytes`
    public var offsetMetadataByteCount = 4_096
    /// `offsets.retention.minutes`
    public var offsetsRetention: Int64 = 7 * 24 * 3_600_000
    /// `offsets.retention.check.interval.ms`
    public var offsetsRetentionCheck: Int64 = 600_000

    /// Offsets that transactions hold at a time, all groups of the partition together: 100,000 take some 30
    /// MB.
    public var maximumPendingOffsets = 100_000

    public init() {}
}
