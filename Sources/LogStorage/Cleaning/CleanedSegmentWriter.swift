internal import Base
internal import RecordFormat
internal import SystemIO

/// Writes a compacted segment as `.cleaned` files: log, offset index, time index and transaction index. The
/// last is written even when it is empty, so that a swap that was cut off can tell one that has been renamed
/// from one that never was.
struct CleanedSegmentWriter: ~Copyable {
    private let plan: CleanerPlan
    private let baseOffset: Offset
    private let gate: CleaningGate
    private let file: any File
    private let offsetIndex: OffsetIndex
    private let timeIndex: TimeIndex
    private let transactionIndex: TransactionIndex
    private let buffer: IOBuffer
    private var bufferedByteCount = 0
    private var writtenByteCount: Int64 = 0
    private var byteCountSinceIndexEntry = 0
    private(set) var largestTimestamp: TimestampOffset?

    /// Bytes of all batches so far.
    var byteCount: Int64 { writtenByteCount + Int64(bufferedByteCount) }

    /// Creates the files, over what an earlier attempt left.
    static func create(
        _ plan: CleanerPlan, baseOffset: Offset, bufferByteCount: Int, gate: CleaningGate
    ) throws(CleaningError) -> CleanedSegmentWriter {
        let fileSystem = plan.directory.fileSystem
        do {
            let path = plan.filePath(.log, baseOffset, suffix: .cleaned)
            try SegmentSwap.removeIfPresent(path, fileSystem)
            let limit = plan.configuration.segmentIndexByteCount
            return CleanedSegmentWriter(
                plan, baseOffset, gate, try fileSystem.open(path, .createNew),
                try OffsetIndex.create(
                    at: plan.filePath(.offsetIndex, baseOffset, suffix: .cleaned), baseOffset: baseOffset,
                    maximumByteCount: limit, fileSystem),
                try TimeIndex.create(
                    at: plan.filePath(.timeIndex, baseOffset, suffix: .cleaned), baseOffset: baseOffset,
                    maximumByteCount: limit, fileSystem),
                try TransactionIndex.create(
                    at: plan.filePath(.transactionIndex, baseOffset, suffix: .cleaned),
                    baseOffset: baseOffset,
                    fileSystem),
                buffer: IOBuffer(byteCount: max(bufferByteCount, RecordBatchHeader.byteCount)))
        } catch {
            throw failure(error, plan)
        }
    }

    private init(
        _ plan: CleanerPlan, _ baseOffset: Offset, _ gate: CleaningGate, _ file: any File,
        _ offsetIndex: OffsetIndex,
        _ timeIndex: TimeIndex, _ transactionIndex: TransactionIndex, buffer: IOBuffer
    ) {
        self.plan = plan
        self.baseOffset = baseOffset
        self.gate = gate
        self.file = file
        self.offsetIndex = offsetIndex
        self.timeIndex = timeIndex
        self.transactionIndex = transactionIndex
        self.buffer = buffer
    }

    /// What a failed write means: a full disk is nobody's fault and passes, anything else takes the directory
    /// offline, unless it comes from the directory having been deleted meanwhile.
    private static func failure(_ error: IOError, _ plan: CleanerPlan) -> CleaningError {
        if plan.cancellation.isCancelled { return .cancelled }
        if error.errno.meansNoSpace { return .log(.noSpace(path: plan.directory.path)) }
        return .log(plan.directory.writeFailed(error))
    }

    /// Adds a batch. On return it is in memory or in the file.
    mutating func append(_ batch: RawSpan, _ header: RecordBatchHeader) throws(CleaningError) {
        let position = byteCount
        guard position + Int64(header.byteCount) <= Int64(Int32.max) else {
            throw .outputTooLarge(
                path: plan.filePath(.log, baseOffset, suffix: .cleaned),
                byteCount: position + Int64(header.byteCount))
        }
        index(header, at: position)
        var from = 0
        while from < batch.byteCount {
            if bufferedByteCount == buffer.byteCount { try flush() }
            let count = min(batch.byteCount - from, buffer.byteCount - bufferedByteCount)
            buffer.copy(batch.extracting(from..<from + count), to: bufferedByteCount)
            bufferedByteCount += count
            from += count
        }
    }

    /// As `LogSegment.noteBatch` does it.
    private mutating func index(_ header: RecordBatchHeader, at position: Int64) {
        if header.maxTimestamp > (largestTimestamp?.timestamp ?? .none) {
            largestTimestamp = TimestampOffset(timestamp: header.maxTimestamp, offset: header.lastOffset)
        }
        if byteCountSinceIndexEntry > plan.configuration.indexIntervalByteCount,
            largestTimestamp.map({ timeIndex.append($0.timestamp, $0.offset) }) ?? true,
            offsetIndex.append(header.lastOffset, at: position)
        {
            byteCountSinceIndexEntry = 0
        }
        byteCountSinceIndexEntry += header.byteCount
    }

    /// Adds an aborted transaction whose marker was just appended.
    func append(_ transaction: AbortedTransaction) throws(CleaningError) {
        do {
            try transactionIndex.append(transaction)
        } catch {
            throw Self.failure(error, plan)
        }
    }

    private mutating func flush() throws(CleaningError) {
        guard bufferedByteCount > 0 else { return }
        try gate.admit(bufferedByteCount)
        do {
            try file.write([BufferSlice(buffer, 0..<bufferedByteCount)], at: writtenByteCount)
        } catch {
            throw Self.failure(error, plan)
        }
        writtenByteCount += Int64(bufferedByteCount)
        bufferedByteCount = 0
    }

    /// On return all files are whole and synced; their names become durable with `SegmentSwap.decide`.
    mutating func finish() throws(CleaningError) {
        try flush()
        do {
            if let largestTimestamp { try timeIndex.appendLast(largestTimestamp) }
            try file.sync(.full)
            try offsetIndex.seal()
            try timeIndex.seal()
            let isEmpty = try transactionIndex.entryCount() == 0
            try transactionIndex.seal()
            if isEmpty {
                let path = plan.filePath(.transactionIndex, baseOffset, suffix: .cleaned)
                try plan.directory.fileSystem.open(path, .createNew).sync(.full)
            }
        } catch {
            throw Self.failure(error, plan)
        }
    }

    /// Removes the `.cleaned` files of a segment that is not wanted; recovery does it where this fails.
    static func discard(_ baseOffset: Offset, _ plan: CleanerPlan) {
        for kind in [LogFileKind.log, .offsetIndex, .timeIndex, .transactionIndex] {
            let path = plan.filePath(kind, baseOffset, suffix: .cleaned)
            try? SegmentSwap.removeIfPresent(path, plan.directory.fileSystem)
        }
    }
}
