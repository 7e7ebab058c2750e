internal import Base
internal import RecordFormat

/// Decides what of a batch stays, and writes anew what changes.
///
///     record                                                      stays
///     in a batch that ends below the log's start                  no: it was deleted
///     from the map's end on                                       yes: a later round looks at it
///     without a key                                               no: nothing could ever replace it
///     with a later record of its key in the map                   no
///     a tombstone in a batch whose delete horizon has passed      no
///     of an aborted transaction                                   no
///     any other                                                   yes
///
/// A tombstone that stays in a batch without a delete horizon gives the batch one, `delete.retention.ms` from
/// now (KIP-534). It is set only on batches that the map covers whole, because only then are the values gone
/// that the tombstone deletes.
struct BatchFilter: ~Copyable {
    private let map: OffsetMap
    private let hasher: KeyHasher
    /// The map knows the keys of all records from the first dirty offset up to here.
    private let endOffset: Offset
    /// Batches that end below it were deleted.
    private let deletedEndOffset: Offset
    private let now: Timestamp
    private let deleteHorizon: Timestamp
    private let decompressor: Decompressor
    private let compressor = Compressor()
    private var transactions: TransactionRetention
    private let producers: [ProducerID: ActiveProducer]
    /// For each record of the batch whether it stays.
    private var stays: [Bool] = []
    /// Records that were left out for want of a key.
    private(set) var keylessRecordCount = 0

    init(
        map: consuming OffsetMap, hasher: KeyHasher, endOffset: Offset, decompressor: Decompressor,
        plan: CleanerPlan
    ) {
        self.map = map
        self.hasher = hasher
        self.endOffset = endOffset
        self.decompressor = decompressor
        deletedEndOffset = plan.deletedEndOffset
        now = plan.now
        let retention = max(0, plan.configuration.deleteRetentionMilliseconds)
        let (horizon, overflows) = plan.now.rawValue.addingReportingOverflow(retention)
        deleteHorizon = Timestamp(overflows ? Int64.max : horizon)
        transactions = TransactionRetention(plan.abortedTransactions)
        producers = plan.producers
    }

    enum Outcome {
        case dropped
        /// Byte for byte.
        case kept
        /// In other bytes.
        case replaced(RecordBatchHeader, [UInt8])
    }

    /// What becomes of a batch, and the aborted transaction that a marker ends and that is still of interest.
    struct Result {
        var outcome: Outcome
        var aborted: AbortedTransaction?
        var keptRecordCount = 0
    }

    /// - Parameter mustStay: the batch is kept, if need be without records, to hold its last offset.
    mutating func filter(
        _ header: RecordBatchHeader, _ batch: RawSpan, mustStay: Bool
    ) throws(BatchFilterError) -> Result {
        if header.lastOffset < deletedEndOffset {
            guard mustStay else { return Result(outcome: .dropped) }
            return header.attributes.isControl || header.recordCount == 0
                ? Result(outcome: .kept) : try emptied(header, batch, mustStay: true)
        }
        let mustStay = mustStay || isLastOfProducer(header)
        return header.attributes.isControl
            ? try filterControl(header, batch, mustStay: mustStay)
            : try filterData(header, batch, mustStay: mustStay)
    }

    /// The batch that a producer's last sequence number, or without one its epoch, is known from: idempotence
    /// must survive that the state of producers is derived from the log again.
    private func isLastOfProducer(_ header: RecordBatchHeader) -> Bool {
        guard header.hasProducerID, let producer = producers[header.producerID] else { return false }
        if let lastDataOffset = producer.lastDataOffset { return header.lastOffset == lastDataOffset }
        return header.attributes.isControl && header.producerEpoch == producer.producerEpoch
    }

    /// Where the attribute is set, the base timestamp is the horizon.
    private func horizonHasPassed(_ header: RecordBatchHeader) -> Bool {
        header.attributes.hasDeleteHorizon && header.baseTimestamp <= now
    }

    // MARK: Control batches

    private mutating func filterControl(
        _ header: RecordBatchHeader, _ batch: RawSpan, mustStay: Bool
    ) throws(BatchFilterError) -> Result {
        // Kafka empties control batches that it keeps for their offset; there is nothing in them to wait for.
        if header.recordCount == 0 { return Result(outcome: mustStay ? .kept : .dropped) }
        guard let marker = TransactionMarker(inBatch: batch, header: header) else {
            return Result(outcome: .kept, keptRecordCount: Int(header.recordCount))
        }
        switch transactions.readMarker(marker, header) {
        case .contradiction: throw .unindexedAbort(header.baseOffset, header.producerID)
        case .needed(let aborted):
            return Result(outcome: .kept, aborted: aborted, keptRecordCount: Int(header.recordCount))
        case .obsolete: break
        }
        if header.attributes.hasDeleteHorizon {
            let isDue = horizonHasPassed(header) && !mustStay
            return Result(
                outcome: isDue ? .dropped : .kept, keptRecordCount: isDue ? 0 : Int(header.recordCount))
        }
        guard header.lastOffset < endOffset else {
            return Result(outcome: .kept, keptRecordCount: Int(header.recordCount))
        }
        return try rewritten(header, batch, withHorizon: true, keptRecordCount: Int(header.recordCount))
    }

    // MARK: Data batches

    private mutating func filterData(
        _ header: RecordBatchHeader, _ batch: RawSpan, mustStay: Bool
    ) throws(BatchFilterError) -> Result {
        let isAborted = transactions.readData(header)
        if header.recordCount == 0 { return Result(outcome: mustStay ? .kept : .dropped) }
        if isAborted { return try emptied(header, batch, mustStay: mustStay) }
        let (keptCount, hasTombstone) = try choose(header, batch)
        if keptCount == 0 { return try emptied(header, batch, mustStay: mustStay) }
        let needsHorizon =
            hasTombstone && !header.attributes.hasDeleteHorizon && header.lastOffset < endOffset
        if keptCount == Int(header.recordCount) && !needsHorizon {
            return Result(outcome: .kept, keptRecordCount: keptCount)
        }
        return try rewritten(header, batch, withHorizon: needsHorizon, keptRecordCount: keptCount)
    }

    /// Fills `stays`.
    private mutating func choose(
        _ header: RecordBatchHeader, _ batch: RawSpan
    ) throws(BatchFilterError) -> (keptCount: Int, hasTombstone: Bool) {
        stays.removeAll(keepingCapacity: true)
        var keptCount = 0
        var hasTombstone = false
        let horizonHasPassed = horizonHasPassed(header)
        do throws(RecordBatchError) {
            var cursor = try RecordCursor(batch, header: header, decompressor: decompressor)
            while let record = try cursor.next() {
                var isKept = true
                if record.offset < endOffset {
                    if let key = record.key {
                        let latest = map.offset(of: hasher.hash(key)) ?? record.offset
                        isKept = latest <= record.offset && (record.hasValue || !horizonHasPassed)
                    } else {
                        isKept = false
                        keylessRecordCount += 1
                    }
                }
                stays.append(isKept)
                guard isKept else { continue }
                keptCount += 1
                if !record.hasValue { hasTombstone = true }
            }
        } catch {
            throw .batch(error)
        }
        return (keptCount, hasTombstone)
    }

    // MARK: Writing

    private func emptied(
        _ header: RecordBatchHeader, _ batch: RawSpan, mustStay: Bool
    ) throws(BatchFilterError) -> Result {
        guard mustStay else { return Result(outcome: .dropped) }
        // A horizon tells when records may go; here they have gone.
        var header = header
        let attributes = header.attributes
        header.attributes = BatchAttributes(
            timestampType: attributes.timestampType, isTransactional: attributes.isTransactional,
            isControl: attributes.isControl)
        return try finished(RecordBatchBuilder(rewriting: header), keptRecordCount: 0)
    }

    private func rewritten(
        _ header: RecordBatchHeader, _ batch: RawSpan, withHorizon: Bool, keptRecordCount: Int
    ) throws(BatchFilterError) -> Result {
        var builder = RecordBatchBuilder(rewriting: header, deleteHorizon: withHorizon ? deleteHorizon : nil)
        let isControl = header.attributes.isControl
        do throws(RecordBatchError) {
            var cursor = try RecordCursor(batch, header: header, decompressor: decompressor)
            var index = 0
            while let record = try cursor.next() {
                if isControl || stays[index] { builder.append(record) }
                index += 1
            }
        } catch {
            throw .batch(error)
        }
        return try finished(builder, keptRecordCount: keptRecordCount)
    }

    private func finished(
        _ builder: RecordBatchBuilder, keptRecordCount: Int
    ) throws(BatchFilterError) -> Result {
        let bytes: [UInt8]
        do throws(CompressionError) {
            bytes = try builder.finish(compressor: compressor)
        } catch {
            throw .compression(error)
        }
        do throws(RecordBatchError) {
            let header = try RecordBatchHeader(parsing: bytes.span.bytes)
            return Result(outcome: .replaced(header, bytes), keptRecordCount: keptRecordCount)
        } catch {
            invariantFailed("a batch just built cannot be parsed: \(error)")
        }
    }
}

/// Why a batch could not be looked through or written anew.
enum BatchFilterError: Error {
    case batch(RecordBatchError)
    case compression(CompressionError)
    /// The abort marker at the offset, of the producer, has no entry in the transaction index.
    case unindexedAbort(Offset, ProducerID)
}
