extension RecordBatch {
    /// The batch with its records compressed in another way, and everything else as it was but length and
    /// CRC. The records are not looked at.
    ///
    /// - Parameters:
    ///   - batch: checked, and as long as its header says.
    ///   - level: one of `codec.levels`; nil for Kafka's default.
    /// - Returns: nil where they cannot be compressed so, as when a batch of that length cannot be.
    /// - Throws: when the records cannot be decompressed.
    public static func recompressed(
        _ batch: RawSpan, header: RecordBatchHeader, codec: CompressionCodec, level: Int?,
        decompressor: Decompressor, compressor: Compressor
    ) throws(RecordBatchError) -> [UInt8]? {
        guard let present = header.attributes.codec else {
            throw .unknownCodec(header.attributes.codecNumber)
        }
        var newHeader = header
        newHeader.attributes = header.attributes.with(codec: codec)
        let records = batch.extracting(RecordBatchHeader.byteCount..<header.byteCount)
        return try decompressor.withDecompressed(records, codec: present) {
            (plain) throws(RecordBatchError) in
            var writer = ByteWriter(capacity: RecordBatchHeader.byteCount + plain.byteCount)
            newHeader.write(to: &writer)
            do throws(CompressionError) {
                try compressor.compress(plain, codec: codec, level: level, into: &writer)
            } catch {
                return nil
            }
            let length = writer.byteCount - RecordBatchHeader.lengthPrefixByteCount
            guard let length = Int32(exactly: length) else { return nil }
            writer.overwrite(length, at: RecordBatchHeader.Field.batchLength)
            writer.overwrite(checksum(of: writer.bytes.span.bytes), at: RecordBatchHeader.Field.crc)
            return writer.bytes
        }
    }
}
