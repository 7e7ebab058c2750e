internal import Synchronization

/// How much of something a client has used lately: bytes, or time. Counted by all lanes together, without a
/// lock, in windows of equal length.
///
/// A window is one number that any lane adds to. It carries the number of the span of time that it counts, so
/// that whoever comes first in a new span empties it with the same step by which it counts.
///
/// | bits | meaning |
/// | --- | --- |
/// | 0-47 | what was used, at most 2^48 - 1 |
/// | 48-63 | the number of the span since the clock's beginning, modulo 65536 |
final class RateMeter: Sendable {
    private final class Window: Sendable { let packed = Atomic<UInt64>(0) }

    private let windows: [Window]
    /// Of one window.
    private let windowNanoseconds: UInt64

    private static let amountBits: UInt64 = 48
    private static let amountMask: UInt64 = 1 << amountBits - 1
    private static let spanMask: UInt64 = 0xFFFF

    /// - Parameters:
    ///   - windowCount: `quota.window.num`; at least two are kept, as what was too much at the end of one
    ///     must show in the next.
    ///   - windowSeconds: `quota.window.size.seconds`.
    init(windowCount: Int, windowSeconds: Int) {
        windows = (0..<max(windowCount, 2)).map { _ in Window() }
        windowNanoseconds = UInt64(max(windowSeconds, 1)) * 1_000_000_000
    }

    /// Counts `amount`.
    /// - Parameter now: nanoseconds of the monotonic clock.
    func record(_ amount: UInt64, now: UInt64) {
        let number = now / windowNanoseconds
        let span = (number & Self.spanMask) << Self.amountBits
        let window = windows[Int(number % UInt64(windows.count))]
        var known = window.packed.load(ordering: .relaxed)
        while true {
            let isCurrent = known & ~Self.amountMask == span
            let sum = (isCurrent ? known & Self.amountMask : 0).addingReportingOverflow(amount)
            let full = sum.overflow || sum.partialValue > Self.amountMask
            let new = span | (full ? Self.amountMask : sum.partialValue)
            let (isDone, found) = window.packed.weakCompareExchange(
                expected: known, desired: new, ordering: .relaxed)
            if isDone { return }
            known = found
        }
    }

    /// What was used in the present window and those before it.
    func total(now: UInt64) -> UInt64 {
        let number = now / windowNanoseconds
        let count = UInt64(windows.count)
        var total: UInt64 = 0
        for age in 0..<min(count, number + 1) {
            let packed = windows[Int((number - age) % count)].packed.load(ordering: .relaxed)
            if packed >> Self.amountBits == (number - age) & Self.spanMask {
                total += packed & Self.amountMask
            }
        }
        return total
    }

    /// How long the time is that `total` is about, in nanoseconds: all windows, the present one only as far
    /// as it has come. Windows before the client's first use count too, so that it may begin with a burst.
    func span(now: UInt64) -> UInt64 {
        let whole = UInt64(windows.count - 1) * windowNanoseconds
        return max(whole + now % windowNanoseconds, windowNanoseconds)
    }

    /// How long to wait until what was used, and `more`, is no more than `perSecond` allows, in nanoseconds;
    /// 0 when it is none too much.
    func excess(over perSecond: Double, adding more: UInt64 = 0, now: UInt64) -> UInt64 {
        let used = Double(total(now: now)) + Double(more)
        let allowed = perSecond * Double(span(now: now)) / 1e9
        guard used > allowed else { return 0 }
        let wait = (used - allowed) / perSecond * 1e9
        return wait < Double(Self.longestWait) ? UInt64(wait) : Self.longestWait
    }

    /// A day: nobody waits for so long, and sums of moments do not overflow.
    private static let longestWait: UInt64 = 86_400_000_000_000

    /// What may be used at once without having to wait, when nothing else was used.
    func allowance(at perSecond: Double) -> Double {
        perSecond * Double(max(windows.count - 1, 1)) * Double(windowNanoseconds) / 1e9
    }
}
