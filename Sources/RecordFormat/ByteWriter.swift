public import Base

/// Collects numbers and byte strings one after the other, big endian, in storage that grows.
public struct ByteWriter: Sendable {
    /// What was written.
    public var bytes: [UInt8] { storage }

    @usableFromInline var storage: [UInt8]

    /// - Parameter capacity: bytes to make room for at once.
    public init(capacity: Int = 0) {
        storage = []
        storage.reserveCapacity(capacity)
    }

    public var byteCount: Int { storage.count }

    /// Forgets what was written and keeps the room.
    public mutating func removeAll() { storage.removeAll(keepingCapacity: true) }

    /// Appends a big-endian integer of its own width.
    @inlinable
    public mutating func write<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        withUnsafeBytes(of: value.bigEndian) { storage.append(contentsOf: $0) }
    }

    public mutating func write(_ other: RawSpan) {
        other.withUnsafeBytes { storage.append(contentsOf: $0) }
    }

    public mutating func write(_ other: [UInt8]) { storage.append(contentsOf: other) }

    /// Appends the UTF-8 of `text`.
    public mutating func write(utf8 text: String) { storage.append(contentsOf: text.utf8) }

    /// Replaces an integer that was written before, as for lengths that are known at the end. Traps when it
    /// does not lie within what was written.
    @inlinable
    public mutating func overwrite<Value: FixedWidthInteger & BitwiseCopyable>(
        _ value: Value, at position: Int
    ) {
        invariant(
            position >= 0 && position <= storage.count - MemoryLayout<Value>.size,
            "\(Value.self) at \(position) of \(storage.count) bytes")
        storage.withUnsafeMutableBytes {
            $0.storeBytes(of: value.bigEndian, toByteOffset: position, as: Value.self)
        }
    }

    /// Appends an unsigned number, seven bits a byte, the lowest first.
    public mutating func writeUnsignedVarint(_ value: UInt32) { writeUnsignedVarlong(UInt64(value)) }

    /// Appends an unsigned 64-bit number, seven bits a byte, the lowest first.
    public mutating func writeUnsignedVarlong(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            storage.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        storage.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Appends a signed number as records carry it: zigzag, so that small negative ones are short too.
    public mutating func writeVarint(_ value: Int32) {
        writeUnsignedVarint(UInt32(bitPattern: (value << 1) ^ (value >> 31)))
    }

    /// Appends a signed 64-bit number as records carry it: zigzag.
    public mutating func writeVarlong(_ value: Int64) {
        writeUnsignedVarlong(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
    }

    /// How many bytes `writeVarlong`, and `writeVarint` for small enough ones, takes for `value`: 1 to 10.
    public static func varintByteCount(_ value: Int64) -> Int {
        let zigzag = UInt64(bitPattern: (value << 1) ^ (value >> 63))
        return max(1, (UInt64.bitWidth - zigzag.leadingZeroBitCount + 6) / 7)
    }
}
