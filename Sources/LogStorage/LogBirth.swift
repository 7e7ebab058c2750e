internal import Base
internal import RecordFormat
internal import SystemIO

/// What a log that was just made, and has never held a record, has not brought to stable storage.
///
/// Thousands of partitions may be made by one request, and most of them get their first record much later:
/// none of their files is synced before. A crash leaves any of them, or none; a start makes the log anew
/// then, for the metadata know of it. Whatever is about to change the log calls `PartitionLog.settle` first,
/// and with that the name of the log's directory, those of its files and the ID of its topic are durable.
struct LogBirth {
    /// To be written into `partition.metadata`; nil: no more than the names.
    var topicID: TopicID?
    /// Counts the directories made in the log directory: theirs is synced for all that came before.
    let number: Int
}

extension PartitionLog {
    /// Makes durable what belongs to the log before its first record.
    func settle() throws(LogError) {
        guard let birth else { return }
        do {
            if let topicID = birth.topicID {
                // With its name go those of the other files.
                try PartitionMetadata(topicID: topicID).write(
                    to: LogLayout.path(place.path, LogLayout.partitionMetadata), place.fileSystem)
            } else {
                try place.openDirectory().sync()
            }
            try directory.syncChildren(upTo: birth.number)
        } catch {
            throw directory.writeFailed(error)
        }
        self.birth = nil
    }
}

extension LogRecovery {
    /// A log that has never held a record. Nothing is synced.
    mutating func begin(_ birth: LogBirth) throws -> RecoveredLog {
        let base = opening.logStartOffset ?? .zero
        log.segments.append(try firstSegment(at: base))
        log.logStartOffset = base
        log.logEndOffset = base
        log.recoveryPoint = base
        log.checkpointedLogStartOffset = base
        log.checkpointedRecoveryPoint = min(opening.recoveryPoint ?? .zero, base)
        log.producers = ProducerStates(
            expirationMilliseconds: opening.configuration.producerIDExpirationMilliseconds, logger: logger)
        log.producers.removeAll(endOffset: base)
        log.birth = birth
        return log
    }

    /// The files that are there, where they are all there and empty, or new ones in their place.
    private func firstSegment(at base: Offset) throws(IOError) -> LogSegment {
        let names = Set(entries.map(\.name))
        let kinds = [LogFileKind.log, .offsetIndex, .timeIndex]
        if kinds.allSatisfy({ names.contains(LogLayout.fileName($0, base)) }),
            let found = try LogSegment.reopenEmpty(
                baseOffset: base, place: place, configuration: opening.configuration, now: context.now)
        {
            return found
        }
        return try LogSegment.create(
            baseOffset: base, place: place, configuration: opening.configuration, now: context.now, jitter: 0)
    }

    /// Whether the directory holds no more than `begin` makes, or a part of it, and nobody knows of more.
    func wasNeverUsed() throws -> Bool {
        guard opening.recoveryPoint == nil, opening.logStartOffset == nil else { return false }
        for name in entries.lazy.map(\.name) where !name.hasSuffix(LogLayout.temporarySuffix) {
            guard let file = LogLayout.parse(fileName: name), file.baseOffset == .zero, file.suffix == nil,
                [.log, .offsetIndex, .timeIndex].contains(file.kind)
            else { return false }
        }
        return try fileSystem.attributes(of: place.filePath(.log, .zero))?.byteCount ?? 0 == 0
    }
}
