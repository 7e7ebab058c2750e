import RecordFormat
import SystemIO

/// What stands in a log file, piece by piece.
enum LogEvent {
    /// A whole batch whose checksum holds and whose offsets come after those before it.
    case batch(RecordBatchHeader, position: Int64)
    case damage(position: Int64, byteCount: Int64, reason: String)
    /// Zeros to the end: blocks allocated before they are needed.
    case allocatedAhead(position: Int64, byteCount: Int64)
    /// The rest of what a recycled file held before it became this segment's.
    case recycledTail(position: Int64, byteCount: Int64)
    case end
}

/// Where a file of batches stands in its log.
struct LogExtent {
    /// The smallest offset that it may hold.
    let baseOffset: Offset
    /// Whether the log goes on in no other segment: then blocks may be allocated ahead of what was
    /// appended, and the file may have been another segment's before.
    let isLast: Bool
}

/// Walks the batches of a log file and goes on behind damage, at the next batch that is sound.
struct LogScan {
    /// How many bytes the search for a sound batch may compute checksums of, beside the file's size: bytes
    /// made to look like many long batches must not keep it busy for hours.
    private static let searchByteCount: Int64 = 256 << 20

    let reader: SegmentReader
    private let extent: LogExtent
    /// A base offset is not covered by the checksum; beyond this one it cannot be right.
    private let largestOffset: Offset
    private(set) var position: Int64
    /// The smallest base offset that may come next, and the one that held for the batch before.
    private var expectedOffset: Offset
    private var previousExpectedOffset: Offset
    private var previousPosition: Int64?
    private var searchBudget: Int64
    private var pending: LogEvent?

    init(_ reader: SegmentReader, _ extent: LogExtent, from position: Int64 = 0) {
        self.reader = reader
        self.extent = extent
        self.position = position
        largestOffset = Offset(
            extent.baseOffset.rawValue.addingReportingOverflow(Int64(Int32.max)).partialValue)
        expectedOffset = extent.baseOffset
        previousExpectedOffset = extent.baseOffset
        searchBudget = Self.searchByteCount + 4 * reader.byteCount
    }

    mutating func next() throws(IOError) -> LogEvent {
        if let event = pending {
            pending = nil
            return event
        }
        guard position < reader.byteCount else { return .end }
        switch try judge(at: position) {
        case .sound(let header):
            if header.baseOffset >= expectedOffset { return accept(header) }
            return try goesBack(header)
        case .unsound(let reason, let isOurs): return try unsound(reason, isOurs: isOurs)
        }
    }

    // MARK: One batch

    private enum Judgement {
        case sound(RecordBatchHeader)
        /// - isOurs: its header looks like one that belongs here.
        case unsound(reason: String, isOurs: Bool)
    }

    private func judge(at position: Int64) throws(IOError) -> Judgement {
        let header: RecordBatchHeader
        switch try reader.header(at: position) {
        case .success(let parsed): header = parsed
        case .failure(let error): return .unsound(reason: "\(error)", isOurs: false)
        }
        let belongs =
            header.baseOffset >= expectedOffset && header.baseOffset <= largestOffset
            && fault(in: header) == nil
        let left = reader.byteCount - position
        guard Int64(header.byteCount) <= left else {
            return .unsound(
                reason: "a batch of \(header.byteCount) bytes, of which only \(left) are there",
                isOurs: belongs)
        }
        guard let checksum = try reader.checksum(of: header, at: position) else {
            return .unsound(reason: "the file was cut off while it was read", isOurs: true)
        }
        guard checksum == header.crc else {
            let error = RecordBatchError.checksumMismatch(stored: header.crc, computed: checksum)
            return .unsound(reason: "\(error)", isOurs: belongs)
        }
        if let fault = fault(in: header) { return .unsound(reason: fault, isOurs: true) }
        guard header.baseOffset <= largestOffset else {
            return .unsound(
                reason: "base offset \(header.baseOffset) is too far above that of the segment,"
                    + " \(extent.baseOffset)", isOurs: true)
        }
        return .sound(header)
    }

    /// What a header says that no batch can have.
    private func fault(in header: RecordBatchHeader) -> String? {
        if header.baseOffset.rawValue < 0 { return "base offset \(header.baseOffset) is negative" }
        if header.attributes.codec == nil {
            return RecordBatchError.unknownCodec(header.attributes.codecNumber).description
        }
        if header.lastOffsetDelta < 0 {
            return RecordBatchError.negativeLastOffsetDelta(header.lastOffsetDelta).description
        }
        if header.recordCount < 0 {
            return RecordBatchError.negativeRecordCount(header.recordCount).description
        }
        if Int64(header.recordCount) > Int64(header.lastOffsetDelta) + 1 {
            return RecordBatchError.recordCountMismatch(
                recordCount: header.recordCount, lastOffsetDelta: header.lastOffsetDelta
            ).description
        }
        return nil
    }

    private mutating func accept(_ header: RecordBatchHeader) -> LogEvent {
        let start = position
        previousPosition = start
        previousExpectedOffset = expectedOffset
        position += Int64(header.byteCount)
        expectedOffset = header.nextOffset
        return .batch(header, position: start)
    }

    // MARK: What is no batch of this log

    /// A sound batch with an offset that has been already.
    private mutating func goesBack(_ header: RecordBatchHeader) throws(IOError) -> LogEvent {
        let start = position
        if header.baseOffset < extent.baseOffset {
            let search = try search(from: start + Int64(header.byteCount))
            guard let found = search.found else {
                if extent.isLast { return rest(from: start, .recycled) }
                return damage(
                    to: reader.byteCount,
                    "offset \(header.baseOffset), below the segment's base offset \(extent.baseOffset)")
            }
            return damage(to: found, "offset \(header.baseOffset) where \(expectedOffset) or later is due")
        }
        // Base offsets are not covered by the checksum: either this one is wrong or the one before it.
        let other = previousPosition.map { "; or the base offset of the batch at \($0) is too large" } ?? ""
        let reason = "offset \(header.baseOffset) where \(expectedOffset) or later is due\(other)"
        if header.baseOffset >= previousExpectedOffset { expectedOffset = header.nextOffset }
        return damage(to: start + Int64(header.byteCount), reason)
    }

    private mutating func unsound(_ reason: String, isOurs: Bool) throws(IOError) -> LogEvent {
        let start = position
        let isZero = try reader.isZeroHeader(at: start)
        let nonZeroEnd = isZero ? try reader.endOfNonZero(from: start) : start
        if isZero && nonZeroEnd == start {
            if extent.isLast { return rest(from: start, .zeros) }
            return damage(to: reader.byteCount, "zeros, in a segment that is not the log's last")
        }
        let search = try search(from: start + 1, likely: try likelyNext(after: start))
        if let found = search.found { return damage(to: found, isZero ? "zeros" : reason) }
        if extent.isLast && !isOurs && search.sawOldBatch { return rest(from: start, .recycled) }
        // Behind a batch that was torn there may be blocks allocated ahead.
        let damageEnd = isZero ? nonZeroEnd : try reader.endOfNonZero(from: start)
        let suffix = search.wasGivenUp ? "; the search for a sound batch behind it was given up" : ""
        if extent.isLast && damageEnd < reader.byteCount && damageEnd > start {
            let event = damage(to: damageEnd, reason + suffix)
            pending = rest(from: damageEnd, .zeros)
            return event
        }
        return damage(to: reader.byteCount, reason + suffix)
    }

    /// Where the batch after the one at `position` begins, if the length there is right.
    private func likelyNext(after position: Int64) throws(IOError) -> Int64? {
        guard case .success(let header) = try reader.header(at: position) else { return nil }
        return position + Int64(header.byteCount)
    }

    private mutating func damage(to end: Int64, _ reason: String) -> LogEvent {
        let start = position
        position = end
        return .damage(position: start, byteCount: end - start, reason: reason)
    }

    private enum Rest { case zeros, recycled }

    private mutating func rest(from start: Int64, _ rest: Rest) -> LogEvent {
        position = reader.byteCount
        let byteCount = reader.byteCount - start
        switch rest {
        case .zeros: return .allocatedAhead(position: start, byteCount: byteCount)
        case .recycled: return .recycledTail(position: start, byteCount: byteCount)
        }
    }

    // MARK: The search for the next sound batch

    private struct Search {
        /// The next sound batch with offsets that are due.
        var found: Int64?
        /// A sound batch was passed whose offsets lie below those of the segment.
        var sawOldBatch = false
        var wasGivenUp = false
    }

    /// Looks at `likely` first, so that a batch within the value of a damaged record is not taken for the
    /// log's; then at every byte from `start` on.
    private mutating func search(from start: Int64, likely: Int64? = nil) throws(IOError) -> Search {
        var result = Search()
        if let likely, likely > start, likely < reader.byteCount,
            case .sound(let header) = try judge(at: likely),
            header.baseOffset >= expectedOffset
        {
            result.found = likely
            return result
        }
        var at = start
        let end = reader.byteCount - Int64(RecordBatchHeader.byteCount) + 1
        while at < end, let candidate = try reader.nextMagic(in: at..<end) {
            at = candidate + 1
            guard case .success(let header) = try reader.header(at: candidate), fault(in: header) == nil,
                header.baseOffset <= largestOffset, candidate + Int64(header.byteCount) <= reader.byteCount
            else { continue }
            searchBudget -= Int64(header.byteCount)
            if searchBudget < 0 {
                result.wasGivenUp = true
                return result
            }
            guard case .sound = try judge(at: candidate) else { continue }
            if header.baseOffset >= expectedOffset {
                result.found = candidate
                return result
            }
            if header.baseOffset < extent.baseOffset { result.sawOldBatch = true }
            at = candidate + Int64(header.byteCount)
        }
        return result
    }
}
