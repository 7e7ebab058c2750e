public import Synchronization

/// A value behind a mutex. For cold paths: hot state belongs to one lane and needs no lock.
public final class Locked<Value: Sendable>: Sendable {
    @usableFromInline let mutex: Mutex<Value>

    #if DEBUG
        // The mutex is a futex in code that the thread sanitizer does not instrument. An atomic, which it
        // does see, tells it that what one holder did is done before the next one begins.
        @usableFromInline let order = Atomic<Bool>(false)
    #endif

    @inlinable
    public init(_ value: Value) { mutex = Mutex(value) }

    /// Calls `body` with the value while no other thread has it. `body` must not wait for another lock.
    @inlinable
    @discardableResult
    public func withLock<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try mutex.withLock { value throws(Failure) in
            #if DEBUG
                _ = order.load(ordering: .acquiring)
                defer { order.store(true, ordering: .releasing) }
            #endif
            return try body(&value)
        }
    }
}
