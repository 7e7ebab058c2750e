/// What is done to a whole batch in place, and the checks before it is stored. Nothing here allocates.
///
/// The writers take exactly one batch whose header was parsed before: they trap when the bytes are fewer than
/// a header.
public enum RecordBatch {
    typealias Field = RecordBatchHeader.Field

    /// Sets where the batch stands in the log and under which leader. The CRC does not cover either field.
    public static func assign(baseOffset: Offset, leaderEpoch: LeaderEpoch, in batch: inout MutableRawSpan) {
        store(baseOffset.rawValue, at: Field.baseOffset, in: &batch)
        store(leaderEpoch.rawValue, at: Field.partitionLeaderEpoch, in: &batch)
    }

    /// Sets who produced the batch and the number of its first record, and makes the CRC right again.
    public static func assign(
        producerID: ProducerID, producerEpoch: ProducerEpoch, baseSequence: SequenceNumber,
        in batch: inout MutableRawSpan
    ) {
        store(producerID.rawValue, at: Field.producerID, in: &batch)
        store(producerEpoch.rawValue, at: Field.producerEpoch, in: &batch)
        store(baseSequence.rawValue, at: Field.baseSequence, in: &batch)
        updateChecksum(of: &batch)
    }

    /// Makes `timestamp` the time of every record of the batch, as for topics with LogAppendTime, and the CRC
    /// right again. Doing it twice is doing it once.
    public static func stampLogAppendTime(_ timestamp: Timestamp, in batch: inout MutableRawSpan) {
        let attributes = loadAttributes(batch.bytes)
        let stamped = attributes.with(timestampType: .logAppendTime)
        if stamped == attributes && loadMaxTimestamp(batch.bytes) == timestamp { return }
        store(stamped.rawValue, at: Field.attributes, in: &batch)
        store(timestamp.rawValue, at: Field.maxTimestamp, in: &batch)
        updateChecksum(of: &batch)
    }

    /// Sets the largest record timestamp of a batch with CreateTime, where a producer stated another, and
    /// makes the CRC right again.
    public static func setMaxTimestamp(_ timestamp: Timestamp, in batch: inout MutableRawSpan) {
        if loadMaxTimestamp(batch.bytes) == timestamp { return }
        store(timestamp.rawValue, at: Field.maxTimestamp, in: &batch)
        updateChecksum(of: &batch)
    }

    /// Computes and stores the CRC of a whole batch.
    public static func updateChecksum(of batch: inout MutableRawSpan) {
        let computed = checksum(of: batch.bytes)
        store(computed, at: Field.crc, in: &batch)
    }

    /// The CRC-32C that a whole batch should carry.
    public static func checksum(of batch: RawSpan) -> UInt32 {
        CRC32C.checksum(batch.extracting(Field.attributes..<batch.byteCount))
    }

    /// Checks a batch without looking at its records: that `batch` is exactly as long as the header says, its
    /// CRC, that its codec is known, that counts are not negative and that there are no more records than
    /// offsets.
    ///
    /// - Parameters:
    ///   - batch: one whole batch.
    ///   - header: parsed from `batch`.
    public static func validate(_ batch: RawSpan, header: RecordBatchHeader) throws(RecordBatchError) {
        if batch.byteCount < header.byteCount {
            throw .truncated(have: batch.byteCount, need: header.byteCount)
        }
        if batch.byteCount > header.byteCount {
            throw .trailingBytes(have: batch.byteCount, need: header.byteCount)
        }
        let computed = checksum(of: batch)
        if computed != header.crc { throw .checksumMismatch(stored: header.crc, computed: computed) }
        if header.attributes.codec == nil { throw .unknownCodec(header.attributes.codecNumber) }
        if header.baseOffset.rawValue < 0 || header.baseOffset.rawValue > Int64.max - Int64(Int32.max) - 1 {
            throw .invalidBaseOffset(header.baseOffset.rawValue)
        }
        if header.recordCount < 0 { throw .negativeRecordCount(header.recordCount) }
        if header.lastOffsetDelta < 0 { throw .negativeLastOffsetDelta(header.lastOffsetDelta) }
        if Int64(header.recordCount) > Int64(header.lastOffsetDelta) + 1 {
            throw .recordCountMismatch(
                recordCount: header.recordCount, lastOffsetDelta: header.lastOffsetDelta)
        }
    }

    /// Checks what holds only for batches as producers send them, before compaction: one record for every
    /// offset, at least one, and none of what only brokers set. To be called after `validate`.
    public static func validateFromProducer(_ header: RecordBatchHeader) throws(RecordBatchError) {
        if header.recordCount <= 0 { throw .refusedFromProducer(.noRecords) }
        if Int64(header.recordCount) != Int64(header.lastOffsetDelta) + 1 {
            throw .recordCountMismatch(
                recordCount: header.recordCount, lastOffsetDelta: header.lastOffsetDelta)
        }
        if header.baseOffset != .zero { throw .refusedFromProducer(.baseOffset(header.baseOffset)) }
        let attributes = header.attributes
        if attributes.isControl { throw .refusedFromProducer(.controlBatch) }
        if attributes.timestampType == .logAppendTime { throw .refusedFromProducer(.logAppendTime) }
        if attributes.hasDeleteHorizon { throw .refusedFromProducer(.deleteHorizon) }
        if header.producerID.rawValue >= 0 {
            if header.baseSequence.rawValue < 0 { throw .refusedFromProducer(.sequence(header.baseSequence)) }
        } else if attributes.isTransactional {
            throw .refusedFromProducer(.transactionalWithoutProducerID)
        }
    }

    // MARK: - Fields in place

    @inline(__always)
    private static func store<Value: FixedWidthInteger & BitwiseCopyable>(
        _ value: Value, at position: Int, in batch: inout MutableRawSpan
    ) {
        batch.storeBytes(of: value.bigEndian, toByteOffset: position, as: Value.self)
    }

    private static func loadAttributes(_ batch: RawSpan) -> BatchAttributes {
        BatchAttributes(
            rawValue: UInt16(
                bigEndian: batch.unsafeLoadUnaligned(fromByteOffset: Field.attributes, as: UInt16.self)))
    }

    private static func loadMaxTimestamp(_ batch: RawSpan) -> Timestamp {
        Timestamp(
            Int64(bigEndian: batch.unsafeLoadUnaligned(fromByteOffset: Field.maxTimestamp, as: Int64.self)))
    }
}
