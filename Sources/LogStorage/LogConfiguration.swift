public import RecordFormat

/// What an acknowledged append survives (`dmq.ack.durability`).
public enum AckDurability: String, Sendable, CaseIterable {
    /// A power cut: acknowledged means synced.
    case synced
    /// The end of the process: acknowledged means written to the page cache, as in Kafka by default.
    case pageCache = "page-cache"
}

/// How closely the records in a client's batch are looked at (`dmq.record.validation`), beyond the checksum
/// and the header.
public enum RecordValidation: String, Sendable, CaseIterable {
    /// Not at all: what a producer wrote is stored.
    case none
    /// The framing of every record, where the batch is not compressed: about 11 ns a record. Compressed
    /// batches are not opened.
    case uncompressed
    /// The framing of every record, decompressing where needed, as Kafka does; costs what decompressing
    /// costs.
    case all
}

/// How clients' batches are stored where that is not as they were sent (`compression.type`).
public struct StoredCompression: Sendable, Equatable {
    public var codec: CompressionCodec
    /// One of the codec's levels (`compression.gzip.level` and so on); nil: Kafka's default.
    public var level: Int?

    public init(_ codec: CompressionCodec, level: Int? = nil) {
        self.codec = codec
        self.level = level
    }
}

/// What happens to old records (`cleanup.policy`).
public struct CleanupPolicy: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let delete = CleanupPolicy(rawValue: 1)
    public static let compact = CleanupPolicy(rawValue: 2)
}

/// The settings of one log: Kafka's topic settings under their names, with dmq's defaults. Times in
/// milliseconds, -1 means without limit where the comment says so. May be exchanged while the log is open.
public struct LogConfiguration: Sendable, Equatable {
    /// `segment.bytes`: a segment is rolled before it would pass this.
    public var segmentByteCount = 1 << 30
    /// `segment.ms`: a segment is rolled when its first record is this old.
    public var segmentMilliseconds: Int64 = 7 * 24 * 3_600_000
    /// `segment.jitter.ms`: up to this much is taken off `segment.ms`, at random per segment.
    public var segmentJitterMilliseconds: Int64 = 0
    /// `index.interval.bytes`: an index entry at most every so many bytes of log.
    public var indexIntervalByteCount = 4096
    /// `segment.index.bytes`: an index is full at this size, and its segment rolled.
    public var segmentIndexByteCount = 10 << 20
    /// `retention.ms`, -1: without limit.
    public var retentionMilliseconds: Int64 = 14 * 24 * 3_600_000
    /// `retention.bytes`, -1: without limit.
    public var retentionByteCount: Int64 = -1
    /// `max.message.bytes`: the largest record batch, header included.
    public var maximumBatchByteCount = 1_048_588
    /// `message.timestamp.type`.
    public var timestampType = TimestampType.createTime
    /// `message.timestamp.before.max.ms`: how far a CreateTime may lie in the past.
    public var timestampBeforeMaximumMilliseconds = Int64.max
    /// `message.timestamp.after.max.ms`: how far a CreateTime may lie in the future.
    public var timestampAfterMaximumMilliseconds: Int64 = 3_600_000
    /// `cleanup.policy`.
    public var cleanupPolicy: CleanupPolicy = .delete
    /// `min.cleanable.dirty.ratio`: the share of uncleaned bytes from which on a log is compacted.
    public var minimumCleanableDirtyRatio = 0.5
    /// `min.compaction.lag.ms`: records younger than this are not compacted.
    public var minimumCompactionLagMilliseconds: Int64 = 0
    /// `max.compaction.lag.ms`: a log with an older uncleaned record is compacted whatever its ratio.
    public var maximumCompactionLagMilliseconds = Int64.max
    /// `delete.retention.ms`: how long compaction keeps tombstones and transaction markers.
    public var deleteRetentionMilliseconds: Int64 = 24 * 3_600_000
    /// `file.delete.delay.ms`: how long a deleted segment's files stay, renamed.
    public var fileDeleteDelayMilliseconds: Int64 = 60_000
    /// `producer.id.expiration.ms`.
    public var producerIDExpirationMilliseconds: Int64 = 24 * 3_600_000
    /// `dmq.ack.durability`.
    public var durability = AckDurability.synced
    /// `dmq.record.validation`. A compacted log always looks at all records: each needs a key.
    public var recordValidation = RecordValidation.uncompressed
    /// `compression.type`; nil: as the producer sent them. Batches of that codec stay as they are.
    public var compression: StoredCompression?
    /// `flush.messages`: a sync is asked for when so many records are not on stable storage.
    public var flushRecordCount = Int64.max
    /// `flush.ms`: and when one has not been for so long; see `LogManager.flushOverdue`.
    public var flushMilliseconds = Int64.max
    /// `dmq.segment.preallocate`: blocks are allocated ahead of the writes. Appends then meet a full disk
    /// before they have an offset, and neither write nor sync has to allocate.
    public var preallocatesSegments = true

    public init() {}

    /// How old the first record of an active segment gets. Compaction cannot touch the active segment, so
    /// that one with a record that has to be compacted must not stay active.
    var effectiveSegmentMilliseconds: Int64 {
        guard cleanupPolicy.contains(.compact), maximumCompactionLagMilliseconds > 0 else {
            return segmentMilliseconds
        }
        return min(segmentMilliseconds, maximumCompactionLagMilliseconds)
    }
}
