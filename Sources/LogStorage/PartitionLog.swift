internal import Base
public import RecordFormat
internal import SystemIO

/// Told about the progress of a log, on its lane. Several appends may be reported by one call.
public protocol PartitionLogObserver: AnyObject {
    /// `writtenEndOffset` or `syncedEndOffset` grew.
    func logAdvanced(_ log: PartitionLog)
    /// Appends from `offset` on, which had been taken, did not reach the disk and are not in the log.
    func logLostAppends(_ log: PartitionLog, from offset: Offset, because error: LogError)
}

/// Keeps the checkpoints of a log directory from saying of a log what does not hold any more.
public protocol RecoveryPointKeeper: AnyObject {
    /// On return no checkpoint on disk names a recovery point of `log` above `offset`.
    func lowerRecoveryPoint(of log: PartitionLog, to offset: Offset) throws(LogError)
    /// On return the checkpoint on disk says that `log` starts at `offset`.
    func writeLogStart(of log: PartitionLog, at offset: Offset) throws(LogError)
}

/// The durable, ordered log of one partition: the front door of the storage engine.
///
/// Owned by one lane; every call comes from the lane's thread. Offsets of a log, each at most the next:
///
///     logStartOffset <= recovery point (syncedEndOffset) <= writtenEndOffset <= logEndOffset
///
/// and the high watermark, which the owner moves, somewhere between start and end. An append is *queued* when
/// the call returns, *written* (readers see it) after the lane's `flush`, *synced* when the observer has been
/// told so.
///
/// Reads, truncations and deletions may come between an append and its completion; a slice stays readable
/// whatever happens to the log.
public final class PartitionLog {
    public let partition: TopicPartition
    public internal(set) var configuration: LogConfiguration
    public let directory: LogDirectory
    public weak var observer: (any PartitionLogObserver)?

    /// Asked before a truncation.
    public weak var recoveryPointKeeper: (any RecoveryPointKeeper)?

    let lane: LogLane
    let place: LogPlace
    let logger: Logger
    var segments: SegmentList
    var producers: ProducerStates
    var leaderEpochs: LeaderEpochCache
    /// Set right after `init`; the two refer to each other.
    var commit: GroupCommit
    /// Offset of the newest producer snapshot on disk, so that an unchanged state is not written twice.
    var snapshotOffset: Offset?
    /// Files of deleted segments that wait for their delay.
    var deletedFiles = DeletedFiles()
    /// What recovery found broken and left in place.
    public internal(set) var damage: [LogDamage] = []
    var isClosed = false
    /// Until the first change: see `settle`.
    var birth: LogBirth?
    /// The files are as they were closed in order.
    var isUntouched: Bool
    /// Where a truncation that has begun and not ended is to end.
    var cutTarget: Offset?
    /// Where the log is to begin anew, empty, once there is room for that; until then nothing can be read.
    var startTarget: Offset?
    /// When the oldest append that nobody has asked a sync for came, at the latest, on the monotonic clock;
    /// kept for `flush.ms` only.
    private var unsyncedSinceMilliseconds: UInt64?
    /// Where the last reads ended: sequential readers go on there without a search.
    var readPositions = ReadPositions()

    /// What the recovery point checkpoint on disk says at least. Compaction stays below it: recovery takes a
    /// gap above it for a tail that was lost.
    public internal(set) var checkpointedRecoveryPoint: Offset
    /// What the log start checkpoint on disk says at least: no start brings records below it back.
    var checkpointedLogStartOffset: Offset
    /// How far the log is compacted, and the round that is at it.
    var cleaning = CleaningState()

    /// The first offset that readers may ask for.
    public internal(set) var logStartOffset: Offset
    /// The offset up to which all in-sync replicas have the log; moved by `advanceHighWatermark`.
    public internal(set) var highWatermark: Offset

    /// Puts a log together from what `LogRecovery` found.
    init(
        partition: TopicPartition, configuration: LogConfiguration, lane: LogLane, place: LogPlace,
        contents: RecoveredLog
    ) throws(LogError) {
        self.partition = partition
        self.configuration = configuration
        self.lane = lane
        self.place = place
        directory = place.directory
        logger = place.directory.logger.named("log")
        segments = contents.segments
        producers = contents.producers
        leaderEpochs = contents.leaderEpochs
        snapshotOffset = contents.snapshotOffset
        damage = contents.damage
        birth = contents.birth
        isUntouched = contents.isUntouched
        logStartOffset = contents.logStartOffset
        highWatermark = contents.logStartOffset
        checkpointedRecoveryPoint = contents.checkpointedRecoveryPoint
        checkpointedLogStartOffset = contents.checkpointedLogStartOffset
        let owner = CommitOwner()
        do {
            commit = GroupCommit(
                file: try contents.segments.active.file(), position: contents.segments.active.byteCount,
                endOffset: contents.logEndOffset, syncedEndOffset: contents.recoveryPoint, queue: lane.queue,
                road: lane.road, wave: lane.wave(of: directory), owner: owner)
        } catch {
            throw LogError(reading: error)
        }
        commitOwner = owner
        owner.log = self
    }

    /// Passes the group commit's news on to the log, which cannot be given out before it is whole.
    private let commitOwner: CommitOwner

    /// The offset that the next record will get (LEO).
    public var logEndOffset: Offset { commit.queuedEndOffset }
    /// Readers see everything before this.
    public var writtenEndOffset: Offset { commit.writtenEndOffset }
    /// Everything before this is on stable storage.
    public var syncedEndOffset: Offset { commit.syncedEndOffset }
    /// The first offset that `read_committed` readers may not see yet (LSO).
    public var lastStableOffset: Offset {
        guard let unstable = producers.firstUnstableOffset else { return highWatermark }
        return max(min(unstable, highWatermark), logStartOffset)
    }
    public var segmentCount: Int { segments.count }
    /// Bytes of record batches in all segments.
    public var byteCount: Int64 { segments.byteCount }
    public var latestLeaderEpoch: LeaderEpoch? { leaderEpochs.latest?.epoch }
    public var path: String { place.path }

    /// Moves the high watermark forward to `offset`, at most to what is written.
    public func advanceHighWatermark(to offset: Offset) {
        let target = min(offset, commit.writtenEndOffset)
        guard target > highWatermark else { return }
        highWatermark = target
        producers.onHighWatermarkUpdated(target)
    }

    /// The checkpoints with `point` for this log are durable.
    public func noteCheckpointed(_ point: RecoveryPoint) throws(LogError) {
        checkpointedRecoveryPoint = point.recoveryPoint
        checkpointedLogStartOffset = point.logStartOffset
        // Not before: after a crash the log starts where the checkpoint says, and has to know its epochs from
        // there.
        if leaderEpochs.truncateFromStart(point.logStartOffset) { try writeLeaderEpochs() }
    }

    /// For what changes the log: as `checkUsable`, and what a full disk interrupted is finished first.
    func checkChangeable() throws(LogError) {
        try checkOpen()
        isUntouched = false
        if birth != nil { try settle() }
        if cutTarget != nil || startTarget != nil { try finishInterrupted() }
    }

    private func finishInterrupted() throws(LogError) {
        do {
            if !commit.hasFailed { try commit.drain() }
            if let startTarget {
                try startAnew(at: startTarget)
            } else if let cutTarget {
                try cutBack(to: cutTarget)
            }
        } catch {
            throw directory.writeFailed(error)
        }
    }

    func checkUsable() throws(LogError) {
        try checkOpen()
        if startTarget != nil { throw .noSpace(path: directory.path) }
    }

    private func checkOpen() throws(LogError) {
        if isClosed { throw .closed(path: place.path) }
        try directory.checkOnline()
    }

    // MARK: Appends on their way to the disk

    /// Writes, or sends on its way, what has been appended since the last flush. The lane calls it.
    /// - Returns: whether a sync was held back; see `GroupCommit.flush`.
    func flush(holdsSync: Bool) -> Bool { commit.flush(holdsSync: holdsSync) }

    /// Asks for everything appended so far to be synced; the observer hears of it. Nothing happens before the
    /// lane's next `flush`.
    public func requestSync() { commit.requestSync() }

    /// Something has been appended: `flush.messages` and `flush.ms` may ask for a sync of their own.
    func noteUnsynced() {
        if commit.queuedEndOffset - commit.syncedEndOffset >= configuration.flushRecordCount {
            commit.requestSync()
        }
        guard configuration.flushMilliseconds < Int64.max else { return }
        if configuration.flushMilliseconds <= 0 { commit.requestSync() }
        if unsyncedSinceMilliseconds == nil { unsyncedSinceMilliseconds = lane.monotonicMilliseconds }
    }

    /// Asks for a sync where an append would have waited for `flush.ms` by `milliseconds` of the monotonic
    /// clock.
    func flushOverdue(by milliseconds: UInt64) {
        guard let since = unsyncedSinceMilliseconds else { return }
        guard commit.syncedEndOffset < commit.queuedEndOffset else {
            unsyncedSinceMilliseconds = nil
            return
        }
        guard milliseconds - min(since, milliseconds) >= UInt64(max(0, configuration.flushMilliseconds))
        else { return }
        unsyncedSinceMilliseconds = nil
        commit.requestSync()
    }

    /// Waits until everything appended so far is on stable storage. Throws when some of it found no room.
    public func syncNow() throws(LogError) {
        try checkChangeable()
        let endOffset = logEndOffset
        try drainAndSync()
        guard logEndOffset == endOffset else { throw .noSpace(path: directory.path) }
    }

    /// Waits until everything is on stable storage that has been appended and not lost since. Throws when the
    /// loss could not be taken back yet.
    func drainAndSync() throws(LogError) {
        do {
            commit.requestSync()
            commit.flush()
            try commit.drain()
            if commit.syncedEndOffset < commit.queuedEndOffset {
                commit.requestSync()
                commit.flush()
                try commit.drain()
            }
        } catch {
            throw directory.writeFailed(error)
        }
        if cutTarget != nil { throw .noSpace(path: directory.path) }
    }

    fileprivate func commitFailed(_ error: IOError) {
        let reason = directory.writeFailed(error)
        let lostFrom = commit.writtenEndOffset
        logger.log(
            .error, "appends lost",
            [
                LogField("partition", partition), LogField("fromOffset", lostFrom), LogField("reason", error),
            ])
        if directory.failure == nil, startTarget == nil {
            // A full disk: what did not reach the file is taken back, the log goes on when there is room.
            try? cutBack(to: lostFrom)
        }
        observer?.logLostAppends(self, from: lostFrom, because: reason)
    }

    deinit {
        commitOwner.log = nil
        commit.abandon()
    }

    /// The group commit's owner. A completion may come after the log is gone, because the queue holds the
    /// group commit; then there is nobody to tell.
    private final class CommitOwner: GroupCommitOwner {
        /// Taken back by the log when it goes. Not weak: an object that something refers to weakly counts all
        /// its references the slow way, which a log does for each append.
        unowned var log: PartitionLog?

        func groupCommitAdvanced() {
            guard let log else { return }
            log.observer?.logAdvanced(log)
        }

        func groupCommitFailed(_ error: IOError) { log?.commitFailed(error) }

        func groupCommitNeedsFlush() {
            guard let log else { return }
            log.lane.noteDirty(log)
        }
    }
}

/// Bytes that are no valid batch where one must be, left in place and reported.
public struct LogDamage: Sendable, Equatable {
    public let path: String
    public let position: Int64
    public let reason: String
}

/// Where recent reads ended. A few entries serve a few sequential readers of one log.
struct ReadPositions {
    private var entries: InlineArray<4, Entry> = InlineArray(repeating: Entry())
    private var next = 0

    private struct Entry {
        var segmentBaseOffset = Offset(-1)
        var offset = Offset(-1)
        var position: Int64 = 0
    }

    /// The position of the batch that begins at exactly `offset` in the segment, if a read has just ended
    /// there.
    func position(of offset: Offset, inSegment baseOffset: Offset) -> Int64? {
        for index in entries.indices
        where entries[index].offset == offset && entries[index].segmentBaseOffset == baseOffset {
            return entries[index].position
        }
        return nil
    }

    /// Remembers that a batch with base offset at least `offset` begins at `position`; replaces the entry of
    /// the reader that came from `previous`, else the oldest.
    mutating func note(
        _ offset: Offset, position: Int64, inSegment baseOffset: Offset, after previous: Offset
    ) {
        var slot = next
        for index in entries.indices
        where entries[index].offset == previous && entries[index].segmentBaseOffset == baseOffset {
            slot = index
        }
        if slot == next { next = (next + 1) % entries.count }
        entries[slot] = Entry(segmentBaseOffset: baseOffset, offset: offset, position: position)
    }

    /// Truncation and compaction move bytes.
    mutating func removeAll() { entries = InlineArray(repeating: Entry()) }
}
