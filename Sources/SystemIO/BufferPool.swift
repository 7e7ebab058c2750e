internal import Base
internal import Synchronization

/// Memory for buffers that come and go: bounded in total, and used again, because the first touch of fresh
/// pages costs more than receiving into them.
///
/// Any thread may take, and the last reference to a buffer may be let go of on any thread. Buffers come in
/// size classes, four to each power of two, so that at most a fifth of one is waste; their bytes are whatever
/// was left in them.
public final class BufferPool: Sendable {
    /// Bytes that buffers may take up at once.
    public let limitByteCount: Int
    /// Bytes of free memory that are kept for the next buffers.
    private let keptLimitByteCount: Int
    private let usedBytes = Atomic<Int>(0)
    private let isWaitedFor = Atomic<Bool>(false)
    private let state: Locked<FreeMemory>

    private struct FreeMemory: @unchecked Sendable {
        // @unchecked: touched only with the mutex held; nobody else knows these pointers.
        /// By size class.
        var free: [ContiguousArray<UnsafeMutableRawPointer>] = Array(repeating: [], count: classCount)
        var keptBytes = 0
        /// Called, once, when memory came back that somebody waits for.
        var onRelease: [@Sendable () -> Void] = []
    }

    /// - Parameters:
    ///   - limitByteCount: what buffers may take up at once, rounding up to size classes included.
    ///   - keptByteCount: free memory that is not given back to the system.
    public init(limitByteCount: Int, keptByteCount: Int = 16 << 20) {
        self.limitByteCount = limitByteCount
        keptLimitByteCount = keptByteCount
        state = Locked(FreeMemory())
    }

    deinit {
        let all = state.withLock { $0.free }
        for pointers in all { for pointer in pointers { pointer.deallocate() } }
    }

    /// Bytes that buffers take up now.
    public var usedByteCount: Int { usedBytes.load(ordering: .relaxed) }

    // MARK: Size classes

    private static let smallestShift = 9
    private static let classCount = 4 * (40 - smallestShift)

    /// The class whose buffers hold `byteCount` bytes, and their size.
    static func sizeClass(for byteCount: Int) -> (number: Int, byteCount: Int) {
        let wanted = max(byteCount, 1 << smallestShift)
        invariant(wanted <= 1 << 39, "a buffer of \(byteCount) bytes")
        // A power of two and the three steps above it.
        let shift = Int.bitWidth - 1 - wanted.leadingZeroBitCount
        let step = 1 << (shift - 2)
        let quarter = (wanted - 1 << shift + step - 1) / step
        return ((shift - smallestShift) * 4 + quarter, 1 << shift + quarter * step)
    }

    /// What a buffer for `byteCount` bytes takes of the limit.
    public static func byteCount(toHold byteCount: Int) -> Int { sizeClass(for: byteCount).byteCount }

    // MARK: Taking and giving back

    /// - Returns: a buffer of at least `byteCount` bytes; nil when the pool's limit does not allow it now.
    public func take(byteCount: Int) -> IOBuffer? {
        let (number, classByteCount) = Self.sizeClass(for: byteCount)
        let (before, _) = usedBytes.add(classByteCount, ordering: .relaxed)
        if before + classByteCount > limitByteCount {
            usedBytes.subtract(classByteCount, ordering: .relaxed)
            return nil
        }
        let known = state.withLock { state -> Address? in
            guard let pointer = state.free[number].popLast() else { return nil }
            state.keptBytes -= classByteCount
            return Address(pointer: pointer)
        }
        let base = known?.pointer ?? .allocate(byteCount: classByteCount, alignment: 4096)
        return IOBuffer(base, byteCount: classByteCount, from: self)
    }

    private struct Address: @unchecked Sendable {
        // @unchecked: owned by whoever has it.
        let pointer: UnsafeMutableRawPointer
    }

    /// Whether `take` would find room, if nobody else takes any.
    public func canTake(byteCount: Int) -> Bool {
        usedBytes.load(ordering: .sequentiallyConsistent) + Self.sizeClass(for: byteCount).byteCount
            <= limitByteCount
    }

    func takeBack(_ base: UnsafeMutableRawPointer, _ byteCount: Int) {
        let number = Self.sizeClass(for: byteCount).number
        let address = Address(pointer: base)
        let isKept = state.withLock { state in
            if state.keptBytes + byteCount > keptLimitByteCount { return false }
            state.free[number].append(address.pointer)
            state.keptBytes += byteCount
            return true
        }
        if !isKept { base.deallocate() }
        usedBytes.subtract(byteCount, ordering: .sequentiallyConsistent)
        if isWaitedFor.load(ordering: .sequentiallyConsistent) { tellWaiters() }
    }

    /// Asks to be called once, on whatever thread it happens, when memory comes back. Ask first and then try
    /// `take` again: what came back in between is not told.
    public func whenMemoryReturns(_ call: @escaping @Sendable () -> Void) {
        state.withLock { $0.onRelease.append(call) }
        isWaitedFor.store(true, ordering: .sequentiallyConsistent)
    }

    private func tellWaiters() {
        let calls = state.withLock { state in
            let calls = state.onRelease
            state.onRelease = []
            isWaitedFor.store(false, ordering: .sequentiallyConsistent)
            return calls
        }
        for call in calls { call() }
    }

    /// Gives all free memory back to the system.
    public func trim() {
        let all = state.withLock { state in
            let all = state.free.map { $0.map { Address(pointer: $0) } }
            for number in state.free.indices { state.free[number] = [] }
            state.keptBytes = 0
            return all
        }
        for addresses in all { for address in addresses { address.pointer.deallocate() } }
    }
}
