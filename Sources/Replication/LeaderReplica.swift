internal import Base
public import LogStorage
public import RecordFormat
public import SystemIO

/// A partition that this broker leads: appends, reads, and who waits for them. Owned by the partition's lane.
///
/// The high watermark is what consumers may read up to and what `acks=all` waits for. With this broker as
/// the only in-sync replica it is the log's synced end, or its written end where the topic takes the page
/// cache for durable enough (`dmq.ack.durability`). It follows the log, which moves at the end of a lane's
/// turn and when a sync has ended.
public final class LeaderReplica: PartitionLogObserver {
    public private(set) var log: PartitionLog
    public private(set) var assignment: PartitionAssignment
    private var produceWaiters = (written: ProduceWaiters(), committed: ProduceWaiters())
    private var fetchWaiters = FetchWaiters()
    /// Set when the partition is led elsewhere or deleted; nothing is done any more.
    private var endReason: ReplicaError?

    init(log: PartitionLog, assignment: PartitionAssignment) throws(ReplicaError) {
        self.log = log
        self.assignment = assignment
        log.observer = self
        do {
            try log.assignLeaderEpoch(assignment.leaderEpoch)
        } catch {
            throw .log(assignment.partition, error)
        }
        // What recovery found above the recovery point may not be on the disk yet.
        if isSynced { log.requestSync() }
        advanceHighWatermark()
    }

    public var partition: TopicPartition { assignment.partition }
    public var topicID: TopicID { assignment.topicID }
    public var leaderEpoch: LeaderEpoch { assignment.leaderEpoch }

    private var isSynced: Bool { log.configuration.durability == .synced }

    // MARK: What metadata says

    /// Takes over what the metadata says now. The topic is the same.
    func update(_ assignment: PartitionAssignment) throws(ReplicaError) {
        invariant(assignment.topicID == topicID, "\(partition) is of topic ID \(topicID) and stays so")
        let begins = assignment.leaderEpoch > leaderEpoch
        self.assignment = assignment
        if log.configuration != assignment.settings { log.updateConfiguration(assignment.settings) }
        if isSynced { log.requestSync() }
        do {
            if begins { try log.assignLeaderEpoch(assignment.leaderEpoch) }
        } catch {
            throw .log(partition, error)
        }
        // The measure of what is committed may have changed with the settings.
        logAdvanced(log)
    }

    /// The log has moved to another directory, with all that was acknowledged and nothing that was not.
    func move(to log: PartitionLog) {
        self.log.observer = nil
        self.log = log
        log.observer = self
        logAdvanced(log)
    }

    /// Ends the leadership: whoever waits is told `reason`.
    func end(_ reason: ReplicaError) {
        guard endReason == nil else { return }
        endReason = reason
        log.observer = nil
        failProducers(above: Offset(-1), reason)
        wakeFetches()
    }

    // MARK: Appends

    /// What an append got, and whether it is acknowledged already.
    public struct Appended: Sendable {
        public let result: LogAppendResult
        /// False when the waiter will be told.
        public let isAcknowledged: Bool
    }

    /// Appends one batch of a producer, queued on return. See `PartitionLog.appendAsLeader` for what is
    /// checked and who owns the bytes.
    ///
    /// - Parameters:
    ///   - waiter: told when the append is acknowledged, unless it is so at once.
    ///   - part: handed back to the waiter.
    public func append(
        _ batches: BufferSlice, acks: RequiredAcks, origin: AppendOrigin = .client,
        terms: AppendTerms = AppendTerms(), waiter: any ProduceWaiter, part: Int
    ) throws(ReplicaError) -> Appended {
        if let endReason { throw endReason }
        if acks == .all { try checkInSyncReplicas() }
        let result: LogAppendResult
        do {
            result = try log.appendAsLeader(
                batches, leaderEpoch: leaderEpoch, origin: origin, terms: terms, durably: isSynced)
        } catch {
            throw .log(partition, error)
        }
        let endOffset = result.lastOffset + 1
        switch acks {
        case .none:
            return Appended(result: result, isAcknowledged: true)
        case .leader:
            if log.writtenEndOffset >= endOffset { return Appended(result: result, isAcknowledged: true) }
            produceWaiters.written.add(waiter, part: part, until: endOffset)
        case .all:
            if log.highWatermark >= endOffset { return Appended(result: result, isAcknowledged: true) }
            produceWaiters.committed.add(waiter, part: part, until: endOffset)
        }
        return Appended(result: result, isAcknowledged: false)
    }

    /// The request timed out or its connection is gone; its appends stay in the log.
    public func cancel(_ waiter: any ProduceWaiter) {
        produceWaiters.written.remove(waiter)
        produceWaiters.committed.remove(waiter)
    }

    private func checkInSyncReplicas() throws(ReplicaError) {
        // A topic of one replica is not asked for more than it can have.
        let needed = min(assignment.minimumInSyncReplicas, max(assignment.replicas.count, 1))
        guard assignment.inSyncReplicas.count >= needed else {
            throw .notEnoughReplicas(partition, inSync: assignment.inSyncReplicas.count, needed: needed)
        }
    }

    // MARK: Reads

    /// Finds what there is to read from `offset` on; touches no record.
    public func read(
        from offset: Offset, maximumByteCount: Int, limit: ReadLimit
    ) throws(ReplicaError) -> LogReadResult {
        if let endReason { throw endReason }
        do {
            return try log.read(from: offset, maximumByteCount: maximumByteCount, limit: limit)
        } catch {
            throw .log(partition, error)
        }
    }

    /// `waiter` is told once, when there may be more to read, or the partition is not led here any more.
    public func wait(_ waiter: any FetchWaiter, part: Int) { fetchWaiters.add(waiter, part: part) }

    /// Moves the log start forward to `offset`, the high watermark where nil (DeleteRecords).
    /// - Returns: the log start offset.
    public func deleteRecords(before offset: Offset?) throws(ReplicaError) -> Offset {
        if let endReason { throw endReason }
        do {
            try log.advanceLogStart(to: offset ?? log.highWatermark)
        } catch {
            throw .log(partition, error)
        }
        return log.logStartOffset
    }

    /// Refuses a request of another leader epoch than the current one (KIP-320); nil asks nothing.
    public func checkEpoch(_ asked: LeaderEpoch?) throws(ReplicaError) {
        guard let asked, asked != .none, asked != leaderEpoch else { return }
        if asked < leaderEpoch {
            throw .fencedLeaderEpoch(partition, asked: asked, current: leaderEpoch)
        }
        throw .unknownLeaderEpoch(partition, asked: asked, current: leaderEpoch)
    }

    // MARK: Progress

    public func logAdvanced(_ log: PartitionLog) {
        let before = log.highWatermark
        advanceHighWatermark()
        while let entry = produceWaiters.written.takeFirst(upTo: log.writtenEndOffset) {
            entry.waiter.appendFinished(part: entry.part, error: nil)
        }
        while let entry = produceWaiters.committed.takeFirst(upTo: log.highWatermark) {
            entry.waiter.appendFinished(part: entry.part, error: nil)
        }
        if log.highWatermark != before { wakeFetches() }
    }

    private func advanceHighWatermark() {
        log.advanceHighWatermark(to: isSynced ? log.syncedEndOffset : log.writtenEndOffset)
    }

    public func logLostAppends(_ log: PartitionLog, from offset: Offset, because error: LogError) {
        // After a failed sync nobody knows what of the written part is on the disk, and no other sync comes.
        let isFinal = log.directory.failure != nil
        failProducers(above: isFinal ? min(offset, log.highWatermark) : offset, .log(partition, error))
    }

    private func failProducers(above offset: Offset, _ error: ReplicaError) {
        let lost =
            produceWaiters.written.takeAll(above: offset)
            + produceWaiters.committed.takeAll(above: offset)
        for entry in lost { entry.waiter.appendFinished(part: entry.part, error: error) }
    }

    private func wakeFetches() {
        guard !fetchWaiters.isEmpty else { return }
        for entry in fetchWaiters.takeAll() where !entry.waiter.isFinished {
            entry.waiter.partitionAdvanced(part: entry.part)
        }
    }
}
