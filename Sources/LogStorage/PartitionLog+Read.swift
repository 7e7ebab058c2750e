internal import Base
public import RecordFormat
internal import SystemIO

extension PartitionLog {
    /// Finds the batches from `offset` on, without touching their bytes.
    ///
    /// The slice begins with the batch that holds `offset` (or, where compaction left a gap, the next one)
    /// and ends at a batch boundary, within one segment. It holds at most `maximumByteCount` bytes, but
    /// always at least one batch, so that a reader makes progress.
    ///
    /// - Parameter limit: how far the reader may see.
    /// - Throws: `offsetOutOfRange` below the log start or above the log end; `corrupt` where the log is
    ///   damaged.
    public func read(
        from offset: Offset, maximumByteCount: Int, limit: ReadLimit
    ) throws(LogError) -> LogReadResult {
        try checkUsable()
        guard offset >= logStartOffset, offset <= logEndOffset else {
            throw .offsetOutOfRange(requested: offset, start: logStartOffset, end: logEndOffset)
        }
        let upperBound: Offset
        switch limit {
        case .logEnd: upperBound = writtenEndOffset
        case .highWatermark: upperBound = min(highWatermark, writtenEndOffset)
        case .lastStableOffset: upperBound = min(lastStableOffset, writtenEndOffset)
        }
        let slice = try slice(
            from: offset, to: min(upperBound, cutTarget ?? upperBound), maximumByteCount: maximumByteCount,
            passesEmptyBatch: limit != .logEnd)
        return LogReadResult(
            slice: slice, logStartOffset: logStartOffset, highWatermark: highWatermark,
            lastStableOffset: lastStableOffset, logEndOffset: logEndOffset)
    }

    /// - Parameter passesEmptyBatch: whether the batch without records with which compaction lets a segment
    ///   end is passed over where it would be all there is to read, as long as something comes behind it.
    ///   librdkafka takes such an answer for a limit that is too small, and gives up after some of them.
    private func slice(
        from offset: Offset, to upperBound: Offset, maximumByteCount: Int, passesEmptyBatch: Bool
    ) throws(LogError) -> LogSlice? {
        guard offset < upperBound, var index = segments.floorIndex(offset) else { return nil }
        while index < segments.count {
            let segment = segments[index]
            guard segment.baseOffset < upperBound else { return nil }
            let end = try endPosition(inSegment: index, upperBound: upperBound)
            if let start = try locate(offset, in: segment, endPosition: end) {
                if passesEmptyBatch, end - start.position == Int64(RecordBatchHeader.byteCount),
                    index + 1 < segments.count, segments[index + 1].baseOffset < upperBound
                {
                    index += 1
                    continue
                }
                return try slice(ofSegment: index, start, end: end, maximumByteCount: maximumByteCount)
            }
            if let damage = segment.damage {
                throw .corrupt(path: damage.path, position: damage.position, reason: damage.reason)
            }
            // Compaction removed everything from `offset` to the end of this segment.
            index += 1
        }
        return nil
    }

    /// Where the bytes that a reader may see end in a segment.
    private func endPosition(inSegment index: Int, upperBound: Offset) throws(LogError) -> Int64 {
        let segment = segments[index]
        let isActive = index == segments.count - 1
        let writtenEnd = isActive ? commit.pendingPosition : segment.readableByteCount
        if upperBound >= writtenEndOffset || (!isActive && segments[index + 1].baseOffset <= upperBound) {
            return writtenEnd
        }
        // A high watermark or stable offset inside the segment: the batch that holds it begins where we must
        // end.
        guard let bound = try locate(upperBound, in: segment, endPosition: writtenEnd) else {
            return writtenEnd
        }
        return bound.position
    }

    /// A batch found: where it begins and what its header says, where it had to be read.
    struct LocatedBatch {
        let position: Int64
        let baseOffset: Offset
        let header: RecordBatchHeader?
    }

    /// The first batch of the segment whose last offset is at least `offset`; nil when all before
    /// `endPosition` end earlier.
    func locate(_ offset: Offset, in segment: LogSegment, endPosition: Int64) throws(LogError)
        -> LocatedBatch?
    {
        if let position = readPositions.position(of: offset, inSegment: segment.baseOffset),
            position < endPosition
        {
            return LocatedBatch(position: position, baseOffset: offset, header: nil)
        }
        do {
            let floor = try segment.offsetIndex().floor(offset: offset)?.position ?? 0
            var scanner = BatchScanner(
                file: try segment.file(), from: floor, to: endPosition, buffer: lane.scanBuffer)
            return try find(offset, &scanner)
        } catch {
            throw LogError(reading: error)
        }
    }

    private func find(_ offset: Offset, _ scanner: inout BatchScanner) throws(LogError) -> LocatedBatch? {
        while true {
            let position = scanner.position
            guard let header = try scanner.next() else { return nil }
            if header.lastOffset >= offset {
                return LocatedBatch(position: position, baseOffset: header.baseOffset, header: header)
            }
        }
    }

    private func slice(
        ofSegment index: Int, _ start: LocatedBatch, end: Int64, maximumByteCount: Int
    ) throws(LogError) -> LogSlice {
        let segment = segments[index]
        let (position, nextOffset) = try boundary(
            inSegment: index, from: start, notAbove: start.position + Int64(max(maximumByteCount, 0)),
            end: end)
        readPositions.note(
            nextOffset, position: position, inSegment: segment.baseOffset, after: start.baseOffset)
        let file: any File
        do { file = try segment.file() } catch { throw LogError(reading: error) }
        return LogSlice(
            file: file, position: start.position, byteCount: Int(position - start.position),
            firstOffset: start.baseOffset, nextOffset: nextOffset)
    }

    /// The last batch boundary at or below `target` (but behind the first batch), and the offset after it.
    private func boundary(
        inSegment index: Int, from start: LocatedBatch, notAbove target: Int64, end: Int64
    ) throws(LogError) -> (position: Int64, nextOffset: Offset) {
        let segment = segments[index]
        do {
            // All there is: where it ends is known without a look, if it is the end of a segment or of the
            // log.
            if target >= end, let nextOffset = offsetAfter(end, inSegment: index) { return (end, nextOffset) }
            // The batch at the entry may already pass the target; then the slice ends where that batch
            // begins.
            var from = start.position
            if let entry = try segment.offsetIndex().floor(position: min(target, end - 1)),
                entry.position > from
            {
                from = entry.position
            }
            var scanner = BatchScanner(file: try segment.file(), from: from, to: end, buffer: lane.scanBuffer)
            var boundary = from
            var nextOffset = start.baseOffset
            var isFirst = true
            while true {
                let position = scanner.position
                guard let header = try scanner.next() else { break }
                let fits = scanner.position <= target || position == start.position
                if isFirst || fits { nextOffset = fits ? header.nextOffset : header.baseOffset }
                isFirst = false
                guard fits else { break }
                boundary = scanner.position
            }
            return (boundary, nextOffset)
        } catch {
            throw LogError(reading: error)
        }
    }

    /// The offset after the bytes that end at `position`, where it is known without reading.
    private func offsetAfter(_ position: Int64, inSegment index: Int) -> Offset? {
        if index < segments.count - 1 {
            return position == segments[index].byteCount ? segments[index + 1].baseOffset : nil
        }
        return position == commit.pendingPosition ? writtenEndOffset : nil
    }

    /// The aborted transactions that a `read_committed` reader of `[offset, upperBound)` has to leave out.
    public func abortedTransactions(
        from offset: Offset, upTo upperBound: Offset
    ) throws(LogError) -> [AbortedTransaction] {
        try checkUsable()
        var found: [AbortedTransaction] = []
        guard var index = segments.floorIndex(offset) else { return found }
        do {
            while index < segments.count {
                let isComplete = try segments[index].transactionIndex.collect(
                    from: offset, upTo: upperBound, into: &found)
                if isComplete { break }
                index += 1
            }
        } catch {
            throw LogError(reading: error)
        }
        return found
    }

    // MARK: Offsets by time

    /// The first offset whose record has a timestamp of at least `timestamp`, with that timestamp; nil when
    /// there is none below `limit`.
    public func offset(forTimestamp timestamp: Timestamp, limit: ReadLimit) throws(LogError)
        -> TimestampOffset?
    {
        try checkUsable()
        let upperBound = upperBound(limit)
        do {
            for segment in segments.all where segment.byteCount > 0 {
                guard segment.baseOffset < upperBound else { break }
                guard let largest = try segment.largestTimestamp(), largest.timestamp >= timestamp else {
                    continue
                }
                if let found = try search(segment, for: timestamp), found.offset < upperBound { return found }
            }
            return nil
        } catch {
            throw LogError(reading: error)
        }
    }

    private func upperBound(_ limit: ReadLimit) -> Offset {
        switch limit {
        case .logEnd: writtenEndOffset
        case .highWatermark: min(highWatermark, writtenEndOffset)
        case .lastStableOffset: min(lastStableOffset, writtenEndOffset)
        }
    }

    private func search(_ segment: LogSegment, for timestamp: Timestamp) throws -> TimestampOffset? {
        // The entry's batch is the first to reach its timestamp, so everything before it lies below the
        // target.
        let from =
            try segment.timeIndex().floor(timestamp: Timestamp(timestamp.rawValue - 1))?.offset
            ?? segment.baseOffset
        let position = try segment.offsetIndex().floor(offset: from)?.position ?? 0
        let end = segment === segments.active ? commit.pendingPosition : segment.readableByteCount
        var scanner = BatchScanner(file: try segment.file(), from: position, to: end, buffer: lane.scanBuffer)
        while true {
            let position = scanner.position
            guard let header = try scanner.next() else { return nil }
            guard header.maxTimestamp >= timestamp, header.lastOffset >= logStartOffset else { continue }
            let batch = try loadBatch(header, at: position, of: try segment.file())
            do {
                if let found = try firstRecord(of: batch, header, atOrAfter: timestamp) { return found }
            } catch let error as RecordBatchError {
                throw LogError.corrupt(path: segment.filePath, position: position, reason: "\(error)")
            }
        }
    }

    /// The largest timestamp in the log and the first offset that has it (ListOffsets' max-timestamp,
    /// KIP-734).
    public func offsetOfMaximumTimestamp() throws(LogError) -> TimestampOffset? {
        try checkUsable()
        do {
            var best: (segment: LogSegment, largest: TimestampOffset)?
            for segment in segments.all {
                guard let largest = try segment.largestTimestamp() else { continue }
                if best.map({ largest.timestamp > $0.largest.timestamp }) ?? true {
                    best = (segment, largest)
                }
            }
            guard let best else { return nil }
            // An index entry names the batch's last offset; the record itself may be an earlier one.
            return try search(best.segment, for: best.largest.timestamp) ?? best.largest
        } catch {
            throw LogError(reading: error)
        }
    }

    /// Reads one whole batch into memory of its own.
    func loadBatch(_ header: RecordBatchHeader, at position: Int64, of file: any File) throws(LogError)
        -> IOBuffer
    {
        let buffer = IOBuffer(byteCount: header.byteCount)
        do {
            let byteCount = try file.read(into: buffer, 0..<header.byteCount, at: position)
            guard byteCount == header.byteCount else {
                throw LogError.corrupt(path: file.path, position: position, reason: "the batch is cut off")
            }
            try RecordBatch.validate(buffer.bytes, header: header)
        } catch let error as RecordBatchError {
            throw .corrupt(path: file.path, position: position, reason: "\(error)")
        } catch {
            throw LogError(reading: error)
        }
        return buffer
    }
}

extension PartitionLog {
    /// The first record of a batch with a timestamp of at least `timestamp`, not below the log start.
    private func firstRecord(
        of batch: IOBuffer, _ header: RecordBatchHeader, atOrAfter timestamp: Timestamp
    ) throws -> TimestampOffset? {
        if header.attributes.timestampType == .logAppendTime {
            return TimestampOffset(
                timestamp: header.maxTimestamp, offset: max(header.baseOffset, logStartOffset))
        }
        var cursor = try RecordCursor(
            batch.bytes, header: header, decompressor: lane.scanContext.decompressor)
        while let record = try cursor.next() {
            if record.timestamp >= timestamp, record.offset >= logStartOffset {
                return TimestampOffset(timestamp: record.timestamp, offset: record.offset)
            }
        }
        return nil
    }
}
