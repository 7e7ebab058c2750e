internal import Base
public import RecordFormat
internal import SystemIO

// The logs of all directories at start.
extension LogStore {
    /// Recovers all logs of all directories, several at a time, saying how far it is in the log.
    ///
    /// - Parameters:
    ///   - settings: of each partition.
    ///   - run: runs the jobs, on as many threads as it sees fit, and returns when all are done.
    /// - Returns: the logs; those of a directory that failed meanwhile are missing.
    public func recoverLogs(
        settings: @Sendable (TopicPartition) -> LogConfiguration, run: ([@Sendable () -> Void]) -> Void
    ) -> [RecoveredPartition] {
        // Not escaping, but handed on to jobs that all end before `run` returns.
        withoutActuallyEscaping(settings) { settings in
            recoverLogs(newID: Self.randomID, run: run) { found, context in
                self.recover(found, settings(found.partition), context)
            }
        }
    }

    /// As the other, for a node that knows which partitions it should have.
    ///
    /// - Parameters:
    ///   - choosing: what becomes of a partition's directory, given the ID of the topic that it was made for
    ///     (nil when it does not say). Called from several threads.
    ///   - newID: 128 random bits, for the names of directories that are set aside.
    public func recoverLogs(
        choosing: @Sendable (TopicPartition, TopicID?) -> FoundLogChoice,
        newID: @Sendable () -> UniqueID, run: ([@Sendable () -> Void]) -> Void
    ) -> [RecoveredPartition] {
        withoutActuallyEscaping(choosing) { choosing in
            withoutActuallyEscaping(newID) { newID in
                recoverLogs(newID: newID, run: run) { found, context in
                    self.recover(found, choosing, newID, context)
                }
            }
        }
    }

    private static func randomID() -> UniqueID {
        let (high, low) = SystemRandom.identifier()
        return UniqueID(high: high, low: low)
    }

    private func recoverLogs(
        newID: () -> UniqueID, run: ([@Sendable () -> Void]) -> Void,
        _ recover: @escaping @Sendable (FoundLog, ScanContext) -> RecoveredPartition?
    ) -> [RecoveredPartition] {
        let found = onlineDirectories.flatMap { logsIn($0) }
        let progress = RecoveryProgress(total: found.count, logger)
        var recovered: [RecoveredPartition] = []
        var start = 0
        while start < found.count {
            let end = min(start + Self.logsPerRound, found.count)
            let unsynced = read(Array(found[start..<end]), run, progress, recover)
            recovered += sync(unsynced, run, progress)
            start = end
        }
        recovered = withoutTwins(recovered, newID)
        interruptedMoves = giveUpCopies(of: recovered)
        return recovered
    }

    /// Logs that are read before they are synced, together. Each holds the descriptor of its directory until
    /// then.
    private static let logsPerRound = 256
    /// Logs of a directory that are synced at the same time, by a thread each. The more syncs wait for a disk
    /// the more of them it does a second, up to about this number.
    private static let logsInSync = 16

    /// Reads logs, several at a time. Their syncs are left to be done.
    private func read(
        _ found: [FoundLog], _ run: ([@Sendable () -> Void]) -> Void, _ progress: RecoveryProgress,
        _ recover: @escaping @Sendable (FoundLog, ScanContext) -> RecoveredPartition?
    ) -> [RecoveredPartition] {
        let work = SharedWork<FoundLog, RecoveredPartition>(found)
        let workers = min(found.count, configuration.recoveryThreadsPerDirectory * directories.count)
        let job = { @Sendable [timeSource] in
            let context = ScanContext(timeSource: timeSource)
            while let next = work.take() {
                let one = recover(next, context)
                if let one { work.finish(one) }
                if !(one?.needsSync ?? false) { progress.finishOne() }
            }
        }
        run(Array(repeating: job, count: max(1, workers)))
        return work.results
    }

    /// Brings what reading logs has left to stable storage, that of many logs at a time: thousands of them
    /// wait for as many syncs at once as help, not each for its own one after the other.
    private func sync(
        _ logs: [RecoveredPartition], _ run: ([@Sendable () -> Void]) -> Void, _ progress: RecoveryProgress
    ) -> [RecoveredPartition] {
        let work = SharedWork<RecoveredPartition, RecoveredPartition>(logs.filter(\.needsSync))
        let workers = min(work.count, Self.logsInSync * directories.count)
        guard workers > 0 else { return logs }
        let job = { @Sendable in
            while var next = work.take() {
                do throws(LogError) {
                    try next.sync()
                    work.finish(next)
                } catch {
                    self.noteUnopened(next.opening.path, self.opened(next.directory), error)
                }
                progress.finishOne()
            }
        }
        run(Array(repeating: job, count: workers))
        return logs.filter { !$0.needsSync } + work.results
    }

    private func logsIn(_ opened: OpenedDirectory) -> [FoundLog] {
        let directory = opened.directory
        let entries: [DirectoryEntry]
        do {
            // What a process that was killed has made may only be in memory.
            try directory.fileSystem.syncDirectory(directory.path)
            entries = try directory.fileSystem.contents(ofDirectory: directory.path)
        } catch {
            _ = directory.writeFailed(error)
            // Where only a descriptor was wanting, each log is taken up when its partition is led.
            if directory.failure == nil { opened.noteUnclean() }
            return []
        }
        return entries.compactMap { entry -> FoundLog? in
            guard entry.kind == .directory, let name = LogLayout.parse(directoryName: entry.name) else {
                return nil
            }
            let path = LogLayout.path(directory.path, entry.name)
            if name.suffix == .delete { removeDirectory(path, of: directory) }
            guard name.suffix == nil else { return nil }
            return FoundLog(partition: name.partition, path: path, opened: opened)
        }
    }

    private func recover(
        _ found: FoundLog, _ settings: LogConfiguration, _ context: ScanContext
    ) -> RecoveredPartition? {
        do {
            return try readLog(found, settings, context)
        } catch {
            noteUnopened(found.path, found.opened, error)
            return nil
        }
    }

    func noteUnopened(_ path: String, _ opened: OpenedDirectory?, _ error: any Error) {
        logger.log(
            .error, "log cannot be opened", [LogField("path", path), LogField("reason", "\(error)")])
        opened?.noteUnclean()
    }

    /// Recovers one log, or makes it where the directory has none. Any thread.
    public func recoverLog(
        _ partition: TopicPartition, in opened: OpenedDirectory, settings: LogConfiguration
    ) throws(LogError) -> RecoveredPartition {
        let directory = opened.directory
        let path = LogLayout.path(directory.path, LogLayout.directoryName(partition))
        let isNew: Bool
        do {
            isNew = try directory.fileSystem.attributes(of: path) == nil
        } catch {
            throw directory.writeFailed(error)
        }
        // What an earlier partition of that name left in the checkpoints must not be believed.
        if isNew { try opened.checkpoints.removeDurably(partition) }
        return try recoverLog(
            FoundLog(partition: partition, path: path, opened: opened), settings,
            ScanContext(timeSource: timeSource))
    }

    func recoverLog(
        _ found: FoundLog, _ settings: LogConfiguration, _ context: ScanContext
    ) throws(LogError) -> RecoveredPartition {
        var recovered = try readLog(found, settings, context)
        try recovered.sync()
        return recovered
    }

    /// As `recoverLog`, but for the syncs.
    func readLog(
        _ found: FoundLog, _ settings: LogConfiguration, _ context: ScanContext
    ) throws(LogError) -> RecoveredPartition {
        let known = found.opened.checkpoints[found.partition]
        let opening = LogOpening(
            partition: found.partition, path: found.path, configuration: settings,
            recoveryPoint: known.recoveryPoint, logStartOffset: known.logStartOffset,
            cleanerOffset: known.firstDirtyOffset, wasShutDownCleanly: found.opened.wasShutDownCleanly)
        return try PartitionLog.recoverUnsynced(opening, in: found.opened.directory, context)
    }
}

/// Things to do, and what comes of them, for several threads.
private final class SharedWork<Item: Sendable, Outcome: Sendable>: Sendable {
    private struct State: Sendable {
        var next = 0
        var results: [Outcome] = []
    }

    private let items: [Item]
    private let state = Locked(State())

    init(_ items: [Item]) { self.items = items }

    var count: Int { items.count }
    var results: [Outcome] { state.withLock { $0.results } }

    /// Nil: all have been taken.
    func take() -> Item? {
        let index = state.withLock { state in
            defer { state.next += 1 }
            return state.next
        }
        return index < items.count ? items[index] : nil
    }

    func finish(_ outcome: Outcome) { state.withLock { $0.results.append(outcome) } }
}

/// Says from time to time how many logs have been recovered.
private final class RecoveryProgress: Sendable {
    private let total: Int
    private let logger: Logger
    private let done = Locked(0)

    init(total: Int, _ logger: Logger) {
        self.total = total
        self.logger = logger
    }

    func finishOne() {
        let done = done.withLock { done in
            done += 1
            return done
        }
        // About ten lines, and the last.
        guard done == total || done % max(total / 10, 1) == 0 else { return }
        logger.log(.info, "logs recovered", [LogField("done", done), LogField("total", total)])
    }
}
