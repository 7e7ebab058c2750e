internal import Synchronization

/// A value behind a mutex. For cold paths: hot state belongs to one lane and needs no lock.
public final class Locked<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>

    public init(_ value: Value) { mutex = Mutex(value) }

    /// Calls `body` with the value while no other thread has it. `body` must not wait for another lock.
    @discardableResult
    public func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        mutex.withLock { value in body(&value) }
    }
}
