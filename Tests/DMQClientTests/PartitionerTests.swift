import Base
import Testing

@testable import DMQClient

@Suite struct PartitionerTests {
    @Test(
        "keys hash as with Kafka's Java client and kafka-python",
        arguments: [
            ("", 275_646_681), ("a", 2_731_586_172), ("ab", 316_155_434), ("abc", 479_470_107),
            ("abcd", 2_971_317_748), ("foobar", 3_504_634_814), ("a-little-bit-long-string", 3_308_985_760),
            ("21", 3_321_034_988),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 4_236_069_325),
        ] as [(String, UInt32)])
    func vectors(key: String, hash: UInt32) {
        #expect(Murmur2.hash(Array(key.utf8).span.bytes) == hash)
    }

    @Test("bytes above 127 count as unsigned")
    func allBytes() {
        let bytes = (0...255).map { UInt8($0) }
        #expect(Murmur2.hash(bytes.span.bytes) == 2_346_620_022)
    }

    /// The reference as kafka-python writes it: byte by byte, without words in memory.
    private func slowHash(_ data: [UInt8]) -> UInt32 {
        let m: UInt64 = 0x5bd1_e995
        let mask: UInt64 = 0xffff_ffff
        var h = (0x9747_b28c ^ UInt64(data.count)) & mask
        for index in 0..<(data.count / 4) {
            let i = index * 4
            var k = UInt64(data[i]) + UInt64(data[i + 1]) << 8 + UInt64(data[i + 2]) << 16
            k += UInt64(data[i + 3]) << 24
            k = k * m & mask
            k ^= k >> 24
            k = k * m & mask
            h = (h * m & mask) ^ k
        }
        let rest = data.count % 4
        let end = data.count - rest
        if rest >= 3 { h ^= UInt64(data[end + 2]) << 16 }
        if rest >= 2 { h ^= UInt64(data[end + 1]) << 8 }
        if rest >= 1 {
            h ^= UInt64(data[end])
            h = h * m & mask
        }
        h ^= h >> 13
        h = h * m & mask
        h ^= h >> 15
        return UInt32(h)
    }

    @Test("random keys of all lengths hash as with a slow model")
    func random() {
        var generator = SeededGenerator(seed: 11)
        for length in 0..<200 {
            let key = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            #expect(Murmur2.hash(key.span.bytes) == slowHash(key))
        }
    }
}
