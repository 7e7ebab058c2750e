import Base
import RecordFormat
import Testing

@Suite("CRC-32C")
struct CRC32CTests {
    @Test("every routine gives the standard check value for the digits 1 to 9, and 0 for nothing")
    func checkValue() {
        let digits = Array("123456789".utf8)
        let nothing: [UInt8] = []
        for (index, name) in CRC32C.routineNames.enumerated() {
            #expect(CRC32C.checksum(digits.span.bytes, routine: index) == 0xE306_9283, "\(name)")
            #expect(CRC32C.checksum(nothing.span.bytes, routine: index) == 0, "\(name)")
        }
        #expect(CRC32C.checksum(digits.span.bytes) == 0xE306_9283)
    }

    @Test(
        "every routine agrees with a bit-by-bit computation at all lengths up to 1100 and all misalignments")
    func againstBits() {
        var generator = SeededGenerator(seed: 7)
        let bytes = (0..<1200).map { _ in UInt8.random(in: 0...255, using: &generator) }
        for start in 0..<16 {
            var remainder: UInt32 = ~0
            for length in 0...1100 {
                let stretch = bytes.span.bytes.extracting(start..<(start + length))
                for index in CRC32C.routineNames.indices
                where CRC32C.checksum(stretch, routine: index) != ~remainder {
                    Issue.record("\(CRC32C.routineNames[index]) at start \(start), length \(length)")
                }
                remainder ^= UInt32(bytes[start + length])
                for _ in 0..<8 {
                    remainder = remainder & 1 == 0 ? remainder >> 1 : (remainder >> 1) ^ 0x82F6_3B78
                }
            }
        }
    }

    @Test("every routine agrees with the table at lengths around its strides, up to 64 KiB")
    func aroundStrides() {
        var generator = SeededGenerator(seed: 8)
        let bytes = (0..<70_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        for stride in [256, 512, 768, 2048, 6144, 6912, 12288, 65536] {
            for length in max(0, stride - 70)...(stride + 70) {
                let stretch = bytes.span.bytes.extracting((length % 64)..<(length % 64 + length))
                let expected = CRC32C.checksum(stretch, routine: 0)
                for index in CRC32C.routineNames.indices {
                    #expect(CRC32C.checksum(stretch, routine: index) == expected)
                }
            }
        }
    }

    @Test("a checksum continued over two halves is that of the whole")
    func continued() {
        let bytes = (0..<4000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for cut in [0, 1, 7, 8, 255, 256, 511, 512, 3999, 4000] {
            let first = CRC32C.checksum(bytes.span.bytes.extracting(0..<cut))
            let whole = CRC32C.extended(first, with: bytes.span.bytes.extracting(cut..<4000))
            #expect(whole == CRC32C.checksum(bytes.span.bytes))
        }
    }

    @Test("the best routine that the processor can run is the one in use, and on x86-64 it is not the table")
    func choice() {
        #expect(CRC32C.routineNames.first == "table")
        #expect(CRC32C.routineNames.last == CRC32C.routineName)
        #if arch(x86_64) || arch(arm64)
            #expect(CRC32C.routineName != "table")
        #endif
    }
}
