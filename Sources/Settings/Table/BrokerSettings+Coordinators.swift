/// Consumer groups, committed offsets and transactions.
extension BrokerSettings {
    public static let offsetsPartitions = BrokerSetting<Int>(
        "offsets.topic.num.partitions", default: 50, .atLeast(1),
        meaning: "partitions of `__consumer_offsets`; cannot change once the topic is there")
    public static let offsetsReplicationFactor = BrokerSetting<Int16>(
        "offsets.topic.replication.factor", default: -1, .integers(1...Int64(Int16.max), or: -1),
        meaning: "replicas of `__consumer_offsets`; -1: three, or as many as there are brokers")
    public static let offsetsSegmentBytes = BrokerSetting<Int>(
        "offsets.topic.segment.bytes", default: 100 << 20, .atLeast(1 << 20), .bytes,
        meaning: "`segment.bytes` of `__consumer_offsets`")
    public static let offsetsCompressionCodec = BrokerSetting<Int>(
        "offsets.topic.compression.codec", default: 0, .integers(0...4),
        meaning:
            "how `__consumer_offsets` is compressed, by Kafka's numbers: 0 not, 1 gzip, 2 snappy, 3 lz4, 4"
            + " zstd"
    )
    public static let offsetsCommitMilliseconds = BrokerSetting<Int>(
        "offsets.commit.timeout.ms", default: 5000, .atLeast(1), .milliseconds,
        meaning: "how long a commit waits for its replicas")
    public static let offsetMetadataBytes = BrokerSetting<Int>(
        "offset.metadata.max.bytes", default: 4096, .atLeast(0), .bytes,
        meaning: "the longest text that a client may commit beside an offset")
    public static let offsetsRetentionMinutes = BrokerSetting<Int>(
        "offsets.retention.minutes", default: 10_080, .atLeast(1), .minutes,
        meaning: "offsets of a group without members go after this time")
    public static let offsetsRetentionCheckMilliseconds = BrokerSetting<Int64>(
        "offsets.retention.check.interval.ms", default: 600_000, .atLeast(1), .milliseconds,
        meaning: "how often such offsets are looked for")
    public static let groupProtocols = BrokerSetting<[GroupProtocolChoice]>(
        "group.coordinator.rebalance.protocols", default: [.classic, .consumer], .different,
        meaning: "the protocols that groups may use")
    public static let groupMinimumSessionMilliseconds = BrokerSetting<Int>(
        "group.min.session.timeout.ms", default: 6000, .atLeast(1), .milliseconds,
        meaning: "the shortest session time-out that a member of a classic group may ask for")
    public static let groupMaximumSessionMilliseconds = BrokerSetting<Int>(
        "group.max.session.timeout.ms", default: 1_800_000, .atLeast(1), .milliseconds,
        meaning: "and the longest")
    public static let groupInitialRebalanceMilliseconds = BrokerSetting<Int>(
        "group.initial.rebalance.delay.ms", default: 3000, .atLeast(0), .milliseconds,
        meaning: "how long an empty classic group waits for more members before it begins")
    public static let groupMaximumSize = BrokerSetting<Int>(
        "group.max.size", default: Int(Int32.max), .atLeast(1),
        meaning: "members that a classic group has at most")
    public static let consumerGroupSessionMilliseconds = BrokerSetting<Int>(
        "group.consumer.session.timeout.ms", default: 45_000, .atLeast(1), .milliseconds,
        meaning: "a member of a group of the consumer protocol that is silent for so long is gone")
    public static let consumerGroupMinimumSessionMilliseconds = BrokerSetting<Int>(
        "group.consumer.min.session.timeout.ms", default: 45_000, .atLeast(1), .milliseconds,
        meaning: "the shortest that a group may set for itself")
    public static let consumerGroupMaximumSessionMilliseconds = BrokerSetting<Int>(
        "group.consumer.max.session.timeout.ms", default: 60_000, .atLeast(1), .milliseconds,
        meaning: "and the longest")
    public static let consumerGroupHeartbeatMilliseconds = BrokerSetting<Int>(
        "group.consumer.heartbeat.interval.ms", default: 5000, .atLeast(1), .milliseconds,
        meaning: "how often members of such a group are told to come back")
    public static let consumerGroupMinimumHeartbeatMilliseconds = BrokerSetting<Int>(
        "group.consumer.min.heartbeat.interval.ms", default: 5000, .atLeast(1), .milliseconds,
        meaning: "the shortest that a group may set for itself")
    public static let consumerGroupMaximumHeartbeatMilliseconds = BrokerSetting<Int>(
        "group.consumer.max.heartbeat.interval.ms", default: 15_000, .atLeast(1), .milliseconds,
        meaning: "and the longest")
    public static let consumerGroupMaximumSize = BrokerSetting<Int>(
        "group.consumer.max.size", default: Int(Int32.max), .atLeast(1),
        meaning: "members that a group of the consumer protocol has at most")
    public static let consumerGroupAssignors = BrokerSetting<[String]>(
        "group.consumer.assignors", default: ["uniform", "range"], .notEmpty,
        meaning: "how partitions are given to members; the first where members do not say")
    public static let consumerGroupMigration = BrokerSetting<GroupMigrationChoice>(
        "group.consumer.migration.policy", default: .bidirectional,
        meaning: "into which protocol a group may change while it runs")

    static let groups = SettingFamily(
        title: "Consumer groups",
        introduction: "For the group coordinator and its topic, `__consumer_offsets`. A group of the "
            + "consumer protocol may have `consumer.session.timeout.ms` and "
            + "`consumer.heartbeat.interval.ms` of its own.",
        settings: [
            offsetsPartitions.descriptor, offsetsReplicationFactor.descriptor,
            offsetsSegmentBytes.descriptor, offsetsCompressionCodec.descriptor,
            offsetsCommitMilliseconds.descriptor, offsetMetadataBytes.descriptor,
            offsetsRetentionMinutes.descriptor, offsetsRetentionCheckMilliseconds.descriptor,
            groupProtocols.descriptor, groupMinimumSessionMilliseconds.descriptor,
            groupMaximumSessionMilliseconds.descriptor, groupInitialRebalanceMilliseconds.descriptor,
            groupMaximumSize.descriptor, consumerGroupSessionMilliseconds.descriptor,
            consumerGroupMinimumSessionMilliseconds.descriptor,
            consumerGroupMaximumSessionMilliseconds.descriptor,
            consumerGroupHeartbeatMilliseconds.descriptor,
            consumerGroupMinimumHeartbeatMilliseconds.descriptor,
            consumerGroupMaximumHeartbeatMilliseconds.descriptor, consumerGroupMaximumSize.descriptor,
            consumerGroupAssignors.descriptor, consumerGroupMigration.descriptor,
        ])

    public static let transactionMaximumMilliseconds = BrokerSetting<Int>(
        "transaction.max.timeout.ms", default: 900_000, .atLeast(1), .milliseconds,
        meaning: "the longest time-out that a transaction may ask for")
    public static let transactionalIDExpirationMilliseconds = BrokerSetting<Int>(
        "transactional.id.expiration.ms", default: 604_800_000, .atLeast(1), .milliseconds,
        meaning: "a transactional ID that is silent for so long is forgotten")
    public static let transactionPartitions = BrokerSetting<Int>(
        "transaction.state.log.num.partitions", default: 50, .atLeast(1),
        meaning: "partitions of `__transaction_state`; cannot change once the topic is there")
    public static let transactionReplicationFactor = BrokerSetting<Int16>(
        "transaction.state.log.replication.factor", default: -1, .integers(1...Int64(Int16.max), or: -1),
        meaning: "replicas of `__transaction_state`; -1: three, or as many as there are brokers")
    public static let transactionMinimumInSync = BrokerSetting<Int>(
        "transaction.state.log.min.isr", default: -1, .atLeast(1, or: -1),
        meaning: "`min.insync.replicas` of `__transaction_state`; -1: two, or one where there is one replica")
    public static let transactionSegmentBytes = BrokerSetting<Int>(
        "transaction.state.log.segment.bytes", default: 100 << 20, .atLeast(1 << 20), .bytes,
        meaning: "`segment.bytes` of `__transaction_state`")
    public static let transactionTimeoutCheckMilliseconds = BrokerSetting<Int>(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms", default: 10_000, .atLeast(1),
        .milliseconds, meaning: "how often transactions past their time-out are looked for")
    public static let transactionExpiryCheckMilliseconds = BrokerSetting<Int>(
        "transaction.remove.expired.transaction.cleanup.interval.ms", default: 3_600_000, .atLeast(1),
        .milliseconds, meaning: "how often forgotten transactional IDs are removed")
    public static let transactionVerification = BrokerSetting<Bool>(
        "transaction.partition.verification.enable", default: true,
        meaning:
            "a partition takes a transaction's records only after the coordinator has said that it belongs"
            + " to it"
    )

    static let transactions = SettingFamily(
        title: "Transactions",
        introduction: "For the transaction coordinator and its topic, `__transaction_state`.",
        settings: [
            transactionMaximumMilliseconds.descriptor, transactionalIDExpirationMilliseconds.descriptor,
            transactionPartitions.descriptor, transactionReplicationFactor.descriptor,
            transactionMinimumInSync.descriptor, transactionSegmentBytes.descriptor,
            transactionTimeoutCheckMilliseconds.descriptor, transactionExpiryCheckMilliseconds.descriptor,
            transactionVerification.descriptor,
        ])

    public static let quotaWindows = BrokerSetting<Int>(
        "quota.window.num", default: 11, .integers(1...1000),
        meaning: "how many windows a client's rate is measured over")
    public static let quotaWindowSeconds = BrokerSetting<Int>(
        "quota.window.size.seconds", default: 1, .integers(1...3600), .seconds,
        meaning: "the length of a window")
    public static let controllerQuotaWindows = BrokerSetting<Int>(
        "controller.quota.window.num", default: 11, .integers(1...1000),
        meaning: "the same for a client's changes of topics")
    public static let controllerQuotaWindowSeconds = BrokerSetting<Int>(
        "controller.quota.window.size.seconds", default: 1, .integers(1...3600), .seconds,
        meaning: "the length of a window of those")
    public static let leaderThrottledRate = BrokerSetting<Int64>(
        "leader.replication.throttled.rate", default: .max, .atLeast(0), .bytesPerSecond,
        meaning: "what leaders send of the replicas that are slowed down")
    public static let followerThrottledRate = BrokerSetting<Int64>(
        "follower.replication.throttled.rate", default: .max, .atLeast(0), .bytesPerSecond,
        meaning: "what followers fetch of the replicas that are slowed down")
    public static let directoryMoveRate = BrokerSetting<Int64>(
        "replica.alter.log.dirs.io.max.bytes.per.second", default: .max, .atLeast(0), .bytesPerSecond,
        .clusterWide, meaning: "what is copied when replicas move between log directories")

    static let quotas = SettingFamily(
        title: "Rates",
        introduction:
            "How rates are measured. The quotas themselves are set for users and clients, not here.",
        settings: [
            quotaWindows.descriptor, quotaWindowSeconds.descriptor, controllerQuotaWindows.descriptor,
            controllerQuotaWindowSeconds.descriptor, leaderThrottledRate.descriptor,
            followerThrottledRate.descriptor, directoryMoveRate.descriptor,
        ])
}
