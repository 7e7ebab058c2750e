import Base
import RecordFormat
import Testing

@Suite("Reading and writing bytes")
struct ByteReaderTests {
    @Test("integers are big endian and come back as they were written")
    func integers() throws {
        var writer = ByteWriter()
        writer.write(Int8(-2))
        writer.write(UInt16(0x0102))
        writer.write(Int32(-3))
        writer.write(UInt64(0x0102_0304_0506_0708))
        #expect(writer.bytes == [0xFE, 1, 2, 0xFF, 0xFF, 0xFF, 0xFD, 1, 2, 3, 4, 5, 6, 7, 8])
        writer.overwrite(UInt16(0x0A0B), at: 1)
        let bytes = writer.bytes
        var reader = ByteReader(bytes.span.bytes)
        #expect(try reader.read(Int8.self) == -2)
        #expect(try reader.read(UInt16.self) == 0x0A0B)
        #expect(try reader.read(Int32.self) == -3)
        #expect(try reader.read(UInt64.self) == 0x0102_0304_0506_0708)
        #expect(reader.remaining == 0)
    }

    @Test(
        "variable-length numbers come back, take as many bytes as foretold, and have known bytes at the edges"
    )
    func varints() throws {
        var generator = SeededGenerator(seed: 5)
        var values: [Int64] = [
            0, -1, 1, 63, 64, -64, -65, 8191, 8192, .max, .min, Int64(Int32.max), Int64(Int32.min),
        ]
        for shift in 0..<64 { values.append(Int64(bitPattern: generator.next() >> UInt64(shift))) }
        for value in values {
            var writer = ByteWriter()
            writer.writeVarlong(value)
            #expect(writer.byteCount == ByteWriter.varintByteCount(value))
            let long = writer.bytes
            var reader = ByteReader(long.span.bytes)
            #expect(try reader.readVarlong() == value)
            #expect(reader.remaining == 0)
            guard let narrow = Int32(exactly: value) else { continue }
            writer.removeAll()
            writer.writeVarint(narrow)
            #expect(writer.bytes == long)
            var narrowReader = ByteReader(long.span.bytes)
            #expect(try narrowReader.readVarint() == narrow)
        }
        var writer = ByteWriter()
        for value in [Int32(0), -1, 1, 150, .max, .min] { writer.writeVarint(value) }
        #expect(writer.bytes == [0, 1, 2, 0xAC, 2, 0xFE, 0xFF, 0xFF, 0xFF, 0xF, 0xFF, 0xFF, 0xFF, 0xFF, 0xF])
    }

    @Test("numbers of too many bytes or bits are refused, and the position stays before them")
    func overlong() throws {
        let endless = [UInt8](repeating: 0x80, count: 12)
        var reader = ByteReader(endless.span.bytes)
        #expect(throws: ByteReaderError.overlongNumber(position: 0)) { try reader.readUnsignedVarint() }
        #expect(throws: ByteReaderError.overlongNumber(position: 0)) { try reader.readUnsignedVarlong() }
        #expect(reader.position == 0)
        let wide32: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0x10]
        var reader32 = ByteReader(wide32.span.bytes)
        #expect(throws: ByteReaderError.overlongNumber(position: 0)) { try reader32.readUnsignedVarint() }
        let wide64: [UInt8] = [UInt8](repeating: 0xFF, count: 9) + [0x02]
        var reader64 = ByteReader(wide64.span.bytes)
        #expect(throws: ByteReaderError.overlongNumber(position: 0)) { try reader64.readUnsignedVarlong() }
    }

    @Test("nothing is read past the end, and the position stays before what is missing")
    func underflow() throws {
        let bytes: [UInt8] = [1, 2, 0x80]
        var reader = ByteReader(bytes.span.bytes)
        #expect(throws: ByteReaderError.underflow(position: 0, have: 3, need: 4)) {
            try reader.read(Int32.self)
        }
        #expect(try reader.read(UInt16.self) == 0x0102)
        #expect(throws: ByteReaderError.underflow(position: 2, have: 1, need: 2)) { try reader.readVarint() }
        #expect(throws: ByteReaderError.underflow(position: 2, have: 1, need: 2)) { try reader.skip(2) }
        #expect(throws: ByteReaderError.negativeLength(position: 2, length: -1)) { try reader.skip(-1) }
        #expect(reader.position == 2 && reader.remaining == 1)
    }
}
