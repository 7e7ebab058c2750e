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
        var attributes = pthread_condattr_t()
        Self.check(pthread_condattr_init(&attributes), "pthread_condattr_init")
        Self.check(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), "pthread_condattr_setclock")
        Self.check(pthread_cond_init(condition, &attributes), "pthread_cond_init")
        Self.check(pthread_condattr_destroy(&attributes), "pthread_condattr_destroy")
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

    /// As `wait`, but no longer than until the monotonic clock shows `deadline`, in nanoseconds.
    /// - Returns: false when it was the deadline that ended the wait.
    func wait(untilMonotonic deadline: UInt64) -> Bool {
        var moment = timespec()
        moment.tv_sec = Int(clamping: deadline / 1_000_000_000)
        moment.tv_nsec = Int(deadline % 1_000_000_000)
        let status = pthread_cond_timedwait(condition, mutex, &moment)
        if status == ETIMEDOUT { return false }
        Self.check(status, "pthread_cond_timedwait")
        return true
    }

    func wakeOne() { Self.check(pthread_cond_signal(condition), "pthread_cond_signal") }

    func wakeAll() { Self.check(pthread_cond_broadcast(condition), "pthread_cond_broadcast") }

    /// Locks fail only when they are misused.
    @inline(__always)
    private static func check(_ status: Int32, _ call: StaticString) {
        invariant(status == 0, "\(call): \(Errno(rawValue: status))")
    }
}
