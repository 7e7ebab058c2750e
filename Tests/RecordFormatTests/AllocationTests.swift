import CAllocationCounter
import RecordFormat
import Testing

/// Heap allocations of this thread while `body` runs `rounds` times, after it ran once, which makes what is
/// made once in a process. No `for` loop over a range: it allocates in a debug build.
private func allocations(_ rounds: Int, _ body: () throws -> Void) rethrows -> UInt64 {
    try body()
    let before = dmq_allocation_count()
    var round = 0
    while round < rounds {
        try body()
        round += 1
    }
    return dmq_allocation_count() - before
}

/// The counter stands in for malloc and its relatives in the whole test program and counts by thread.
@Suite("Record batches and the heap")
struct AllocationTests {
    private static func batch(_ codec: CompressionCodec) throws -> [UInt8] {
        var random = RandomRecords(seed: 77)
        var builder = RecordBatchBuilder(codec: codec)
        for record in random.records(from: 0, hasGaps: false) { builder.append(record) }
        return try builder.finish(compressor: Compressor())
    }

    @Test("the counter counts")
    func counts() {
        #expect(dmq_allocation_counting() == 1)
        var kept: [[UInt8]] = []
        let count = allocations(10) { kept.append([UInt8](repeating: 1, count: 100)) }
        #expect(count >= 10)
        #expect(kept.count == 11)
    }

    @Test("parsing, validating and patching a batch allocate nothing")
    func validate() throws {
        var batch = try Self.batch(.none)
        let producer = try RecordBatchHeader(parsing: batch.span.bytes)
        let count = try allocations(100) {
            let header = try RecordBatchHeader(parsing: batch.span.bytes)
            try RecordBatch.validate(batch.span.bytes, header: header)
            try RecordBatch.validateFromProducer(producer)
            var span = batch.mutableSpan
            var bytes = span.mutableBytes
            RecordBatch.assign(baseOffset: Offset(7), leaderEpoch: LeaderEpoch(8), in: &bytes)
            RecordBatch.stampLogAppendTime(Timestamp(9), in: &bytes)
            RecordBatch.setMaxTimestamp(Timestamp(10), in: &bytes)
        }
        #expect(count == 0)
    }

    @Test(
        "checking all records of a batch allocates nothing, once the decompressor has grown to its size",
        arguments: CompressionCodec.allCases)
    func validateRecords(codec: CompressionCodec) throws {
        let batch = try Self.batch(codec)
        let header = try RecordBatchHeader(parsing: batch.span.bytes)
        let decompressor = Decompressor()
        let count = try allocations(50) {
            try RecordBatch.validateRecords(batch.span.bytes, header: header, decompressor: decompressor)
        }
        #expect(count == 0)
    }

    @Test(
        "walking over records with their keys, values and headers allocates nothing",
        arguments: CompressionCodec.allCases)
    func cursor(codec: CompressionCodec) throws {
        let batch = try Self.batch(codec)
        let header = try RecordBatchHeader(parsing: batch.span.bytes)
        let decompressor = Decompressor()
        var byteCount = 0
        func walk() throws {
            var cursor = try RecordCursor(batch.span.bytes, header: header, decompressor: decompressor)
            while let record = try cursor.next() {
                if let key = record.key { byteCount += key.byteCount }
                if let value = record.value { byteCount += value.byteCount }
                var headers = record.headers
                while let header = headers.next() { byteCount += header.key.byteCount }
            }
        }
        #expect(try allocations(50, walk) == 0)
        #expect(byteCount > 0)
    }
}
