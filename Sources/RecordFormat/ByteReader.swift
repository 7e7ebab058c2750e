/// Why bytes could not be read.
public enum ByteReaderError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Fewer bytes are left than what was to be read.
    case underflow(position: Int, have: Int, need: Int)
    /// A variable-length number that goes on after its 5th (32 bits) or 10th (64 bits) byte, or overflows.
    case overlongNumber(position: Int)
    /// A length below what its field allows.
    case negativeLength(position: Int, length: Int)

    public var description: String {
        switch self {
        case .underflow(let position, let have, let need):
            "\(need) bytes are needed at position \(position), \(have) are left"
        case .overlongNumber(let position):
            "the variable-length number at position \(position) takes too many bytes"
        case .negativeLength(let position, let length): "the length before position \(position) is \(length)"
        }
    }
}

/// Reads numbers and byte strings one after the other, big endian, without copying. Never reads past the end:
/// it throws. After an error the position is where the value that could not be read begins.
public struct ByteReader: ~Escapable {
    @usableFromInline let bytes: RawSpan
    @usableFromInline var next: Int

    @_lifetime(copy bytes)
    @inlinable
    public init(_ bytes: RawSpan) {
        self.bytes = bytes
        next = 0
    }

    /// How many bytes were read.
    @inlinable public var position: Int { next }
    /// How many bytes are left.
    @inlinable public var remaining: Int { bytes.byteCount - next }
    @inlinable public var isAtEnd: Bool { next == bytes.byteCount }

    /// Reads a big-endian integer of any fixed width: `let epoch: Int32 = try reader.read()`.
    @inlinable
    public mutating func read<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type = Value.self
    ) throws(ByteReaderError) -> Value {
        let width = MemoryLayout<Value>.size
        if remaining < width { throw .underflow(position: next, have: remaining, need: width) }
        let value = Value(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: next, as: Value.self))
        next += width
        return value
    }

    /// Reads the next `count` bytes, as a part of what the reader was made with.
    @_lifetime(copy self)
    @inlinable
    public mutating func readBytes(_ count: Int) throws(ByteReaderError) -> RawSpan {
        if count < 0 { throw .negativeLength(position: next, length: count) }
        if remaining < count { throw .underflow(position: next, have: remaining, need: count) }
        let result = bytes.extracting(next..<(next + count))
        next += count
        return result
    }

    /// Passes over `count` bytes.
    @inlinable
    public mutating func skip(_ count: Int) throws(ByteReaderError) {
        _ = try readBytes(count)
    }

    /// Reads an unsigned number, seven bits a byte, the lowest first; at most 5 bytes.
    @inlinable
    public mutating func readUnsignedVarint() throws(ByteReaderError) -> UInt32 {
        let start = next
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 35 {
            if next == bytes.byteCount {
                next = start
                throw .underflow(
                    position: start, have: bytes.byteCount - start, need: bytes.byteCount - start + 1)
            }
            let byte = bytes.unsafeLoad(fromByteOffset: next, as: UInt8.self)
            next += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 && value <= UInt64(UInt32.max) { return UInt32(truncatingIfNeeded: value) }
            shift += 7
        }
        next = start
        throw .overlongNumber(position: start)
    }

    /// Reads an unsigned number, seven bits a byte, the lowest first; at most 10 bytes.
    @inlinable
    public mutating func readUnsignedVarlong() throws(ByteReaderError) -> UInt64 {
        let start = next
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 70 {
            if next == bytes.byteCount {
                next = start
                throw .underflow(
                    position: start, have: bytes.byteCount - start, need: bytes.byteCount - start + 1)
            }
            let byte = bytes.unsafeLoad(fromByteOffset: next, as: UInt8.self)
            next += 1
            if shift == 63 && byte > 1 { break }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        next = start
        throw .overlongNumber(position: start)
    }

    /// Reads a signed number as records carry it: zigzag, so that small negative ones are short too.
    @inlinable
    public mutating func readVarint() throws(ByteReaderError) -> Int32 {
        let value = try readUnsignedVarint()
        return Int32(bitPattern: value >> 1) ^ -Int32(bitPattern: value & 1)
    }

    /// Reads a signed 64-bit number as records carry it: zigzag.
    @inlinable
    public mutating func readVarlong() throws(ByteReaderError) -> Int64 {
        let value = try readUnsignedVarlong()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }
}
