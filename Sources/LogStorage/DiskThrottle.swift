public import Base

/// Spreads the reading and writing of work in the background over time, so that it leaves the disk to others
/// (`log.cleaner.io.max.bytes.per.second`, `replica.alter.log.dirs.io.max.bytes.per.second`). Any thread;
/// shared by all that do such work.
///
/// Bytes are paid for after they are admitted: each admission waits until all before it are paid. So within
/// any stretch of time no more passes than the rate allows, and one admission.
public final class DiskThrottle: Sendable {
    private struct State: Sendable {
        /// When everything admitted so far will be paid, in monotonic nanoseconds.
        var paidNanoseconds: UInt64 = 0
        var bytesPerSecond: Double?
    }

    private let timeSource: any TimeSource
    private let wait: @Sendable (_ nanoseconds: UInt64) -> Void
    private let state: Locked<State>
    /// The rate may change meanwhile.
    private static let longestWait: UInt64 = 1_000_000_000
    /// What one admission is paid with at most, however slow the rate.
    private static let highestCost = 3.6e12

    /// - Parameters:
    ///   - bytesPerSecond: read and written together; nil: without limit.
    ///   - wait: blocks the calling thread for about this long; it may return early.
    public init(
        bytesPerSecond: Double?, timeSource: any TimeSource,
        wait: @escaping @Sendable (_ nanoseconds: UInt64) -> Void
    ) {
        invariant(
            (bytesPerSecond ?? 1) > 0, "a throttle of \(bytesPerSecond ?? 0) bytes a second lets nothing pass"
        )
        state = Locked(State(bytesPerSecond: bytesPerSecond))
        self.timeSource = timeSource
        self.wait = wait
    }

    /// In bytes; nil: without limit.
    public var bytesPerSecond: Double? { state.withLock { $0.bytesPerSecond } }

    /// What passes a second from now on; nil: without limit. What is paid for already stays so, but for the
    /// time that a much slower rate has made it wait for.
    public func setRate(_ bytesPerSecond: Double?) {
        state.withLock { state in
            guard state.bytesPerSecond != bytesPerSecond else { return }
            state.bytesPerSecond = bytesPerSecond
            state.paidNanoseconds = 0
        }
    }

    /// Returns when `byteCount` bytes may be read or written, or `isCancelled` says that nobody wants them
    /// any more.
    public func admit(_ byteCount: Int, unless isCancelled: () -> Bool) {
        while !isCancelled() {
            let now = timeSource.monotonicNanoseconds()
            let left: UInt64 = state.withLock { state in
                guard let bytesPerSecond = state.bytesPerSecond else { return 0 }
                if state.paidNanoseconds > now { return state.paidNanoseconds - now }
                let cost = min(Double(byteCount) / bytesPerSecond * 1e9, Self.highestCost)
                state.paidNanoseconds = now + UInt64(cost)
                return 0
            }
            if left == 0 { return }
            wait(min(left, Self.longestWait))
        }
    }
}
