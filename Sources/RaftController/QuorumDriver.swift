internal import Base
internal import ClusterMetadata
internal import LogStorage
internal import RecordFormat

/// Told what became of the records that were handed to a `QuorumDriver`, on its lane.
protocol QuorumDriverDelegate: AnyObject {
    /// Everything below `offset` is committed.
    func quorumCommitted(upTo offset: Offset)
    /// What was appended from `offset` on is lost.
    func quorumLost(from offset: Offset, because reason: LogError)
}

/// Carries records to where they count: a quorum of one voter, whose synced log is the majority's.
///
/// It leads from its start on, in an epoch of its own. Owned by the controller's lane.
final class QuorumDriver: PartitionLogObserver {
    let log: MetadataLog
    let nodeID: Int32
    weak var delegate: (any QuorumDriverDelegate)?
    private(set) var epoch = LeaderEpoch.none
    private let logger: Logger

    init(log: MetadataLog, nodeID: Int32, logger: Logger) {
        self.log = log
        self.nodeID = nodeID
        self.logger = logger.named("quorum")
    }

    /// The offset that the next record will get.
    var endOffset: Offset { log.log.logEndOffset }

    /// Replays the log and takes up the leadership: an epoch above all that the log and the vote know of,
    /// the promise written and synced, then the start of the epoch appended (not synced yet).
    func start() throws(MetadataLogError) -> LoadedMetadata {
        let stored: QuorumState?
        do { stored = try log.quorumState.read() } catch { throw .stateFile(error) }
        if let voters = stored?.voters, !voters.isEmpty, voters != [nodeID] {
            throw .otherVoters(path: log.log.path, found: voters, expected: nodeID)
        }
        let loaded = try log.load()
        if let voters = loaded.voters, voters != [nodeID] {
            throw .otherVoters(path: log.log.path, found: voters, expected: nodeID)
        }
        let known =
            [stored?.leaderEpoch, log.log.latestLeaderEpoch, loaded.snapshot?.epoch]
            .compactMap { $0?.rawValue }.max() ?? 0
        epoch = LeaderEpoch(known + 1)
        do {
            try log.quorumState.write(QuorumState(leaderID: nodeID, leaderEpoch: epoch))
        } catch {
            throw .stateFile(error)
        }
        log.log.observer = self
        let voter = QuorumVoter(id: nodeID)
        let change = LeaderChange(leaderID: nodeID, voters: [voter], grantingVoters: [voter])
        do {
            _ = try log.append(
                MetadataBatch.encode(control: [.leaderChange(change)], timestamp: log.now), epoch: epoch)
        } catch {
            throw .log(error)
        }
        logger.log(
            .info, "leads the metadata quorum",
            [LogField("epoch", epoch), LogField("logEndOffset", endOffset)])
        return loaded
    }

    /// Appends records as one batch, which is committed as a whole or lost.
    /// - Returns: the offset after them; `delegate` hears when it is committed.
    func append(
        _ records: [MetadataRecord], version: MetadataVersion
    ) throws(LogError) -> Offset {
        let batch: [UInt8]
        do {
            batch = try MetadataBatch.encode(records, version: version, timestamp: log.now)
        } catch {
            invariantFailed("a decided record does not fit metadata.version \(version): \(error)")
        }
        return try log.append(batch, epoch: epoch)
    }

    /// Waits until everything appended is committed.
    func syncNow() throws(LogError) { try log.log.syncNow() }

    func logAdvanced(_ log: PartitionLog) {
        log.advanceHighWatermark(to: log.syncedEndOffset)
        delegate?.quorumCommitted(upTo: log.syncedEndOffset)
    }

    func logLostAppends(_ log: PartitionLog, from offset: Offset, because error: LogError) {
        delegate?.quorumLost(from: offset, because: error)
    }
}
