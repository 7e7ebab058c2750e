internal import Base
internal import RecordFormat
internal import SystemIO

/// One round of compaction of one log, apart from the log's lane.
///
///     step    does                                             returns
///     first   reads the dirty records and notes the latest     as any other
///             offset of each key, until the map is full
///     any     writes the next group of segments anew,          `.group`: the lane commits it and lets `next`
///             without what the map says is superseded          be called again, or ends the round
///     last    nothing                                          `.finished`
///
/// A group may only be committed after all before it: a tombstone may go only after the values that it
/// deletes.
///
/// Owned by whoever has it, one thread at a time; handed on between the steps.
public final class CleaningRound {
    /// What a step ended with.
    public enum Step: Sendable {
        /// A segment to be committed.
        case group(CleanedGroup)
        /// Nothing is left to do.
        case finished(CleaningSummary)
    }

    public let plan: CleanerPlan
    private let configuration: CleanerConfiguration
    private let hasher: KeyHasher
    private let gate: CleaningGate
    private let decompressor: Decompressor
    private var filter: BatchFilter?
    private var groups: [Range<Int>] = []
    private var nextGroup = 0
    private var summary = CleaningSummary()

    /// - Parameter secret: 128 random bits for the hashes of keys.
    public init(
        _ plan: CleanerPlan, configuration: CleanerConfiguration, throttle: DiskThrottle,
        secret: (UInt64, UInt64)
    ) {
        self.plan = plan
        self.configuration = configuration
        hasher = KeyHasher(secret: secret)
        gate = CleaningGate(cancellation: plan.cancellation, throttle: throttle)
        decompressor = Decompressor(maximumByteCount: configuration.maximumDecompressedByteCount)
    }

    /// Does the next step. After an error or `.finished` the round is over.
    public func next() throws(CleaningError) -> Step {
        if plan.cancellation.isCancelled { throw .cancelled }
        if filter == nil { try prepare() }
        while nextGroup < groups.count {
            let group = groups[nextGroup]
            nextGroup += 1
            do throws(CleaningError) {
                if let cleaned = try clean(Array(plan.sources[group])) { return .group(cleaned) }
            } catch {
                CleanedSegmentWriter.discard(plan.sources[group.lowerBound].baseOffset, plan)
                throw error
            }
        }
        summary.keylessRecordCount = filter?.keylessRecordCount ?? 0
        filter = nil
        return .finished(summary)
    }

    // MARK: The latest offset of each key

    private func prepare() throws(CleaningError) {
        let dirty = plan.cleanability.endOffset - plan.cleanability.firstDirtyOffset
        var map = OffsetMap(
            byteCount: configuration.dedupeByteCount, loadFactor: configuration.loadFactor, neededCount: dirty
        )
        let endOffset = try fill(&map)
        summary.endOffset = endOffset
        summary.keyCount = map.count
        groups = plan.groups(endOffset: endOffset, indexByteCount: indexByteCount)
        filter = BatchFilter(
            map: map, hasher: hasher, endOffset: endOffset, decompressor: decompressor, plan: plan)
    }

    /// - Returns: the offset up to which the map knows all keys.
    private func fill(_ map: inout OffsetMap) throws(CleaningError) -> Offset {
        let firstDirty = plan.cleanability.firstDirtyOffset
        var transactions = TransactionRetention(plan.abortedTransactions)
        for source in plan.sources where source.nextBaseOffset > firstDirty {
            var reader = try reader(source)
            while let header = try reader.next() {
                guard header.lastOffset >= firstDirty else { continue }
                if header.attributes.isControl {
                    try check(header, &transactions, reader)
                } else if !transactions.readData(header), header.recordCount > 0 {
                    if let end = try put(header, reader, from: firstDirty, &map) { return end }
                }
            }
        }
        return plan.cleanability.endOffset
    }

    /// Nothing may be decided on transactions that the index is wrong about.
    private func check(
        _ header: RecordBatchHeader, _ transactions: inout TransactionRetention,
        _ reader: borrowing BatchReader
    ) throws(CleaningError) {
        guard let marker = TransactionMarker(inBatch: reader.batch, header: header) else { return }
        guard transactions.readMarker(marker, header) != .contradiction else {
            throw Self.failure(.unindexedAbort(header.baseOffset, header.producerID), reader)
        }
    }

    /// - Returns: the offset of the first record that did not fit; nil when all did.
    private func put(
        _ header: RecordBatchHeader, _ reader: borrowing BatchReader, from firstOffset: Offset,
        _ map: inout OffsetMap
    ) throws(CleaningError) -> Offset? {
        do throws(RecordBatchError) {
            var cursor = try RecordCursor(reader.batch, header: header, decompressor: decompressor)
            while let record = try cursor.next() {
                guard record.offset >= firstOffset, let key = record.key else { continue }
                if !map.put(hasher.hash(key), record.offset) { return record.offset }
            }
            return nil
        } catch {
            throw reader.corrupt(error)
        }
    }

    // MARK: Segments without what is superseded

    private func reader(_ source: CleanerSource) throws(CleaningError) -> BatchReader {
        try BatchReader(
            plan.filePath(.log, source.baseOffset), byteCount: source.byteCount,
            bufferByteCount: configuration.bufferByteCount, gate: gate, plan.directory.fileSystem)
    }

    private func indexByteCount(_ source: CleanerSource) -> Int64 {
        // A missing index counts nothing: the new one is sparse where it is full.
        let sizes = [LogFileKind.offsetIndex, .timeIndex].map { kind in
            (try? plan.directory.fileSystem.attributes(of: plan.filePath(kind, source.baseOffset)))?.byteCount
                ?? 0
        }
        return sizes.max() ?? 0
    }

    /// - Returns: nil when there is nothing to swap: no batch, or a single segment that came out as it was.
    private func clean(_ sources: [CleanerSource]) throws(CleaningError) -> CleanedGroup? {
        guard let first = sources.first, let last = sources.last,
            let lastWithBatches = sources.lastIndex(where: { $0.byteCount > 0 })
        else { return nil }
        var writer = try CleanedSegmentWriter.create(
            plan, baseOffset: first.baseOffset, bufferByteCount: configuration.bufferByteCount, gate: gate)
        var isChanged = sources.count > 1
        for (index, source) in sources.enumerated() {
            if try clean(source, endsGroup: index == lastWithBatches, into: &writer) { isChanged = true }
        }
        guard isChanged else {
            CleanedSegmentWriter.discard(first.baseOffset, plan)
            summary.unchangedSegmentCount += 1
            return nil
        }
        try writer.finish()
        return CleanedGroup(
            baseOffset: first.baseOffset, nextBaseOffset: last.nextBaseOffset, sources: sources,
            byteCount: writer.byteCount, largestTimestamp: writer.largestTimestamp)
    }

    /// - Returns: true when something was left out or rewritten.
    private func clean(
        _ source: CleanerSource, endsGroup: Bool, into writer: inout CleanedSegmentWriter
    ) throws(CleaningError) -> Bool {
        var reader = try reader(source)
        var isChanged = false
        while let header = try reader.next() {
            // The segment must reach to the next one: a gap there would look like a lost tail.
            let isLast = endsGroup && reader.position == source.byteCount
            let result: BatchFilter.Result
            do throws(BatchFilterError) {
                guard let filtered = try filter?.filter(header, reader.batch, mustStay: isLast) else {
                    invariantFailed("a round without its map")
                }
                result = filtered
            } catch {
                throw Self.failure(error, reader)
            }
            summary.readByteCount += Int64(header.byteCount)
            summary.readRecordCount += Int(header.recordCount)
            summary.keptRecordCount += result.keptRecordCount
            switch result.outcome {
            case .dropped: isChanged = true
            case .kept:
                try writer.append(reader.batch, header)
                summary.keptByteCount += Int64(header.byteCount)
            case .replaced(let newHeader, let bytes):
                isChanged = true
                try writer.append(bytes.span.bytes, newHeader)
                summary.keptByteCount += Int64(newHeader.byteCount)
            }
            if let aborted = result.aborted { try writer.append(aborted) }
        }
        return isChanged
    }

    private static func failure(_ error: BatchFilterError, _ reader: borrowing BatchReader) -> CleaningError {
        switch error {
        case .batch(let error): reader.corrupt(error)
        case .compression(let reason):
            .compression(path: reader.path, position: reader.batchPosition, reason: reason)
        case .unindexedAbort(let offset, let producerID):
            .log(
                .corrupt(
                    path: reader.path, position: reader.batchPosition,
                    reason:
                        "the abort marker at offset \(offset) of producer \(producerID) is in no "
                        + "transaction index; stop the broker and remove the log's indexes, "
                        + "then they are made anew"
                ))
        }
    }
}
