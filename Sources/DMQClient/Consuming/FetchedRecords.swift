internal import KafkaProtocol
public import RecordFormat
internal import SystemIO

/// What one fetch brought of one partition: whole batches, as the broker keeps them, in the memory that they
/// were received into. That memory is free when the last reference to it goes.
public struct FetchedRecords: Sendable {
    public let partition: TopicPartition
    /// The offset that was asked for: records before it, which share a batch with it, are passed over.
    public let position: Offset
    /// Where the next fetch goes on.
    public let nextPosition: Offset
    /// The offset behind the last record that all in-sync replicas have.
    public let highWatermark: Offset
    /// The first offset of the log.
    public let logStart: Offset
    let bytes: BufferSlice
    let aborted: [FetchResponse.AbortedTransaction]
    let checksChecksums: Bool
    let skipsAborted: Bool

    /// Bytes as they came, compressed where they are.
    public var byteCount: Int { bytes.byteCount }

    /// Calls `body` with every record in order, in place. A record is there for the call only.
    /// - Parameters:
    ///   - decompressor: one per thread, kept from call to call.
    ///   - body: returns false to end.
    /// - Throws: `corrupt` with the offset of a batch that cannot be read.
    public func forEach(
        _ decompressor: Decompressor, _ body: (borrowing RecordView, TimestampType) -> Bool
    ) throws(ClientError) {
        var filter = AbortedFilter(aborted)
        var start = 0
        var offset = position
        do throws(RecordBatchError) {
            while bytes.byteCount - start >= RecordBatchHeader.byteCount {
                let rest = bytes.buffer.bytes((bytes.range.lowerBound + start)..<bytes.range.upperBound)
                let header = try RecordBatchHeader(parsing: rest)
                // The last batch may be cut off: it comes again, whole, with the next fetch.
                if header.byteCount > rest.byteCount { return }
                offset = header.baseOffset
                let batch = rest.extracting(0..<header.byteCount)
                if checksChecksums { try RecordBatch.validate(batch, header: header) }
                start += header.byteCount
                if try filter.hides(batch, header, skipsAborted, decompressor) { continue }
                var cursor = try RecordCursor(batch, header: header, decompressor: decompressor)
                let type = header.attributes.timestampType
                while let record = try cursor.next() {
                    if record.offset < position { continue }
                    if !body(record, type) { return }
                }
            }
        } catch {
            throw .corrupt(partition, offset, error)
        }
    }

    /// Copies of the records.
    /// - Parameter limit: at most so many.
    public func records(_ decompressor: Decompressor, limit: Int = .max) throws(ClientError)
        -> [ConsumerRecord]
    {
        var result: [ConsumerRecord] = []
        if limit > 0 { try append(to: &result, decompressor, limit: limit) }
        return result
    }

    /// Appends copies of the records, also of those before a batch that cannot be read.
    func append(
        to records: inout [ConsumerRecord], _ decompressor: Decompressor, limit: Int = .max
    ) throws(ClientError) {
        try forEach(decompressor) { view, type in
            records.append(ConsumerRecord(partition: partition, record: Record(view), timestampType: type))
            return records.count < limit
        }
    }

    /// The offset behind the last whole batch; nil when there is none.
    static func end(of bytes: RawSpan) throws(RecordBatchError) -> Offset? {
        var start = 0
        var end: Offset?
        while bytes.byteCount - start >= RecordBatchHeader.byteCount {
            let header = try RecordBatchHeader(parsing: bytes.extracting(start..<bytes.byteCount))
            if header.byteCount > bytes.byteCount - start { break }
            end = header.nextOffset
            start += header.byteCount
        }
        return end
    }
}

/// Which batches a consumer does not see: markers of transactions, and what belongs to aborted ones (KIP-98).
private struct AbortedFilter {
    /// By rising first offsets, the next one last.
    private var coming: [FetchResponse.AbortedTransaction]
    private var open: Set<Int64> = []

    init(_ aborted: [FetchResponse.AbortedTransaction]) {
        coming = aborted.sorted { $0.firstOffset > $1.firstOffset }
    }

    mutating func hides(
        _ batch: RawSpan, _ header: RecordBatchHeader, _ skipsAborted: Bool, _ decompressor: Decompressor
    ) throws(RecordBatchError) -> Bool {
        if skipsAborted {
            while let next = coming.last, next.firstOffset <= header.lastOffset {
                open.insert(next.producerID.rawValue)
                coming.removeLast()
            }
        }
        if header.attributes.isControl {
            // A producer's marker ends its transaction, whichever way.
            open.remove(header.producerID.rawValue)
            return true
        }
        return skipsAborted && header.attributes.isTransactional && open.contains(header.producerID.rawValue)
    }
}
