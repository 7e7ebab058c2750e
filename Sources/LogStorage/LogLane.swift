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

/// What the logs of one thread share: the append queue, the clock, scratch memory, and who has something to
/// flush.
///
/// A lane and all its logs are used by one thread at a time. The usual turn of a lane: take requests and call
/// `PartitionLog.append…` for each, then `flush` once, then `poll` when there is nothing else to do. Who sets
/// `holdsSyncs` also calls `syncHeld`, when nothing more is about to come.
public final class LogLane {
    public let queue: any AppendQueue
    public let timeSource: any TimeSource
    public let road: AppendRoad
    let scanContext: ScanContext
    private var jitter: SeededGenerator
    private var dirtyLogs: [PartitionLog] = []
    private var isFlushing = false
    /// While true, appends are written but no sync of an active segment begins, on the direct road: for who
    /// sees more appends coming, so that all of them share the sync, and calls `syncHeld` soon.
    public var holdsSyncs = false
    /// Whether a sync is held back that no other delays: `syncHeld` would begin it.
    public private(set) var owesSyncs = false
    /// Whether any sync is held back.
    public private(set) var holdsBack = false
    private var waves: [SyncWave] = []

    /// - Parameter seed: of the jitter that spreads the rolling of segments.
    public init(
        queue: any AppendQueue, timeSource: any TimeSource, road: AppendRoad = .direct, seed: UInt64 = 0
    ) {
        self.queue = queue
        self.timeSource = timeSource
        self.road = road
        scanContext = ScanContext(timeSource: timeSource)
        jitter = SeededGenerator(seed: seed)
        dirtyLogs.reserveCapacity(64)
    }

    var now: Timestamp { scanContext.now }

    var monotonicMilliseconds: UInt64 { timeSource.monotonicNanoseconds() / 1_000_000 }

    /// For scanning batch headers.
    var scanBuffer: IOBuffer { scanContext.buffer }

    /// A number of milliseconds below `limit`.
    func nextJitter(below limit: Int64) -> Int64 {
        limit > 0 ? Int64(jitter.next() % UInt64(limit)) : 0
    }

    /// Remembers a log that has something to flush; each log calls once per turn.
    func noteDirty(_ log: PartitionLog) { dirtyLogs.append(log) }

    /// Lets go of a log that is not used any more.
    func forget(_ log: PartitionLog) {
        // A flush that is going on comes by it, and finds nothing to do.
        if !isFlushing { dirtyLogs.removeAll { $0 === log } }
    }

    /// Sends all queued appends of all logs on their way. Direct appends are written when this returns.
    public func flush() {
        // A log may be noted again while it is flushed, by an observer that appends.
        isFlushing = true
        var index = 0
        var heldCount = 0
        while index < dirtyLogs.count {
            let log = dirtyLogs[index]
            if log.flush(holdsSync: holdsSyncs && !log.commit.wave.isReleased) {
                dirtyLogs[heldCount] = log
                heldCount += 1
            }
            index += 1
        }
        if heldCount == 0 {
            dirtyLogs.removeAll(keepingCapacity: true)
        } else {
            dirtyLogs.removeLast(dirtyLogs.count - heldCount)
        }
        noteHeld()
        isFlushing = false
        if queue.pendingCount > 0 { queue.submit() }
    }

    /// What is left of `dirtyLogs` waits for its sync.
    private func noteHeld() {
        holdsBack = !dirtyLogs.isEmpty
        owesSyncs = dirtyLogs.contains { $0.commit.wave.count == 0 }
    }

    /// Begins syncs that were held back.
    /// - Parameter waits: those wait in whose log directory syncs of this lane are under way, to begin
    ///   together when these have ended.
    public func syncHeld(afterOthers waits: Bool) {
        for wave in waves { wave.isReleased = !waits || wave.count == 0 }
        flush()
        for wave in waves { wave.isReleased = false }
    }

    /// The syncs of this lane in `directory`.
    func wave(of directory: LogDirectory) -> SyncWave {
        if let known = waves.first(where: { $0.directory === directory }) { return known }
        let made = SyncWave(directory: directory)
        waves.append(made)
        return made
    }

    /// Delivers completions, waiting up to `waitNanoseconds` for the first when some are due (nil: without
    /// limit).
    /// - Returns: the number of completions delivered.
    @discardableResult
    public func poll(waitNanoseconds: UInt64?) -> Int {
        let delivered = queue.poll(waitNanoseconds: waitNanoseconds)
        if !dirtyLogs.isEmpty { flush() }
        return delivered
    }
}
