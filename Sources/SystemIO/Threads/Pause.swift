internal import Base
internal import Glibc

/// A wait for time to pass that can be ended early, for threads that do their work at a bounded rate.
public final class Pause: @unchecked Sendable {
    // @unchecked: `isOver` is touched only with the monitor's lock held.
    private let monitor = Monitor()
    private let clock = SystemClock()
    private var isOver = false

    public init() {}

    /// Blocks the calling thread for `nanoseconds`, or until `end`.
    public func wait(nanoseconds: UInt64) {
        let (sum, overflows) = clock.monotonicNanoseconds().addingReportingOverflow(nanoseconds)
        let deadline = overflows ? UInt64.max : sum
        monitor.locked {
            while !isOver && monitor.wait(untilMonotonic: deadline) {}
        }
    }

    /// Ends every wait, those that are to come included.
    public func end() {
        monitor.locked {
            isOver = true
            monitor.wakeAll()
        }
    }
}
