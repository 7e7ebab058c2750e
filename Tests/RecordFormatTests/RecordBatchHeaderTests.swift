import Base
import RecordFormat
import Testing

@Suite("The record batch header")
struct RecordBatchHeaderTests {
    @Test("every batch of the golden logs parses, validates, and its header is written back byte for byte")
    func golden() throws {
        var count = 0
        for batch in try Golden.allBatches() {
            let header = try RecordBatchHeader(parsing: batch.bytes.span.bytes)
            try RecordBatch.validate(batch.bytes.span.bytes, header: header)
            var writer = ByteWriter()
            header.write(to: &writer)
            #expect(writer.bytes == Array(batch.bytes[..<RecordBatchHeader.byteCount]), "\(batch)")
            count += 1
        }
        #expect(count == 387)
    }

    @Test("a header is refused at every truncation, with what is there and what is needed")
    func truncations() throws {
        let batch = try #require(try Golden.allBatches().first).bytes
        for length in 0..<RecordBatchHeader.byteCount {
            #expect(throws: RecordBatchError.truncated(have: length, need: 61)) {
                try RecordBatchHeader(parsing: batch.span.bytes.extracting(0..<length))
            }
        }
    }

    @Test("message formats 0 and 1 are refused by name, with what to do, even when shorter than our header")
    func oldFormats() {
        for magic in [Int8(0), 1] {
            for length in [17, 34, 61, 200] {
                var bytes = [UInt8](repeating: 0, count: length)
                bytes[16] = UInt8(magic)
                #expect(throws: RecordBatchError.unsupportedMagic(magic)) {
                    try RecordBatchHeader(parsing: bytes.span.bytes)
                }
            }
            #expect(RecordBatchError.unsupportedMagic(magic).description.contains("0.11"))
        }
        var unknown = [UInt8](repeating: 0, count: 61)
        unknown[16] = 0xFF
        #expect(throws: RecordBatchError.unsupportedMagic(-1)) {
            try RecordBatchHeader(parsing: unknown.span.bytes)
        }
    }

    @Test("a length field below 49 is refused, 49 is accepted")
    func lengths() throws {
        var bytes = [UInt8](repeating: 0, count: 61)
        bytes[16] = 2
        for length in [Int32.min, -1, 0, 48] {
            withUnsafeBytes(of: length.bigEndian) { field in for i in 0..<4 { bytes[8 + i] = field[i] } }
            #expect(throws: RecordBatchError.invalidLength(length)) {
                try RecordBatchHeader(parsing: bytes.span.bytes)
            }
        }
        bytes[8...11] = [0, 0, 0, 49]
        #expect(try RecordBatchHeader(parsing: bytes.span.bytes).byteCount == 61)
    }

    @Test("a flipped bit in any byte that the CRC covers is found")
    func flippedBits() throws {
        let batch = try #require(try Golden.allBatches().first { $0.bytes.count > 200 }).bytes
        for position in 21..<batch.count {
            var damaged = batch
            damaged[position] ^= 1 << UInt8(position % 8)
            let header = try RecordBatchHeader(parsing: damaged.span.bytes)
            #expect(throws: RecordBatchError.self) {
                try RecordBatch.validate(damaged.span.bytes, header: header)
            }
        }
    }

    @Test("assigning offset and epoch changes these two fields and leaves the CRC right")
    func assign() throws {
        let original = try #require(try Golden.allBatches().first).bytes
        var batch = original
        var span = batch.mutableSpan
        var bytes = span.mutableBytes
        RecordBatch.assign(
            baseOffset: Offset(0x0102_0304_0506_0708), leaderEpoch: LeaderEpoch(77), in: &bytes)
        let header = try RecordBatchHeader(parsing: batch.span.bytes)
        #expect(header.baseOffset == Offset(0x0102_0304_0506_0708))
        #expect(header.partitionLeaderEpoch == LeaderEpoch(77))
        try RecordBatch.validate(batch.span.bytes, header: header)
        #expect(batch[8..<12] == original[8..<12] && batch[16...] == original[16...])
    }

    @Test("stamping the append time sets type, time and CRC, and twice is once")
    func logAppendTime() throws {
        let batches = try Golden.allBatches()
        let original = try #require(batches.first { $0.file.contains("golden-none") }).bytes
        var batch = original
        for _ in 0..<2 {
            var span = batch.mutableSpan
            var bytes = span.mutableBytes
            RecordBatch.stampLogAppendTime(Timestamp(1_700_000_000_123), in: &bytes)
            let header = try RecordBatchHeader(parsing: batch.span.bytes)
            #expect(header.attributes.timestampType == .logAppendTime)
            #expect(header.maxTimestamp == Timestamp(1_700_000_000_123))
            try RecordBatch.validate(batch.span.bytes, header: header)
        }
        let before = try RecordBatchHeader(parsing: original.span.bytes)
        var span = batch.mutableSpan
        var bytes = span.mutableBytes
        RecordBatch.setMaxTimestamp(before.maxTimestamp, in: &bytes)
        let after = try RecordBatchHeader(parsing: batch.span.bytes)
        #expect(after.maxTimestamp == before.maxTimestamp)
        try RecordBatch.validate(batch.span.bytes, header: after)
    }

    @Test("a batch that is longer or shorter than its length field is refused")
    func lengthAgreement() throws {
        let batch = try #require(try Golden.allBatches().first).bytes
        let header = try RecordBatchHeader(parsing: batch.span.bytes)
        let longer = batch + [0]
        #expect(throws: RecordBatchError.trailingBytes(have: longer.count, need: batch.count)) {
            try RecordBatch.validate(longer.span.bytes, header: header)
        }
        #expect(throws: RecordBatchError.truncated(have: batch.count - 1, need: batch.count)) {
            try RecordBatch.validate(batch.span.bytes.extracting(0..<(batch.count - 1)), header: header)
        }
    }

    @Test("what a producer may not send is refused, one rule at a time")
    func producerRules() throws {
        let batches = try Golden.allBatches()
        let bytes = try #require(batches.first { $0.file.contains("golden-idempotent") }).bytes
        var good = try RecordBatchHeader(parsing: bytes.span.bytes)
        good.baseOffset = .zero
        try RecordBatch.validateFromProducer(good)

        let producerHeader = good

        func refuse(_ error: RecordBatchError, _ change: (inout RecordBatchHeader) -> Void) {
            var header = producerHeader
            change(&header)
            #expect(throws: error) { try RecordBatch.validateFromProducer(header) }
        }
        refuse(.refusedFromProducer(.baseOffset(Offset(1)))) { $0.baseOffset = Offset(1) }
        refuse(.refusedFromProducer(.noRecords)) { $0.recordCount = 0 }
        refuse(.recordCountMismatch(recordCount: good.recordCount, lastOffsetDelta: good.lastOffsetDelta + 1))
        {
            $0.lastOffsetDelta += 1
        }
        refuse(.refusedFromProducer(.controlBatch)) { $0.attributes = BatchAttributes(isControl: true) }
        refuse(.refusedFromProducer(.deleteHorizon)) {
            $0.attributes = BatchAttributes(hasDeleteHorizon: true)
        }
        refuse(.refusedFromProducer(.logAppendTime)) {
            $0.attributes = BatchAttributes(timestampType: .logAppendTime)
        }
        refuse(.refusedFromProducer(.sequence(.none))) { $0.baseSequence = .none }
        refuse(.refusedFromProducer(.transactionalWithoutProducerID)) {
            $0.producerID = .none
            $0.attributes = BatchAttributes(isTransactional: true)
        }
    }
}
