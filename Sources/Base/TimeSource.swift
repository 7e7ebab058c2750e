/// Where the program learns what time it is. The real one is `SystemIO.SystemClock`; simulations move their
/// own.
public protocol TimeSource: AnyObject, Sendable {
    /// Nanoseconds since an arbitrary start; never goes back. For durations and time-outs.
    func monotonicNanoseconds() -> UInt64

    /// Milliseconds since the Unix epoch; may jump. For record timestamps and retention.
    func wallClockMilliseconds() -> Int64
}
