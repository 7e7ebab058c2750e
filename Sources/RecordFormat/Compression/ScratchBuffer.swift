internal import Base

/// Memory that output of unknown size is collected in: it grows as bytes arrive, never beyond a bound, and is
/// kept from one use to the next.
///
/// Not synchronised. `Decompressor` hands it out together with a reference, and takes a fresh one while
/// another cursor still holds the last, so that nobody reads bytes that were overwritten.
final class ScratchBuffer {
    /// The first growth. Most batches fit (a producer's default batch is 16 KiB), so that one allocation
    /// serves.
    private static let firstCapacity = 64 * 1024

    private(set) var base: UnsafeMutableRawPointer?
    private(set) var capacity = 0
    /// How many bytes were collected.
    private(set) var byteCount = 0
    /// How many bytes may be collected.
    private var maximumByteCount = 0

    deinit { base?.deallocate() }

    /// Forgets the collected bytes, keeps the memory, and sets the bound for what comes.
    func reset(maximumByteCount: Int) {
        byteCount = 0
        self.maximumByteCount = maximumByteCount
    }

    /// The memory behind the collected bytes: at least one byte, and one more than the bound allows, by which
    /// a stream that goes on shows itself.
    func room() -> UnsafeMutableRawBufferPointer {
        invariant(
            byteCount <= maximumByteCount, "\(byteCount) bytes collected where \(maximumByteCount) may be")
        let start = base.map { byteCount < capacity ? $0 : grow(to: capacity + 1) } ?? grow(to: 1)
        let end = min(capacity, maximumByteCount + 1)
        return UnsafeMutableRawBufferPointer(start: start + byteCount, count: end - byteCount)
    }

    /// Counts `count` bytes, written to `room()`, as collected. False when that passes the bound.
    func collected(_ count: Int) -> Bool {
        byteCount += count
        return byteCount <= maximumByteCount
    }

    /// Whether `count` more bytes would still be within the bound.
    func allows(_ count: Int) -> Bool { count <= maximumByteCount - byteCount }

    /// Makes `room()` at least `count` bytes, which must be allowed.
    func reserve(_ count: Int) {
        if capacity - byteCount < count { _ = grow(to: byteCount + count) }
    }

    private func grow(to needed: Int) -> UnsafeMutableRawPointer {
        let doubled = max(Self.firstCapacity, capacity * 2)
        let wanted = max(needed, min(doubled, maximumByteCount + 1))
        let grown = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 64)
        if let base {
            grown.copyMemory(from: base, byteCount: byteCount)
            base.deallocate()
        }
        base = grown
        capacity = wanted
        return grown
    }

    /// The collected bytes.
    var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = RawSpan(
                _unsafeBytes: UnsafeRawBufferPointer(start: base, count: base == nil ? 0 : byteCount))
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }
}
