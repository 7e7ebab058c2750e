import Base
import RecordFormat
import Testing

@Suite("Compression")
struct CodecTests {
    static let codecs: [CompressionCodec] = [.gzip, .snappy, .lz4, .zstd]

    static func compress(_ bytes: [UInt8], _ codec: CompressionCodec, level: Int? = nil) throws -> [UInt8] {
        var writer = ByteWriter()
        try Compressor().compress(bytes.span.bytes, codec: codec, level: level, into: &writer)
        return writer.bytes
    }

    static func decompress(
        _ bytes: [UInt8], _ codec: CompressionCodec, _ decompressor: Decompressor = Decompressor()
    ) throws(RecordBatchError) -> [UInt8] {
        try decompressor.withDecompressed(bytes.span.bytes, codec: codec) { Array(copying: $0) }
    }

    @Test(
        "every codec gives back what it took, at all sizes around its blocks and at all kinds of levels",
        arguments: codecs)
    func roundTrip(codec: CompressionCodec) throws {
        var random = RandomRecords(seed: 11)
        let decompressor = Decompressor()
        for size in [0, 1, 2, 63, 64, 1000, 32767, 32768, 32769, 65535, 65536, 65537, 300_000, 1_500_000] {
            let bytes = random.bytes(size)
            let levels =
                codec.levels.map { [nil, $0.lowerBound, 1, $0.upperBound / 2, $0.upperBound] } ?? [nil]
            for level in size > 100_000 ? [nil] : levels {
                let compressed = try Self.compress(bytes, codec, level: level)
                #expect(
                    try Self.decompress(compressed, codec, decompressor) == bytes,
                    "\(size), level \(level ?? -9)")
            }
        }
    }

    @Test(
        "a higher level of each codec that has levels gives fewer bytes",
        arguments: [CompressionCodec.gzip, .lz4, .zstd])
    func levels(codec: CompressionCodec) throws {
        var random = RandomRecords(seed: 12)
        let words = (0..<300).map { _ in random.bytes(random.int(2...9)) }
        let bytes = (0..<20_000).flatMap { _ in words[random.int(0...299)] }
        let range = try #require(codec.levels)
        let fast = try Self.compress(bytes, codec, level: max(range.lowerBound, -5))
        let thorough = try Self.compress(bytes, codec, level: range.upperBound)
        #expect(thorough.count < fast.count)
    }

    @Test("a level that the codec does not have is refused with those that it has")
    func unknownLevels() {
        for (codec, level) in [
            (CompressionCodec.gzip, 10), (.gzip, 0), (.lz4, 18), (.zstd, 23), (.snappy, 1),
        ] {
            #expect(throws: CompressionError.unknownLevel(codec: codec, level: level, allowed: codec.levels))
            {
                try Self.compress([1, 2, 3], codec, level: level)
            }
        }
    }

    @Test("the bound is exact: what fills it passes, one byte more is refused", arguments: codecs)
    func bound(codec: CompressionCodec) throws {
        var random = RandomRecords(seed: 13)
        for size in [0, 1, 100, 65536, 70_000, 200_000] {
            let bytes = random.bytes(size)
            let compressed = try Self.compress(bytes, codec)
            #expect(try Self.decompress(compressed, codec, Decompressor(maximumByteCount: size)) == bytes)
            if size == 0 { continue }
            let bound = size - 1
            #expect(throws: RecordBatchError.decompressedTooLarge(codec: codec, maximumByteCount: bound)) {
                try Self.decompress(compressed, codec, Decompressor(maximumByteCount: bound))
            }
        }
    }

    @Test("a few bytes that stand for a great many are refused at the bound", arguments: codecs)
    func bomb(codec: CompressionCodec) throws {
        let compressed = try Self.compress([UInt8](repeating: 0, count: 50_000_000), codec)
        #expect(compressed.count < 2_500_000)
        let decompressor = Decompressor(maximumByteCount: 1_000_000)
        #expect(throws: RecordBatchError.decompressedTooLarge(codec: codec, maximumByteCount: 1_000_000)) {
            try Self.decompress(compressed, codec, decompressor)
        }
        // And the decompressor works on.
        let small = try Self.compress([1, 2, 3], codec)
        #expect(try Self.decompress(small, codec, decompressor) == [1, 2, 3])
    }

    @Test(
        "cut off anywhere, a stream is refused; snappy's frames may end between blocks",
        arguments: codecs)
    func truncations(codec: CompressionCodec) throws {
        var random = RandomRecords(seed: 14)
        let bytes = (0..<40).flatMap { _ in random.bytes(random.int(0...300)) } + random.bytes(70_000)
        let compressed = try Self.compress(bytes, codec)
        let decompressor = Decompressor()
        for length in stride(from: 0, to: compressed.count, by: compressed.count > 4000 ? 7 : 1) {
            let prefix = Array(compressed[..<length])
            do throws(RecordBatchError) {
                let found = try Self.decompress(prefix, codec, decompressor)
                #expect(
                    codec == .snappy && found.count < bytes.count && found == Array(bytes[..<found.count]))
            } catch {
                if case .decompressionFailed(codec, .truncated) = error { continue }
                // A snappy stream without its whole frame header is read as a raw block, which it is not.
                #expect(codec == .snappy, "\(length): \(error)")
            }
        }
    }

    @Test(
        "flipped bits are refused or give other bytes within the bound, and the next stream decompresses",
        arguments: codecs)
    func flippedBits(codec: CompressionCodec) throws {
        var random = RandomRecords(seed: 15)
        let bytes = (0..<20).flatMap { _ in random.bytes(random.int(0...200)) }
        let compressed = try Self.compress(bytes, codec)
        let decompressor = Decompressor(maximumByteCount: 1_000_000)
        for round in 0..<6000 {
            var damaged = compressed
            for _ in 0...random.int(0...2) {
                damaged[random.int(0...(damaged.count - 1))] ^= 1 << UInt8(random.int(0...7))
            }
            if let found = try? Self.decompress(damaged, codec, decompressor) {
                #expect(found.count <= 1_000_000)
            }
            if round % 100 == 0 { #expect(try Self.decompress(compressed, codec, decompressor) == bytes) }
        }
    }

    @Test("bytes after the end of an LZ4 frame are refused: Kafka would not read them")
    func lz4Trailing() throws {
        let compressed = try Self.compress([1, 2, 3], .lz4) + [0]
        #expect(throws: RecordBatchError.decompressionFailed(codec: .lz4, reason: .trailingBytes)) {
            try Self.decompress(compressed, .lz4)
        }
    }

    @Test("a snappy block that promises more than snappy can hold is refused before room is made for it")
    func snappyLies() {
        let promise: [UInt8] = [0x80, 0x80, 0x80, 0x40, 0, 0] // 128 MiB in six bytes
        #expect(throws: RecordBatchError.decompressionFailed(codec: .snappy, reason: .corrupt)) {
            try Self.decompress(promise, .snappy)
        }
    }

    @Test("joined snappy streams are read as one, as the Java library does")
    func snappyJoined() throws {
        let joined = try Self.compress([1, 2, 3], .snappy) + Self.compress([4, 5], .snappy)
        #expect(try Self.decompress(joined, .snappy) == [1, 2, 3, 4, 5])
    }

    @Test("two cursors of one decompressor do not disturb each other")
    func twoCursors() throws {
        let decompressor = Decompressor()
        let batches = try Golden.batches(of: "golden-zstd-0/00000000000000000000.log")
        let (firstBatch, secondBatch) = (batches[0].bytes, batches[1].bytes)
        let firstHeader = try RecordBatchHeader(parsing: firstBatch.span.bytes)
        let secondHeader = try RecordBatchHeader(parsing: secondBatch.span.bytes)
        let expected = [
            try RecordBatch.records(
                of: firstBatch.span.bytes, header: firstHeader, decompressor: Decompressor()),
            try RecordBatch.records(
                of: secondBatch.span.bytes, header: secondHeader, decompressor: Decompressor()),
        ]
        var first = try RecordCursor(firstBatch.span.bytes, header: firstHeader, decompressor: decompressor)
        var second = try RecordCursor(
            secondBatch.span.bytes, header: secondHeader, decompressor: decompressor)
        var found: [[Record]] = [[], []]
        while true {
            var isDone = true
            if let record = try first.next() {
                found[0].append(Record(record))
                isDone = false
            }
            if let record = try second.next() {
                found[1].append(Record(record))
                isDone = false
            }
            if isDone { break }
        }
        #expect(found == expected)
    }
}
