internal import Base

/// Reads the records of a batch one after the other, without copying: in place, or, for a compressed batch,
/// in the memory of a `Decompressor`.
///
///     var cursor = try RecordCursor(batch, header: header, decompressor: decompressor)
///     while let record = try cursor.next() { … }
///
/// Trusts nothing: every length is checked. It does not check the CRC and the header's counts
/// (`RecordBatch.validate`).
public struct RecordCursor: ~Escapable {
    private let records: RawSpan
    private let baseOffset: Int64
    private let baseTimestamp: Int64
    /// The time of all records where the broker stamped it.
    private let appendTime: Timestamp?
    private let recordCount: Int
    private var position = 0
    private var nextIndex = 0
    /// Keeps the decompressed bytes from being overwritten by the next batch.
    private let decompressed: ScratchBuffer?

    /// - Parameters:
    ///   - batch: at least the whole batch.
    ///   - header: parsed from `batch`.
    ///   - decompressor: used where the batch is compressed. While this cursor lives, others may be made
    ///     with it.
    @_lifetime(copy batch)
    public init(
        _ batch: RawSpan, header: RecordBatchHeader, decompressor: Decompressor
    ) throws(RecordBatchError) {
        if batch.byteCount < header.byteCount {
            throw .truncated(have: batch.byteCount, need: header.byteCount)
        }
        guard let codec = header.attributes.codec else { throw .unknownCodec(header.attributes.codecNumber) }
        if header.recordCount < 0 { throw .negativeRecordCount(header.recordCount) }
        let stored = batch.extracting(RecordBatchHeader.byteCount..<header.byteCount)
        baseOffset = header.baseOffset.rawValue
        baseTimestamp = header.baseTimestamp.rawValue
        appendTime = header.attributes.timestampType == .logAppendTime ? header.maxTimestamp : nil
        recordCount = Int(header.recordCount)
        // A batch that compaction emptied has no records, and no compressed stream either.
        if codec == .none || (stored.isEmpty && header.recordCount == 0) {
            records = stored
            decompressed = nil
        } else {
            let output = try decompressor.decompress(stored, codec: codec)
            decompressed = output
            records = unsafe _overrideLifetime(output.bytes, copying: stored)
        }
    }

    /// The next record, or nil after the last; then it is also known that nothing follows it.
    @_lifetime(&self)
    public mutating func next() throws(RecordBatchError) -> RecordView? {
        guard let fields = try nextFields() else { return nil }
        let view = RecordView(
            records, fields, offset: Offset(baseOffset &+ Int64(fields.offsetDelta)),
            timestamp: timestamp(fields))
        return unsafe _overrideLifetime(view, mutating: &self)
    }

    /// The number of records that `next` has returned.
    public var index: Int { nextIndex }

    @inline(__always)
    mutating func nextFields() throws(RecordBatchError) -> RecordFields? {
        if nextIndex == recordCount {
            if position != records.byteCount { throw .bytesAfterRecords(records.byteCount - position) }
            return nil
        }
        do throws(RecordDefect) {
            let fields = try RecordFields(records, at: position)
            position = fields.end
            nextIndex += 1
            return fields
        } catch {
            throw .malformedRecord(index: nextIndex, reason: error)
        }
    }

    func timestamp(_ fields: RecordFields) -> Timestamp {
        appendTime ?? Timestamp(baseTimestamp &+ fields.timestampDelta)
    }
}

/// A record in place.
public struct RecordView: ~Escapable {
    private let records: RawSpan
    private let fields: RecordFields
    public let offset: Offset
    public let timestamp: Timestamp

    @_lifetime(copy records)
    init(_ records: RawSpan, _ fields: RecordFields, offset: Offset, timestamp: Timestamp) {
        self.records = records
        self.fields = fields
        self.offset = offset
        self.timestamp = timestamp
    }

    /// Nil where the record has no key.
    public var key: RawSpan? {
        @_lifetime(copy self)
        get {
            if fields.keyByteCount < 0 { return nil }
            return records.extracting(fields.keyStart..<(fields.keyStart + fields.keyByteCount))
        }
    }

    /// Nil where the record has no value: a tombstone in compacted topics.
    public var value: RawSpan? {
        @_lifetime(copy self)
        get {
            if fields.valueByteCount < 0 { return nil }
            return records.extracting(fields.valueStart..<(fields.valueStart + fields.valueByteCount))
        }
    }

    public var hasKey: Bool { fields.keyByteCount >= 0 }
    public var hasValue: Bool { fields.valueByteCount >= 0 }
    public var headerCount: Int { Int(fields.headerCount) }

    /// How many bytes the record takes in the batch, decompressed, its length field included.
    public var byteCount: Int {
        let length = fields.end - fields.attributesPosition
        return length + ByteWriter.varintByteCount(Int64(length))
    }

    /// The headers as they stand after their count.
    var headerBytes: RawSpan {
        @_lifetime(copy self)
        get { records.extracting(fields.headersStart..<fields.end) }
    }

    /// The headers, in order.
    public var headers: RecordHeaderCursor {
        @_lifetime(copy self)
        get {
            RecordHeaderCursor(headerBytes, count: headerCount)
        }
    }
}

/// Reads the headers of a record one after the other, in place. They were checked when the record was read.
public struct RecordHeaderCursor: ~Escapable {
    private let bytes: RawSpan
    private var position = 0
    private var remaining: Int

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan, count: Int) {
        self.bytes = bytes
        remaining = count
    }

    /// The next header, or nil after the last.
    @_lifetime(copy self)
    public mutating func next() -> RecordHeaderView? {
        if remaining == 0 { return nil }
        remaining -= 1
        guard let key = try? RecordFields.field(bytes, &position, bytes.byteCount),
            let value = try? RecordFields.field(bytes, &position, bytes.byteCount)
        else { invariantFailed("a header at \(position) was valid before") }
        return RecordHeaderView(bytes, key: key, value: value)
    }
}

/// A header of a record in place.
public struct RecordHeaderView: ~Escapable {
    private let bytes: RawSpan
    private let keyField: (start: Int, byteCount: Int)
    private let valueField: (start: Int, byteCount: Int)

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan, key: (start: Int, byteCount: Int), value: (start: Int, byteCount: Int)) {
        self.bytes = bytes
        keyField = key
        valueField = value
    }

    public var key: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(keyField.start..<(keyField.start + keyField.byteCount)) }
    }

    public var value: RawSpan? {
        @_lifetime(copy self)
        get {
            if valueField.byteCount < 0 { return nil }
            return bytes.extracting(valueField.start..<(valueField.start + valueField.byteCount))
        }
    }
}
