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

    /// - Parameter byteCount: size in bytes; at least 1. The bytes are zero.
    public init(byteCount: Int) {
        self.byteCount = byteCount
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

    deinit { base.deallocate() }

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
