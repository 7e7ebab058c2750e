extension RecordBatchHeader {
    /// The smallest value of the `batchLength` field: a batch without records.
    static let minimumBatchLength = Int32(byteCount - lengthPrefixByteCount)

    /// Reads the header from the first 61 bytes of `bytes`, which may end before the batch does.
    ///
    /// Checks the shape only: that there are 61 bytes, that magic is 2, that the length can be one.
    /// Everything else may still be anything; `RecordBatch.validate` checks it.
    public init(parsing bytes: RawSpan) throws(RecordBatchError) {
        if bytes.byteCount < Self.byteCount {
            // A log of an old format may well hold a message shorter than our header: name the format if it
            // shows.
            if bytes.byteCount > Field.magic {
                let magic = bytes.unsafeLoad(fromByteOffset: Field.magic, as: Int8.self)
                if magic == 0 || magic == 1 { throw .unsupportedMagic(magic) }
            }
            throw .truncated(have: bytes.byteCount, need: Self.byteCount)
        }
        let magic = bytes.unsafeLoad(fromByteOffset: Field.magic, as: Int8.self)
        if magic != Self.currentMagic { throw .unsupportedMagic(magic) }
        let length: Int32 = bytes.bigEndianInteger(at: Field.batchLength)
        if length < Self.minimumBatchLength { throw .invalidLength(length) }
        baseOffset = Offset(bytes.bigEndianInteger(at: Field.baseOffset))
        byteCount = Int(length) + Self.lengthPrefixByteCount
        partitionLeaderEpoch = LeaderEpoch(bytes.bigEndianInteger(at: Field.partitionLeaderEpoch))
        crc = bytes.bigEndianInteger(at: Field.crc)
        attributes = BatchAttributes(rawValue: bytes.bigEndianInteger(at: Field.attributes))
        lastOffsetDelta = bytes.bigEndianInteger(at: Field.lastOffsetDelta)
        baseTimestamp = Timestamp(bytes.bigEndianInteger(at: Field.baseTimestamp))
        maxTimestamp = Timestamp(bytes.bigEndianInteger(at: Field.maxTimestamp))
        producerID = ProducerID(bytes.bigEndianInteger(at: Field.producerID))
        producerEpoch = ProducerEpoch(bytes.bigEndianInteger(at: Field.producerEpoch))
        baseSequence = SequenceNumber(bytes.bigEndianInteger(at: Field.baseSequence))
        recordCount = bytes.bigEndianInteger(at: Field.recordCount)
    }

    /// Appends the 61 bytes of the header.
    public func write(to writer: inout ByteWriter) {
        writer.write(baseOffset.rawValue)
        writer.write(Int32(byteCount - Self.lengthPrefixByteCount))
        writer.write(partitionLeaderEpoch.rawValue)
        writer.write(Self.currentMagic)
        writer.write(crc)
        writer.write(attributes.rawValue)
        writer.write(lastOffsetDelta)
        writer.write(baseTimestamp.rawValue)
        writer.write(maxTimestamp.rawValue)
        writer.write(producerID.rawValue)
        writer.write(producerEpoch.rawValue)
        writer.write(baseSequence.rawValue)
        writer.write(recordCount)
    }
}

extension RawSpan {
    /// The integer at `position`. Traps when it does not lie within the span.
    @inline(__always)
    func bigEndianInteger<Value: FixedWidthInteger & BitwiseCopyable>(at position: Int) -> Value {
        Value(bigEndian: unsafeLoadUnaligned(fromByteOffset: position, as: Value.self))
    }
}

extension RecordBatchHeader {
    /// Whether a batch says of itself that it belongs to a transaction; false where it is no batch of this
    /// format. Looks at two fields only.
    public static func isTransactional(_ batch: RawSpan) -> Bool {
        guard batch.byteCount >= byteCount else { return false }
        let magic: Int8 = batch.bigEndianInteger(at: Field.magic)
        let attributes = BatchAttributes(rawValue: batch.bigEndianInteger(at: Field.attributes))
        return magic == currentMagic && attributes.isTransactional
    }
}
