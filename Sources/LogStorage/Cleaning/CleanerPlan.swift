internal import Base
public import RecordFormat
internal import SystemIO

/// A sealed segment that a round reads.
struct CleanerSource: Sendable {
    let baseOffset: Offset
    /// The base offset of the segment after it.
    let nextBaseOffset: Offset
    let byteCount: Int64
    /// When the file was last written, for segments whose records carry no time.
    let createdMilliseconds: Int64
}

/// What is kept of a producer that is still known: its last batch, or a marker of its epoch when there is no
/// batch.
struct ActiveProducer: Sendable {
    let lastDataOffset: Offset?
    let producerEpoch: ProducerEpoch
}

/// All that a round of compaction needs to know of a log, taken on the log's lane. Values only: the round
/// runs on any thread while the lane goes on appending, rolling and reading.
public struct CleanerPlan: Sendable {
    public let partition: TopicPartition
    public let cleanability: Cleanability
    let directory: LogDirectory
    /// Of the partition, when the plan was made.
    let path: String
    let configuration: LogConfiguration
    /// From the log's first segment to the last that may be compacted.
    let sources: [CleanerSource]
    /// Records below it were deleted, durably. What is known of their transactions may be gone.
    let deletedEndOffset: Offset
    /// The aborted transactions with records or a marker in the sources.
    let abortedTransactions: [AbortedTransaction]
    let producers: [ProducerID: ActiveProducer]
    let now: Timestamp
    /// What decides about transactions in the sources lies below it.
    let highWatermark: Offset
    public let cancellation: CleaningCancellation

    func filePath(_ kind: LogFileKind, _ baseOffset: Offset, suffix: LogFileSuffix? = nil) -> String {
        LogLayout.path(path, LogLayout.fileName(kind, baseOffset, suffix: suffix))
    }

    /// Divides the sources that begin before `endOffset` into groups, each to become one segment: neighbours
    /// that fit `segment.bytes`, `segment.index.bytes` and the 32 bits that an index has for an offset.
    ///
    /// - Parameter indexByteCount: the larger of a source's two indexes.
    /// - Returns: ranges of indexes into `sources`.
    func groups(endOffset: Offset, indexByteCount: (CleanerSource) -> Int64) -> [Range<Int>] {
        var groups: [Range<Int>] = []
        var start = 0
        var byteCount: Int64 = 0
        var indexes: Int64 = 0
        for (position, source) in sources.enumerated() {
            guard source.baseOffset < endOffset else { break }
            let indexCount = indexByteCount(source)
            let fits =
                byteCount + source.byteCount <= Int64(configuration.segmentByteCount)
                && indexes + indexCount <= Int64(configuration.segmentIndexByteCount)
                && (source.nextBaseOffset - 1) - sources[start].baseOffset <= Int64(Int32.max)
            if position > start && !fits {
                groups.append(start..<position)
                start = position
                byteCount = 0
                indexes = 0
            }
            byteCount += source.byteCount
            indexes += indexCount
            if position == sources.count - 1 || sources[position + 1].baseOffset >= endOffset {
                groups.append(start..<position + 1)
            }
        }
        return groups
    }
}

/// A compacted segment, written and synced as `.cleaned` files, that waits to take the place of its sources.
public struct CleanedGroup: Sendable {
    let baseOffset: Offset
    /// The base offset of the segment after the last source; the last batch ends right before it, unless the
    /// sources' last batch did not either.
    let nextBaseOffset: Offset
    /// The sources, the first of which has the same base offset.
    let sources: [CleanerSource]
    let byteCount: Int64
    let largestTimestamp: TimestampOffset?
}

/// What a round did.
public struct CleaningSummary: Sendable, Equatable {
    /// Where the next round begins.
    public internal(set) var endOffset = Offset.zero
    public internal(set) var keyCount = 0
    public internal(set) var readByteCount: Int64 = 0
    public internal(set) var keptByteCount: Int64 = 0
    public internal(set) var readRecordCount = 0
    public internal(set) var keptRecordCount = 0
    /// Records without a key, which a compacted log cannot keep.
    public internal(set) var keylessRecordCount = 0
    /// Segments that came out as they were and were left alone.
    public internal(set) var unchangedSegmentCount = 0
}
