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
    /// Whether `group.coordinator.rebalance.protocols` has "consumer".
    public var servesConsumerGroups = true
    /// `group.consumer.session.timeout.ms`
    public var consumerSession: Int64 = 45_000
    /// `group.consumer.heartbeat.interval.ms`
    public var consumerHeartbeat: Int64 = 5_000
    /// `group.consumer.max.size`
    public var consumerMaximumSize = Int(Int32.max)
    /// `group.consumer.assignors`; the first is for groups whose members do not care.
    public var consumerAssignors: [ConsumerAssignor] = [.uniform, .range]
    /// `group.consumer.migration.policy`: whether a classic group may become a consumer group, and a consumer
    /// group a classic one.
    public var mayUpgrade = true
    public var mayDowngrade = true

    /// A group of so many consumers has its partitions divided with each change; of each one more a
    /// millisecond later, so that a thousand who come at once are not a thousand divisions among a thousand.
    public var promptConsumerCount = 100

    /// Offsets that transactions hold at a time, all groups of the partition together: 100,000 take some 30
    /// MB.
    public var maximumPendingOffsets = 100_000

    public init() {}
}
