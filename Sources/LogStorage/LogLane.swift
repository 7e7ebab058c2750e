public import Base
internal import RecordFormat
public import SystemIO

/// By which road appends reach the file.
public enum AppendRoad: String, Sendable, CaseIterable {
    /// pwritev on the lane, then, where asked, one fdatasync through the queue for all that wait.
    case direct
    /// One linked write + fdatasync through the queue for all that wait.
    case queued
}

/// What the logs of one thread share: the append queue, the clock, scratch memory, and who has something to flush.
///
/// A lane and all its logs are used by one thread at a time. The usual turn of a lane: take requests and call
/// `PartitionLog.append…` for each, then `flush` once, then `poll` when there is nothing else to do.
public final class LogLane {
    public let queue: any AppendQueue
    public let timeSource: any TimeSource
    public let road: AppendRoad
    /// For scanning batch headers; whoever uses it is done with it before calling anything else.
    let scanBuffer = IOBuffer(byteCount: LogLane.scanBufferByteCount)
    private var dirtyLogs: [PartitionLog] = []

    /// Large enough for the headers between two index entries, small enough to be copied cheaply.
    static let scanBufferByteCount = 8192

    public init(queue: any AppendQueue, timeSource: any TimeSource, road: AppendRoad = .direct) {
        self.queue = queue
        self.timeSource = timeSource
        self.road = road
        dirtyLogs.reserveCapacity(64)
    }

    var now: Timestamp { Timestamp(timeSource.wallClockMilliseconds()) }

    var monotonicMilliseconds: UInt64 { timeSource.monotonicNanoseconds() / 1_000_000 }

    /// Remembers a log that has something to flush; each log calls once per turn.
    func noteDirty(_ log: PartitionLog) { dirtyLogs.append(log) }

    /// Sends all queued appends of all logs on their way. Direct appends are written when this returns.
    public func flush() {
        // A log may be noted again while it is flushed, by an observer that appends.
        var index = 0
        while index < dirtyLogs.count {
            dirtyLogs[index].flush()
            index += 1
        }
        dirtyLogs.removeAll(keepingCapacity: true)
        if queue.pendingCount > 0 { queue.submit() }
    }

    /// Delivers completions, waiting up to `waitNanoseconds` for the first when some are due (nil: without limit).
    /// - Returns: the number of completions delivered.
    @discardableResult
    public func poll(waitNanoseconds: UInt64?) -> Int {
        let delivered = queue.poll(waitNanoseconds: waitNanoseconds)
        if !dirtyLogs.isEmpty { flush() }
        return delivered
    }
}
