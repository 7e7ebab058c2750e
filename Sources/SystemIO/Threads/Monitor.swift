internal import Base
internal import Glibc

/// A lock and a condition to wait for under it (pthread mutex and condition variable).
final class Monitor: @unchecked Sendable {
    // @unchecked: the pointers never change, and what they point to is made for several threads.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        Self.check(pthread_mutex_init(mutex, nil), "pthread_mutex_init")
        Self.check(pthread_cond_init(condition, nil), "pthread_cond_init")
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Runs `body` with the lock held.
    @inline(__always)
    func locked<Result>(_ body: () -> Result) -> Result {
        Self.check(pthread_mutex_lock(mutex), "pthread_mutex_lock")
        defer { Self.check(pthread_mutex_unlock(mutex), "pthread_mutex_unlock") }
        return body()
    }

    /// Lets go of the lock until woken, perhaps without a reason: look at the state again. Only within
    /// `locked`.
    func wait() { Self.check(pthread_cond_wait(condition, mutex), "pthread_cond_wait") }

    func wakeOne() { Self.check(pthread_cond_signal(condition), "pthread_cond_signal") }

    func wakeAll() { Self.check(pthread_cond_broadcast(condition), "pthread_cond_broadcast") }

    /// Locks fail only when they are misused.
    @inline(__always)
    private static func check(_ status: Int32, _ call: StaticString) {
        invariant(status == 0, "\(call): \(Errno(rawValue: status))")
    }
}
