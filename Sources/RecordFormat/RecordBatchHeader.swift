// The header of a record batch, version 2 (magic 2, KIP-98), big endian throughout:
//
//   offset size field                 meaning
//        0    8 baseOffset            offset of the first record; set by the leader, not covered by the CRC
//        8    4 batchLength           bytes that follow this field: total size - 12
//       12    4 partitionLeaderEpoch  set by the leader, not covered by the CRC
//       16    1 magic                 2
//       17    4 crc                   CRC-32C of everything from `attributes` to the end of the batch
//       21    2 attributes            bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 horizon
//       23    4 lastOffsetDelta       offset of the last record - baseOffset; compaction leaves it alone
//       27    8 baseTimestamp         record timestamps are relative to it; with bit 6 the delete horizon
//       35    8 maxTimestamp          largest record timestamp, or the append time with LogAppendTime
//       43    8 producerID            -1: none
//       51    2 producerEpoch         -1: none
//       53    4 baseSequence          -1: none
//       57    4 recordCount           records that follow
//       61      records, compressed as a whole where a codec is set
//
// A header is shaped right when magic is 2 and batchLength at least 49; whether its content is right, the CRC
// says.

/// How the records of a batch are compressed: the low three bits of the attributes.
public enum CompressionCodec: UInt8, Sendable, CaseIterable {
    case none = 0, gzip, snappy, lz4, zstd
}

/// What the timestamps of a batch mean (`message.timestamp.type`).
public enum TimestampType: UInt8, Sendable {
    case createTime = 0, logAppendTime = 1
}

/// The attributes field of a batch.
public struct BatchAttributes: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16

    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    static let codecMask: UInt16 = 0x07
    static let timestampTypeBit: UInt16 = 0x08
    static let transactionalBit: UInt16 = 0x10
    static let controlBit: UInt16 = 0x20
    static let deleteHorizonBit: UInt16 = 0x40

    public init(
        codec: CompressionCodec = .none, timestampType: TimestampType = .createTime,
        isTransactional: Bool = false,
        isControl: Bool = false, hasDeleteHorizon: Bool = false
    ) {
        rawValue =
            UInt16(codec.rawValue) | (timestampType == .logAppendTime ? Self.timestampTypeBit : 0)
            | (isTransactional ? Self.transactionalBit : 0) | (isControl ? Self.controlBit : 0)
            | (hasDeleteHorizon ? Self.deleteHorizonBit : 0)
    }

    /// Nil for the three values that no codec has.
    public var codec: CompressionCodec? { CompressionCodec(rawValue: UInt8(rawValue & Self.codecMask)) }
    /// The three bits that name the codec.
    public var codecNumber: UInt8 { UInt8(rawValue & Self.codecMask) }
    public var timestampType: TimestampType {
        rawValue & Self.timestampTypeBit == 0 ? .createTime : .logAppendTime
    }
    public var isTransactional: Bool { rawValue & Self.transactionalBit != 0 }
    public var isControl: Bool { rawValue & Self.controlBit != 0 }
    public var hasDeleteHorizon: Bool { rawValue & Self.deleteHorizonBit != 0 }

    /// The same with another codec.
    func with(codec: CompressionCodec) -> BatchAttributes {
        BatchAttributes(rawValue: rawValue & ~Self.codecMask | UInt16(codec.rawValue))
    }

    /// The same with another timestamp type.
    public func with(timestampType: TimestampType) -> BatchAttributes {
        let others = rawValue & ~Self.timestampTypeBit
        return BatchAttributes(
            rawValue: timestampType == .logAppendTime ? others | Self.timestampTypeBit : others)
    }
}

/// The 61 bytes before a batch's records, as values.
public struct RecordBatchHeader: Sendable, Equatable {
    enum Field {
        static let baseOffset = 0
        static let batchLength = baseOffset + 8
        static let partitionLeaderEpoch = batchLength + 4
        static let magic = partitionLeaderEpoch + 4
        static let crc = magic + 1
        static let attributes = crc + 4
        static let lastOffsetDelta = attributes + 2
        static let baseTimestamp = lastOffsetDelta + 4
        static let maxTimestamp = baseTimestamp + 8
        static let producerID = maxTimestamp + 8
        static let producerEpoch = producerID + 8
        static let baseSequence = producerEpoch + 2
        static let recordCount = baseSequence + 4
        static let records = recordCount + 4
    }

    /// Size of the header: 61.
    public static let byteCount = Field.records
    /// Bytes before what `batchLength` counts: 12.
    public static let lengthPrefixByteCount = Field.partitionLeaderEpoch
    /// The checksum covers everything from this byte of the batch on: 21.
    public static let checksummedFrom = Field.attributes
    /// Where magic is: 16.
    public static let magicPosition = Field.magic
    /// The only magic that is read or written.
    public static let currentMagic: Int8 = 2

    public var baseOffset: Offset
    /// Size of the whole batch, header included, in bytes.
    public var byteCount: Int
    public var partitionLeaderEpoch: LeaderEpoch
    public var crc: UInt32
    public var attributes: BatchAttributes
    public var lastOffsetDelta: Int32
    public var baseTimestamp: Timestamp
    public var maxTimestamp: Timestamp
    public var producerID: ProducerID
    public var producerEpoch: ProducerEpoch
    public var baseSequence: SequenceNumber
    public var recordCount: Int32

    // Both wrap round for the offsets of a damaged header, which `RecordBatch.validate` refuses.
    public var lastOffset: Offset { Offset(baseOffset.rawValue &+ Int64(lastOffsetDelta)) }
    /// The offset after the batch.
    public var nextOffset: Offset { Offset(baseOffset.rawValue &+ (Int64(lastOffsetDelta) + 1)) }
    public var hasProducerID: Bool { producerID != .none }
    public var lastSequence: SequenceNumber {
        baseSequence == .none ? .none : baseSequence.advanced(by: lastOffsetDelta)
    }
}
