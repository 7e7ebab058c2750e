import Base
import CBaseline
import RecordFormat
import SystemIO

/// Batches as producers send them, made once from a seed.
struct ProducerTraffic {
    /// As they arrive: no offset, no leader epoch.
    let batches: [[UInt8]]
    let recordsPerBatch: Int

    /// - Parameter count: how many different batches.
    init(_ options: StorageOptions, count: Int, now: Timestamp) throws {
        // Length, attributes, two deltas, no key, length of the value, no headers.
        let recordOverhead = 10
        let room = options.batchByteCount - RecordBatchHeader.byteCount
        try self.init(
            valueByteCount: max(1, min(options.recordByteCount, room) - recordOverhead),
            recordsPerBatch: max(1, room / options.recordByteCount), codec: options.codec, count: count,
            now: now)
    }

    init(
        valueByteCount: Int, recordsPerBatch recordCount: Int, codec: CompressionCodec, count: Int,
        now: Timestamp
    ) throws {
        var generator = SeededGenerator(seed: 1)
        let compressor = Compressor()
        var batches: [[UInt8]] = []
        for _ in 0..<count {
            var builder = RecordBatchBuilder(codec: codec)
            for _ in 0..<recordCount {
                let value = Self.value(byteCount: valueByteCount, &generator)
                builder.append(timestamp: now, key: nil, value: value.span.bytes)
            }
            batches.append(try builder.finish(compressor: compressor))
        }
        self.batches = batches
        recordsPerBatch = recordCount
    }

    /// Words of a small vocabulary and some noise, so that codecs find about as much to do as in logs and
    /// events.
    private static func value(byteCount: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        let words = [
            "offset", "partition", "\"user\":", "payment", "2026-01-01T00:00:00Z", "accepted", "null", "true",
        ]
        var value: [UInt8] = []
        value.reserveCapacity(byteCount + 32)
        while value.count < byteCount {
            let random = generator.next()
            value.append(contentsOf: words[Int(random % UInt64(words.count))].utf8)
            value.append(contentsOf: String(random >> 40, radix: 16).utf8)
        }
        value.removeLast(value.count - byteCount)
        return value
    }
}

/// Copies of the batches in memory of the baseline's own.
final class BaselineBatches {
    let handle: OpaquePointer

    init(_ batches: [[UInt8]]) throws {
        guard let handle = dmq_batches_make(Int32(batches.count)) else {
            throw BenchmarkError.baselineFailed("no memory for \(batches.count) batches")
        }
        self.handle = handle
        for batch in batches {
            guard batch.withUnsafeBytes({ dmq_batches_add(handle, $0.baseAddress, $0.count) }) == 0 else {
                throw BenchmarkError.baselineFailed("no memory for a batch of \(batch.count) bytes")
            }
        }
    }

    deinit { dmq_batches_free(handle) }
}
