public import Base
internal import CLiburing
internal import Glibc

/// The machine's clocks.
public final class SystemClock: TimeSource {
    public init() {}

    /// Nanoseconds since the machine started, not counting sleep (CLOCK_MONOTONIC).
    public func monotonicNanoseconds() -> UInt64 {
        let now = Self.read(CLOCK_MONOTONIC)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }

    public func wallClockMilliseconds() -> Int64 {
        let now = Self.read(CLOCK_REALTIME)
        return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var now = timespec()
        let error = SystemCall.once { clock_gettime(clock, &now) }
        invariant(error == nil, "clock \(clock) cannot be read: \(String(describing: error))")
        return now
    }
}
