public import Base

/// Time that stands still until it is moved by hand, or by a simulated disk whose operations take time.
public final class SimulatedClock: TimeSource {
    private struct Times {
        var monotonicNanoseconds: UInt64
        /// Nanoseconds since the Unix epoch.
        var wallNanoseconds: Int64
    }

    private let times: Locked<Times>

    /// - Parameters:
    ///   - monotonicNanoseconds: where the monotonic clock starts.
    ///   - wallClockMilliseconds: where the wall clock starts, in milliseconds since the Unix epoch.
    public init(
        monotonicNanoseconds: UInt64 = 1_000_000_000, wallClockMilliseconds: Int64 = 1_750_000_000_000
    ) {
        times = Locked(
            Times(
                monotonicNanoseconds: monotonicNanoseconds,
                wallNanoseconds: wallClockMilliseconds * Self.nanosecondsPerMillisecond))
    }

    public func monotonicNanoseconds() -> UInt64 { times.withLock { $0.monotonicNanoseconds } }

    public func wallClockMilliseconds() -> Int64 {
        times.withLock { $0.wallNanoseconds / Self.nanosecondsPerMillisecond }
    }

    /// Lets time pass on both clocks.
    public func advance(nanoseconds: UInt64) {
        times.withLock {
            $0.monotonicNanoseconds += nanoseconds
            $0.wallNanoseconds += Int64(nanoseconds)
        }
    }

    /// Lets time pass on both clocks.
    public func advance(milliseconds: Int64) {
        invariant(
            milliseconds >= 0, "time cannot pass backwards: \(milliseconds) ms; jump the wall clock instead")
        advance(nanoseconds: UInt64(milliseconds * Self.nanosecondsPerMillisecond))
    }

    /// Lets time pass up to a moment of the monotonic clock; does nothing when that is past.
    public func advance(toMonotonicNanoseconds moment: UInt64) {
        let now = monotonicNanoseconds()
        if moment > now { advance(nanoseconds: moment - now) }
    }

    /// Sets the wall clock, forwards or backwards, as an operator or NTP would; the monotonic clock goes on
    /// as it was.
    public func setWallClock(milliseconds: Int64) {
        times.withLock { $0.wallNanoseconds = milliseconds * Self.nanosecondsPerMillisecond }
    }

    /// Moves the wall clock by a distance that may be negative.
    public func jumpWallClock(byMilliseconds distance: Int64) {
        times.withLock { $0.wallNanoseconds += distance * Self.nanosecondsPerMillisecond }
    }

    private static let nanosecondsPerMillisecond: Int64 = 1_000_000
}
