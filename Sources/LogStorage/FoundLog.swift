internal import Base
public import RecordFormat
internal import SystemIO

/// What becomes of a partition's directory that is found at start.
public enum FoundLogChoice: Sendable {
    /// It is opened. The ID is written into it where it does not say which topic it is of.
    case open(LogConfiguration, TopicID?)
    /// It is left alone: somebody else opens it.
    case leave
    /// Nobody knows it, or it is of another topic: it is renamed with the suffix `-stray`, and kept.
    case setAside(reason: String)
}

/// A partition's directory.
struct FoundLog: Sendable {
    let partition: TopicPartition
    let path: String
    let opened: OpenedDirectory
}

extension LogStore {
    /// The working directory that holds a log of `partition`, nil when none does.
    public func directory(holding partition: TopicPartition) -> OpenedDirectory? {
        onlineDirectories.first { opened in
            let path = LogLayout.path(opened.directory.path, LogLayout.directoryName(partition))
            do {
                return try opened.directory.fileSystem.attributes(of: path) != nil
            } catch {
                _ = opened.directory.writeFailed(error)
                return false
            }
        }
    }

    /// For a partition that is to have a log: says which topic a directory that is there is of, as far as it
    /// says so itself. One of another topic is set aside.
    func takeUp(_ found: FoundLog, for topicID: TopicID?) throws -> PartitionMetadata? {
        let metadata = try PartitionMetadata.read(
            LogLayout.path(found.path, LogLayout.partitionMetadata), found.opened.directory.fileSystem)
        guard let metadata, let topicID, metadata.topicID != topicID else { return metadata }
        let (high, low) = SystemRandom.identifier()
        try setAside(found, "it is of another topic of that name", UniqueID(high: high, low: low))
        return nil
    }

    /// Reads a found log, whose syncs are left to be done, or sets it aside, as `choosing` says.
    func recover(
        _ found: FoundLog, _ choosing: (TopicPartition, TopicID?) -> FoundLogChoice,
        _ newID: () -> UniqueID, _ context: ScanContext
    ) -> RecoveredPartition? {
        let directory = found.opened.directory
        let metadataPath = LogLayout.path(found.path, LogLayout.partitionMetadata)
        do {
            let metadata = try PartitionMetadata.read(metadataPath, directory.fileSystem)
            switch choosing(found.partition, metadata?.topicID) {
            case .leave: return nil
            case .open(let settings, let topicID):
                var log = try readLog(found, settings, context)
                if metadata == nil, let topicID { try log.write(topicID) }
                return log
            case .setAside(let reason):
                try setAside(found, reason, newID())
                return nil
            }
        } catch {
            noteUnopened(found.path, found.opened, directory.writeFailed(error))
            return nil
        }
    }

    /// Renames a directory so that nobody takes it for a partition's. Durable on return.
    func setAside(_ found: FoundLog, _ reason: String, _ id: UniqueID) throws(IOError) {
        let directory = found.opened.directory
        let name = LogLayout.directoryName(found.partition, .stray, id: (id.high, id.low))
        logger.log(
            .warn, "log set aside: it is of no partition that the cluster knows",
            [LogField("path", found.path), LogField("newName", name), LogField("reason", reason)])
        let names = try directory.fileSystem.openDirectory(directory.path)
        found.opened.checkpoints.remove(found.partition)
        try directory.fileSystem.rename(found.path, to: LogLayout.path(directory.path, name))
        try names.sync()
    }
}
