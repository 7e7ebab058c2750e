internal import Base

/// A block of memory that the kernel reads from or writes to: page aligned, of fixed size, freed with its
/// last reference.
///
/// Not synchronised: whoever holds it decides who writes. A buffer handed to an `AppendQueue` must not be
/// written in the range handed over until that write completed.
public final class IOBuffer: @unchecked Sendable {
    // @unchecked: the pointer and the size never change; the bytes follow the ownership rule above.
    let base: UnsafeMutableRawPointer
    public let byteCount: Int
    /// Where the memory goes back to; nil when it is the buffer's own.
    private let pool: BufferPool?

    /// - Parameter byteCount: size in bytes; at least 1. The bytes are zero.
    public init(byteCount: Int) {
        self.byteCount = byteCount
        pool = nil
        base = UnsafeMutableRawPointer.allocate(byteCount: max(byteCount, 1), alignment: 4096)
        base.initializeMemory(as: UInt8.self, repeating: 0, count: max(byteCount, 1))
    }

    /// A buffer with a copy of `bytes`.
    public convenience init(copying bytes: [UInt8]) {
        self.init(byteCount: bytes.count)
        bytes.withUnsafeBytes { source in
            if let start = source.baseAddress { base.copyMemory(from: start, byteCount: bytes.count) }
        }
    }

    /// A buffer of memory that goes back to `pool`.
    init(_ base: UnsafeMutableRawPointer, byteCount: Int, from pool: BufferPool) {
        self.base = base
        self.byteCount = byteCount
        self.pool = pool
    }

    deinit {
        if let pool { pool.takeBack(base, byteCount) } else { base.deallocate() }
    }

    /// Copies `source` to `position`. Traps when it does not fit.
    public func copy(_ source: RawSpan, to position: Int) {
        invariant(
            position >= 0 && source.byteCount <= byteCount - position,
            "\(source.byteCount) bytes to \(position) of a buffer of \(byteCount) bytes")
        source.withUnsafeBytes { bytes in
            if let start = bytes.baseAddress {
                (base + position).copyMemory(from: start, byteCount: bytes.count)
            }
        }
    }

    /// The big-endian number at `position`. Traps when it does not lie within the buffer.
    public func bigEndianUInt32(at position: Int) -> UInt32 {
        invariant(
            position >= 0 && position <= byteCount - 4,
            "a number at \(position) of a buffer of \(byteCount) bytes")
        return UInt32(bigEndian: base.loadUnaligned(fromByteOffset: position, as: UInt32.self))
    }

    /// The byte at `position`. Traps when it does not lie within the buffer.
    public func byte(at position: Int) -> UInt8 {
        invariant(
            position >= 0 && position < byteCount, "byte \(position) of a buffer of \(byteCount) bytes")
        return base.load(fromByteOffset: position, as: UInt8.self)
    }

    /// Writes a big-endian number at `position`. Traps when it does not lie within the buffer.
    public func storeBigEndian(_ value: UInt32, at position: Int) {
        invariant(
            position >= 0 && position <= byteCount - 4,
            "a number to \(position) of a buffer of \(byteCount) bytes")
        base.storeBytes(of: value.bigEndian, toByteOffset: position, as: UInt32.self)
    }

    /// Copies a range of another buffer to `position`. Traps when it does not fit.
    public func copy(_ slice: BufferSlice, to position: Int) { copy(slice.bytes, to: position) }

    /// All bytes, for reading.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = RawSpan(_unsafeStart: UnsafeRawPointer(base), byteCount: byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The bytes of `range`, for reading. Traps when the range does not lie within the buffer.
    @_lifetime(borrow self)
    public func bytes(_ range: Range<Int>) -> RawSpan { bytes.extracting(range) }

    /// The bytes of `range`, for writing. Traps when the range does not lie within the buffer.
    @_lifetime(borrow self)
    public func mutableBytes(_ range: Range<Int>) -> MutableRawSpan {
        invariant(
            range.lowerBound >= 0 && range.upperBound <= byteCount,
            "\(range) of a buffer of \(byteCount) bytes")
        let span = MutableRawSpan(_unsafeStart: base + range.lowerBound, byteCount: range.count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }
}

/// A range of a buffer, keeping the buffer alive.
public struct BufferSlice: Sendable {
    public let buffer: IOBuffer
    public let range: Range<Int>

    public init(_ buffer: IOBuffer, _ range: Range<Int>) {
        invariant(
            range.lowerBound >= 0 && range.upperBound <= buffer.byteCount,
            "a slice \(range) of a buffer of \(buffer.byteCount) bytes")
        self.buffer = buffer
        self.range = range
    }

    /// The whole of `buffer`.
    public init(_ buffer: IOBuffer) { self.init(buffer, 0..<buffer.byteCount) }

    public var byteCount: Int { range.count }

    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get { unsafe _overrideLifetime(buffer.bytes(range), borrowing: self) }
    }
}
