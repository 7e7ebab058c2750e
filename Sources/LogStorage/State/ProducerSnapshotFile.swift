internal import RecordFormat

// A producer snapshot, `<20-digit offset>.snapshot`: the producers as they were when the log ended at that
// offset. Big endian, as Kafka writes it:
//
//   position size field
//          0    2 version                     1
//          2    4 crc                         CRC-32C of everything from position 6 to the end of the file
//          6    4 entry count
//         10      entries of 46 bytes, in no order:
//
//          0    8 producerID                  0 or more, each once
//          8    2 producerEpoch               -1: none
//         10    4 lastSequence                of the last record; -1: no batch, or a batch without sequence
//         14    8 lastOffset                  of the last record; -1: no batch
//         22    4 offsetDelta                 last - first offset of the last batch; 0: no batch
//         26    8 timestamp                   largest of the last batch or marker, milliseconds; -1: none
//         34    4 coordinatorEpoch            of the last marker; -1: none
//         38    8 currentTxnFirstOffset       first offset of the open transaction; -1: none is open
//
// Of the five batches that are remembered, the last is in the file. The file ends with the last entry. It is
// valid when its CRC and its length are right and each entry is possible; otherwise it is dropped, and the
// state is rebuilt from an older snapshot and the log after it.

/// Why bytes are no producer snapshot. Nothing is lost: the state is rebuilt from the log.
public enum ProducerSnapshotError: Error, Hashable, Sendable {
    /// The file is shorter than its 10 bytes of header.
    case truncated(byteCount: Int)
    /// Bytes 0 and 1 hold a version that is not known.
    case unsupportedVersion(Int16)
    /// The entry count at position 6 needs another length than that of the file.
    case wrongByteCount(entryCount: Int32, byteCount: Int)
    /// The CRC at position 2 is not that of what follows it.
    case wrongChecksum(stored: UInt32, computed: UInt32)
    /// A value that no entry can have.
    case invalidField(position: Int, field: Field, value: Int64)

    /// The fields that can be wrong on their own.
    public enum Field: String, Hashable, Sendable {
        case producerID, producerEpoch, lastSequence, lastOffset, offsetDelta, coordinatorEpoch
        case currentTransactionFirstOffset
    }
}

extension ProducerSnapshotError: CustomStringConvertible {
    public var description: String { "\(reason); the producer snapshot will be rebuilt from the log" }

    private var reason: String {
        switch self {
        case .truncated(let byteCount):
            """
            position \(byteCount): the file ends within its header of \
            \(ProducerSnapshotFile.headerByteCount) bytes
            """
        case .unsupportedVersion(let version):
            "position 0: version is \(version) where \(ProducerSnapshotFile.version) is known"
        case .wrongByteCount(let entryCount, let byteCount):
            """
            position \(ProducerSnapshotFile.Field.entryCount): \(entryCount) entries of \
            \(ProducerSnapshotFile.entryByteCount) bytes do not make a file of \(byteCount) bytes
            """
        case .wrongChecksum(let stored, let computed):
            "position \(ProducerSnapshotFile.Field.crc): the CRC is \(stored), of the content \(computed)"
        case .invalidField(let position, let field, let value):
            "position \(position): \(field.rawValue) cannot be \(value)"
        }
    }
}

/// Producer snapshots as bytes, in Kafka's format.
public enum ProducerSnapshotFile {
    /// The only version that is read or written.
    public static let version: Int16 = 1

    enum Field {
        static let version = 0
        static let crc = version + 2
        static let entryCount = crc + 4
        static let entries = entryCount + 4
    }

    enum EntryField {
        static let producerID = 0
        static let producerEpoch = producerID + 8
        static let lastSequence = producerEpoch + 2
        static let lastOffset = lastSequence + 4
        static let offsetDelta = lastOffset + 8
        static let timestamp = offsetDelta + 4
        static let coordinatorEpoch = timestamp + 8
        static let currentTransactionFirstOffset = coordinatorEpoch + 4
        static let end = currentTransactionFirstOffset + 8
    }

    /// Bytes before the first entry: 10.
    public static let headerByteCount = Field.entries
    /// Bytes of an entry: 46.
    public static let entryByteCount = EntryField.end

    /// The bytes of a snapshot of `states`, to be stored under the name of their `mapEndOffset`.
    public static func encode(_ states: ProducerStates) -> [UInt8] { encode(states.entries) }

    /// The bytes of a snapshot of `entries`, in their order.
    public static func encode(_ entries: [ProducerEntry]) -> [UInt8] {
        var writer = ByteWriter(capacity: headerByteCount + entries.count * entryByteCount)
        writer.write(version)
        writer.write(UInt32(0))
        writer.write(Int32(entries.count))
        for entry in entries {
            writer.write(entry.producerID.rawValue)
            writer.write(entry.producerEpoch.rawValue)
            writer.write(entry.lastSequence.rawValue)
            writer.write(entry.lastDataOffset.rawValue)
            writer.write(entry.lastOffsetDelta)
            writer.write(entry.lastTimestamp.rawValue)
            writer.write(entry.coordinatorEpoch)
            writer.write(entry.currentTransactionFirstOffset?.rawValue ?? -1)
        }
        let crc = CRC32C.checksum(writer.bytes.span.bytes.extracting(droppingFirst: Field.entryCount))
        writer.overwrite(crc, at: Field.crc)
        return writer.bytes
    }

    /// The entries of a snapshot, in their order in the file, each producer once.
    public static func decode(bytes: [UInt8]) throws(ProducerSnapshotError) -> [ProducerEntry] {
        try decode(bytes.span.bytes)
    }

    /// The entries of a snapshot, in their order in the file, each producer once.
    public static func decode(_ bytes: RawSpan) throws(ProducerSnapshotError) -> [ProducerEntry] {
        var reader = ByteReader(bytes)
        let storedVersion: Int16 = try next(&reader)
        guard storedVersion == version else { throw .unsupportedVersion(storedVersion) }
        let storedCRC: UInt32 = try next(&reader)
        let entryCount: Int32 = try next(&reader)
        // Both factors are small enough for the product to fit, whatever the count claims.
        guard entryCount >= 0, reader.remaining == Int(entryCount) * entryByteCount else {
            throw .wrongByteCount(entryCount: entryCount, byteCount: bytes.byteCount)
        }
        let computedCRC = CRC32C.checksum(bytes.extracting(droppingFirst: Field.entryCount))
        guard storedCRC == computedCRC else { throw .wrongChecksum(stored: storedCRC, computed: computedCRC) }
        var entries: [ProducerEntry] = []
        entries.reserveCapacity(Int(entryCount))
        var known = Set<ProducerID>(minimumCapacity: Int(entryCount))
        for _ in 0..<entryCount {
            let position = reader.position
            let entry = try StoredEntry(from: &reader).validated(position: position)
            guard known.insert(entry.producerID).inserted else {
                throw .invalidField(position: position, field: .producerID, value: entry.producerID.rawValue)
            }
            entries.append(entry)
        }
        return entries
    }

    private static func next<Value: FixedWidthInteger & BitwiseCopyable>(
        _ reader: inout ByteReader
    ) throws(ProducerSnapshotError) -> Value {
        do {
            return try reader.read()
        } catch {
            throw .truncated(byteCount: reader.position + reader.remaining)
        }
    }

    /// The 46 bytes of an entry, of which nothing is checked yet.
    private struct StoredEntry {
        let producerID: Int64
        let producerEpoch: Int16
        let lastSequence: Int32
        let lastOffset: Int64
        let offsetDelta: Int32
        let timestamp: Int64
        let coordinatorEpoch: Int32
        let firstOffset: Int64

        init(from reader: inout ByteReader) throws(ProducerSnapshotError) {
            producerID = try next(&reader)
            producerEpoch = try next(&reader)
            lastSequence = try next(&reader)
            lastOffset = try next(&reader)
            offsetDelta = try next(&reader)
            timestamp = try next(&reader)
            coordinatorEpoch = try next(&reader)
            firstOffset = try next(&reader)
        }

        /// - Parameter position: of the entry in the file.
        func validated(position: Int) throws(ProducerSnapshotError) -> ProducerEntry {
            if let (field, place, value) = invalidField {
                throw .invalidField(position: position + place, field: field, value: value)
            }
            var entry = ProducerEntry(
                producerID: ProducerID(producerID), producerEpoch: ProducerEpoch(producerEpoch),
                coordinatorEpoch: coordinatorEpoch, lastTimestamp: Timestamp(timestamp),
                currentTransactionFirstOffset: firstOffset < 0 ? nil : Offset(firstOffset))
            if lastOffset >= 0 {
                entry.retain(
                    AppendedBatch(
                        lastSequence: SequenceNumber(lastSequence), lastOffset: Offset(lastOffset),
                        offsetDelta: offsetDelta, timestamp: Timestamp(timestamp)))
            }
            return entry
        }

        /// The first field that holds what no entry can have, its place in the entry, and its value.
        private var invalidField: (ProducerSnapshotError.Field, Int, Int64)? {
            if producerID < 0 { return (.producerID, EntryField.producerID, producerID) }
            if producerEpoch < -1 { return (.producerEpoch, EntryField.producerEpoch, Int64(producerEpoch)) }
            // The offset after the last one must exist, too.
            if lastOffset < -1 || lastOffset == .max {
                return (.lastOffset, EntryField.lastOffset, lastOffset)
            }
            if lastSequence < -1 || (lastSequence >= 0 && lastOffset < 0) {
                return (.lastSequence, EntryField.lastSequence, Int64(lastSequence))
            }
            if offsetDelta < 0 || Int64(offsetDelta) > max(lastOffset, 0) {
                return (.offsetDelta, EntryField.offsetDelta, Int64(offsetDelta))
            }
            if coordinatorEpoch < -1 {
                return (.coordinatorEpoch, EntryField.coordinatorEpoch, Int64(coordinatorEpoch))
            }
            if firstOffset < -1 || firstOffset == .max {
                return (
                    .currentTransactionFirstOffset, EntryField.currentTransactionFirstOffset, firstOffset
                )
            }
            return nil
        }
    }
}
