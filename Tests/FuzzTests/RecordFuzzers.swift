import Base
import Foundation
import RecordFormat

/// Decoding of record batches, of what is compressed in them, and of control records. Starts from Kafka's
/// own.
let recordFuzzers = [
    Fuzzer(name: "record-batch-header", seeds: { goldenBatches(perFile: 2).map { Array($0.prefix(61)) } }) {
        input in
        let header = try RecordBatchHeader(parsing: input.span.bytes)
        var writer = ByteWriter()
        header.write(to: &writer)
        guard writer.bytes == Array(input.prefix(RecordBatchHeader.byteCount)) else {
            throw FuzzFailure("a header that was read is written otherwise")
        }
        _ = (header.lastOffset, header.nextOffset, header.lastSequence)
        try RecordBatch.validateFromProducer(header)
    },
    Fuzzer(name: "record-batch", seeds: { goldenBatches(perFile: 3) }) { try fuzzBatch($0) },
    Fuzzer(name: "control-record", seeds: { controlRecordSeeds() }) { input in
        // The first four bytes are the key.
        let key = Array(input.prefix(4))
        let value = Array(input.dropFirst(4))
        let record = try ControlRecord(key: key.span.bytes, value: value.span.bytes)
        if case .unknown = record { return }
        let (keyAgain, valueAgain) = (record.encodedKey(), record.encodedValue())
        guard try ControlRecord(key: keyAgain.span.bytes, value: valueAgain.span.bytes) == record else {
            throw FuzzFailure("\(record) is written as another")
        }
    },
    codecFuzzer(.gzip), codecFuzzer(.snappy), codecFuzzer(.lz4), codecFuzzer(.zstd),
]

/// What a fuzzed batch may take decompressed.
private let maximumByteCount = 4 << 20

/// Takes any bytes as a compressed stream, and any bytes as what is to be compressed.
private func codecFuzzer(_ codec: CompressionCodec) -> Fuzzer {
    Fuzzer(name: "decompress-\(codec)", seeds: { compressedSeeds(codec) }) { input in
        var writer = ByteWriter()
        try Compressor().compress(input.span.bytes, codec: codec, into: &writer)
        let compressed = writer.bytes
        let decompressor = Decompressor(maximumByteCount: maximumByteCount)
        let isSame = try decompressor.withDecompressed(compressed.span.bytes, codec: codec) {
            Array(copying: $0) == input
        }
        guard isSame else { throw FuzzFailure("\(codec) gives back other bytes than it took") }
        let byteCount = try decompressor.withDecompressed(input.span.bytes, codec: codec) { $0.byteCount }
        guard byteCount <= maximumByteCount else { throw FuzzFailure("\(byteCount) bytes pass the bound") }
    }
}

/// Reads the records of a batch as it is, then under a length and CRC that are right for it: mutations seldom
/// find them. What passes every check must come back from the builder as the same records.
private func fuzzBatch(_ input: [UInt8]) throws {
    var bytes = input
    guard bytes.count >= RecordBatchHeader.byteCount else {
        _ = try RecordBatchHeader(parsing: bytes.span.bytes)
        return
    }
    let decompressor = Decompressor(maximumByteCount: maximumByteCount)
    if let header = try? RecordBatchHeader(parsing: bytes.span.bytes) {
        try? RecordBatch.validate(bytes.span.bytes, header: header)
        _ = try? RecordBatch.records(of: bytes.span.bytes, header: header, decompressor: decompressor)
    }
    let length = Int32(bytes.count - RecordBatchHeader.lengthPrefixByteCount)
    withUnsafeBytes(of: length.bigEndian) { bytes.replaceSubrange(8..<12, with: $0) }
    var span = bytes.mutableSpan
    var batch = span.mutableBytes
    RecordBatch.updateChecksum(of: &batch)

    let header = try RecordBatchHeader(parsing: bytes.span.bytes)
    try RecordBatch.validate(bytes.span.bytes, header: header)
    let summary = try RecordBatch.validateRecords(
        bytes.span.bytes, header: header, decompressor: decompressor, requireConsecutiveOffsets: false)
    let records = try RecordBatch.records(of: bytes.span.bytes, header: header, decompressor: decompressor)
    guard records.count == Int(header.recordCount),
        records.last.map({ $0.offset <= header.lastOffset }) ?? true,
        records.isEmpty || records.map(\.timestamp).max() == summary.maxTimestamp
    else {
        throw FuzzFailure("the summary \(summary) of \(header) is not that of its \(records.count) records")
    }

    var builder = RecordBatchBuilder(rewriting: header)
    for record in records { builder.append(record) }
    let again = try builder.finish(compressor: Compressor())
    let newHeader = try RecordBatchHeader(parsing: again.span.bytes)
    try RecordBatch.validate(again.span.bytes, header: newHeader)
    let found = try RecordBatch.records(of: again.span.bytes, header: newHeader, decompressor: decompressor)
    guard found == records, newHeader.lastOffset == header.lastOffset else {
        throw FuzzFailure("the records of \(header) are others when they are written again")
    }
}

// MARK: - Seeds

/// The first batches of every log of the golden Kafka directory.
private func goldenBatches(perFile count: Int) -> [[UInt8]] {
    let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("FormatTests/Golden/kafka-3.9")
    guard let files = FileManager.default.enumerator(at: directory, includingPropertiesForKeys: nil) else {
        return []
    }
    var result: [[UInt8]] = []
    for case let file as URL in files where ["log", "checkpoint"].contains(file.pathExtension) {
        guard let data = try? Data(contentsOf: file) else { continue }
        var rest = [UInt8](data)[...]
        for _ in 0..<count {
            let bytes = Array(rest)
            guard let header = try? RecordBatchHeader(parsing: bytes.span.bytes),
                header.byteCount <= bytes.count
            else { break }
            result.append(Array(rest.prefix(header.byteCount)))
            rest = rest.dropFirst(header.byteCount)
        }
    }
    invariant(!result.isEmpty, "no golden batches below \(directory.path)")
    return result
}

/// The compressed records of golden batches, and small streams.
private func compressedSeeds(_ codec: CompressionCodec) -> [[UInt8]] {
    var result = goldenBatches(perFile: 3).filter {
        (try? RecordBatchHeader(parsing: $0.span.bytes))?.attributes.codec == codec
    }.map { Array($0.dropFirst(RecordBatchHeader.byteCount)) }
    for payload in [[], [1, 2, 3], [UInt8](repeating: 7, count: 70_000)] as [[UInt8]] {
        var writer = ByteWriter()
        if (try? Compressor().compress(payload.span.bytes, codec: codec, into: &writer)) != nil {
            result.append(writer.bytes)
        }
    }
    return result
}

private func controlRecordSeeds() -> [[UInt8]] {
    let voter = QuorumVoter(id: 1, directoryID: DirectoryID(UniqueID(high: 1, low: 2)))
    let endpoint = KRaftVoter.Endpoint(name: "CONTROLLER", host: "localhost", port: 9093)
    let records: [ControlRecord] = [
        .endTransaction(isCommit: true, coordinatorEpoch: 3),
        .endTransaction(isCommit: false, coordinatorEpoch: 0),
        .leaderChange(LeaderChange(leaderID: 1, voters: [QuorumVoter(id: 1)], grantingVoters: [])),
        .leaderChange(LeaderChange(leaderID: 1, voters: [voter], grantingVoters: [voter])),
        .snapshotHeader(lastContainedLogTimestamp: Timestamp(7)), .snapshotFooter, .kraftVersion(1),
        .kraftVoters([
            KRaftVoter(
                id: 1, directoryID: DirectoryID(UniqueID(high: 1, low: 2)), endpoints: [endpoint],
                supportedVersions: 0...1)
        ]),
    ]
    return records.map { $0.encodedKey() + $0.encodedValue() }
}
