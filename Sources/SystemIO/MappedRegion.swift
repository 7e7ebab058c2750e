/// What stands behind a mapping; the kernel's or a simulated disk's memory.
public protocol MappingOwner: AnyObject, Sendable {
    /// Makes the stores to `range` durable (msync).
    func sync(_ range: Range<Int>) throws(IOError)
}

/// Memory that shows the beginning of a file. Unmapped with the last reference.
///
/// Not synchronised: one writer at a time, and readers see stores of their own thread at once.
public final class MappedRegion: @unchecked Sendable {
    // @unchecked: the pointer and the size never change; the bytes follow the rule above.
    let base: UnsafeMutableRawPointer
    public let byteCount: Int
    private let owner: any MappingOwner

    /// - Parameters:
    ///   - base: stays valid for as long as `owner` lives.
    ///   - owner: unmaps in its `deinit`.
    public init(base: UnsafeMutableRawPointer, byteCount: Int, owner: any MappingOwner) {
        self.base = base
        self.byteCount = byteCount
        self.owner = owner
    }

    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = RawSpan(_unsafeStart: UnsafeRawPointer(base), byteCount: byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// For writing; only for a mapping made with `MapAccess.readWrite`.
    public var mutableBytes: MutableRawSpan {
        @_lifetime(borrow self)
        get {
            let span = MutableRawSpan(_unsafeStart: base, byteCount: byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// On return the stores to `range` are on stable storage.
    public func sync(_ range: Range<Int>) throws(IOError) { try owner.sync(range) }
}
