import RecordFormat
import Testing

@Suite("Records of the golden logs")
struct GoldenRecordTests {
    @Test(
        "every record of every topic reads back as Kafka's consumer saw it",
        arguments: [
            "golden-none", "golden-gzip", "golden-snappy", "golden-lz4", "golden-zstd", "golden-idempotent",
            "golden-logappendtime", "golden-txn", "golden-compacted",
        ])
    func recordsEqualExpected(topic: String) throws {
        let expected = try #require(try Golden.expected()[topic])
        let decompressor = Decompressor()
        var found: [Golden.ExpectedRecord] = []
        for file in try Golden.logFiles() where file.hasPrefix(topic + "-0/") && file.hasSuffix(".log") {
            for batch in try Golden.batches(of: file) {
                let bytes = batch.bytes.span.bytes
                let header = try RecordBatchHeader(parsing: bytes)
                if header.attributes.isControl { continue }
                let records = try RecordBatch.records(of: bytes, header: header, decompressor: decompressor)
                found += records.map { Golden.ExpectedRecord($0, header.attributes.timestampType) }
            }
        }
        #expect(!found.isEmpty)
        #expect(found == expected)
    }

    @Test(
        "every batch of the golden logs passes the check of its records, with the largest timestamp it states"
    )
    func validateRecords() throws {
        let decompressor = Decompressor()
        var codecs: Set<CompressionCodec> = []
        for batch in try Golden.allBatches() {
            let bytes = batch.bytes.span.bytes
            let header = try RecordBatchHeader(parsing: bytes)
            let summary = try RecordBatch.validateRecords(
                bytes, header: header, decompressor: decompressor, requireConsecutiveOffsets: false)
            #expect(summary.maxTimestamp == header.maxTimestamp, "\(batch)")
            #expect(summary.offsetOfMaxTimestamp >= header.baseOffset, "\(batch)")
            #expect(summary.offsetOfMaxTimestamp <= header.lastOffset, "\(batch)")
            if let codec = header.attributes.codec { codecs.insert(codec) }
            if !batch.file.hasPrefix("golden-compacted") {
                try RecordBatch.validateRecords(bytes, header: header, decompressor: decompressor)
            }
        }
        #expect(codecs == Set(CompressionCodec.allCases))
    }

    @Test("a record without a key is refused where keys are required, and named by its index")
    func missingKey() throws {
        // The producer of the golden records left every seventh key out.
        let batch = try #require(try Golden.batches(of: "golden-zstd-0/00000000000000000000.log").first).bytes
        let header = try RecordBatchHeader(parsing: batch.span.bytes)
        #expect(throws: RecordBatchError.malformedRecord(index: 0, reason: .missingKey)) {
            try RecordBatch.validateRecords(
                batch.span.bytes, header: header, decompressor: Decompressor(), requireKeys: true)
        }
    }
}

extension Golden.ExpectedRecord {
    init(_ record: Record, _ type: TimestampType) {
        self.init(
            offset: record.offset.rawValue, timestampType: Int(type.rawValue) + 1,
            timestamp: record.timestamp.rawValue, key: record.key, value: record.value,
            headers: record.headers.map { Golden.ExpectedHeader(key: $0.name, value: $0.value) })
    }
}
