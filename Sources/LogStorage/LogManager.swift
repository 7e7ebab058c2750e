internal import Base
public import RecordFormat
internal import SystemIO

/// The logs of one lane: makes, finds and deletes them, and does what has to be done from time to time.
///
/// Owned by the lane; the directories and their checkpoints are shared with the other lanes through
/// `LogStore`.
public final class LogManager: RecoveryPointKeeper {
    public let store: LogStore
    public let lane: LogLane
    private(set) var logs: [TopicPartition: PartitionLog] = [:]
    /// Logs on their way into another directory; see LogManager+Moving.swift.
    var moves: [TopicPartition: LogMove] = [:]
    /// Logs that have moved away and whose directories found no room for another name yet.
    var unnamedLeftovers: [(log: PartitionLog, id: (UInt64, UInt64))] = []
    let logger: Logger
    /// How many of `logs` are in each directory.
    private var logCounts: [String: Int] = [:]
    private var deletions: [Deletion] = []

    private struct Deletion {
        let path: String
        let directory: LogDirectory
        let dueMilliseconds: UInt64
    }

    public init(store: LogStore, lane: LogLane) {
        self.store = store
        self.lane = lane
        logger = store.logger.named("logs")
    }

    public subscript(partition: TopicPartition) -> PartitionLog? { logs[partition] }

    /// All logs of the lane, in no order.
    public var all: some Collection<PartitionLog> { logs.values }

    /// Takes up a log that `LogStore.recoverLogs` has recovered.
    @discardableResult
    public func adopt(_ recovered: RecoveredPartition) throws(LogError) -> PartitionLog {
        let log = try PartitionLog(recovered, lane: lane)
        if let highWatermark = checkpoints(of: log)?[log.partition].highWatermark {
            log.advanceHighWatermark(to: highWatermark)
        }
        if let firstDirtyOffset = checkpoints(of: log)?[log.partition].firstDirtyOffset {
            log.restoreFirstDirtyOffset(firstDirtyOffset)
        }
        register(log)
        return log
    }

    /// Makes a log for a partition that has none, in the working directory with the fewest logs of this lane.
    /// Nothing of it is durable before its first record is (see LogBirth.swift).
    ///
    /// A directory of the topic that is there, because it could not be opened at start or made whole, is
    /// taken up.
    public func create(
        _ partition: TopicPartition, topicID: TopicID? = nil, settings: LogConfiguration
    ) throws(LogError) -> PartitionLog {
        invariant(logs[partition] == nil, "\(partition) has a log already")
        let present = store.directory(holding: partition)
        guard let opened = present ?? emptiestDirectory() else {
            throw .directoryOffline(path: "log.dirs", reason: "no log directory works")
        }
        let path = LogLayout.path(opened.directory.path, LogLayout.directoryName(partition))
        let found = FoundLog(partition: partition, path: path, opened: opened)
        do {
            let metadata = try present.map { _ in try store.takeUp(found, for: topicID) } ?? nil
            // What an earlier partition of that name left in the checkpoints must not be believed.
            if metadata == nil { try opened.checkpoints.removeDurably(partition) }
            var recovered = try store.recoverLog(found, settings, lane.scanContext)
            if metadata == nil, let topicID { try recovered.write(topicID) }
            return try adopt(recovered)
        } catch {
            throw opened.directory.writeFailed(error)
        }
    }

    private func emptiestDirectory() -> OpenedDirectory? {
        let online = store.onlineDirectories
        if online.count == 1 { return online[0] }
        func count(_ opened: OpenedDirectory) -> Int { logCounts[opened.directory.path, default: 0] }
        return online.min { count($0) < count($1) }
    }

    func register(_ log: PartitionLog) {
        unregister(log.partition)
        log.recoveryPointKeeper = self
        logs[log.partition] = log
        logCounts[log.directory.path, default: 0] += 1
    }

    private func unregister(_ partition: TopicPartition) {
        guard let log = logs.removeValue(forKey: partition) else { return }
        logCounts[log.directory.path, default: 0] -= 1
    }

    func checkpoints(of log: PartitionLog) -> DirectoryCheckpoints? {
        store.opened(log.directory)?.checkpoints
    }

    /// Deletes a partition's log: at once for everybody, its files after `file.delete.delay.ms`. Durable on
    /// return, but for a directory that has failed: there the log lies as it was until the next start, which
    /// is to know that nobody wants it.
    ///
    /// - Parameter id: 128 random bits, which keep the directory's name apart from others that wait to be
    ///   removed.
    public func delete(_ partition: TopicPartition, id: (UInt64, UInt64)) throws(LogError) {
        guard let log = logs[partition] else { return }
        cancelMove(of: partition)
        // Where the directory has no room for the other name, the log is there as before.
        if log.directory.failure == nil { try putAway(log, id: id) }
        unregister(partition)
        log.abandon()
        checkpoints(of: log)?.remove(partition)
        logger.log(.info, "log deleted", [LogField("partition", partition)])
    }

    /// Renames the directory of a log that nobody is to use any more, durably, and has it removed after a
    /// while.
    func putAway(_ log: PartitionLog, id: (UInt64, UInt64)) throws(LogError) {
        let delay = UInt64(max(0, log.configuration.fileDeleteDelayMilliseconds))
        let name = LogLayout.directoryName(log.partition, .delete, id: id)
        try log.place.move(to: LogLayout.path(log.directory.path, name))
        deletions.append(
            Deletion(
                path: log.path, directory: log.directory, dueMilliseconds: lane.monotonicMilliseconds + delay)
        )
    }

    public func lowerRecoveryPoint(of log: PartitionLog, to offset: Offset) throws(LogError) {
        try checkpoints(of: log)?.lowerRecoveryPoint(of: log.partition, to: offset)
    }

    public func writeLogStart(of log: PartitionLog, at offset: Offset) throws(LogError) {
        try checkpoints(of: log)?.writeLogStart(of: log.partition, at: offset)
    }

    // MARK: From time to time

    /// Writes down what a restart need not look at again: `log.flush.offset.checkpoint.interval.ms`. Logs of
    /// a directory that failed are left out; one that refuses does not keep the others from it, and its
    /// reason is thrown in the end.
    public func checkpoint() throws(LogError) {
        var points: [(PartitionLog, RecoveryPoint)] = []
        var refusal: LogError?
        for log in logs.values where log.directory.failure == nil {
            do {
                let point = try log.prepareCheckpoint()
                if log.birth != nil { continue }
                note(point, of: log)
                points.append((log, point))
            } catch {
                refusal = error
            }
        }
        for opened in store.onlineDirectories { try opened.checkpoints.write() }
        for (log, point) in points {
            do { try log.noteCheckpointed(point) } catch { refusal = error }
        }
        if let refusal { throw refusal }
    }

    func note(_ point: RecoveryPoint, of log: PartitionLog) {
        checkpoints(of: log)?.update(log.partition) { offsets in
            offsets.recoveryPoint = point.recoveryPoint
            offsets.logStartOffset = point.logStartOffset
            offsets.highWatermark = log.highWatermark
            offsets.firstDirtyOffset =
                log.configuration.cleanupPolicy.contains(.compact) ? log.firstDirtyOffset : nil
        }
    }

    /// Retention, removal of what was deleted, producers that fell silent: `log.retention.check.interval.ms`.
    /// A log that fails says so and the others are looked after all the same.
    /// - Returns: the number of segments that retention deleted.
    @discardableResult
    public func maintain() -> Int {
        var deleted = 0
        for opened in store.directories { opened.directory.refreshSpace() }
        for log in logs.values where log.directory.failure == nil {
            do {
                deleted += try log.deleteOldSegments()
                try log.removeDeletedFiles()
                log.removeExpiredProducers()
            } catch {
                logger.log(
                    .error, "maintenance failed",
                    [LogField("partition", log.partition), LogField("reason", error)])
            }
        }
        putLeftoversAway()
        removeDeletedLogs()
        return deleted
    }

    /// Asks for syncs of logs where an append would have waited for `flush.ms` when this is called again.
    ///
    /// - Parameter interval: in milliseconds, until the next call at the latest.
    /// - Returns: the shortest `flush.ms` of all logs; nil: none has one.
    @discardableResult
    public func flushOverdue(interval: Int64) -> Int64? {
        let next = lane.monotonicMilliseconds + UInt64(max(interval, 0))
        var shortest = Int64.max
        for log in logs.values where log.configuration.flushMilliseconds < Int64.max {
            shortest = min(shortest, log.configuration.flushMilliseconds)
            log.flushOverdue(by: next)
        }
        return shortest < Int64.max ? shortest : nil
    }

    /// The lane's part of compaction: about once a second, and when `cleaner` calls `hasOutcome` for the
    /// lane.
    ///
    /// - Parameter lane: names this lane among those that share the cleaner.
    public func compact(with cleaner: LogCleaner, lane: Int) {
        cleaner.maintain(Array(logs.values), lane: lane)
    }

    private func removeDeletedLogs() {
        let now = lane.monotonicMilliseconds
        for deletion in deletions where deletion.dueMilliseconds <= now {
            store.removeDirectory(deletion.path, of: deletion.directory)
        }
        deletions.removeAll { $0.dueMilliseconds <= now }
    }

    /// Closes all logs of the lane. When every lane has, `LogStore.markCleanShutdown` may be called.
    public func close() {
        // The next start begins them anew.
        for move in moves.values { move.future.abandon() }
        moves.removeAll()
        for log in logs.values {
            guard log.directory.failure == nil else {
                log.abandon()
                continue
            }
            do {
                let isNew = log.birth != nil
                let point = try log.close()
                if !isNew { note(point, of: log) }
                try log.removeDeletedFiles(all: true)
            } catch {
                log.abandon()
                store.opened(log.directory)?.noteUnclean()
                logger.log(
                    .error, "log not closed in order",
                    [LogField("partition", log.partition), LogField("reason", error)])
            }
        }
        logs.removeAll()
        logCounts.removeAll()
    }
}
