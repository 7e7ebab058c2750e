internal import RecordFormat
public import SystemIO

/// Small record batches for tests of the log, made without the builder they would otherwise test along.
public enum TestBatches {
    /// A batch of `count` records with the value bytes `value`, no keys, as a producer sends it.
    public static func batch(
        count: Int = 1, value: [UInt8] = Array("value".utf8), timestamp: Int64 = 1000, baseOffset: Int64 = 0,
        leaderEpoch: Int32 = -1, producerID: Int64 = -1, producerEpoch: Int16 = -1, sequence: Int32 = -1,
        isTransactional: Bool = false
    ) -> BufferSlice {
        batch(
            Array(repeating: (key: nil, value: value), count: count), timestamp: timestamp,
            baseOffset: baseOffset, leaderEpoch: leaderEpoch, producerID: producerID,
            producerEpoch: producerEpoch, sequence: sequence, isTransactional: isTransactional)
    }

    /// A batch of these keys and values; nil for none.
    public static func batch(
        _ contents: [(key: [UInt8]?, value: [UInt8]?)], timestamp: Int64, baseOffset: Int64 = 0,
        leaderEpoch: Int32 = -1, producerID: Int64 = -1, producerEpoch: Int16 = -1, sequence: Int32 = -1,
        isTransactional: Bool = false
    ) -> BufferSlice {
        var records = ByteWriter()
        for (index, content) in contents.enumerated() {
            var record = ByteWriter()
            record.write(Int8(0))
            record.writeVarlong(0)
            record.writeVarint(Int32(index))
            write(content.key, to: &record)
            write(content.value, to: &record)
            record.writeVarint(0)
            records.writeVarint(Int32(record.byteCount))
            records.write(record.bytes)
        }
        return slice(
            records.bytes, count: Int32(contents.count),
            attributes: BatchAttributes(isTransactional: isTransactional),
            timestamp: timestamp, baseOffset: baseOffset, leaderEpoch: leaderEpoch, producerID: producerID,
            producerEpoch: producerEpoch, sequence: sequence)
    }

    private static func write(_ bytes: [UInt8]?, to record: inout ByteWriter) {
        guard let bytes else { return record.writeVarint(-1) }
        record.writeVarint(Int32(bytes.count))
        record.write(bytes)
    }

    /// A commit or abort marker, as a coordinator writes it.
    public static func marker(
        isAbort: Bool, producerID: Int64, producerEpoch: Int16, coordinatorEpoch: Int32 = 0,
        timestamp: Int64 = 1000, baseOffset: Int64 = 0, leaderEpoch: Int32 = -1
    ) -> BufferSlice {
        var record = ByteWriter()
        record.write(Int8(0))
        record.writeVarlong(0)
        record.writeVarint(0)
        record.writeVarint(4)
        record.write(Int16(0))
        record.write(Int16(isAbort ? 0 : 1))
        record.writeVarint(6)
        record.write(Int16(0))
        record.write(coordinatorEpoch)
        record.writeVarint(0)
        var records = ByteWriter()
        records.writeVarint(Int32(record.byteCount))
        records.write(record.bytes)
        return slice(
            records.bytes, count: 1, attributes: BatchAttributes(isTransactional: true, isControl: true),
            timestamp: timestamp, baseOffset: baseOffset, leaderEpoch: leaderEpoch, producerID: producerID,
            producerEpoch: producerEpoch, sequence: -1)
    }

    private static func slice(
        _ records: [UInt8], count: Int32, attributes: BatchAttributes, timestamp: Int64, baseOffset: Int64,
        leaderEpoch: Int32, producerID: Int64, producerEpoch: Int16, sequence: Int32
    ) -> BufferSlice {
        var writer = ByteWriter()
        writer.write(baseOffset)
        writer.write(
            Int32(RecordBatchHeader.byteCount + records.count - RecordBatchHeader.lengthPrefixByteCount))
        writer.write(leaderEpoch)
        writer.write(RecordBatchHeader.currentMagic)
        writer.write(UInt32(0))
        writer.write(attributes.rawValue)
        writer.write(count - 1)
        writer.write(timestamp)
        writer.write(timestamp)
        writer.write(producerID)
        writer.write(producerEpoch)
        writer.write(sequence)
        writer.write(count)
        writer.write(records)
        let buffer = IOBuffer(copying: writer.bytes)
        var bytes = buffer.mutableBytes(0..<buffer.byteCount)
        RecordBatch.updateChecksum(of: &bytes)
        return BufferSlice(buffer)
    }
}
