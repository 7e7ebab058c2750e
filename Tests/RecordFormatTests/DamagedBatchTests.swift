import Base
import RecordFormat
import Testing

@Suite("Damaged record batches")
struct DamagedBatchTests {
    private static func batch(_ codec: CompressionCodec, seed: UInt64 = 21) throws -> [UInt8] {
        var random = RandomRecords(seed: seed)
        var builder = RecordBatchBuilder(codec: codec)
        for record in random.records(from: 0, hasGaps: false).prefix(12) { builder.append(record) }
        return try builder.finish(compressor: Compressor())
    }

    /// Makes length and CRC of a damaged batch right, so that the damage is met by what reads the records.
    private static func repair(_ batch: inout [UInt8]) {
        withUnsafeBytes(of: Int32(batch.count - 12).bigEndian) { batch.replaceSubrange(8..<12, with: $0) }
        var span = batch.mutableSpan
        var bytes = span.mutableBytes
        RecordBatch.updateChecksum(of: &bytes)
    }

    @Test(
        "cut off at any byte, under a length and CRC that are right, the records are refused",
        arguments: CompressionCodec.allCases)
    func truncations(codec: CompressionCodec) throws {
        let batch = try Self.batch(codec)
        let decompressor = Decompressor(maximumByteCount: 1 << 20)
        for length in RecordBatchHeader.byteCount..<batch.count {
            var cut = Array(batch[..<length])
            let whole = try RecordBatchHeader(parsing: cut.span.bytes)
            #expect(throws: RecordBatchError.truncated(have: length, need: batch.count)) {
                try RecordBatch.validateRecords(cut.span.bytes, header: whole, decompressor: decompressor)
            }
            Self.repair(&cut)
            let header = try RecordBatchHeader(parsing: cut.span.bytes)
            try RecordBatch.validate(cut.span.bytes, header: header)
            #expect(throws: RecordBatchError.self) {
                try RecordBatch.validateRecords(cut.span.bytes, header: header, decompressor: decompressor)
            }
        }
    }

    @Test(
        "flipped bits, under a CRC that is right, are refused or read as records, as many as stated",
        arguments: CompressionCodec.allCases)
    func flippedBits(codec: CompressionCodec) throws {
        var random = RandomRecords(seed: 22)
        let batch = try Self.batch(codec)
        let decompressor = Decompressor(maximumByteCount: 1 << 20)
        var refused = 0
        for _ in 0..<4000 {
            var damaged = batch
            for _ in 0...random.int(0...2) {
                damaged[random.int(16...(damaged.count - 1))] ^= 1 << UInt8(random.int(0...7))
            }
            damaged[16] = 2
            Self.repair(&damaged)
            let header = try RecordBatchHeader(parsing: damaged.span.bytes)
            do throws(RecordBatchError) {
                try RecordBatch.validate(damaged.span.bytes, header: header)
                let summary = try RecordBatch.validateRecords(
                    damaged.span.bytes, header: header, decompressor: decompressor)
                let records = try RecordBatch.records(
                    of: damaged.span.bytes, header: header, decompressor: decompressor)
                #expect(records.count == Int(header.recordCount) && summary.byteCount <= 1 << 20)
            } catch {
                #expect(!error.description.isEmpty)
                refused += 1
            }
        }
        #expect(refused > 50)
    }

    @Test("a header that states other counts than the records have is refused")
    func counts() throws {
        let batch = try Self.batch(.none)
        let good = try RecordBatchHeader(parsing: batch.span.bytes)
        let decompressor = Decompressor()
        var header = good
        header.recordCount += 1
        #expect(throws: RecordBatchError.malformedRecord(index: 12, reason: .truncated)) {
            try RecordBatch.validateRecords(batch.span.bytes, header: header, decompressor: decompressor)
        }
        header.recordCount = 0
        #expect(throws: RecordBatchError.bytesAfterRecords(batch.count - 61)) {
            try RecordBatch.validateRecords(batch.span.bytes, header: header, decompressor: decompressor)
        }
        header = good
        header.lastOffsetDelta = 5
        #expect(
            throws: RecordBatchError.malformedRecord(index: 6, reason: .offsetDelta(found: 6, expected: 6))
        ) {
            try RecordBatch.validateRecords(batch.span.bytes, header: header, decompressor: decompressor)
        }
        #expect(
            throws: RecordBatchError.malformedRecord(index: 6, reason: .offsetDelta(found: 6, expected: 6))
        ) {
            try RecordBatch.validateRecords(
                batch.span.bytes, header: header, decompressor: decompressor, requireConsecutiveOffsets: false
            )
        }
    }

    @Test("counts, codecs and offsets that cannot be are refused before the records are read")
    func headers() throws {
        func refuse(_ error: RecordBatchError, _ change: (inout [UInt8]) -> Void) throws {
            var batch = try Self.batch(.none)
            change(&batch)
            Self.repair(&batch)
            let header = try RecordBatchHeader(parsing: batch.span.bytes)
            #expect(throws: error) { try RecordBatch.validate(batch.span.bytes, header: header) }
        }
        try refuse(.unknownCodec(5)) { $0[22] = 5 }
        try refuse(.negativeRecordCount(-1)) { $0.replaceSubrange(57..<61, with: [255, 255, 255, 255]) }
        try refuse(.negativeLastOffsetDelta(.min)) { $0.replaceSubrange(23..<27, with: [128, 0, 0, 0]) }
        try refuse(.recordCountMismatch(recordCount: 12, lastOffsetDelta: 10)) { $0[26] = 10 }
        try refuse(.invalidBaseOffset(-1)) {
            $0.replaceSubrange(0..<8, with: [UInt8](repeating: 255, count: 8))
        }
    }

    @Test("gaps between offsets are refused where they must follow each other, and going back always")
    func offsets() throws {
        func error(_ deltas: [Int32], consecutive: Bool) throws -> RecordBatchError? {
            var writer = ByteWriter()
            for delta in deltas {
                // Length, attributes, timestamp delta, offset delta, null key, null value, no headers.
                var body = ByteWriter()
                body.write([0, 0] as [UInt8])
                body.writeVarint(delta)
                body.write([1, 1, 0] as [UInt8])
                writer.writeVarint(Int32(body.byteCount))
                writer.write(body.bytes)
            }
            var batch = [UInt8](repeating: 0, count: RecordBatchHeader.byteCount) + writer.bytes
            batch[16] = 2
            batch[26] = 100
            batch[60] = UInt8(deltas.count)
            Self.repair(&batch)
            let header = try RecordBatchHeader(parsing: batch.span.bytes)
            try RecordBatch.validate(batch.span.bytes, header: header)
            do throws(RecordBatchError) {
                try RecordBatch.validateRecords(
                    batch.span.bytes, header: header, decompressor: Decompressor(),
                    requireConsecutiveOffsets: consecutive)
                return nil
            } catch { return error }
        }
        func defect(_ index: Int, _ found: Int32, _ expected: Int32) -> RecordBatchError {
            .malformedRecord(index: index, reason: .offsetDelta(found: found, expected: expected))
        }
        #expect(try error([0, 1, 2], consecutive: true) == nil)
        #expect(try error([0, 2], consecutive: true) == defect(1, 2, 1))
        #expect(try error([1], consecutive: true) == defect(0, 1, 0))
        #expect(try error([3, 7, 100], consecutive: false) == nil)
        #expect(try error([3, 3], consecutive: false) == defect(1, 3, 4))
        #expect(try error([3, 1], consecutive: false) == defect(1, 1, 4))
        #expect(try error([3, 101], consecutive: false) == defect(1, 101, 4))
        #expect(try error([-1], consecutive: false) == defect(0, -1, 0))
    }
}
