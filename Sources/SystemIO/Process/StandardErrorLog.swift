public import Base
internal import CLiburing
internal import CLinux
internal import Glibc

/// Log lines to the standard error, each with the time (UTC) before it: `time=2026-01-31T23:59:59.123Z
/// level=...`, or as one JSON object a line.
///
/// A line is one write: lines of several threads do not mix. A line that cannot be written is lost; there is
/// nowhere to say so.
public final class StandardErrorLog: LogSink {
    private let clock: any TimeSource
    private let stream: StandardStream
    private let turn = Locked<Void>(())
    public let format: LogFormat

    public init(format: LogFormat = .text, clock: any TimeSource = SystemClock()) {
        self.format = format
        self.clock = clock
        stream = .error
    }

    public func write(level: LogLevel, line: String) {
        let time = Self.text(ofMilliseconds: clock.wallClockMilliseconds())
        let text = format == .json ? "{\"time\":\"\(time)\",\(line)}\n" : "time=\(time) \(line)\n"
        turn.withLock { _ in _ = try? stream.write(text) }
    }

    /// The time as ISO 8601 writes it, in UTC, to the millisecond.
    static func text(ofMilliseconds milliseconds: Int64) -> String {
        let second = milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000
        var time = time_t(second)
        var parts = tm()
        gmtime_r(&time, &parts)
        let date =
            "\(padded(parts.tm_year + 1900, 4))-\(padded(parts.tm_mon + 1, 2))-\(padded(parts.tm_mday, 2))"
        let clock = "\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2))"
        return "\(date)T\(clock).\(padded(Int32(milliseconds - second * 1000), 3))Z"
    }

    private static func padded(_ number: Int32, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(width - digits.utf8.count, 0)) + digits
    }
}
