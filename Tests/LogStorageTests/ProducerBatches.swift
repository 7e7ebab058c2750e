import LogStorage
import RecordFormat

/// Batch headers for tests of the producer state: only what the state looks at can be set.
enum ProducerBatches {
    private static let blank: RecordBatchHeader = {
        var writer = ByteWriter(capacity: RecordBatchHeader.byteCount)
        writer.write(Int64(0))
        writer.write(Int32(RecordBatchHeader.byteCount - RecordBatchHeader.lengthPrefixByteCount))
        writer.write(Int32(0))
        writer.write(RecordBatchHeader.currentMagic)
        while writer.byteCount < RecordBatchHeader.byteCount { writer.write(UInt8(0)) }
        // The shape is right by construction.
        return try! RecordBatchHeader(parsing: writer.bytes.span.bytes)
    }()

    /// A data batch of `count` records.
    static func data(
        producer: Int64, epoch: Int16 = 0, sequence: Int32, count: Int32 = 1, at offset: Int64 = 0,
        timestamp: Int64 = 1_000, isTransactional: Bool = false
    ) -> RecordBatchHeader {
        var header = blank
        header.baseOffset = Offset(offset)
        header.attributes = BatchAttributes(isTransactional: isTransactional)
        header.lastOffsetDelta = count - 1
        header.baseTimestamp = Timestamp(timestamp)
        header.maxTimestamp = Timestamp(timestamp)
        header.producerID = ProducerID(producer)
        header.producerEpoch = ProducerEpoch(epoch)
        header.baseSequence = SequenceNumber(sequence)
        header.recordCount = count
        return header
    }

    /// The batch of a marker.
    static func marker(
        producer: Int64, epoch: Int16 = 0, at offset: Int64 = 0, timestamp: Int64 = 1_000
    ) -> RecordBatchHeader {
        var header = data(producer: producer, epoch: epoch, sequence: -1, at: offset, timestamp: timestamp)
        header.attributes = BatchAttributes(isTransactional: true, isControl: true)
        return header
    }
}

extension ProducerStates {
    /// Checks and accounts for a data batch of a client at the end of the log.
    @discardableResult
    mutating func append(
        producer: Int64, epoch: Int16 = 0, sequence: Int32, count: Int32 = 1, timestamp: Int64 = 1_000,
        isTransactional: Bool = false, origin: AppendOrigin = .client
    ) throws -> AppendedBatch? {
        let header = ProducerBatches.data(
            producer: producer, epoch: epoch, sequence: sequence, count: count, at: mapEndOffset.rawValue,
            timestamp: timestamp, isTransactional: isTransactional)
        if let duplicate = try check(header, origin: origin) { return duplicate }
        update(header)
        return nil
    }

    /// Checks and accounts for a marker at the end of the log, transaction index included.
    @discardableResult
    mutating func end(
        producer: Int64, epoch: Int16 = 0, _ kind: TransactionMarker.Kind = .commit,
        coordinatorEpoch: Int32 = 0,
        timestamp: Int64 = 1_000, transactionVersion: Int16 = 0
    ) throws -> CompletedTransaction? {
        let header = ProducerBatches.marker(
            producer: producer, epoch: epoch, at: mapEndOffset.rawValue, timestamp: timestamp)
        let marker = TransactionMarker(kind, coordinatorEpoch: coordinatorEpoch)
        try checkMarker(header, marker: marker, transactionVersion: transactionVersion)
        let completed = complete(header, isAbort: marker.isAbort, coordinatorEpoch: marker.coordinatorEpoch)
        if let completed { transactionIndexed(completed) }
        return completed
    }
}
