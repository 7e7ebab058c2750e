internal import Base
public import RecordFormat
internal import SystemIO

/// A promise about what a restart need not look at again.
public struct RecoveryPoint: Sendable, Equatable {
    public let recoveryPoint: Offset
    public let logStartOffset: Offset
}

extension PartitionLog {
    // MARK: Producer state

    /// Writes what is known of producers at `offset`, the log's end. A torn snapshot is noticed and rebuilt
    /// from the log, so it is only synced where a checkpoint will rely on it.
    func writeProducerSnapshot(at offset: Offset, sync: Bool) throws(IOError) {
        guard snapshotOffset != offset else { return }
        invariant(
            producers.mapEndOffset <= offset,
            "what is known of producers goes up to \(producers.mapEndOffset), the log to \(offset)")
        let bytes = ProducerSnapshotFile.encode(producers)
        let path = place.filePath(.producerSnapshot, offset)
        let file = try place.fileSystem.open(path, .createOrOpen)
        try file.truncate(to: 0)
        try file.write([BufferSlice(IOBuffer(copying: bytes))], at: 0)
        if sync { try file.sync(.data) }
        snapshotOffset = offset
    }

    /// Removes the snapshots that no recovery needs: those above `offset`.
    func removeSnapshots(above offset: Offset) throws(IOError) {
        let names = try place.openDirectory()
        var removed = false
        for entry in try place.fileSystem.contents(ofDirectory: place.path) {
            guard let name = LogLayout.parse(fileName: entry.name), name.kind == .producerSnapshot,
                name.baseOffset > offset
            else { continue }
            try SegmentSwap.removeIfPresent(LogLayout.path(place.path, entry.name), place.fileSystem)
            if snapshotOffset == name.baseOffset { snapshotOffset = nil }
            removed = true
        }
        // Offsets from here on will be given again: a snapshot of their former owners must not come back.
        if removed { try names.sync() }
    }

    /// Derives the producer state at `endOffset` from the newest usable snapshot and the batches after it.
    func rebuildProducers(upTo endOffset: Offset) throws(LogError) {
        let builder = ProducerStateBuilder(
            place: place, context: lane.scanContext, configuration: configuration, logger: logger)
        // A crash may take the log start back to where it was checkpointed, and relies on a snapshot of this
        // state then.
        let built = try builder.build(
            segments: segments, logStartOffset: min(logStartOffset, checkpointedLogStartOffset),
            endOffset: endOffset)
        producers = built.producers
        snapshotOffset = built.snapshotOffset
        producers.onHighWatermarkUpdated(highWatermark)
    }

    /// Forgets producers that have been silent for longer than `producer.id.expiration.ms`.
    public func removeExpiredProducers() { producers.removeExpired(now: lane.now) }

    /// Asks for the verification with which a batch that may open a transaction is to be appended; nil when
    /// the transaction is open here. See `ProducerStates.beginVerification`.
    public func beginVerification(
        of producerID: ProducerID, epoch: ProducerEpoch, sequence: SequenceNumber, supportsEpochBump: Bool
    ) -> TransactionVerification? {
        producers.beginVerification(
            producerID: producerID, producerEpoch: epoch, sequence: sequence,
            supportsEpochBump: supportsEpochBump, now: lane.now)
    }

    /// What the log knows of its producers (DescribeProducers).
    public var producerEntries: [ProducerEntry] { producers.entries }

    // MARK: Leader epochs

    /// From `offset` (by default the log's end) on, batches belong to `epoch`. Written down before a recovery
    /// point above it is: until then a start finds it in the batches, and one without batches is of no use.
    public func assignLeaderEpoch(_ epoch: LeaderEpoch, startOffset: Offset? = nil) throws(LogError) {
        try checkUsable()
        leaderEpochs.assign(epoch, startOffset ?? logEndOffset)
    }

    /// The leader epoch of the record at `offset`; nil where it is not known.
    public func leaderEpoch(at offset: Offset) -> LeaderEpoch? { leaderEpochs.epoch(for: offset) }

    /// The largest epoch at most `epoch` in this log, and the offset after its last record (KIP-101,
    /// KIP-279); nil when the log does not know.
    public func endOffset(forLeaderEpoch epoch: LeaderEpoch) -> (epoch: LeaderEpoch, endOffset: Offset)? {
        let (known, endOffset) = leaderEpochs.endOffset(for: epoch, logEndOffset: logEndOffset)
        return known == .none ? nil : (known, max(endOffset, logStartOffset))
    }

    // MARK: Checkpoints

    /// Makes everything beside the log durable that a restart will rely on below the recovery point, and
    /// returns what may be checkpointed. Does not wait for appends: the recovery point is what has been
    /// synced so far.
    public func prepareCheckpoint() throws(LogError) -> RecoveryPoint {
        // Nothing is there that a restart could rely on, or everything.
        if birth != nil || isUntouched {
            try checkUsable()
            return RecoveryPoint(recoveryPoint: logEndOffset, logStartOffset: logStartOffset)
        }
        try checkChangeable()
        let point = commit.recoveryPoint
        // Below the recovery point nobody looks for the epochs of batches.
        if leaderEpochs.unwrittenFrom ?? point < point { try writeLeaderEpochs() }
        do {
            let active = segments.active
            try active.offsetIndex().sync()
            try active.timeIndex().sync()
            try active.transactionIndex.sync()
            if point == logEndOffset, producers.count > 0 { try writeProducerSnapshot(at: point, sync: true) }
        } catch {
            throw directory.writeFailed(error)
        }
        return RecoveryPoint(recoveryPoint: point, logStartOffset: logStartOffset)
    }

    /// Ends the use of the log: everything appended is made durable, files are trimmed and closed. A log
    /// closed in this way opens without recovery.
    public func close() throws(LogError) -> RecoveryPoint {
        cancelCleaning()
        if birth != nil || isUntouched && !leaderEpochs.isDirty {
            try checkUsable()
            let point = RecoveryPoint(recoveryPoint: logEndOffset, logStartOffset: logStartOffset)
            endUse()
            return point
        }
        try checkChangeable()
        try drainAndSync()
        if leaderEpochs.isDirty { try writeLeaderEpochs() }
        do {
            let active = segments.active
            let names = try place.openDirectory()
            try active.trim()
            try active.file().sync(.full)
            try active.sealIndexes()
            try writeProducerSnapshot(at: logEndOffset, sync: true)
            try names.sync()
        } catch {
            throw directory.writeFailed(error)
        }
        let point = RecoveryPoint(recoveryPoint: logEndOffset, logStartOffset: logStartOffset)
        endUse()
        return point
    }

    /// Stops using the log without writing anything more: its directory failed or is about to be deleted.
    /// Appends on their way are given up; who waits for them is not told.
    public func abandon() {
        cancelCleaning()
        endUse()
    }

    private func endUse() {
        isClosed = true
        commit.abandon()
        lane.forget(self)
        for segment in segments.all { segment.releaseFiles() }
    }

    /// Exchanges the settings; they hold for what comes.
    public func updateConfiguration(_ configuration: LogConfiguration) { self.configuration = configuration }
}
