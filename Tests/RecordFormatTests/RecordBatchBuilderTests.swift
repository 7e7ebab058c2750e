import Base
import RecordFormat
import Testing

@Suite("The record batch builder")
struct RecordBatchBuilderTests {
    @Test("every uncompressed batch of the golden logs is re-encoded byte for byte, from copies and in place")
    func golden() throws {
        let decompressor = Decompressor()
        let compressor = Compressor()
        var count = 0
        for batch in try Golden.allBatches() {
            let bytes = batch.bytes.span.bytes
            let header = try RecordBatchHeader(parsing: bytes)
            guard header.attributes.codec == CompressionCodec.none else { continue }
            var copying = RecordBatchBuilder(rewriting: header)
            for record in try RecordBatch.records(of: bytes, header: header, decompressor: decompressor) {
                copying.append(record)
            }
            #expect(try copying.finish(compressor: compressor) == batch.bytes, "\(batch)")

            var inPlace = RecordBatchBuilder(rewriting: header)
            var cursor = try RecordCursor(bytes, header: header, decompressor: decompressor)
            while let record = try cursor.next() { inPlace.append(record) }
            #expect(try inPlace.finish(compressor: compressor) == batch.bytes, "\(batch)")
            count += 1
        }
        #expect(count > 200)
    }

    @Test("every compressed batch of the golden logs keeps header and records when it is written again")
    func goldenCompressed() throws {
        let decompressor = Decompressor()
        let compressor = Compressor()
        var count = 0
        for batch in try Golden.allBatches() {
            let header = try RecordBatchHeader(parsing: batch.bytes.span.bytes)
            guard header.attributes.codec != CompressionCodec.none else { continue }
            var builder = RecordBatchBuilder(rewriting: header)
            let records = try RecordBatch.records(
                of: batch.bytes.span.bytes, header: header, decompressor: decompressor)
            for record in records { builder.append(record) }
            let again = try builder.finish(compressor: compressor)
            var newHeader = try RecordBatchHeader(parsing: again.span.bytes)
            try RecordBatch.validate(again.span.bytes, header: newHeader)
            #expect(
                try RecordBatch.records(of: again.span.bytes, header: newHeader, decompressor: decompressor)
                    == records)
            newHeader.byteCount = header.byteCount
            newHeader.crc = header.crc
            // The time of appending hides the times of the records, which Kafka's cleaner does not keep
            // either.
            if header.attributes.timestampType == .logAppendTime {
                newHeader.baseTimestamp = header.baseTimestamp
            }
            #expect(newHeader == header, "\(batch)")
            count += 1
        }
        #expect(count > 50)
    }

    @Test(
        "what goes in comes out, for random records, all codecs, and offsets with and without gaps",
        arguments: CompressionCodec.allCases)
    func roundTrip(codec: CompressionCodec) throws {
        let decompressor = Decompressor()
        let compressor = Compressor()
        for seed in 1...60 as ClosedRange<UInt64> {
            var random = RandomRecords(seed: seed)
            let hasGaps = seed % 2 == 0
            let base = Int64(random.int(0...1_000_000_000_000))
            let records = random.records(from: base, hasGaps: hasGaps)
            var builder = RecordBatchBuilder(
                codec: codec, baseOffset: Offset(base), partitionLeaderEpoch: LeaderEpoch(Int32(seed)),
                producerID: ProducerID(5), producerEpoch: ProducerEpoch(6), baseSequence: SequenceNumber(7))
            for record in records { builder.append(record) }
            let batch = try builder.finish(compressor: compressor)
            let header = try RecordBatchHeader(parsing: batch.span.bytes)
            try RecordBatch.validate(batch.span.bytes, header: header)
            let summary = try RecordBatch.validateRecords(
                batch.span.bytes, header: header, decompressor: decompressor,
                requireConsecutiveOffsets: !hasGaps)
            let found = try RecordBatch.records(
                of: batch.span.bytes, header: header, decompressor: decompressor)
            #expect(found == records, "seed \(seed)")
            #expect(header.lastOffset == records.last?.offset, "seed \(seed)")
            #expect(header.recordCount == Int32(records.count), "seed \(seed)")
            let latest = records.map(\.timestamp).max()
            #expect(header.maxTimestamp == latest, "seed \(seed)")
            #expect(summary.maxTimestamp == latest, "seed \(seed)")
            #expect(summary.minTimestamp == records.map(\.timestamp).min(), "seed \(seed)")
            #expect(
                summary.offsetOfMaxTimestamp == records.first { $0.timestamp == latest }?.offset,
                "seed \(seed)")
            if codec == .none { #expect(builder.byteCount == batch.count, "seed \(seed)") }
        }
    }

    @Test("the size of each record in place is what it adds to an uncompressed batch")
    func recordSizes() throws {
        var random = RandomRecords(seed: 99)
        var builder = RecordBatchBuilder()
        var sizes: [Int] = []
        for record in random.records(from: 0, hasGaps: true) {
            let before = builder.byteCount
            builder.append(record)
            sizes.append(builder.byteCount - before)
        }
        let batch = try builder.finish(compressor: Compressor())
        let header = try RecordBatchHeader(parsing: batch.span.bytes)
        var cursor = try RecordCursor(batch.span.bytes, header: header, decompressor: Decompressor())
        var found: [Int] = []
        while let record = try cursor.next() { found.append(record.byteCount) }
        #expect(found == sizes)
    }

    @Test(
        "a batch that compaction empties keeps place, producer and largest timestamp, but no codec"
    )
    func emptied() throws {
        let batch = try #require(try Golden.batches(of: "golden-txn-0/00000000000000000000.log").first).bytes
        let original = try RecordBatchHeader(parsing: batch.span.bytes)
        #expect(original.attributes.codec == .lz4)
        let empty = try RecordBatchBuilder(rewriting: original).finish(compressor: Compressor())
        let header = try RecordBatchHeader(parsing: empty.span.bytes)
        try RecordBatch.validate(empty.span.bytes, header: header)
        try RecordBatch.validateRecords(empty.span.bytes, header: header, decompressor: Decompressor())
        #expect(empty.count == RecordBatchHeader.byteCount)
        #expect(header.recordCount == 0)
        #expect(header.baseOffset == original.baseOffset && header.lastOffset == original.lastOffset)
        #expect(header.producerID == original.producerID && header.lastSequence == original.lastSequence)
        #expect(header.attributes.isTransactional)
        #expect(header.attributes.codec == CompressionCodec.none)
        #expect(header.maxTimestamp == original.maxTimestamp)
        #expect(header.baseTimestamp == .none)
    }

    @Test("a delete horizon takes the place of the base timestamp, and the records keep their times")
    func deleteHorizon() throws {
        var builder = RecordBatchBuilder(deleteHorizon: Timestamp(5_000))
        let record = Record(offset: .zero, timestamp: Timestamp(4_000), key: [1])
        builder.append(record)
        let batch = try builder.finish(compressor: Compressor())
        let header = try RecordBatchHeader(parsing: batch.span.bytes)
        #expect(header.attributes.hasDeleteHorizon)
        #expect(header.baseTimestamp == Timestamp(5_000))
        #expect(header.maxTimestamp == Timestamp(4_000))
        #expect(
            try RecordBatch.records(of: batch.span.bytes, header: header, decompressor: Decompressor()) == [
                record
            ])
        var again = RecordBatchBuilder(rewriting: header, deleteHorizon: Timestamp(9_000))
        again.append(record)
        #expect(try again.finish(compressor: Compressor()) == batch)
    }

    @Test("a builder that was emptied builds the next batch as a new one would")
    func reuse() throws {
        var random = RandomRecords(seed: 3)
        let first = random.records(from: 0, hasGaps: false)
        let second = random.records(from: 0, hasGaps: false)
        var reused = RecordBatchBuilder(codec: .zstd)
        for record in first { reused.append(record) }
        reused.removeAll()
        var fresh = RecordBatchBuilder(codec: .zstd)
        for record in second {
            reused.append(record)
            fresh.append(record)
        }
        let compressor = Compressor()
        #expect(try reused.finish(compressor: compressor) == fresh.finish(compressor: compressor))
    }

    @Test("extreme timestamps and offsets survive")
    func extremes() throws {
        let records = [
            Record(offset: Offset(Int64.max - Int64(Int32.max) - 1), timestamp: Timestamp(Int64.min)),
            Record(offset: Offset(Int64.max - 1), timestamp: Timestamp(Int64.max)),
        ]
        var builder = RecordBatchBuilder(baseOffset: records[0].offset)
        for record in records { builder.append(record) }
        let batch = try builder.finish(compressor: Compressor())
        let header = try RecordBatchHeader(parsing: batch.span.bytes)
        try RecordBatch.validate(batch.span.bytes, header: header)
        #expect(
            try RecordBatch.records(of: batch.span.bytes, header: header, decompressor: Decompressor())
                == records)
    }
}
