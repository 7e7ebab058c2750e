internal import Base
public import RecordFormat
internal import SystemIO

/// What a log knows of its compaction.
struct CleaningState {
    /// Below it no key occurs twice, but for records that came since with the same key.
    private(set) var firstDirtyOffset = Offset.zero
    /// Of the round that is going on.
    var cancellation: CleaningCancellation?
    /// Why the log is not compacted any more.
    var uncleanableReason: String?

    mutating func restore(_ offset: Offset) { firstDirtyOffset = offset }

    mutating func noteCleaned(upTo offset: Offset) { firstDirtyOffset = max(firstDirtyOffset, offset) }

    /// Offsets from here on are given again, to records that no round has seen.
    mutating func noteTruncation(to offset: Offset) { firstDirtyOffset = min(firstDirtyOffset, offset) }
}

// A round of compaction goes through three hands: it is planned on the log's lane, runs anywhere
// (`CleaningRound`), and is committed on the lane, group by group. What changes the segments in between makes
// the commit refuse.
extension PartitionLog {
    /// Where the next round begins; what the checkpoint of cleaner offsets holds. A checkpoint that is behind
    /// costs repeated work; it must never be ahead (see `restoreFirstDirtyOffset`).
    public var firstDirtyOffset: Offset { max(cleaning.firstDirtyOffset, logStartOffset) }

    /// Sets, right after opening, what the checkpoint of cleaner offsets says. An offset above the recovery
    /// point on disk is not believed: compaction stays below that, so the log must have been truncated since.
    public func restoreFirstDirtyOffset(_ offset: Offset) {
        cleaning.restore(offset <= min(checkpointedRecoveryPoint, logEndOffset) ? offset : .zero)
    }

    /// Why the log is not compacted any more; nil while it is.
    public var uncleanableReason: String? { cleaning.uncleanableReason }

    /// Whether a round is planned, running or waiting to be committed.
    public var isBeingCleaned: Bool { cleaning.cancellation != nil }

    // MARK: Planning

    /// How much of the log is worth compacting; nil when it is not compacted (`cleanup.policy`), a round is
    /// going on, or an earlier one failed.
    public func cleanability() throws(LogError) -> Cleanability? {
        try checkUsable()
        // The last batch of each producer stays, as far as the log goes and no further.
        if cutTarget != nil { try checkChangeable() }
        guard configuration.cleanupPolicy.contains(.compact), cleaning.cancellation == nil,
            cleaning.uncleanableReason == nil
        else { return nil }
        let firstDirty = firstDirtyOffset
        let asksNewest = configuration.minimumCompactionLagMilliseconds > 0
        let asksOldest = configuration.maximumCompactionLagMilliseconds < Int64.max
        var known: [Cleanability.Segment] = []
        known.reserveCapacity(segments.count)
        for index in 0..<segments.count - 1 {
            let segment = segments[index]
            var facts = Cleanability.Segment(
                baseOffset: segment.baseOffset, nextBaseOffset: segments[index + 1].baseOffset,
                byteCount: segment.byteCount, isDamaged: segment.damage != nil)
            if facts.nextBaseOffset > firstDirty {
                do {
                    if asksNewest { facts.newestMilliseconds = try newestMilliseconds(of: segment) }
                    if asksOldest { facts.oldestMilliseconds = try oldestMilliseconds(of: segment) }
                } catch {
                    throw LogError(reading: error)
                }
            }
            known.append(facts)
        }
        return Cleanability(
            known, firstDirtyOffset: firstDirty, bound: min(lastStableOffset, checkpointedRecoveryPoint),
            now: lane.now,
            configuration: configuration)
    }

    private func oldestMilliseconds(of segment: LogSegment) throws -> Int64? {
        if segment.firstTimestamp == nil { try segment.loadFirstTimestamp() }
        return segment.firstTimestamp?.rawValue
    }

    /// Begins a round over what `cleanability` described. It ends with `finishCleaning` or `endCleaning`; a
    /// truncation, `close` or `abandon` in between cancels it.
    public func planCleaning(_ cleanability: Cleanability) throws(LogError) -> CleanerPlan {
        try checkUsable()
        invariant(cleaning.cancellation == nil, "a second round for \(partition)")
        let count = cleanability.segmentCount
        var sources: [CleanerSource] = []
        sources.reserveCapacity(count)
        for index in 0..<count {
            let segment = segments[index]
            sources.append(
                CleanerSource(
                    baseOffset: segment.baseOffset, nextBaseOffset: segments[index + 1].baseOffset,
                    byteCount: segment.byteCount, createdMilliseconds: segment.createdMilliseconds))
        }
        let aborted = try abortedTransactions(
            from: sources.first?.baseOffset ?? .zero, upTo: cleanability.endOffset)
        var active: [ProducerID: ActiveProducer] = [:]
        for entry in producers.entries {
            active[entry.producerID] = ActiveProducer(
                lastDataOffset: entry.lastBatch?.lastOffset, producerEpoch: entry.producerEpoch)
        }
        let cancellation = CleaningCancellation()
        cleaning.cancellation = cancellation
        return CleanerPlan(
            partition: partition, cleanability: cleanability, directory: directory, path: place.path,
            configuration: configuration, sources: sources,
            deletedEndOffset: min(checkpointedLogStartOffset, logStartOffset), abortedTransactions: aborted,
            producers: active,
            now: lane.now, highWatermark: highWatermark, cancellation: cancellation)
    }

    // MARK: Committing

    /// Puts a compacted segment in the place of its sources, durably. Slices of the sources stay readable.
    ///
    /// Blocks for a few syncs of the directory.
    /// - Returns: false when the sources are not there any more as the round saw them; the round is to be
    ///   ended then.
    public func commit(_ group: CleanedGroup, of plan: CleanerPlan) throws(LogError) -> Bool {
        try checkUsable()
        guard let range = range(of: group, plan), try isWhole(group) else {
            CleanedSegmentWriter.discard(group.baseOffset, plan)
            return false
        }
        // The markers that the round relied on must not get lost while what they decided about is gone.
        if syncedEndOffset < min(plan.highWatermark, logEndOffset) { try syncNow() }
        let names: any OpenDirectory
        do { names = try place.openDirectory() } catch { throw directory.writeFailed(error) }
        try removeSnapshots(before: group.nextBaseOffset)
        do {
            try SegmentSwap.decide(group.baseOffset, in: place, names)
        } catch  where error.errno.meansNoSpace && error.operation == .rename {
            // Nothing is decided before the log has its new name.
            SegmentSwap.withdraw(group.baseOffset, in: place)
            throw directory.writeFailed(error)
        } catch {
            throw directory.fail(error)
        }
        do {
            try SegmentSwap.complete(
                group.baseOffset, covered: group.sources.dropFirst().map(\.baseOffset), in: place, names)
        } catch {
            // Half way there is no way back: recovery would complete a swap that this process had given up.
            throw directory.fail(error)
        }
        let segment = LogSegment(
            baseOffset: group.baseOffset, place: place, byteCount: group.byteCount, isSealed: true,
            createdMilliseconds: group.sources.map(\.createdMilliseconds).max() ?? 0)
        segment.knownLargestTimestamp = group.largestTimestamp
        for source in segments.replace(range, with: segment) { source.releaseFiles() }
        readPositions.removeAll()
        return true
    }

    /// Where the sources of a group are among the segments; nil when something has happened to them.
    private func range(of group: CleanedGroup, _ plan: CleanerPlan) -> Range<Int>? {
        guard cleaning.cancellation === plan.cancellation, !plan.cancellation.isCancelled,
            place.path == plan.path,
            let first = segments.floorIndex(group.baseOffset), first + group.sources.count < segments.count
        else { return nil }
        for (index, source) in group.sources.enumerated() {
            let segment = segments[first + index]
            guard segment.baseOffset == source.baseOffset, segment.byteCount == source.byteCount,
                segment.isSealed,
                segments[first + index + 1].baseOffset == source.nextBaseOffset
            else { return nil }
        }
        return first..<first + group.sources.count
    }

    /// Whether all files of the new segment are there, before the first of them gets another name.
    private func isWhole(_ group: CleanedGroup) throws(LogError) -> Bool {
        do {
            for kind in [LogFileKind.log, .offsetIndex, .timeIndex, .transactionIndex] {
                let path = place.filePath(kind, group.baseOffset, suffix: .cleaned)
                guard try place.fileSystem.attributes(of: path) != nil else { return false }
            }
            return true
        } catch {
            throw LogError(reading: error)
        }
    }

    /// No state of producers may be derived from a snapshot and what is left of the batches after it: the end
    /// of a transaction that was open then may be gone. It becomes durable with the swap's first step.
    private func removeSnapshots(before offset: Offset) throws(LogError) {
        do {
            try SegmentSwap.removeSnapshots(below: offset, keeping: nil, in: place)
            if let snapshotOffset, snapshotOffset < offset { self.snapshotOffset = nil }
        } catch {
            throw directory.writeFailed(error)
        }
    }

    /// Ends a round of which every group was committed.
    public func finishCleaning(_ plan: CleanerPlan, _ summary: CleaningSummary) {
        guard cleaning.cancellation === plan.cancellation else { return }
        cleaning.cancellation = nil
        cleaning.noteCleaned(upTo: summary.endOffset)
        logger.log(
            .info, "log compacted",
            [
                LogField("partition", partition), LogField("firstDirtyOffset", summary.endOffset),
                LogField("keys", summary.keyCount), LogField("readBytes", summary.readByteCount),
                LogField("keptBytes", summary.keptByteCount),
                LogField("readRecords", summary.readRecordCount),
                LogField("keptRecords", summary.keptRecordCount),
                LogField("keylessRecords", summary.keylessRecordCount),
            ])
    }

    /// Ends a round that failed or was given up. What was committed stays; the rest is done again by a later
    /// round.
    public func endCleaning(_ plan: CleanerPlan, because error: CleaningError) {
        guard cleaning.cancellation === plan.cancellation else { return }
        cleaning.cancellation = nil
        if case .cancelled = error { return }
        if !error.isPassing { cleaning.uncleanableReason = "\(error)" }
        logger.log(
            error.isPassing ? .warn : .error,
            error.isPassing
                ? "compaction put off" : "log not compacted any more until the broker is restarted",
            [LogField("partition", partition), LogField("path", place.path), LogField("reason", error)])
    }

    /// Makes the round that is going on stop at its next look, and its commits refuse.
    func cancelCleaning() {
        cleaning.cancellation?.cancel()
        cleaning.cancellation = nil
    }
}
