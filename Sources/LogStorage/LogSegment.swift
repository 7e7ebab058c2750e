internal import Base
internal import RecordFormat
internal import SystemIO

/// One stretch of a log: a file of record batches with its sparse indexes.
///
/// Files and indexes of a sealed segment are opened when first used, so that a log of a thousand segments
/// opens without touching them. A slice keeps the file alive past the segment.
final class LogSegment {
    let baseOffset: Offset
    let place: LogPlace
    /// Bytes of valid batches; the file may be longer, by what was allocated ahead.
    var byteCount: Int64
    /// Bytes of the file that are known to be allocated.
    private(set) var allocatedByteCount: Int64
    let createdMilliseconds: Int64
    /// Taken off `segment.ms`.
    let jitterMilliseconds: Int64

    var openedFile: (any File)?
    var openedOffsetIndex: OffsetIndex?
    var openedTimeIndex: TimeIndex?
    var openedTransactionIndex: TransactionIndex?
    /// The offset index is being made anew and waits for its name.
    private(set) var hasProvisionalIndex = false
    /// Where the segment is broken, if recovery found so; what follows is there but cannot be read.
    var damage: LogDamage?

    var byteCountSinceIndexEntry = 0
    /// Of the batches seen; nil in a sealed segment until asked for.
    var knownLargestTimestamp: TimestampOffset?
    /// Of the first batch, from which age is counted.
    var firstTimestamp: Timestamp?
    var isSealed: Bool

    /// - Parameters:
    ///   - byteCount: bytes of valid batches in the file.
    ///   - isSealed: nothing will be appended any more.
    init(
        baseOffset: Offset, place: LogPlace, byteCount: Int64, allocatedByteCount: Int64? = nil,
        isSealed: Bool,
        createdMilliseconds: Int64, jitterMilliseconds: Int64 = 0
    ) {
        self.baseOffset = baseOffset
        self.place = place
        self.byteCount = byteCount
        self.allocatedByteCount = allocatedByteCount ?? byteCount
        self.isSealed = isSealed
        self.createdMilliseconds = createdMilliseconds
        self.jitterMilliseconds = jitterMilliseconds
    }

    /// Creates the files of a new active segment, over a recycled file where one fits. The directory is not
    /// synced.
    static func create(
        baseOffset: Offset, place: LogPlace, configuration: LogConfiguration, now: Timestamp, jitter: Int64
    ) throws(IOError) -> LogSegment {
        let path = place.filePath(.log, baseOffset)
        let isRecycled = place.directory.recycledFiles.give(
            to: path, baseOffset: baseOffset, segmentByteCount: configuration.segmentByteCount)
        let file = try place.fileSystem.open(path, isRecycled ? .readWrite : .createOrOpen)
        if !isRecycled { try file.truncate(to: 0) }
        let segment = LogSegment(
            baseOffset: baseOffset, place: place, byteCount: 0,
            allocatedByteCount: isRecycled ? try file.byteCount() : 0, isSealed: false,
            createdMilliseconds: now.rawValue, jitterMilliseconds: jitter)
        segment.openedFile = file
        try segment.createIndexes(configuration)
        segment.openedTransactionIndex = try TransactionIndex.create(
            at: .log(place, .transactionIndex, baseOffset), baseOffset: baseOffset, place.fileSystem)
        return segment
    }

    /// As `create`, where the files are there and the log's is empty: nothing is made or removed, which would
    /// cost more than to open them.
    /// - Returns: nil when an index holds something, if only room.
    static func reopenEmpty(
        baseOffset: Offset, place: LogPlace, configuration: LogConfiguration, now: Timestamp
    ) throws(IOError) -> LogSegment? {
        let limit = configuration.segmentIndexByteCount
        let offsets = try OffsetIndex.openForAppend(
            at: .log(place, .offsetIndex, baseOffset), baseOffset: baseOffset, maximumByteCount: limit,
            place.fileSystem)
        let times = try TimeIndex.openForAppend(
            at: .log(place, .timeIndex, baseOffset), baseOffset: baseOffset, maximumByteCount: limit,
            place.fileSystem)
        guard offsets.wasEmpty, times.wasEmpty else { return nil }
        let segment = LogSegment(
            baseOffset: baseOffset, place: place, byteCount: 0, isSealed: false,
            createdMilliseconds: now.rawValue)
        segment.openedFile = try place.fileSystem.open(segment.filePath, .readWrite)
        segment.openedOffsetIndex = offsets
        segment.openedTimeIndex = times
        return segment
    }

    // MARK: Parts, opened when used

    var filePath: String { place.filePath(.log, baseOffset) }

    func file() throws(IOError) -> any File {
        if let openedFile { return openedFile }
        let file = try place.fileSystem.open(filePath, isSealed ? .read : .readWrite)
        openedFile = file
        return file
    }

    func offsetIndex() throws(LogError) -> OffsetIndex {
        if let openedOffsetIndex { return openedOffsetIndex }
        try openSealedIndexes()
        guard let openedOffsetIndex else { invariantFailed("no offset index for \(filePath)") }
        return openedOffsetIndex
    }

    func timeIndex() throws(LogError) -> TimeIndex {
        if let openedTimeIndex { return openedTimeIndex }
        try openSealedIndexes()
        guard let openedTimeIndex else { invariantFailed("no time index for \(filePath)") }
        return openedTimeIndex
    }

    var transactionIndex: TransactionIndex {
        if let openedTransactionIndex { return openedTransactionIndex }
        let file = FilePlace.log(place, .transactionIndex, baseOffset)
        let index =
            isSealed
            ? TransactionIndex.openSealed(at: file, baseOffset: baseOffset, place.fileSystem)
            : TransactionIndex.openForAppend(at: file, baseOffset: baseOffset, place.fileSystem)
        openedTransactionIndex = index
        return index
    }

    /// Opens the indexes of a sealed segment; where they are missing or damaged they are made anew from the
    /// batches.
    private func openSealedIndexes() throws(LogError) {
        do throws(IOError) {
            let offsets = try OffsetIndex.openSealed(
                at: place.filePath(.offsetIndex, baseOffset), baseOffset: baseOffset, place.fileSystem)
            let times = try TimeIndex.openSealed(
                at: place.filePath(.timeIndex, baseOffset), baseOffset: baseOffset, place.fileSystem)
            let defect = offsets.damage(logByteCount: byteCount) ?? times.damage()
            if let defect {
                place.directory.logger.log(
                    .warn, "index damaged, made anew",
                    [LogField("path", filePath), LogField("reason", defect)])
            } else {
                openedOffsetIndex = offsets
                openedTimeIndex = times
                return
            }
        } catch {
            guard error.errno == .noSuchFile else { throw LogError(reading: error) }
        }
        try remakeIndexes()
    }

    /// Makes the indexes of a sealed segment anew, as dense as they were by default.
    private func remakeIndexes() throws(LogError) {
        let configuration = LogConfiguration()
        let end = byteCount
        let knownBefore = knownLargestTimestamp
        do {
            let names = try place.openDirectory()
            try createIndexes(configuration, isProvisional: true)
            byteCount = 0
            defer { byteCount = end }
            let buffer = IOBuffer(byteCount: ScanContext.bufferByteCount)
            var scanner = BatchScanner(file: try file(), from: 0, to: readableByteCount(end), buffer: buffer)
            while let header = try scanner.next() {
                noteBatch(header, indexInterval: configuration.indexIntervalByteCount)
            }
            if let largest = knownLargestTimestamp { try openedTimeIndex?.appendLast(largest) }
            try openedOffsetIndex?.seal()
            try openedTimeIndex?.seal()
            try publishIndexes()
            try names.sync()
        } catch {
            // Half an index looks like a whole one.
            openedOffsetIndex = nil
            openedTimeIndex = nil
            knownLargestTimestamp = knownBefore
            throw LogError(reading: error)
        }
    }

    /// Empty indexes, to be filled by `noteBatch`.
    ///
    /// - Parameter isProvisional: the offset index stays under another name until `publishIndexes`. A crash
    ///   before that leaves a segment without an offset index, whose indexes are then made anew once more;
    ///   never one with half an index, which could not be told from a whole one.
    func createIndexes(_ configuration: LogConfiguration, isProvisional: Bool = false) throws(IOError) {
        openedOffsetIndex = nil
        openedTimeIndex = nil
        if isProvisional {
            let names = try place.openDirectory()
            try SegmentSwap.removeIfPresent(place.filePath(.offsetIndex, baseOffset), place.fileSystem)
            try names.sync()
        }
        hasProvisionalIndex = isProvisional
        openedOffsetIndex = try OffsetIndex.create(
            at: isProvisional ? .provisional(place, baseOffset) : .log(place, .offsetIndex, baseOffset),
            baseOffset: baseOffset,
            maximumByteCount: configuration.segmentIndexByteCount, place.fileSystem)
        openedTimeIndex = try TimeIndex.create(
            at: .log(place, .timeIndex, baseOffset), baseOffset: baseOffset,
            maximumByteCount: configuration.segmentIndexByteCount, place.fileSystem)
        byteCountSinceIndexEntry = 0
        knownLargestTimestamp = nil
    }

    /// Makes the indexes durable, though not their names.
    func syncIndexes() throws(IOError) {
        guard !isSealed else { return }
        try transactionIndex.sync()
        try openedTimeIndex?.sync()
        try openedOffsetIndex?.sync()
    }

    /// Makes the indexes durable and gives a provisional offset index its name; the directory is left to be
    /// synced by the caller.
    func publishIndexes() throws(IOError) {
        try syncIndexes()
        guard hasProvisionalIndex else { return }
        try place.fileSystem.rename(
            FilePlace.provisional(place, baseOffset).path, to: place.filePath(.offsetIndex, baseOffset))
        openedOffsetIndex?.wasRenamed(to: .log(place, .offsetIndex, baseOffset))
        hasProvisionalIndex = false
    }

    // MARK: Appending

    /// Makes room for `byteCount` more bytes, in steps that grow with the file, so that neither the write nor
    /// the sync has to allocate and a full disk shows before anything has an offset.
    func reserve(_ byteCount: Int, configuration: LogConfiguration) throws(IOError) {
        let needed = self.byteCount + Int64(byteCount)
        guard needed > allocatedByteCount, configuration.preallocatesSegments,
            place.directory.supportsAllocation
        else { return }
        let step = min(max(allocatedByteCount, Self.smallestAllocation), Self.largestAllocation)
        let generous = min(
            max(allocatedByteCount + step, needed), max(Int64(configuration.segmentByteCount), needed))
        let file = try self.file()
        do {
            try file.allocate(allocatedByteCount..<generous)
            allocatedByteCount = generous
        } catch {
            switch error.errno {
            case .notSupported: place.directory.noteAllocationUnsupported()
            case .noSpace, .quotaExceeded:
                // The last room on the disk may still do for this one.
                try file.allocate(allocatedByteCount..<needed)
                allocatedByteCount = needed
            default: throw error
            }
        }
    }

    /// Small logs stay small on disk.
    static let smallestAllocation: Int64 = 64 << 10
    /// Allocating costs less than 1 % of writing at this size.
    static let largestAllocation: Int64 = 16 << 20

    /// Accounts for a batch that goes to the end of the segment: sizes, timestamps, and an index entry when
    /// the last one is far enough. As in Kafka the entry names the batch's last offset and its first byte.
    func noteBatch(_ header: RecordBatchHeader, indexInterval: Int) {
        if firstTimestamp == nil { firstTimestamp = header.maxTimestamp }
        if header.maxTimestamp > (knownLargestTimestamp?.timestamp ?? .none) {
            knownLargestTimestamp = TimestampOffset(timestamp: header.maxTimestamp, offset: header.lastOffset)
        }
        if byteCountSinceIndexEntry > indexInterval, noteLargestTimestamp(),
            openedOffsetIndex?.append(header.lastOffset, at: byteCount) == true
        {
            byteCountSinceIndexEntry = 0
        }
        byteCountSinceIndexEntry += header.byteCount
        byteCount += Int64(header.byteCount)
    }

    /// The time index goes first: whoever begins to read at an entry of the offset index, as recovery and
    /// truncation do, takes the largest timestamp before it from there.
    /// - Returns: false when there is no room for the entry that is due.
    private func noteLargestTimestamp() -> Bool {
        guard let largest = knownLargestTimestamp else { return true }
        return openedTimeIndex?.append(largest.timestamp, largest.offset) ?? false
    }

    /// Whether a segment has to be rolled before `byteCount` bytes, ending at `lastOffset`, can be appended.
    func mustRoll(
        before byteCount: Int, lastOffset: Offset, timestamp: Timestamp, now: Timestamp,
        _ configuration: LogConfiguration
    ) -> Bool {
        guard self.byteCount > 0 else { return false }
        if self.byteCount + Int64(byteCount) > Int64(configuration.segmentByteCount) { return true }
        if lastOffset - baseOffset > Int64(Int32.max) { return true }
        if openedOffsetIndex?.isFull == true || openedTimeIndex?.isFull == true { return true }
        return age(at: timestamp, now: now) > configuration.effectiveSegmentMilliseconds - jitterMilliseconds
    }

    /// Milliseconds from the first record to `timestamp`, or from creation to `now` when records carry no
    /// time.
    private func age(at timestamp: Timestamp, now: Timestamp) -> Int64 {
        if let firstTimestamp, firstTimestamp.rawValue >= 0, timestamp.rawValue >= 0 {
            return timestamp.rawValue - firstTimestamp.rawValue
        }
        return now.rawValue - createdMilliseconds
    }

    /// The largest record timestamp; read from the time index where the segment has not been scanned.
    func largestTimestamp() throws(LogError) -> TimestampOffset? {
        if let knownLargestTimestamp { return knownLargestTimestamp }
        guard byteCount > 0 else { return nil }
        knownLargestTimestamp = try timeIndex().lastEntry
        return knownLargestTimestamp
    }

    // MARK: Sealing, truncating, closing

    /// Ends appending: the last time index entry, the indexes trimmed and synced, what was allocated ahead
    /// given back. The log file itself is left to be synced by the caller.
    func seal() throws(IOError) {
        guard !isSealed else { return }
        try trim()
        try sealIndexes()
        isSealed = true
    }

    /// Adds the last time index entry, trims the indexes and makes them durable. Where there are not enough
    /// descriptors for that, nothing has changed: appends may go on.
    func sealIndexes() throws(IOError) {
        try transactionIndex.sync()
        try openedOffsetIndex?.holdFile()
        do {
            try openedTimeIndex?.holdFile()
        } catch {
            openedOffsetIndex?.letGoOfFile()
            throw error
        }
        if let largest = knownLargestTimestamp, openedTimeIndex?.isSealed == false {
            try openedTimeIndex?.appendLast(largest)
        }
        try openedOffsetIndex?.seal()
        try openedTimeIndex?.seal()
        try transactionIndex.seal()
    }

    /// Cuts the file behind its last batch.
    func trim() throws(IOError) {
        let file = try self.file()
        guard try file.byteCount() != byteCount else { return }
        try file.truncate(to: byteCount)
        allocatedByteCount = byteCount
    }

    /// Cuts the segment at `position`, where the batch with `offset` (or a later one) begins. The segment is
    /// active afterwards, its file synced by the caller.
    func truncate(to offset: Offset, position: Int64, configuration: LogConfiguration) throws {
        if isSealed { try openForAppend(configuration: configuration) }
        openedOffsetIndex?.truncate(removingFrom: offset)
        openedOffsetIndex?.truncate(removingFromPosition: position)
        openedTimeIndex?.truncate(removingFrom: offset)
        try transactionIndex.truncate(to: offset)
        let file = try self.file()
        try file.truncate(to: position)
        byteCount = position
        allocatedByteCount = position
        byteCountSinceIndexEntry = 0
        knownLargestTimestamp = openedTimeIndex?.lastEntry
        if position == 0 { firstTimestamp = nil }
    }

    /// After a truncation the batches behind the last time index entry are looked at again.
    func noteTimestamp(of header: RecordBatchHeader, isFirst: Bool) {
        if isFirst { firstTimestamp = header.maxTimestamp }
        if header.maxTimestamp > (knownLargestTimestamp?.timestamp ?? .none) {
            knownLargestTimestamp = TimestampOffset(timestamp: header.maxTimestamp, offset: header.lastOffset)
        }
    }

    /// Lets go of descriptors and mappings; they open again when used.
    func releaseFiles() {
        openedFile = nil
        openedOffsetIndex = nil
        openedTimeIndex = nil
        openedTransactionIndex = nil
    }

    /// Lets go of the segment's file and says whether nobody else holds it: no slice, no other log.
    func releaseFileIsUnused() -> Bool {
        openedOffsetIndex = nil
        openedTimeIndex = nil
        openedTransactionIndex = nil
        guard openedFile != nil else { return true }
        // Through an optional variable: `guard var` would hold a second reference.
        var file: AnyObject? = openedFile
        openedFile = nil
        return isKnownUniquelyReferenced(&file)
    }
}
