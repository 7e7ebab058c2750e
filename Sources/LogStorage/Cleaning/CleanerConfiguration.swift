internal import RecordFormat

/// The settings of compaction that all logs of a node share: Kafka's, under their names.
public struct CleanerConfiguration: Sendable, Equatable {
    /// `log.cleaner.threads`: how many rounds are run at once.
    public var threadCount = 1
    /// `log.cleaner.dedupe.buffer.size`: the most memory that the offset map of a round takes. A round covers
    /// as many keys as fit, the next goes on behind them.
    public var dedupeByteCount = 128 << 20
    /// `log.cleaner.io.buffer.load.factor`: how full the map may get.
    public var loadFactor = 0.9
    /// `log.cleaner.io.buffer.size`: bytes read or written at once; also what the throttle lets pass at once.
    public var bufferByteCount = 512 << 10
    /// `log.cleaner.io.max.bytes.per.second`: read and written by all rounds together; nil: without limit.
    public var bytesPerSecond: Double?
    /// `log.cleaner.backoff.ms`: how long to wait before looking again when no log was worth compacting.
    public var backoffMilliseconds: Int64 = 15_000
    /// Bound on the decompressed size of a batch.
    public var maximumDecompressedByteCount = Decompressor.defaultMaximumByteCount

    public init() {}
}
