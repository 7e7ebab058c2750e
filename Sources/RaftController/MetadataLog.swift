public import Base
public import ClusterMetadata
public import LogStorage
public import RecordFormat
internal import SystemIO

/// What the metadata log says when it is opened.
public struct LoadedMetadata: Sendable {
    public var image = MetadataImage()
    /// The offset after the last record that is in the image.
    public var endOffset = Offset.zero
    /// Time of the last record.
    public var lastTimestamp = Timestamp.none
    /// A transaction of the log that has begun and not ended; its records are not in the image.
    public var transaction = MetadataTransaction()
    /// The voters that the last leader named; nil when there was none since the snapshot.
    public var voters: [Int32]?
    /// Where the image began.
    public var snapshot: MetadataSnapshotID?
}

/// `__cluster_metadata-0`: the log that holds the cluster's metadata, with its snapshots. Owned by the
/// controller's lane.
public final class MetadataLog {
    public static let topic = "__cluster_metadata"
    public static let partition = TopicPartition(topic: topic, partition: 0)

    /// Settings of the log: nothing is deleted but what snapshots stand for, and each append is synced.
    public static var settings: LogConfiguration {
        var settings = LogConfiguration()
        settings.segmentByteCount = 16 << 20
        settings.segmentIndexByteCount = 1 << 20
        settings.retentionMilliseconds = -1
        settings.retentionByteCount = -1
        settings.maximumBatchByteCount = MetadataBatch.maximumByteCount
        settings.durability = .synced
        return settings
    }

    /// How many snapshots are kept: the log still holds what lies between them, so that one that turns out
    /// damaged loses nothing.
    static let keptSnapshotCount = 2

    public let log: PartitionLog
    let quorumState: QuorumStateFile
    private let snapshots: SnapshotFiles
    private let logger: Logger
    private let lane: LogLane

    /// Opens the log, or makes it, before all others: what it says decides what becomes of them. The log
    /// belongs to `manager` from then on, which checkpoints and closes it.
    ///
    /// - Parameters:
    ///   - directoryPath: `metadata.log.dir`: where it is made when no directory has it; nil: the first that
    ///     works.
    public init(
        in manager: LogManager, directoryPath: String? = nil, settings: LogConfiguration = settings,
        logger: Logger
    ) throws(MetadataLogError) {
        let store = manager.store
        let online = store.onlineDirectories
        guard
            let opened = store.directory(holding: Self.partition)
                ?? online.first(where: { $0.directory.path == directoryPath }) ?? online.first
        else { throw .log(.directoryOffline(path: "log.dirs", reason: "no log directory works")) }
        let directory = opened.directory
        do {
            log = try manager.adopt(try store.recoverLog(Self.partition, in: opened, settings: settings))
            let metadata = LogLayout.path(log.path, LogLayout.partitionMetadata)
            if try PartitionMetadata.read(metadata, directory.fileSystem) == nil {
                try PartitionMetadata(topicID: .clusterMetadata).write(to: metadata, directory.fileSystem)
            }
        } catch let error as LogError {
            throw .log(error)
        } catch let error as StateFileError {
            throw .stateFile(error)
        } catch {
            invariantFailed("an error of an unknown kind: \(error)")
        }
        lane = manager.lane
        quorumState = QuorumStateFile(directory: log.path, directory.fileSystem)
        snapshots = SnapshotFiles(directory: directory, path: log.path)
        self.logger = logger.named("metadata")
    }

    // MARK: Reading

    /// Replays the newest sound snapshot and the log after it.
    public func load() throws(MetadataLogError) -> LoadedMetadata {
        do {
            var loaded = try loadSnapshot()
            if loaded.endOffset > log.logEndOffset {
                // What a snapshot stands for was synced before the snapshot was; only damage can lose it.
                logger.log(
                    .warn, "metadata log ends before its snapshot, begun anew behind it",
                    [
                        LogField("logEndOffset", log.logEndOffset),
                        LogField("snapshot", loaded.endOffset),
                    ])
                try log.truncateFullyAndStart(at: loaded.endOffset)
            }
            try replayLog(into: &loaded)
            return loaded
        } catch let error as MetadataLogError {
            throw error
        } catch let error as LogError {
            throw .log(error)
        } catch let error as IOError {
            throw .log(.io(error))
        } catch let error as MetadataBatchError {
            throw .unreadable(path: log.path, error)
        } catch {
            invariantFailed("an error of an unknown kind: \(error)")
        }
    }

    private func loadSnapshot() throws -> LoadedMetadata {
        var loaded = LoadedMetadata()
        for id in try snapshots.list() where loaded.snapshot == nil {
            do throws(SnapshotFileError) {
                let (image, timestamp) = try snapshots.read(id)
                loaded.image = image
                loaded.endOffset = id.endOffset
                loaded.lastTimestamp = timestamp
                loaded.snapshot = id
            } catch {
                if case .io(let error) = error { throw error }
                logger.log(
                    .error, "metadata snapshot cannot be read, an older one is used",
                    [LogField("snapshot", id), LogField("reason", error)])
            }
        }
        if log.logStartOffset > loaded.endOffset {
            throw MetadataLogError.gap(
                path: log.path, logStartOffset: log.logStartOffset, snapshot: loaded.snapshot)
        }
        return loaded
    }

    private func replayLog(into loaded: inout LoadedMetadata) throws {
        let decompressor = Decompressor()
        var next = loaded.endOffset
        while next < log.logEndOffset {
            let read = try log.read(
                from: next, maximumByteCount: MetadataBatch.maximumByteCount, limit: .logEnd)
            guard let slice = read.slice else { break }
            var batches = BatchFile(
                file: slice.file, from: slice.position,
                endPosition: slice.position + Int64(slice.byteCount))
            while let (buffer, header) = try batches.next() {
                let batch = buffer.bytes(0..<header.byteCount)
                let from = next
                try MetadataBatch.forEach(in: batch, header: header, decompressor: decompressor) {
                    (entry, offset) throws(MetadataBatchError) in
                    // A snapshot may end inside a batch that another implementation wrote.
                    if offset >= from { try loaded.take(entry, at: offset) }
                }
                loaded.lastTimestamp = max(loaded.lastTimestamp, header.maxTimestamp)
                next = header.nextOffset
            }
        }
        loaded.endOffset = next
    }

    // MARK: Writing

    /// Appends a batch; it counts when `log.syncedEndOffset` has passed it, which the log's observer hears.
    /// - Returns: the offset after it.
    func append(_ batch: [UInt8], epoch: LeaderEpoch) throws(LogError) -> Offset {
        let appended = try log.appendAsLeader(
            BufferSlice(IOBuffer(copying: batch)), leaderEpoch: epoch, origin: .coordinator, durably: true)
        return appended.lastOffset + 1
    }

    /// Writes a snapshot, durably, then lets go of what the one before it stands for: older snapshots and
    /// the log up to it.
    func writeSnapshot(
        _ image: MetadataImage, _ id: MetadataSnapshotID, lastTimestamp: Timestamp
    ) throws(LogError) {
        let now = Timestamp(lane.timeSource.wallClockMilliseconds())
        do {
            try snapshots.write(image, id, lastTimestamp: lastTimestamp, now: now)
            let all = try snapshots.list()
            logger.log(
                .info, "metadata snapshot written",
                [LogField("snapshot", id), LogField("partitions", image.topics.partitionCount)])
            guard all.count >= Self.keptSnapshotCount else { return }
            let start = all[Self.keptSnapshotCount - 1].endOffset
            try snapshots.remove(Array(all.dropFirst(Self.keptSnapshotCount)))
            log.advanceHighWatermark(to: start)
            if start > log.logStartOffset { try log.advanceLogStart(to: start) }
            try log.deleteOldSegments()
        } catch let error as IOError {
            // Nothing that is needed was lost for want of room.
            let isSync = error.operation == .sync || error.operation == .syncDirectory
            if error.errno.meansNoSpace, !isSync { throw .noSpace(path: log.directory.path) }
            if error.errno.meansNoDescriptor { throw .tooManyOpenFiles(path: log.directory.path) }
            throw log.directory.fail(error)
        } catch let error as LogError {
            throw error
        } catch {
            invariantFailed("an error of an unknown kind: \(error)")
        }
    }

    var now: Timestamp { Timestamp(lane.timeSource.wallClockMilliseconds()) }
}

extension LoadedMetadata {
    mutating func take(_ entry: MetadataEntry, at offset: Offset) throws(MetadataBatchError) {
        switch entry {
        case .control(.leaderChange(let change)): voters = change.voters.map(\.id)
        case .control: break
        case .record(let record):
            for record in transaction.take(record) {
                do { try image.apply(record) } catch { throw .image(offset: offset, error) }
            }
        }
        endOffset = offset + 1
    }
}
