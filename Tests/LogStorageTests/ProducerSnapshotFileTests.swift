import Base
import Foundation
import LogStorage
import RecordFormat
import Testing

private let golden = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
        "FormatTests/Golden/kafka-3.9")

private func goldenFiles(suffix: String, in folder: URL) throws -> [URL] {
    try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        .filter { $0.lastPathComponent.hasSuffix(suffix) }
        .sorted { $0.lastPathComponent < $1.lastPathComponent }
}

private func bytes(of file: URL) throws -> [UInt8] { [UInt8](try Data(contentsOf: file)) }

/// A snapshot with every kind of entry.
private func sample() throws -> [UInt8] {
    var states = ProducerStates()
    try states.append(producer: 1, epoch: 3, sequence: Int32.max - 1, count: 5)
    try states.append(producer: 2, sequence: 0, count: 10, timestamp: -1, isTransactional: true)
    try states.end(producer: 3, epoch: 32_767, coordinatorEpoch: 8)
    try states.append(producer: Int64.max, sequence: -1, origin: .coordinator)
    return ProducerSnapshotFile.encode(states)
}

/// The same content under a CRC that is right for it.
private func withChecksum(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    let crc = CRC32C.checksum(bytes.span.bytes.extracting(droppingFirst: 6))
    withUnsafeBytes(of: crc.bigEndian) { bytes.replaceSubrange(2..<6, with: $0) }
    return bytes
}

private struct FieldCase: CustomTestStringConvertible, Sendable {
    let field: ProducerSnapshotError.Field
    /// Place in the entry and big-endian bytes to put there.
    let place: Int
    let bytes: [UInt8]
    let value: Int64

    var testDescription: String { "\(field.rawValue) \(value)" }
}

private func bigEndianBytes<Value: FixedWidthInteger>(of value: Value) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
}

private func fieldCase<Value: FixedWidthInteger>(
    _ field: ProducerSnapshotError.Field, _ place: Int, _ value: Value
) -> FieldCase {
    FieldCase(field: field, place: place, bytes: bigEndianBytes(of: value), value: Int64(value))
}

private let impossibleFields = [
    fieldCase(.producerID, 0, Int64(-1)), fieldCase(.producerID, 0, Int64.min),
    fieldCase(.producerEpoch, 8, Int16(-2)), fieldCase(.lastSequence, 10, Int32(-2)),
    fieldCase(.lastOffset, 14, Int64(-2)), fieldCase(.lastOffset, 14, Int64.max),
    fieldCase(.lastSequence, 14, Int64(-1)),
    fieldCase(.offsetDelta, 22, Int32(-1)), fieldCase(.offsetDelta, 22, Int32.max),
    fieldCase(.coordinatorEpoch, 34, Int32(-2)), fieldCase(.currentTransactionFirstOffset, 38, Int64(-2)),
    fieldCase(.currentTransactionFirstOffset, 38, Int64.max),
]

@Suite("Producer snapshots")
struct ProducerSnapshotFileTests {
    @Test("the header takes 10 bytes and an entry 46")
    func sizes() {
        #expect(ProducerSnapshotFile.headerByteCount == 10)
        #expect(ProducerSnapshotFile.entryByteCount == 46)
        #expect(ProducerSnapshotFile.encode([]).count == 10)
    }

    @Test("what was written is read back, with the last batch of each producer")
    func roundTrip() throws {
        let encoded = try sample()
        let entries = try ProducerSnapshotFile.decode(bytes: encoded)
        #expect(ProducerSnapshotFile.encode(entries) == encoded)
        try #require(entries.map(\.producerID.rawValue) == [1, 2, 3, Int64.max])
        #expect(
            entries[0].lastBatch
                == AppendedBatch(
                    lastSequence: SequenceNumber(2), lastOffset: Offset(4), offsetDelta: 4,
                    timestamp: Timestamp(1_000)))
        #expect(entries[0].lastBatch?.firstSequence == SequenceNumber(Int32.max - 1))
        #expect(
            entries[0].currentTransactionFirstOffset == nil && entries[0].producerEpoch == ProducerEpoch(3))
        #expect(entries[1].currentTransactionFirstOffset == Offset(5) && entries[1].lastTimestamp == .none)
        #expect(entries[2].batchCount == 0 && entries[2].coordinatorEpoch == 8)
        #expect(
            entries[3].lastSequence == .none && entries[3].lastBatch?.firstSequence == SequenceNumber.none)
        #expect(entries[3].lastDataOffset == Offset(16))
    }

    @Test("every snapshot of a real Kafka is read and written again byte for byte")
    func goldenSnapshots() throws {
        var count = 0
        var entryCount = 0
        for folder in try goldenFiles(suffix: "", in: golden) where folder.hasDirectoryPath {
            let files =
                try goldenFiles(suffix: ".snapshot", in: folder)
                + goldenFiles(suffix: ".snapshot.deleted", in: folder)
            for file in files {
                let content = try bytes(of: file)
                let entries = try ProducerSnapshotFile.decode(bytes: content)
                #expect(ProducerSnapshotFile.encode(entries) == content, "\(file.path)")
                count += 1
                entryCount += entries.count
            }
        }
        #expect(count >= 30)
        #expect(entryCount >= 7)
    }

    @Test("no truncation is taken for a snapshot")
    func truncations() throws {
        let encoded = try sample()
        for count in 0..<encoded.count {
            #expect(throws: ProducerSnapshotError.self) {
                try ProducerSnapshotFile.decode(bytes: Array(encoded[..<count]))
            }
        }
        #expect(throws: ProducerSnapshotError.self) { try ProducerSnapshotFile.decode(bytes: encoded + [0]) }
    }

    @Test("no flipped bit is overlooked")
    func bitFlips() throws {
        let encoded = try sample()
        for bit in 0..<encoded.count * 8 {
            var damaged = encoded
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: ProducerSnapshotError.self, "bit \(bit)") {
                try ProducerSnapshotFile.decode(bytes: damaged)
            }
        }
    }

    @Test("errors name the position and say that nothing is lost")
    func errors() throws {
        var encoded = try sample()
        #expect(throws: ProducerSnapshotError.truncated(byteCount: 9)) {
            try ProducerSnapshotFile.decode(bytes: Array(encoded[..<9]))
        }
        encoded[1] = 2
        #expect(throws: ProducerSnapshotError.unsupportedVersion(2)) {
            try ProducerSnapshotFile.decode(bytes: encoded)
        }
        encoded[1] = 1
        encoded[6] = 0x7F
        #expect(throws: ProducerSnapshotError.wrongByteCount(entryCount: 0x7F00_0004, byteCount: 194)) {
            try ProducerSnapshotFile.decode(bytes: withChecksum(encoded))
        }
        encoded[6] = 0xFF
        #expect(throws: ProducerSnapshotError.wrongByteCount(entryCount: -0xFF_FFFC, byteCount: 194)) {
            try ProducerSnapshotFile.decode(bytes: withChecksum(encoded))
        }
        #expect(
            ProducerSnapshotError.wrongChecksum(stored: 1, computed: 2).description
                == "position 2: the CRC is 1, of the content 2; "
                + "the producer snapshot will be rebuilt from the log")
        let invalid = ProducerSnapshotError.invalidField(position: 56, field: .producerID, value: -7)
        #expect(
            invalid.description
                == "position 56: producerID cannot be -7; the producer snapshot will be rebuilt from the log")
    }

    @Test("a value that no entry can have is refused under a right CRC, too", arguments: impossibleFields)
    fileprivate func impossible(_ example: FieldCase) throws {
        var encoded = try sample()
        let entry = ProducerSnapshotFile.headerByteCount
        encoded.replaceSubrange(
            entry + example.place..<entry + example.place + example.bytes.count, with: example.bytes)
        let error = #expect(throws: ProducerSnapshotError.self) {
            try ProducerSnapshotFile.decode(bytes: withChecksum(encoded))
        }
        guard case .invalidField(let position, let field, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(field == example.field)
        #expect((entry..<entry + ProducerSnapshotFile.entryByteCount).contains(position))
    }

    @Test("a producer that is in a snapshot twice is refused")
    func twice() throws {
        var states = ProducerStates()
        try states.append(producer: 7, sequence: 0)
        let encoded = ProducerSnapshotFile.encode(states.entries + states.entries)
        #expect(throws: ProducerSnapshotError.invalidField(position: 56, field: .producerID, value: 7)) {
            try ProducerSnapshotFile.decode(bytes: encoded)
        }
    }
}

/// Kafka's own logs, batch by batch through the producer state: what it wrote as snapshots and transaction
/// index is what we must come to.
@Suite("Producer states against Kafka's")
struct GoldenProducerStatesTests {
    @Test(
        "replaying Kafka's log gives its snapshots, byte for byte, and its transaction index",
        arguments: ["golden-idempotent-0", "golden-txn-0", "golden-none-0", "__transaction_state-14"])
    func replay(name: String) throws {
        let folder = golden.appendingPathComponent(name)
        var snapshots: [Int64: [UInt8]] = [:]
        for file in try goldenFiles(suffix: ".snapshot", in: folder) {
            snapshots[try #require(Int64(file.lastPathComponent.prefix(20)))] = try bytes(of: file)
        }
        var transactionIndex: [UInt8] = []
        for file in try goldenFiles(suffix: ".txnindex", in: folder) {
            transactionIndex += try bytes(of: file)
        }

        var states = ProducerStates()
        var ours = ByteWriter()
        for file in try goldenFiles(suffix: ".log", in: folder) {
            let log = try bytes(of: file)
            var position = 0
            while position < log.count {
                let header = try RecordBatchHeader(
                    parsing: log.span.bytes.extracting(droppingFirst: position))
                if let expected = snapshots.removeValue(forKey: header.baseOffset.rawValue) {
                    #expect(ProducerSnapshotFile.encode(states) == expected, "at \(header.baseOffset)")
                }
                let batch = log.span.bytes.extracting(position..<position + header.byteCount)
                try append(header, batch, to: &states, transactionIndex: &ours)
                position += header.byteCount
            }
        }
        if let expected = snapshots.removeValue(forKey: states.mapEndOffset.rawValue) {
            #expect(ProducerSnapshotFile.encode(states) == expected, "at the end, \(states.mapEndOffset)")
        }
        #expect(snapshots.isEmpty, "snapshots at offsets where no batch begins")
        #expect(ours.bytes == transactionIndex)
        #expect(ours.byteCount > 0 || name != "golden-txn-0")
    }

    private func append(
        _ header: RecordBatchHeader, _ batch: RawSpan, to states: inout ProducerStates,
        transactionIndex: inout ByteWriter
    ) throws {
        if !header.attributes.isControl {
            // Our rules for a leader accept what Kafka's leader has accepted.
            if !header.hasProducerID || header.baseSequence != .none {
                let duplicate = try states.check(header, origin: .client)
                #expect(duplicate == nil)
            }
            states.update(header)
            return
        }
        guard header.hasProducerID else { return states.update(header) }
        let marker = try marker(of: batch)
        try states.checkMarker(header, marker: marker)
        let completed = states.complete(
            header, isAbort: marker.isAbort, coordinatorEpoch: marker.coordinatorEpoch)
        guard let completed else { return }
        if completed.isAborted {
            transactionIndex.write(Int16(0))
            transactionIndex.write(completed.producerID.rawValue)
            transactionIndex.write(completed.firstOffset.rawValue)
            transactionIndex.write(completed.lastOffset.rawValue)
            transactionIndex.write(states.lastStableOffset(afterCompleting: completed).rawValue)
        }
        states.transactionIndexed(completed)
    }

    /// The control record of a marker, read by hand.
    private func marker(of batch: RawSpan) throws -> TransactionMarker {
        var reader = ByteReader(batch)
        try reader.skip(RecordBatchHeader.byteCount)
        _ = try reader.readVarint() // length
        _ = try reader.read(Int8.self) // attributes
        _ = try reader.readVarlong() // timestamp delta
        _ = try reader.readVarint() // offset delta
        #expect(try reader.readVarint() == 4)
        #expect(try reader.read(Int16.self) == 0)
        let type = try reader.read(Int16.self)
        #expect(type == 0 || type == 1)
        #expect(try reader.readVarint() == 6)
        #expect(try reader.read(Int16.self) == 0)
        return TransactionMarker(type == 0 ? .abort : .commit, coordinatorEpoch: try reader.read())
    }
}
