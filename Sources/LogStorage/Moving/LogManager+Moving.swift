internal import Base
public import RecordFormat
internal import SystemIO

extension LogManager {
    /// The move of a partition's log that is going on.
    public func move(of partition: TopicPartition) -> LogMove? { moves[partition] }

    /// Begins to move a log: makes an empty copy in another directory. What was there of an earlier move of
    /// the partition is given up.
    ///
    /// - Parameter id: 128 random bits, for the name of the copy's directory.
    public func beginMove(
        of partition: TopicPartition, to target: OpenedDirectory, id: (UInt64, UInt64)
    ) throws(LogError) -> LogMove {
        guard let source = logs[partition] else { throw .closed(path: "\(partition)") }
        invariant(source.directory !== target.directory, "\(partition) is moved to where it is")
        cancelMove(of: partition)
        let directory = target.directory
        let path = LogLayout.path(directory.path, LogLayout.directoryName(partition, .future, id: id))
        do {
            let final = LogLayout.path(directory.path, LogLayout.directoryName(partition))
            if try directory.fileSystem.attributes(of: final) != nil {
                throw IOError(.rename, final, .alreadyExists)
            }
        } catch {
            throw LogError(reading: error)
        }
        var settings = source.configuration
        // Whatever the source has is taken, also if it came with other settings.
        settings.maximumBatchByteCount = Int(Int32.max)
        settings.segmentMilliseconds = .max
        let future = try PartitionLog.open(
            LogOpening(partition: partition, path: path, configuration: settings), in: directory, lane: lane)
        let move = LogMove(of: source, to: target, future: future)
        moves[partition] = move
        do {
            try copyMetadata(of: source, to: future)
            try move.begin()
        } catch {
            cancelMove(of: partition)
            throw LogError(reading: error)
        }
        logger.log(
            .info, "log is being moved",
            [LogField("partition", partition), LogField("from", source.path), LogField("to", directory.path)])
        return move
    }

    private func copyMetadata(of source: PartitionLog, to future: PartitionLog) throws {
        if let birth = source.birth {
            // Neither has held a record: each writes it with its first.
            future.birth?.topicID = birth.topicID
            return
        }
        let found = try PartitionMetadata.read(
            LogLayout.path(source.path, LogLayout.partitionMetadata), source.directory.fileSystem)
        guard let found else { return }
        do {
            try found.write(
                to: LogLayout.path(future.path, LogLayout.partitionMetadata), future.directory.fileSystem)
        } catch {
            throw future.directory.writeFailed(error)
        }
    }

    /// Gives up a move; the log stays where it is.
    public func cancelMove(of partition: TopicPartition) {
        guard let move = moves.removeValue(forKey: partition) else { return }
        move.future.abandon()
        if move.target.directory.failure == nil {
            store.removeDirectory(move.future.path, of: move.target.directory)
        }
    }

    /// Ends a move that has copied all but a little: the copy is the partition's log from now on, and the old
    /// one waits to be removed. Does the lane's writes at once, and waits for them. Durable on return.
    ///
    /// - Parameter id: 128 random bits, for the name of the old directory.
    /// - Returns: the new log; nil when there is more to copy first.
    public func finishMove(
        of partition: TopicPartition, id: (UInt64, UInt64)
    ) throws(LogError) -> PartitionLog? {
        guard let move = moves[partition] else { return nil }
        let (source, future, target) = (move.source, move.future, move.target)
        guard try move.finishCopying() else { return nil }
        try future.takeOver(source)
        // Before the directory has its name: without these the log would begin with records that are deleted.
        note(try future.prepareCheckpoint(), of: future)
        try target.checkpoints.write()
        do {
            try future.directory.fileSystem.syncDirectory(future.path)
        } catch {
            throw future.directory.writeFailed(error)
        }
        try future.place.move(
            to: LogLayout.path(target.directory.path, LogLayout.directoryName(partition)))
        moves[partition] = nil
        register(future)
        retire(source, id: id)
        logger.log(
            .info, "log moved", [LogField("partition", partition), LogField("path", future.path)])
        return future
    }

    /// The log that was moved away. If its disk has failed, the next start looks at what is left there.
    private func retire(_ source: PartitionLog, id: (UInt64, UInt64)) {
        source.abandon()
        checkpoints(of: source)?.remove(source.partition)
        unnamedLeftovers.append((source, id))
        putLeftoversAway()
    }

    /// Gives logs that have moved away the names of deleted ones. On a full disk it is tried again later: as
    /// long as the old name is there, a start compares the two logs.
    func putLeftoversAway() {
        guard !unnamedLeftovers.isEmpty else { return }
        unnamedLeftovers.removeAll { leftover in
            guard leftover.log.directory.failure == nil else { return true }
            do throws(LogError) {
                try putAway(leftover.log, id: leftover.id)
                return true
            } catch {
                logger.log(
                    .error, "moved log not removed",
                    [LogField("path", leftover.log.path), LogField("reason", error)])
                return false
            }
        }
    }
}
