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

/// A mutex whose two halves are called by hand, for code that handles spans: a closure cannot capture them.
/// Where one will do, use `Locked`.
public final class HandLock: Sendable {
    @usableFromInline let mutex = Mutex<Void>(())

    #if DEBUG
        @usableFromInline let order = Atomic<Bool>(false)
    #endif

    /// Nobody holds it.
    @inlinable
    public init() {}

    /// Waits until no other thread holds it. Every call is followed by one of `release` on the same thread.
    @inlinable
    public func acquire() {
        mutex._unsafeLock()
        #if DEBUG
            _ = order.load(ordering: .acquiring)
        #endif
    }

    /// Lets the next thread have it.
    @inlinable
    public func release() {
        #if DEBUG
            order.store(true, ordering: .releasing)
        #endif
        mutex._unsafeUnlock()
    }

    /// Calls `body` while no other thread holds the lock.
    @inlinable
    public func withLock<Result, Failure: Error>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        acquire()
        defer { release() }
        return try body()
    }
}
