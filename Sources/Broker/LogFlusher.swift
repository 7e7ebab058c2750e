internal import LogStorage
internal import Transport

/// Has a lane look for logs whose appends have waited for `flush.ms`, as long as one has such a setting.
final class LogFlusher: TimerHandler, @unchecked Sendable {
    // @unchecked: touched on the lane only.

    private let lane: Lane
    private let logs: LogManager
    private var timer: TimerID?
    private var interval: Int64 = .max

    /// How often logs are looked at, whatever they are set to.
    private static let intervals: ClosedRange<Int64> = 5...1_000

    init(_ lane: Lane, _ logs: LogManager) {
        self.lane = lane
        self.logs = logs
    }

    /// A log has this `flush.ms`.
    func note(_ milliseconds: Int64) {
        guard milliseconds < Int64.max else { return }
        let wanted = Self.interval(milliseconds)
        if timer != nil && interval <= wanted { return }
        if let timer { lane.cancel(timer) }
        schedule(wanted)
    }

    /// Often enough that a sync is not asked for much too early.
    private static func interval(_ milliseconds: Int64) -> Int64 {
        min(max(milliseconds / 4, intervals.lowerBound), intervals.upperBound)
    }

    private func schedule(_ milliseconds: Int64) {
        interval = milliseconds
        timer = lane.schedule(at: lane.moment(afterMilliseconds: milliseconds), self)
    }

    func timerFired(_ tag: UInt64) {
        timer = nil
        guard let shortest = logs.flushOverdue(interval: interval) else { return }
        schedule(Self.interval(shortest))
    }
}
