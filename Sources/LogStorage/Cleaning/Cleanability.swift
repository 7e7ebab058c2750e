internal import Base
public import RecordFormat

/// How much of a log is worth compacting. A pure function of what is known of its segments.
///
///     log start ......... first dirty offset ......... end offset ......... log end
///               clean                        dirty                not yet
///
/// Clean: no key occurs twice within it, as of the last round. Dirty: to be compacted against all before it.
/// The end offset is where a segment begins: only whole segments are compacted.
public struct Cleanability: Sendable, Equatable {
    public let firstDirtyOffset: Offset
    public let endOffset: Offset
    /// Segments, from the log's first on, that end at or before `endOffset`.
    let segmentCount: Int
    public let cleanByteCount: Int64
    public let dirtyByteCount: Int64
    /// A dirty record is older than `max.compaction.lag.ms`.
    public let isOverdue: Bool

    /// The share of bytes that are dirty: 0 ... 1.
    public var dirtyRatio: Double {
        let total = cleanByteCount + dirtyByteCount
        return total == 0 ? 0 : Double(dirtyByteCount) / Double(total)
    }

    /// Whether a round is due (`min.cleanable.dirty.ratio`, `max.compaction.lag.ms`).
    func isDue(_ configuration: LogConfiguration) -> Bool {
        dirtyByteCount > 0 && (isOverdue || dirtyRatio > configuration.minimumCleanableDirtyRatio)
    }

    /// Whether a log in this state goes before one in the other.
    func isMoreUrgent(than other: Cleanability) -> Bool {
        if isOverdue != other.isOverdue { return isOverdue }
        return dirtyRatio > other.dirtyRatio
    }

    /// What is known of a sealed segment.
    struct Segment {
        let baseOffset: Offset
        /// The base offset of the next segment.
        let nextBaseOffset: Offset
        let byteCount: Int64
        /// Largest timestamp; asked for where `min.compaction.lag.ms` is set.
        var newestMilliseconds: Int64?
        /// Timestamp of the first batch; asked for where `max.compaction.lag.ms` is set.
        var oldestMilliseconds: Int64?
        /// Not all of it can be read.
        var isDamaged = false
    }

    /// - Parameters:
    ///   - segments: the sealed segments, oldest first.
    ///   - bound: nothing from here on may be compacted: the smallest of the last stable offset (which the
    ///     high watermark bounds) and the recovery point on disk.
    init(
        _ segments: [Segment], firstDirtyOffset: Offset, bound: Offset, now: Timestamp,
        configuration: LogConfiguration
    ) {
        var endOffset = segments.first?.baseOffset ?? firstDirtyOffset
        var segmentCount = 0
        var clean: Int64 = 0
        var dirty: Int64 = 0
        var oldest = Int64.max
        for segment in segments {
            let isClean = segment.nextBaseOffset <= firstDirtyOffset
            guard segment.nextBaseOffset <= bound, !segment.isDamaged else { break }
            if !isClean {
                let lag = configuration.minimumCompactionLagMilliseconds
                // Also when the difference does not fit: such a record is from far ahead.
                let (age, overflows) = now.rawValue.subtractingReportingOverflow(
                    segment.newestMilliseconds ?? 0)
                if lag > 0, overflows || age < lag { break }
                dirty += segment.byteCount
                if let first = segment.oldestMilliseconds, first > 0 { oldest = min(oldest, first) }
            } else {
                clean += segment.byteCount
            }
            segmentCount += 1
            endOffset = segment.nextBaseOffset
        }
        let maximumLag = configuration.maximumCompactionLagMilliseconds
        self.firstDirtyOffset = firstDirtyOffset
        self.endOffset = endOffset
        self.segmentCount = segmentCount
        cleanByteCount = clean
        dirtyByteCount = dirty
        isOverdue = maximumLag < Int64.max && oldest < Int64.max && now.rawValue - oldest > maximumLag
    }
}
