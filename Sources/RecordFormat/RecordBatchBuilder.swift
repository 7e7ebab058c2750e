internal import Base

/// Collects records and writes them as one batch, in the bytes that Kafka writes.
///
///     var builder = RecordBatchBuilder(codec: .zstd)
///     builder.append(timestamp: now, key: key, value: value)
///     let batch = try builder.finish(compressor: compressor)
///
/// The offsets of the records may have gaps, as compaction leaves them.
public struct RecordBatchBuilder: Sendable {
    public var codec: CompressionCodec
    /// One of `codec.levels`; nil for Kafka's default.
    public var compressionLevel: Int?
    public var timestampType: TimestampType
    public var isTransactional: Bool
    public var isControl: Bool
    public var partitionLeaderEpoch: LeaderEpoch
    public var producerID: ProducerID
    public var producerEpoch: ProducerEpoch
    public var baseSequence: SequenceNumber
    /// The last offset of the batch where it is not that of the last record.
    public var lastOffset: Offset?
    /// What the header states as the largest timestamp, where it is not that of the records: the append time.
    public var maxTimestamp: Timestamp?
    public let baseOffset: Offset
    /// When tombstones and transaction markers of the batch may be deleted (KIP-534); takes the base
    /// timestamp's place.
    public let deleteHorizon: Timestamp?

    private var records = ByteWriter()
    private var baseTimestamp: Timestamp?
    private var largestTimestamp: Timestamp?
    private var timestampIfEmpty = Timestamp.none
    private var lastRecordOffset: Offset?
    /// How many records were appended.
    public private(set) var recordCount: Int32 = 0

    public init(
        codec: CompressionCodec = .none, compressionLevel: Int? = nil, baseOffset: Offset = .zero,
        partitionLeaderEpoch: LeaderEpoch = .none, timestampType: TimestampType = .createTime,
        isTransactional: Bool = false, isControl: Bool = false, producerID: ProducerID = .none,
        producerEpoch: ProducerEpoch = .none, baseSequence: SequenceNumber = .none, lastOffset: Offset? = nil,
        maxTimestamp: Timestamp? = nil, deleteHorizon: Timestamp? = nil
    ) {
        self.codec = codec
        self.compressionLevel = compressionLevel
        self.baseOffset = baseOffset
        self.partitionLeaderEpoch = partitionLeaderEpoch
        self.timestampType = timestampType
        self.isTransactional = isTransactional
        self.isControl = isControl
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.baseSequence = baseSequence
        self.lastOffset = lastOffset
        self.maxTimestamp = maxTimestamp
        self.deleteHorizon = deleteHorizon
    }

    /// A batch that takes the place of another, as in compaction: the same place in the log, producer, codec
    /// and kind; the records are those that are appended. One that stays empty keeps the largest timestamp of
    /// the other.
    ///
    /// - Parameters:
    ///   - header: of the other batch; its codec must be known.
    ///   - deleteHorizon: set where the batch has none yet; one that it has stays.
    public init(rewriting header: RecordBatchHeader, deleteHorizon: Timestamp? = nil) {
        let attributes = header.attributes
        self.init(
            codec: attributes.codec ?? .none, baseOffset: header.baseOffset,
            partitionLeaderEpoch: header.partitionLeaderEpoch, timestampType: attributes.timestampType,
            isTransactional: attributes.isTransactional, isControl: attributes.isControl,
            producerID: header.producerID, producerEpoch: header.producerEpoch,
            baseSequence: header.baseSequence,
            lastOffset: header.lastOffset,
            maxTimestamp: attributes.timestampType == .logAppendTime ? header.maxTimestamp : nil,
            deleteHorizon: attributes.hasDeleteHorizon ? header.baseTimestamp : deleteHorizon)
        timestampIfEmpty = header.maxTimestamp
    }

    public var isEmpty: Bool { recordCount == 0 }

    /// How large the batch is so far, uncompressed, in bytes.
    public var byteCount: Int { RecordBatchHeader.byteCount + records.byteCount }

    // MARK: - Appending

    /// Appends a record.
    ///
    /// - Parameters:
    ///   - offset: beyond that of the record before; nil for the one that follows it.
    ///   - key, value: nil for null.
    public mutating func append(
        offset: Offset? = nil, timestamp: Timestamp, key: RawSpan?, value: RawSpan?,
        headers: [RecordHeader] = []
    ) {
        let place = begin(offset, timestamp)
        var headersByteCount = ByteWriter.varintByteCount(Int64(headers.count))
        for header in headers {
            headersByteCount += Self.fieldByteCount(header.key.count)
            headersByteCount += header.value.map { Self.fieldByteCount($0.count) } ?? 1
        }
        writeStart(place, key, value, headersByteCount)
        records.writeVarint(Int32(headers.count))
        for header in headers {
            writeField(header.key.span.bytes)
            if let value = header.value { writeField(value.span.bytes) } else { records.writeVarint(-1) }
        }
    }

    /// Appends a copy of `record`, at its offset.
    public mutating func append(_ record: Record) {
        let place = (record.offset, record.timestamp)
        switch (record.key, record.value) {
        case (let key?, let value?):
            append(
                offset: place.0, timestamp: place.1, key: key.span.bytes, value: value.span.bytes,
                headers: record.headers)
        case (let key?, nil):
            append(
                offset: place.0, timestamp: place.1, key: key.span.bytes, value: nil, headers: record.headers)
        case (nil, let value?):
            append(
                offset: place.0, timestamp: place.1, key: nil, value: value.span.bytes,
                headers: record.headers)
        case (nil, nil):
            append(offset: place.0, timestamp: place.1, key: nil, value: nil, headers: record.headers)
        }
    }

    /// Appends a copy of a record in place, at its offset, without taking it apart.
    public mutating func append(_ record: borrowing RecordView) {
        let place = begin(record.offset, record.timestamp)
        let headers = record.headerBytes
        let count = Int32(record.headerCount)
        writeStart(
            place, record.key, record.value, ByteWriter.varintByteCount(Int64(count)) + headers.byteCount)
        records.writeVarint(count)
        records.write(headers)
    }

    private mutating func begin(_ offset: Offset?, _ timestamp: Timestamp) -> (
        offset: Int32, timestamp: Int64
    ) {
        let next = lastRecordOffset.map { $0 + 1 } ?? baseOffset
        let place = offset ?? next
        invariant(
            place >= next && place - baseOffset <= Int64(Int32.max),
            "offset \(place) where \(next) or more is due, in a batch from \(baseOffset)")
        lastRecordOffset = place
        recordCount += 1
        largestTimestamp = max(largestTimestamp ?? timestamp, timestamp)
        let base = baseTimestamp ?? deleteHorizon ?? timestamp
        baseTimestamp = base
        return (Int32(place - baseOffset), timestamp.rawValue &- base.rawValue)
    }

    /// Writes a record up to its headers, which take `headersByteCount` bytes, their count included.
    private mutating func writeStart(
        _ place: (offset: Int32, timestamp: Int64), _ key: RawSpan?, _ value: RawSpan?,
        _ headersByteCount: Int
    ) {
        var length = 1 + headersByteCount
        length +=
            ByteWriter.varintByteCount(place.timestamp) + ByteWriter.varintByteCount(Int64(place.offset))
        if let key { length += Self.fieldByteCount(key.byteCount) } else { length += 1 }
        if let value { length += Self.fieldByteCount(value.byteCount) } else { length += 1 }
        invariant(length <= Int(Int32.max), "a record of \(length) bytes")
        records.writeVarint(Int32(length))
        records.write(UInt8(0))
        records.writeVarlong(place.timestamp)
        records.writeVarint(place.offset)
        if let key { writeField(key) } else { records.writeVarint(-1) }
        if let value { writeField(value) } else { records.writeVarint(-1) }
    }

    private static func fieldByteCount(_ count: Int) -> Int {
        ByteWriter.varintByteCount(Int64(count)) + count
    }

    private mutating func writeField(_ bytes: RawSpan) {
        records.writeVarint(Int32(bytes.byteCount))
        records.write(bytes)
    }

    // MARK: - Finishing

    /// The batch.
    public func finish(compressor: Compressor) throws(CompressionError) -> [UInt8] {
        var writer = ByteWriter(capacity: byteCount)
        try finish(compressor: compressor, into: &writer)
        return writer.bytes
    }

    /// Appends the batch to `writer`. On an error `writer` holds a part of it.
    public func finish(compressor: Compressor, into writer: inout ByteWriter) throws(CompressionError) {
        if records.byteCount > Compressor.maximumByteCount { throw .tooLarge(byteCount: records.byteCount) }
        let start = writer.byteCount
        header().write(to: &writer)
        if !isEmpty {
            try compressor.compress(
                records.bytes.span.bytes, codec: codec, level: compressionLevel, into: &writer)
        }
        let byteCount = writer.byteCount - start
        let length = byteCount - RecordBatchHeader.lengthPrefixByteCount
        if length > Int(Int32.max) { throw .tooLarge(byteCount: byteCount) }
        writer.overwrite(Int32(length), at: start + RecordBatchHeader.Field.batchLength)
        let crc = RecordBatch.checksum(of: writer.bytes.span.bytes.extracting(start..<(start + byteCount)))
        writer.overwrite(crc, at: start + RecordBatchHeader.Field.crc)
    }

    /// Forgets the records and keeps the memory, for the next batch of the same kind.
    public mutating func removeAll() {
        records.removeAll()
        baseTimestamp = nil
        largestTimestamp = nil
        lastRecordOffset = nil
        recordCount = 0
    }

    /// The header, without length and CRC.
    private func header() -> RecordBatchHeader {
        let last = lastOffset ?? lastRecordOffset ?? baseOffset
        invariant(
            last >= lastRecordOffset ?? baseOffset && last - baseOffset <= Int64(Int32.max),
            "last offset \(last) of a batch from \(baseOffset) to \(lastRecordOffset ?? baseOffset)"
        )
        return RecordBatchHeader(
            baseOffset: baseOffset, byteCount: RecordBatchHeader.byteCount,
            partitionLeaderEpoch: partitionLeaderEpoch, crc: 0,
            attributes: BatchAttributes(
                codec: isEmpty ? .none : codec, timestampType: timestampType,
                isTransactional: isTransactional,
                isControl: isControl, hasDeleteHorizon: deleteHorizon != nil),
            lastOffsetDelta: Int32(last - baseOffset), baseTimestamp: baseTimestamp ?? deleteHorizon ?? .none,
            maxTimestamp: maxTimestamp ?? largestTimestamp ?? timestampIfEmpty, producerID: producerID,
            producerEpoch: producerEpoch, baseSequence: baseSequence, recordCount: recordCount)
    }
}
