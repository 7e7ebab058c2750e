/// Why bytes are not a record batch that may be stored or read. Closed; the values say what was found.
public enum RecordBatchError: Error, Hashable, Sendable {
    /// Fewer bytes than the header, or than the length that the header states.
    case truncated(have: Int, need: Int)
    /// A message format that is not version 2; 0 and 1 are those before Kafka 0.11.
    case unsupportedMagic(Int8)
    /// A `batchLength` field below 49, what the rest of the header takes.
    case invalidLength(Int32)
    /// More bytes were handed over than the batch has.
    case trailingBytes(have: Int, need: Int)
    case checksumMismatch(stored: UInt32, computed: UInt32)
    /// A codec number (5, 6 or 7) that stands for nothing.
    case unknownCodec(UInt8)
    /// A base offset below 0, or so large that the last offset is none.
    case invalidBaseOffset(Int64)
    case negativeRecordCount(Int32)
    case negativeLastOffsetDelta(Int32)
    /// More records than offsets between the first and the last, or, from a producer, not one for each.
    case recordCountMismatch(recordCount: Int32, lastOffsetDelta: Int32)
    /// A producer sent what only a broker may write or sets.
    case refusedFromProducer(ProducerRefusal)
    /// The record at `index` (0 ..< record count) cannot be read or breaks a rule.
    case malformedRecord(index: Int, reason: RecordDefect)
    /// Bytes after the last record.
    case bytesAfterRecords(Int)
    /// The compressed bytes cannot be decompressed.
    case decompressionFailed(codec: CompressionCodec, reason: DecompressionDefect)
    /// The records take more than `maximumByteCount` bytes once decompressed.
    case decompressedTooLarge(codec: CompressionCodec, maximumByteCount: Int)
}

/// What a producer may not send.
public enum ProducerRefusal: Hashable, Sendable {
    case controlBatch
    /// Only a broker stamps batches with the time of appending.
    case logAppendTime
    /// Only compaction sets it.
    case deleteHorizon
    /// A producer ID without a sequence number, or with a negative one.
    case sequence(SequenceNumber)
    /// A transactional batch without a producer ID.
    case transactionalWithoutProducerID
    /// A batch with no record.
    case noRecords
    /// Producers number their batches from 0; the leader assigns the offset.
    case baseOffset(Offset)
}

/// What is wrong with a record.
public enum RecordDefect: Error, Hashable, Sendable {
    /// The batch ends before the record does; or the record before its fields do.
    case truncated
    /// A variable-length number of more than 5 (32 bits) or 10 (64 bits) bytes.
    case overlongNumber
    /// A length below -1, or below 0 where null is not allowed.
    case negativeLength(Int32)
    /// The fields end `byteCount` bytes before the record does.
    case trailingBytes(Int)
    case headerCount(Int32)
    /// The offset delta is not the one that must be next: `expected` where offsets are consecutive.
    case offsetDelta(found: Int32, expected: Int32)
    /// A record without a key, in a compacted topic.
    case missingKey
}

/// What is wrong with compressed bytes.
public enum DecompressionDefect: Hashable, Sendable {
    /// The bytes end within the compressed stream.
    case truncated
    /// Not what the codec writes: a bad magic, table, distance or checksum.
    case corrupt
    /// The library could not get the memory that it needs.
    case outOfMemory
    /// Bytes after the end of the compressed stream.
    case trailingBytes
    /// The stream wants a larger window (zstd) than is allowed: 128 MiB.
    case windowTooLarge
}

extension RecordBatchError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated(let have, let need):
            "the record batch is cut off: \(need) bytes are needed, \(have) are there"
        case .unsupportedMagic(let magic) where magic == 0 || magic == 1:
            "message format \(magic) (from before Kafka 0.11) is not supported: use a producer of Kafka 0.11 "
                + "or later, or have Kafka 3.x rewrite the log with format version 2"
        case .unsupportedMagic(let magic):
            "message format \(magic) is unknown: only record batches of magic 2 are read"
        case .invalidLength(let length):
            "batch length \(length) is less than the 49 bytes that the rest of the header takes"
        case .trailingBytes(let have, let need):
            "the record batch takes \(need) bytes but \(have) were given"
        case .checksumMismatch(let stored, let computed):
            "CRC-32C does not match: the batch says 0x\(hexadecimal(stored)), "
                + "its bytes give 0x\(hexadecimal(computed))"
        case .unknownCodec(let number):
            "compression codec \(number) is unknown: 0 none, 1 gzip, 2 snappy, 3 lz4 and 4 zstd are"
        case .invalidBaseOffset(let offset): "base offset \(offset) cannot be one"
        case .negativeRecordCount(let count): "record count \(count) is negative"
        case .negativeLastOffsetDelta(let delta): "last offset delta \(delta) is negative"
        case .recordCountMismatch(let count, let delta):
            "\(count) records do not go with last offset delta \(delta)"
        case .refusedFromProducer(let refusal): refusal.description
        case .malformedRecord(let index, let reason): "record \(index) of the batch: \(reason)"
        case .bytesAfterRecords(let byteCount): "\(byteCount) bytes follow the last record of the batch"
        case .decompressionFailed(let codec, let reason): "\(codec) records cannot be decompressed: \(reason)"
        case .decompressedTooLarge(let codec, let maximum):
            "\(codec) records take more than the allowed \(maximum) bytes when decompressed"
        }
    }

    private func hexadecimal(_ value: UInt32) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}

extension ProducerRefusal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .controlBatch: "producers may not write control batches"
        case .logAppendTime: "producers may not set the timestamp type to LogAppendTime"
        case .deleteHorizon: "producers may not set a delete horizon"
        case .sequence(let number):
            "a batch with a producer ID needs a sequence number of 0 or more, not \(number)"
        case .transactionalWithoutProducerID: "a transactional batch needs a producer ID"
        case .noRecords: "the batch has no record"
        case .baseOffset(let offset): "producers must leave the base offset at 0, not \(offset)"
        }
    }
}

extension RecordDefect: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated: "it is cut off"
        case .overlongNumber: "a variable-length number takes too many bytes"
        case .negativeLength(let length): "a length is \(length)"
        case .trailingBytes(let count): "its fields end \(count) bytes before it does"
        case .headerCount(let count): "it says that it has \(count) headers"
        case .offsetDelta(let found, let expected): "its offset delta is \(found) where \(expected) is due"
        case .missingKey: "it has no key, which every record of a compacted topic needs"
        }
    }
}

extension DecompressionDefect: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated: "the compressed bytes are cut off"
        case .corrupt: "the compressed bytes are damaged"
        case .outOfMemory: "there is not enough memory"
        case .trailingBytes: "bytes follow the end of the compressed data"
        case .windowTooLarge: "decompressing them takes a window of more than 128 MiB"
        }
    }
}
