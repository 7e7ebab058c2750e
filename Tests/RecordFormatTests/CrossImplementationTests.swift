import Foundation
import RecordFormat
import Testing

/// Batches and compressed bytes, written by us and read by kafka-python and aiokafka, and the other way
/// round.
@Suite("Against other implementations")
struct CrossImplementationTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Runs `tools/cross-check-records command` in the environment of `tools/python-environment`.
    private static func run(_ command: String, _ input: Any) throws -> Any {
        let python = root.appendingPathComponent(".build/python/bin/python")
        try #require(
            FileManager.default.isExecutableFile(atPath: python.path),
            "the Python environment is missing: run tools/python-environment, then the tests again")
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("dmq-cross-check-\(command)-\(ProcessInfo.processInfo.processIdentifier)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (inputFile, outputFile) = (
            folder.appendingPathComponent("in"), folder.appendingPathComponent("out")
        )
        try JSONSerialization.data(withJSONObject: input).write(to: inputFile)
        try Data().write(to: outputFile)
        let process = Process()
        process.executableURL = python
        process.arguments = [root.appendingPathComponent("tools/cross-check-records").path, command]
        process.standardInput = try FileHandle(forReadingFrom: inputFile)
        process.standardOutput = try FileHandle(forWritingTo: outputFile)
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "tools/cross-check-records \(command) failed")
        return try JSONSerialization.jsonObject(with: Data(contentsOf: outputFile))
    }

    private static func json(_ bytes: [UInt8]?) -> Any {
        bytes.map { Data($0).base64EncodedString() as Any } ?? NSNull()
    }

    private static func json(_ record: Record, offset: Int64) -> [Any] {
        [
            NSNumber(value: offset), NSNumber(value: record.timestamp.rawValue), json(record.key),
            json(record.value),
            record.headers.map { [$0.name, json($0.value)] as [Any] },
        ]
    }

    private static func bytes(_ value: Any) throws -> [UInt8] {
        let text = try #require(value as? String)
        return [UInt8](try #require(Data(base64Encoded: text)))
    }

    @Test(
        "batches that we write, with every codec, are read back by other implementations, and so are Kafka's")
    func theyReadOurs() throws {
        let compressor = Compressor()
        let decompressor = Decompressor()
        var batches: [[UInt8]] = []
        for codec in CompressionCodec.allCases {
            for seed in 1...25 as ClosedRange<UInt64> {
                var random = RandomRecords(seed: seed * 31)
                var builder = RecordBatchBuilder(codec: codec, baseOffset: Offset(1_000_000))
                for record in random.records(from: 1_000_000, hasGaps: seed % 2 == 0) {
                    builder.append(record)
                }
                batches.append(try builder.finish(compressor: compressor))
            }
        }
        batches += try Golden.batches(of: "golden-txn-0/00000000000000000000.log").map(\.bytes)
        let answer = try #require(
            try Self.run("read", batches.map { Data($0).base64EncodedString() }) as? [String: [[Any]]])
        #expect(Set(answer.keys) == ["kafka-python", "aiokafka"])
        for (library, results) in answer {
            try #require(results.count == batches.count)
            for (batch, result) in zip(batches, results) {
                let header = try RecordBatchHeader(parsing: batch.span.bytes)
                let ours = try RecordBatch.records(
                    of: batch.span.bytes, header: header, decompressor: decompressor)
                let expected = ours.map { Self.json($0, offset: $0.offset.rawValue) } as NSArray
                #expect(result[0] as? Bool == true, "\(library): CRC of \(header)")
                #expect((result[1] as? NSArray) == expected, "\(library): records of \(header)")
            }
        }
    }

    @Test("batches that other implementations write, with every codec, are read back by us")
    func weReadTheirs() throws {
        var requests: [[String: Any]] = []
        var expected: [[Record]] = []
        for codec in CompressionCodec.allCases {
            for seed in 1...25 as ClosedRange<UInt64> {
                var random = RandomRecords(seed: seed * 37)
                let records = random.records(from: 0, hasGaps: false)
                expected.append(records)
                requests.append([
                    "codec": Int(codec.rawValue), "producer": [9, 2, 40],
                    "records": records.map { Self.json($0, offset: $0.offset.rawValue) },
                ])
            }
        }
        let answer = try #require(try Self.run("write", requests) as? [String: [Any]])
        #expect(Set(answer.keys) == ["kafka-python", "aiokafka"])
        let decompressor = Decompressor()
        var codecs: Set<CompressionCodec> = []
        for (library, batches) in answer {
            try #require(batches.count == expected.count)
            for (encoded, records) in zip(batches, expected) {
                let batch = try Self.bytes(encoded)
                let header = try RecordBatchHeader(parsing: batch.span.bytes)
                try RecordBatch.validate(batch.span.bytes, header: header)
                try RecordBatch.validateFromProducer(header)
                try RecordBatch.validateRecords(batch.span.bytes, header: header, decompressor: decompressor)
                let found = try RecordBatch.records(
                    of: batch.span.bytes, header: header, decompressor: decompressor)
                #expect(found == records, "\(library): \(header)")
                #expect(header.producerID == ProducerID(9) && header.baseSequence == SequenceNumber(40))
                if let codec = header.attributes.codec { codecs.insert(codec) }
            }
        }
        #expect(codecs == Set(CompressionCodec.allCases))
    }

    @Test(
        "every variant of the compressed formats is read: block sizes, linking, checksums, members, frames"
    )
    func variants() throws {
        var random = RandomRecords(seed: 41)
        var words: [UInt8] = []
        while words.count < 700_000 { words += random.bytes(random.int(0...400)) }
        let payloads = [[7], Array(words[..<5000]), Array(words[..<70_000]), words, random.bytes(200_000)]
        let answer = try #require(
            try Self.run("compress", payloads.map { Data($0).base64EncodedString() }) as? [String: [[Any]]])
        #expect(answer.count == 48)
        let decompressor = Decompressor()
        for (variant, results) in answer {
            try #require(results.count == payloads.count)
            for (payload, result) in zip(payloads, results) {
                let codec = try #require(
                    (result[0] as? NSNumber).flatMap { CompressionCodec(rawValue: $0.uint8Value) })
                let compressed = try Self.bytes(result[1])
                let found = try decompressor.withDecompressed(compressed.span.bytes, codec: codec) {
                    Array(copying: $0)
                }
                #expect(found == payload, "\(variant), \(payload.count) bytes")
            }
        }
    }
}
