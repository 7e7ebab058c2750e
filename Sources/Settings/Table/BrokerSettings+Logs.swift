/// Topics, logs on disk, and compaction.
extension BrokerSettings {
    public static let partitionCount = BrokerSetting<Int>(
        "num.partitions", default: 1, .atLeast(1), meaning: "partitions of a topic whose creator does not say"
    )
    public static let replicationFactor = BrokerSetting<Int>(
        "default.replication.factor", default: -1, .integers(1...Int64(Int16.max), or: -1),
        meaning: "replicas of a topic whose creator does not say; -1: three, or as many as there are brokers")
    public static let autoCreateTopics = BrokerSetting<Bool>(
        "auto.create.topics.enable", default: true,
        meaning: "a topic is created when a client first asks for it")
    public static let deleteTopics = BrokerSetting<Bool>(
        "delete.topic.enable", default: true, meaning: "topics may be deleted")
    public static let fetchMaximumBytes = BrokerSetting<Int>(
        "fetch.max.bytes", default: 55 << 20, .atLeast(1024), .bytes,
        meaning: "the most records that one fetch answers with, whatever the client asks for")
    public static let fetchSessionSlots = BrokerSetting<Int>(
        "max.incremental.fetch.session.cache.slots", default: 1000, .atLeast(0),
        meaning: "how many fetch sessions are remembered; others send all their partitions each time")
    public static let maximumPartitionsPerRequest = BrokerSetting<Int>(
        "max.request.partition.size.limit", default: 2000, .atLeast(1),
        meaning: "how many partitions one answer to DescribeTopicPartitions has at most")
    public static let producerIDExpirationMilliseconds = BrokerSetting<Int>(
        "producer.id.expiration.ms", default: 86_400_000, .atLeast(1), .milliseconds, .clusterWide,
        meaning: "an idempotent producer that is silent for so long is forgotten")

    static let topics = SettingFamily(
        title: "Topics and their clients", introduction: "",
        settings: [
            partitionCount.descriptor, replicationFactor.descriptor, autoCreateTopics.descriptor,
            deleteTopics.descriptor, fetchMaximumBytes.descriptor, fetchSessionSlots.descriptor,
            maximumPartitionsPerRequest.descriptor, producerIDExpirationMilliseconds.descriptor,
        ])

    public static let retentionCheckMilliseconds = BrokerSetting<Int64>(
        "log.retention.check.interval.ms", default: 300_000, .atLeast(1), .milliseconds,
        meaning: "how often the logs are looked through for segments to delete")
    public static let recoveryPointCheckpointMilliseconds = BrokerSetting<Int>(
        "log.flush.offset.checkpoint.interval.ms", default: 60_000, .atLeast(1), .milliseconds,
        meaning:
            "how often the recovery points are written down; what lies below them is not read after a crash")
    public static let startOffsetCheckpointMilliseconds = BrokerSetting<Int>(
        "log.flush.start.offset.checkpoint.interval.ms", default: 60_000, .atLeast(1), .milliseconds,
        meaning: "how often the log start offsets are written down")
    public static let recoveryThreads = BrokerSetting<Int>(
        "num.recovery.threads.per.data.dir", default: 2, .atLeast(1),
        meaning: "how many logs of a directory are recovered at once")
    public static let directoryFailureMilliseconds = BrokerSetting<Int64>(
        "log.dir.failure.timeout.ms", default: 30_000, .atLeast(1), .milliseconds,
        meaning: "a broker that cannot tell the controller of a failed directory for so long stops")
    public static let diskReserveBytes = BrokerSetting<Int64>(
        "dmq.disk.reserve.bytes", default: 0, .atLeast(0), .bytes,
        meaning: "appends are refused while a directory's volume has less room than this")
    public static let segmentRecycleBytes = BrokerSetting<Int64>(
        "dmq.segment.recycle.bytes", default: 0, .atLeast(0), .bytes,
        meaning:
            "how much deleted segments' files may hold, per directory, to be used again for new segments;"
            + " 0: they"
            + " are removed")

    static let logs = SettingFamily(
        title: "Logs on disk", introduction: "For all log directories of a node.",
        settings: [
            retentionCheckMilliseconds.descriptor, recoveryPointCheckpointMilliseconds.descriptor,
            startOffsetCheckpointMilliseconds.descriptor, recoveryThreads.descriptor,
            directoryFailureMilliseconds.descriptor, diskReserveBytes.descriptor,
            segmentRecycleBytes.descriptor,
        ])

    public static let cleanerEnabled = BrokerSetting<Bool>(
        "log.cleaner.enable", default: true, meaning: "false: nothing is compacted, and compacted topics grow"
    )
    public static let cleanerThreads = BrokerSetting<Int>(
        "log.cleaner.threads", default: 1, .integers(1...64), .none, .clusterWide,
        meaning: "how many rounds of compaction are run at once")
    public static let cleanerDedupeBytes = BrokerSetting<Int64>(
        "log.cleaner.dedupe.buffer.size", default: 128 << 20, .atLeast(1 << 20), .bytes, .clusterWide,
        meaning:
            "the most memory that a round's map of keys takes, 24 bytes a key; when it is full the round"
            + " ends and"
            + " the next goes on")
    public static let cleanerLoadFactor = BrokerSetting<Double>(
        "log.cleaner.io.buffer.load.factor", default: 0.9, .numbers(0.1...1), .share, .clusterWide,
        meaning: "how full the map may get")
    public static let cleanerBufferBytes = BrokerSetting<Int>(
        "log.cleaner.io.buffer.size", default: 512 << 10, .atLeast(4096), .bytes, .clusterWide,
        meaning: "how much is read or written at once")
    public static let cleanerBytesPerSecond = BrokerSetting<Double>(
        "log.cleaner.io.max.bytes.per.second", default: .greatestFiniteMagnitude,
        .numbers(1...Double.greatestFiniteMagnitude), .bytesPerSecond, .clusterWide,
        meaning: "read and written by all rounds together")
    public static let cleanerBackoffMilliseconds = BrokerSetting<Int64>(
        "log.cleaner.backoff.ms", default: 15_000, .atLeast(0), .milliseconds, .clusterWide,
        meaning: "how long to wait when no log was worth compacting")

    static let compaction = SettingFamily(
        title: "Compaction", introduction: "All logs of a node together.",
        settings: [
            cleanerEnabled.descriptor, cleanerThreads.descriptor, cleanerDedupeBytes.descriptor,
            cleanerLoadFactor.descriptor, cleanerBufferBytes.descriptor, cleanerBytesPerSecond.descriptor,
            cleanerBackoffMilliseconds.descriptor,
        ])
}
