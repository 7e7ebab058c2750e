/// The settings of a topic: Kafka's under their names, and dmq's own.
public enum TopicSettings {
    // MARK: Segments

    public static let segmentBytes = TopicSetting<Int>(
        "segment.bytes", default: 1 << 30, .atLeast(14), .bytes,
        broker: [SettingSynonym("log.segment.bytes")],
        meaning: "a segment is rolled before it would pass this")
    public static let segmentMilliseconds = TopicSetting<Int64>(
        "segment.ms", default: 7 * day, .atLeast(1), .milliseconds,
        broker: [SettingSynonym("log.roll.ms"), .hours("log.roll.hours")],
        meaning: "a segment is rolled when its first record is this old")
    public static let segmentJitterMilliseconds = TopicSetting<Int64>(
        "segment.jitter.ms", default: 0, .atLeast(0), .milliseconds,
        broker: [SettingSynonym("log.roll.jitter.ms"), .hours("log.roll.jitter.hours")],
        meaning: "up to this much is taken off `segment.ms`, at random per segment")
    public static let segmentIndexBytes = TopicSetting<Int>(
        "segment.index.bytes", default: 10 << 20, .atLeast(4), .bytes,
        broker: [SettingSynonym("log.index.size.max.bytes")],
        meaning: "an index is full at this size, and its segment is rolled")
    public static let indexIntervalBytes = TopicSetting<Int>(
        "index.interval.bytes", default: 4096, .atLeast(0), .bytes,
        broker: [SettingSynonym("log.index.interval.bytes")],
        meaning: "an index entry at most every so many bytes of log")
    public static let preallocate = TopicSetting<Bool>(
        "preallocate", default: false, broker: [SettingSynonym("log.preallocate")],
        meaning: "blocks are allocated ahead of the writes, also where `dmq.segment.preallocate` is false")
    public static let preallocateSegments = TopicSetting<Bool>(
        "dmq.segment.preallocate", default: true, broker: [SettingSynonym("dmq.segment.preallocate")],
        meaning: "blocks are allocated ahead of the writes, a part of a segment at a time")
    public static let fileDeleteDelayMilliseconds = TopicSetting<Int64>(
        "file.delete.delay.ms", default: 60_000, .atLeast(0), .milliseconds,
        broker: [SettingSynonym("log.segment.delete.delay.ms")],
        meaning: "how long a deleted segment's files stay, renamed")

    // MARK: Retention and compaction

    public static let cleanupPolicy = TopicSetting<[CleanupChoice]>(
        "cleanup.policy", default: [.delete], .different, broker: [SettingSynonym("log.cleanup.policy")],
        meaning: "what happens to old records: delete, compact, or both; empty: nothing")
    public static let retentionMilliseconds = TopicSetting<Int64>(
        "retention.ms", default: 14 * day, .atLeast(-1), .milliseconds,
        broker: [
            SettingSynonym("log.retention.ms"), .minutes("log.retention.minutes"),
            .hours("log.retention.hours"),
        ],
        meaning: "older segments are deleted; -1: without limit")
    public static let retentionBytes = TopicSetting<Int64>(
        "retention.bytes", default: -1, .atLeast(-1), .bytes,
        broker: [SettingSynonym("log.retention.bytes")],
        meaning: "the oldest segments of a partition beyond this are deleted; -1: without limit")
    public static let minimumCleanableDirtyRatio = TopicSetting<Double>(
        "min.cleanable.dirty.ratio", default: 0.5, .numbers(0...1), .share,
        broker: [SettingSynonym("log.cleaner.min.cleanable.ratio")],
        meaning: "the share of uncleaned bytes from which on a log is compacted")
    public static let minimumCompactionLagMilliseconds = TopicSetting<Int64>(
        "min.compaction.lag.ms", default: 0, .atLeast(0), .milliseconds,
        broker: [SettingSynonym("log.cleaner.min.compaction.lag.ms")],
        meaning: "younger records are not compacted")
    public static let maximumCompactionLagMilliseconds = TopicSetting<Int64>(
        "max.compaction.lag.ms", default: .max, .atLeast(1), .milliseconds,
        broker: [SettingSynonym("log.cleaner.max.compaction.lag.ms")],
        meaning: "a log with an older uncleaned record is compacted whatever its ratio")
    public static let deleteRetentionMilliseconds = TopicSetting<Int64>(
        "delete.retention.ms", default: day, .atLeast(0), .milliseconds,
        broker: [SettingSynonym("log.cleaner.delete.retention.ms")],
        meaning: "how long compaction keeps tombstones and transaction markers")

    // MARK: Records

    public static let maximumMessageBytes = TopicSetting<Int>(
        "max.message.bytes", default: 1_048_588, .atLeast(0), .bytes,
        broker: [SettingSynonym("message.max.bytes")],
        meaning: "the largest record batch, header included")
    public static let compressionType = TopicSetting<CompressionChoice>(
        "compression.type", default: .producer, broker: [SettingSynonym("compression.type")],
        meaning: "how batches are stored; producer: as they were sent")
    public static let gzipLevel = TopicSetting<Int>(
        "compression.gzip.level", default: -1, .integers(1...9, or: -1),
        broker: [SettingSynonym("compression.gzip.level")],
        meaning: "for `compression.type=gzip`; -1: what zlib takes by default")
    public static let lz4Level = TopicSetting<Int>(
        "compression.lz4.level", default: 9, .integers(1...17),
        broker: [SettingSynonym("compression.lz4.level")], meaning: "for `compression.type=lz4`")
    public static let zstdLevel = TopicSetting<Int>(
        "compression.zstd.level", default: 3, .integers(-131_072...22),
        broker: [SettingSynonym("compression.zstd.level")], meaning: "for `compression.type=zstd`")
    public static let timestampType = TopicSetting<TimestampChoice>(
        "message.timestamp.type", default: .createTime,
        broker: [SettingSynonym("log.message.timestamp.type")],
        meaning: "whose time records carry: the producer's, or LogAppendTime, the broker's")
    public static let timestampBeforeMaximumMilliseconds = TopicSetting<Int64>(
        "message.timestamp.before.max.ms", default: .max, .atLeast(0), .milliseconds,
        broker: [SettingSynonym("log.message.timestamp.before.max.ms")],
        meaning: "how far a CreateTime may lie in the past")
    public static let timestampAfterMaximumMilliseconds = TopicSetting<Int64>(
        "message.timestamp.after.max.ms", default: 3_600_000, .atLeast(0), .milliseconds,
        broker: [SettingSynonym("log.message.timestamp.after.max.ms")],
        meaning: "how far a CreateTime may lie in the future")
    public static let recordValidation = TopicSetting<RecordValidationChoice>(
        "dmq.record.validation", default: .uncompressed, broker: [SettingSynonym("dmq.record.validation")],
        meaning:
            "how closely the records in a client's batch are looked at, beyond checksum and header: none"
            + " not at"
            + " all, uncompressed each record's framing in batches that are not compressed, all in all"
            + " batches, as Kafka does; a compacted log always looks at all")

    // MARK: Durability and replication

    public static let durability = TopicSetting<DurabilityChoice>(
        "dmq.ack.durability", default: .synced, broker: [SettingSynonym("dmq.ack.durability")],
        meaning:
            "what an append that `acks=all` acknowledged survives: synced a power cut, page-cache the end"
            + " of the"
            + " process, which is what Kafka gives by default")
    public static let flushMessages = TopicSetting<Int64>(
        "flush.messages", default: .max, .atLeast(1), .none,
        broker: [SettingSynonym("log.flush.interval.messages")],
        meaning: "with page-cache durability: a log is synced at the latest after so many records")
    public static let flushMilliseconds = TopicSetting<Int64>(
        "flush.ms", default: .max, .atLeast(0), .milliseconds,
        broker: [
            SettingSynonym("log.flush.interval.ms"), SettingSynonym("log.flush.scheduler.interval.ms"),
        ],
        meaning: "with page-cache durability: a log is synced at the latest so long after an append")
    public static let minimumInSyncReplicas = TopicSetting<Int>(
        "min.insync.replicas", default: 2, .atLeast(1), broker: [SettingSynonym("min.insync.replicas")],
        meaning:
            "`acks=all` is refused while fewer replicas are in sync; 1 by default where there is one replica")
    public static let uncleanLeaderElection = TopicSetting<Bool>(
        "unclean.leader.election.enable", default: false,
        broker: [SettingSynonym("unclean.leader.election.enable")],
        meaning: "a replica that is not in sync may become leader when no other is left, losing records")
    public static let leaderThrottledReplicas = TopicSetting<[ThrottledReplica]>(
        "leader.replication.throttled.replicas", default: [],
        meaning: "whose replication the leader slows down to `leader.replication.throttled.rate`")
    public static let followerThrottledReplicas = TopicSetting<[ThrottledReplica]>(
        "follower.replication.throttled.replicas", default: [],
        meaning: "whose replication the follower slows down to `follower.replication.throttled.rate`")

    private static let day: Int64 = 86_400_000

    private static let table: [(SettingDescriptor, [SettingDescriptor])] = [
        row(segmentBytes), row(segmentMilliseconds), row(segmentJitterMilliseconds), row(segmentIndexBytes),
        row(indexIntervalBytes), row(preallocate), row(preallocateSegments),
        row(fileDeleteDelayMilliseconds), row(cleanupPolicy), row(retentionMilliseconds),
        row(retentionBytes), row(minimumCleanableDirtyRatio), row(minimumCompactionLagMilliseconds),
        row(maximumCompactionLagMilliseconds), row(deleteRetentionMilliseconds), row(maximumMessageBytes),
        row(compressionType), row(gzipLevel), row(lz4Level), row(zstdLevel), row(timestampType),
        row(timestampBeforeMaximumMilliseconds), row(timestampAfterMaximumMilliseconds),
        row(recordValidation), row(durability), row(flushMessages), row(flushMilliseconds),
        row(minimumInSyncReplicas), row(uncleanLeaderElection), row(leaderThrottledReplicas),
        row(followerThrottledReplicas),
    ]

    private static func row<Value>(
        _ setting: TopicSetting<Value>
    ) -> (SettingDescriptor, [SettingDescriptor]) {
        (setting.descriptor, setting.brokerDescriptors)
    }

    /// All of them, in the order of the page.
    public static let all: [SettingDescriptor] = table.map(\.0)
    /// The broker's settings for topics without their own value.
    static let brokerDefaults: [SettingDescriptor] = table.flatMap(\.1)
}
