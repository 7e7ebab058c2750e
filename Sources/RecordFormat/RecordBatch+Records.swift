/// What a walk over the records of a batch found.
public struct RecordsSummary: Hashable, Sendable {
    /// The smallest record timestamp that is 0 or more; `none` if there is none. With LogAppendTime the
    /// append time.
    public var minTimestamp: Timestamp
    /// The largest record timestamp; `none` in a batch without records. With LogAppendTime the append time.
    public var maxTimestamp: Timestamp
    /// The offset of the first record that has the largest timestamp.
    public var offsetOfMaxTimestamp: Offset
    /// Bytes that the records take, decompressed.
    public var byteCount: Int
}

extension RecordBatch {
    /// Reads every record of a batch and checks that there are as many as the header says and that nothing
    /// follows them, all lengths, and the offsets. To be called after `validate`. Allocates nothing but, for
    /// a compressed batch, what `decompressor` has not grown to before.
    ///
    /// - Parameters:
    ///   - batch: one whole batch.
    ///   - header: parsed from `batch`.
    ///   - decompressor: decompresses where needed, and bounds the decompressed size.
    ///   - requireKeys: whether a record without a key is an error, as in compacted topics.
    ///   - requireConsecutiveOffsets: whether the offset deltas must be 0, 1, 2, ... as in batches from
    ///     producers. If not, they must grow and not pass `lastOffsetDelta`, as in batches that compaction
    ///     left holes in.
    @discardableResult
    public static func validateRecords(
        _ batch: RawSpan, header: RecordBatchHeader, decompressor: Decompressor, requireKeys: Bool = false,
        requireConsecutiveOffsets: Bool = true
    ) throws(RecordBatchError) -> RecordsSummary {
        var cursor = try RecordCursor(batch, header: header, decompressor: decompressor)
        var minTimestamp = Int64.max
        var maxTimestamp = Int64.min
        var deltaOfMaxTimestamp: Int32 = 0
        var expectedDelta: Int32 = 0
        var byteCount = 0
        while let fields = try cursor.nextFields() {
            let delta = fields.offsetDelta
            let isDue = requireConsecutiveOffsets ? delta == expectedDelta : delta >= expectedDelta
            if !isDue || delta > header.lastOffsetDelta {
                throw .malformedRecord(
                    index: cursor.index - 1, reason: .offsetDelta(found: delta, expected: expectedDelta))
            }
            if requireKeys && fields.keyByteCount < 0 {
                throw .malformedRecord(index: cursor.index - 1, reason: .missingKey)
            }
            let timestamp = cursor.timestamp(fields).rawValue
            if timestamp >= 0 && timestamp < minTimestamp { minTimestamp = timestamp }
            if timestamp > maxTimestamp {
                maxTimestamp = timestamp
                deltaOfMaxTimestamp = delta
            }
            expectedDelta = delta &+ 1
            byteCount = fields.end
        }
        let isEmpty = header.recordCount == 0
        return RecordsSummary(
            minTimestamp: minTimestamp == .max ? .none : Timestamp(minTimestamp),
            maxTimestamp: isEmpty ? .none : Timestamp(maxTimestamp),
            offsetOfMaxTimestamp: Offset(header.baseOffset.rawValue &+ Int64(deltaOfMaxTimestamp)),
            byteCount: byteCount)
    }
}
