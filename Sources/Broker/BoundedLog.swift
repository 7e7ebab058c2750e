internal import Base

/// Log lines that a client can cause as often as it likes: so many in a span of time, and then a count of
/// those that were left out. One for each lane.
final class BoundedLog {
    private let log: Logger
    private var windowBegan: UInt64 = 0
    private var written = 0
    private var leftOut = 0

    /// Lines in a window, and its length.
    static let linesPerWindow = 50
    static let windowNanoseconds: UInt64 = 10_000_000_000

    init(_ log: Logger) { self.log = log }

    /// - Parameter now: nanoseconds of the monotonic clock.
    func write(
        _ level: LogLevel, _ event: StaticString, now: UInt64, _ fields: @autoclosure () -> [LogField]
    ) {
        if now >= windowBegan &+ Self.windowNanoseconds {
            windowBegan = now
            written = 0
        }
        if written >= Self.linesPerWindow {
            leftOut += 1
            return
        }
        written += 1
        let missing = leftOut
        leftOut = 0
        log.log(level, event, fields() + (missing > 0 ? [LogField("similarLinesLeftOut", missing)] : []))
    }
}
