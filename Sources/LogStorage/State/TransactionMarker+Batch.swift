internal import RecordFormat

extension TransactionMarker {
    /// The marker in a control batch; nil when the batch holds another kind of control record.
    init?(inBatch batch: RawSpan, header: RecordBatchHeader) {
        guard header.recordCount > 0, batch.byteCount > RecordBatchHeader.byteCount else { return nil }
        do {
            var reader = ByteReader(batch.extracting(RecordBatchHeader.byteCount..<batch.byteCount))
            _ = try reader.readVarint()
            try reader.skip(1)
            _ = try reader.readVarlong()
            _ = try reader.readVarint()
            guard try reader.readVarint() >= 4 else { return nil }
            try reader.skip(2)
            let type: Int16 = try reader.read()
            guard type == 0 || type == 1, try reader.readVarint() >= 6 else { return nil }
            try reader.skip(2)
            self.init(type == 0 ? .abort : .commit, coordinatorEpoch: try reader.read())
        } catch {
            return nil
        }
    }
}
