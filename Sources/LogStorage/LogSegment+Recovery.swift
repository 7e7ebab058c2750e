internal import Base
internal import RecordFormat
internal import SystemIO

// What recovery does with a segment, before the log uses it.
extension LogSegment {
    /// Opens the indexes for appending, keeping their entries: the segment becomes (again) the active one.
    func openForAppend(configuration: LogConfiguration) throws {
        let timestamp = try largestTimestamp()
        // Sanity is checked, and mended, where sealed indexes are opened.
        _ = try offsetIndex()
        releaseFiles()
        isSealed = false
        openedOffsetIndex = try OffsetIndex.openForAppend(
            at: place.filePath(.offsetIndex, baseOffset), baseOffset: baseOffset,
            maximumByteCount: configuration.segmentIndexByteCount, place.fileSystem)
        openedTimeIndex = try TimeIndex.openForAppend(
            at: place.filePath(.timeIndex, baseOffset), baseOffset: baseOffset,
            maximumByteCount: configuration.segmentIndexByteCount, place.fileSystem)
        knownLargestTimestamp = timestamp
        byteCountSinceIndexEntry = Int(byteCount - (openedOffsetIndex?.lastEntry?.position ?? 0))
        try loadFirstTimestamp()
    }

    /// Age is counted from the first batch, which only the file knows after a restart.
    private func loadFirstTimestamp() throws {
        guard byteCount > 0 else { return }
        let buffer = IOBuffer(byteCount: RecordBatchHeader.byteCount)
        var scanner = BatchScanner(file: try file(), from: 0, to: byteCount, buffer: buffer)
        firstTimestamp = try scanner.next()?.maxTimestamp
    }

    /// Starts the indexes anew, empty, to be filled by `noteBatch` while the log is scanned.
    func resetIndexes(configuration: LogConfiguration) throws(IOError) {
        releaseFiles()
        isSealed = false
        try createIndexes(configuration)
        openedTransactionIndex = try TransactionIndex.create(
            at: place.filePath(.transactionIndex, baseOffset), baseOffset: baseOffset, place.fileSystem)
        byteCount = 0
        firstTimestamp = nil
    }

    /// The file, for cutting it.
    func reopenForWriting() throws(IOError) -> any File {
        openedFile = nil
        isSealed = false
        return try file()
    }

    /// Keeps what the indexes say of the batches below the recovery point, which was synced before that was written
    /// down, and drops the rest: a crash may have left anything there.
    ///
    /// - Returns: the batch from which on the log is to be read, as the indexes name it; nil when they do not fit the log,
    ///   and nothing has been changed.
    func keepIndexes(below recoveryPoint: Offset, _ configuration: LogConfiguration) throws -> OffsetPosition? {
        let oldOffsets = try OffsetIndex.openSealed(
            at: place.filePath(.offsetIndex, baseOffset), baseOffset: baseOffset, place.fileSystem)
        let oldTimes = try TimeIndex.openSealed(
            at: place.filePath(.timeIndex, baseOffset), baseOffset: baseOffset, place.fileSystem)
        let offsetCount = soundPrefix(of: oldOffsets, below: recoveryPoint)
        guard let start = try scanStart(offsetCount == 0 ? nil : oldOffsets.entry(offsetCount - 1)) else { return nil }
        let timeCount = soundPrefix(of: oldTimes, below: min(recoveryPoint, start.offset))
        var aborted: [AbortedTransaction] = []
        let oldAborted = TransactionIndex.openSealed(
            at: place.filePath(.transactionIndex, baseOffset), baseOffset: baseOffset, place.fileSystem)
        try oldAborted.forEach { entry in
            let isRising = entry.lastOffset > aborted.last?.lastOffset ?? baseOffset - 1
            if isRising, entry.lastOffset < start.offset { aborted.append(entry) }
        }

        try resetIndexes(configuration: configuration)
        for index in 0..<offsetCount {
            let entry = oldOffsets.entry(index)
            _ = openedOffsetIndex?.append(entry.offset, at: entry.position)
        }
        for index in 0..<timeCount {
            let entry = oldTimes.entry(index)
            _ = openedTimeIndex?.append(entry.timestamp, entry.offset)
        }
        for entry in aborted { try transactionIndex.append(entry) }
        byteCount = start.position
        knownLargestTimestamp = openedTimeIndex?.lastEntry
        if start.position > 0 { try loadFirstTimestamp() }
        return start
    }

    /// The batch at an index entry; the segment's beginning when there is no entry, nil when the entry is wrong.
    private func scanStart(_ entry: OffsetPosition?) throws(IOError) -> OffsetPosition? {
        guard let entry else { return OffsetPosition(offset: baseOffset, position: 0) }
        let buffer = IOBuffer(byteCount: RecordBatchHeader.byteCount)
        let byteCount = try file().read(into: buffer, 0..<RecordBatchHeader.byteCount, at: entry.position)
        guard let header = try? RecordBatchHeader(parsing: buffer.bytes(0..<byteCount)),
            header.baseOffset >= baseOffset, header.baseOffset <= entry.offset
        else { return nil }
        return OffsetPosition(offset: header.baseOffset, position: entry.position)
    }

    private func soundPrefix(of index: OffsetIndex, below limit: Offset) -> Int {
        var count = 0
        var last = OffsetPosition(offset: baseOffset - 1, position: -1)
        while count < index.entryCount {
            let entry = index.entry(count)
            guard entry.offset > last.offset, entry.position > last.position, entry.offset < limit,
                entry.position < byteCount
            else { break }
            last = entry
            count += 1
        }
        return count
    }

    private func soundPrefix(of index: TimeIndex, below limit: Offset) -> Int {
        var count = 0
        var last = TimestampOffset(timestamp: Timestamp(Int64.min), offset: baseOffset - 1)
        while count < index.entryCount {
            let entry = index.entry(count)
            guard entry.timestamp > last.timestamp, entry.offset > last.offset, entry.offset < limit else { break }
            last = entry
            count += 1
        }
        return count
    }

    /// The offset after the last batch of a segment that was closed in order: from the last index entry on, headers are
    /// read.
    func endOffsetByIndex(buffer: IOBuffer) throws(LogError) -> Offset {
        let from = try offsetIndex().lastEntry?.position ?? 0
        let file: any File
        do { file = try self.file() } catch { throw .io(error) }
        var scanner = BatchScanner(file: file, from: from, to: byteCount, buffer: buffer)
        var end = baseOffset
        while let header = try scanner.next() {
            guard header.baseOffset >= end else {
                throw .corrupt(
                    path: filePath, position: scanner.position,
                    reason: "offset \(header.baseOffset) where \(end) or later is due")
            }
            end = header.nextOffset
        }
        return end
    }

    /// The segment cannot be read from `position` on. Its bytes stay.
    func noteDamage(at position: Int64, reason: String, byteCount: Int64) {
        damage = LogDamage(path: filePath, position: position, reason: reason)
        self.byteCount = byteCount
    }

    /// Bytes that can be read: up to the damage, where there is one.
    var readableByteCount: Int64 { readableByteCount(byteCount) }

    func readableByteCount(_ byteCount: Int64) -> Int64 { min(damage?.position ?? byteCount, byteCount) }

    /// Ends appending to a damaged segment, whose file is left as it is.
    func sealDamaged() throws(IOError) {
        try sealIndexes()
        isSealed = true
    }
}
