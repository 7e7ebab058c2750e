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
        // All that takes a descriptor comes before anything changes.
        let offsets = try OffsetIndex.openForAppend(
            at: .log(place, .offsetIndex, baseOffset), baseOffset: baseOffset,
            maximumByteCount: configuration.segmentIndexByteCount, place.fileSystem)
        let times = try TimeIndex.openForAppend(
            at: .log(place, .timeIndex, baseOffset), baseOffset: baseOffset,
            maximumByteCount: configuration.segmentIndexByteCount, place.fileSystem)
        let file = try place.fileSystem.open(filePath, .readWrite)
        releaseFiles()
        isSealed = false
        openedFile = file
        openedOffsetIndex = offsets
        openedTimeIndex = times
        knownLargestTimestamp = timestamp
        byteCountSinceIndexEntry = Int(byteCount - (openedOffsetIndex?.lastEntry?.position ?? 0))
        try loadFirstTimestamp()
    }

    /// Age is counted from the first batch, which only the file knows after a restart.
    func loadFirstTimestamp() throws(IOError) {
        guard byteCount > 0 else { return }
        firstTimestamp = try firstHeader()?.maxTimestamp
    }

    /// Nil where there is none, or none that can be read.
    private func firstHeader() throws(IOError) -> RecordBatchHeader? {
        let buffer = IOBuffer(byteCount: RecordBatchHeader.byteCount)
        let byteCount = try file().read(into: buffer, 0..<RecordBatchHeader.byteCount, at: 0)
        return try? RecordBatchHeader(parsing: buffer.bytes(0..<byteCount))
    }

    /// Starts the indexes anew, empty, to be filled by `noteBatch` while the log is scanned.
    ///
    /// - Parameter isProvisional: see `createIndexes`.
    func resetIndexes(configuration: LogConfiguration, isProvisional: Bool) throws(IOError) {
        releaseFiles()
        isSealed = false
        try createIndexes(configuration, isProvisional: isProvisional)
        openedTransactionIndex = try TransactionIndex.create(
            at: .log(place, .transactionIndex, baseOffset), baseOffset: baseOffset, place.fileSystem)
        byteCount = 0
        firstTimestamp = nil
    }

    /// The file, for cutting it.
    func reopenForWriting() throws(IOError) -> any File {
        openedFile = nil
        isSealed = false
        return try file()
    }

    /// Keeps what the indexes say of the batches below the recovery point, which was synced before that was
    /// written down, and drops the rest: a crash may have left anything there.
    ///
    /// - Returns: the batch from which on the log is to be read, as the indexes name it; nil when they do not
    ///   fit the log, and nothing has been changed.
    func keepIndexes(below recoveryPoint: Offset, _ configuration: LogConfiguration) throws -> OffsetPosition?
    {
        releaseFiles()
        isSealed = false
        // Opened as they are, with whatever a crash left behind the entries that count, and never made anew:
        // what they say of the log below the recovery point is nowhere else.
        let offsets = try OffsetIndex.openForAppend(
            at: .log(place, .offsetIndex, baseOffset), baseOffset: baseOffset,
            maximumByteCount: configuration.segmentIndexByteCount, place.fileSystem)
        let times = try TimeIndex.openForAppend(
            at: .log(place, .timeIndex, baseOffset), baseOffset: baseOffset,
            maximumByteCount: configuration.segmentIndexByteCount, place.fileSystem)
        let offsetCount = soundPrefix(of: offsets, below: recoveryPoint)
        guard let start = try scanStart(offsetCount == 0 ? nil : offsets.entry(offsetCount - 1)) else {
            return nil
        }
        offsets.keepFirst(offsetCount)
        times.keepFirst(try soundPrefix(of: times, below: min(recoveryPoint, start.offset)))
        openedOffsetIndex = offsets
        openedTimeIndex = times
        try transactionIndex.keepFirst(try soundTransactionPrefix(below: start.offset))
        byteCount = start.position
        byteCountSinceIndexEntry = 0
        knownLargestTimestamp = times.lastEntry
        firstTimestamp = nil
        if start.position > 0 { try loadFirstTimestamp() }
        return start
    }

    private func soundTransactionPrefix(below limit: Offset) throws(IOError) -> Int {
        var count = 0
        var last = baseOffset - 1
        var isSound = true
        try transactionIndex.forEach { entry in
            // A marker comes behind what it ends: zeros, allocated ahead, are no entry.
            isSound =
                isSound && entry.firstOffset < entry.lastOffset && entry.lastOffset > last
                && entry.lastOffset < limit
            guard isSound else { return }
            last = entry.lastOffset
            count += 1
        }
        return count
    }

    /// The batch at an index entry; the segment's beginning when there is no entry, nil when the entry is
    /// wrong.
    private func scanStart(_ entry: OffsetPosition?) throws(IOError) -> OffsetPosition? {
        guard let entry else { return OffsetPosition(offset: baseOffset, position: 0) }
        let buffer = IOBuffer(byteCount: RecordBatchHeader.byteCount)
        let byteCount = try file().read(into: buffer, 0..<RecordBatchHeader.byteCount, at: entry.position)
        guard let header = try? RecordBatchHeader(parsing: buffer.bytes(0..<byteCount)),
            header.baseOffset >= baseOffset, header.baseOffset <= entry.offset
        else { return nil }
        return OffsetPosition(offset: header.baseOffset, position: entry.position)
    }

    /// Room allocated ahead holds zeros, which read as an entry for the base offset, and so would be sound
    /// in the first place. No entry is ever made for the batch at position 0: there it is none.
    private func soundPrefix(of index: OffsetIndex, below limit: Offset) -> Int {
        var count = 0
        var last = OffsetPosition(offset: baseOffset - 1, position: 0)
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

    private func soundPrefix(of index: TimeIndex, below limit: Offset) throws(IOError) -> Int {
        var count = 0
        var last = TimestampOffset(timestamp: .none, offset: baseOffset - 1)
        while count < index.entryCount {
            let entry = index.entry(count)
            guard entry.timestamp > last.timestamp, entry.offset > last.offset, entry.offset < limit else {
                break
            }
            // Zeros again: here they may be an entry, if the first batch says so too.
            if entry.timestamp.rawValue == 0, entry.offset == baseOffset, try !beginsAtTimeZero() { break }
            last = entry
            count += 1
        }
        return count
    }

    /// Whether the batch of the base offset, and nothing else, is the first one, and of timestamp 0.
    private func beginsAtTimeZero() throws(IOError) -> Bool {
        let first = try firstHeader()
        return first?.lastOffset == baseOffset && first?.maxTimestamp.rawValue == 0
    }

    /// The offset after the last batch of a segment that was closed in order: from the last index entry on,
    /// headers are read.
    func endOffsetByIndex(buffer: IOBuffer) throws(LogError) -> Offset {
        let from = try offsetIndex().lastEntry?.position ?? 0
        let file: any File
        do { file = try self.file() } catch { throw LogError(reading: error) }
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

    /// Where the batches below `endOffset` end, by the headers from the last index entry on.
    func endPosition(before endOffset: Offset, buffer: IOBuffer) throws(LogError) -> Int64 {
        let from = try offsetIndex().lastEntry?.position ?? 0
        let file: any File
        do { file = try self.file() } catch { throw LogError(reading: error) }
        var scanner = BatchScanner(file: file, from: from, to: byteCount, buffer: buffer)
        while let header = try scanner.next() {
            if header.nextOffset >= endOffset { break }
        }
        return scanner.position
    }

    /// The segment cannot be read from `position` on. Its bytes stay.
    func noteDamage(at position: Int64, reason: String, byteCount: Int64) {
        damage = LogDamage(path: filePath, position: position, reason: reason)
        self.byteCount = byteCount
    }

    /// Bytes that can be read: up to the damage, where there is one.
    var readableByteCount: Int64 { readableByteCount(byteCount) }

    func readableByteCount(_ byteCount: Int64) -> Int64 { min(damage?.position ?? byteCount, byteCount) }

    /// Lets entries be added again that recovery finds missing, also to a sealed segment's index; to be
    /// sealed after.
    func reopenTransactionIndex() {
        openedTransactionIndex = TransactionIndex.openForAppend(
            at: .log(place, .transactionIndex, baseOffset), baseOffset: baseOffset, place.fileSystem)
    }

    /// Ends appending to a damaged segment, whose file is left as it is.
    func sealDamaged() throws(IOError) {
        try sealIndexes()
        isSealed = true
    }
}
