internal import Base
public import RecordFormat
internal import SystemIO

extension PartitionLog {
    /// Removes everything from `offset` on, durably: what a follower does when its leader's log parted from
    /// its own.
    ///
    /// The log ends with its last batch then, so it may end earlier: a batch that holds `offset` is removed
    /// whole, and of a gap that compaction left before `offset` nothing stays, because no restart would find
    /// it.
    /// - Returns: the new log end offset.
    @discardableResult
    public func truncate(to offset: Offset) throws(LogError) -> Offset {
        try checkChangeable()
        guard offset >= logStartOffset else {
            throw .offsetOutOfRange(requested: offset, start: logStartOffset, end: logEndOffset)
        }
        do {
            try commit.drain()
        } catch {
            throw directory.writeFailed(error)
        }
        guard offset < logEndOffset else { return logEndOffset }
        let endOffset = try cut(at: offset).endOffset
        // A log may start inside a batch, or a gap; when that goes, nothing is left.
        let leavesNothing = endOffset < logStartOffset
        try recoveryPointKeeper?.lowerRecoveryPoint(
            of: self, to: leavesNothing ? .zero : endOffset)
        do {
            if leavesNothing {
                try startAnew(at: logStartOffset)
            } else {
                try cutBack(to: offset)
            }
        } catch {
            throw directory.writeFailed(error)
        }
        logger.log(
            .info, "log truncated",
            [LogField("partition", partition), LogField("logEndOffset", logEndOffset)])
        return logEndOffset
    }

    /// Where a truncation cuts.
    private struct Cut {
        let segmentIndex: Int
        let position: Int64
        /// The offset after the last batch that stays; a segment without one begins where the one before
        /// ends.
        let endOffset: Offset
    }

    private func cut(at offset: Offset) throws(LogError) -> Cut {
        let index = segments.floorIndex(offset) ?? 0
        let segment = segments[index]
        // What was lost on its way to the disk begins where the written bytes end; it cannot be scanned.
        if offset == writtenEndOffset, segment === segments.active {
            return Cut(segmentIndex: index, position: commit.pendingPosition, endOffset: offset)
        }
        let located = try locate(offset, in: segment, endPosition: segment.byteCount)
        let position = located?.position ?? segment.byteCount
        return Cut(
            segmentIndex: index, position: position, endOffset: try endOffset(before: position, in: segment))
    }

    private func endOffset(before position: Int64, in segment: LogSegment) throws(LogError) -> Offset {
        do {
            let from = position > 0 ? try segment.offsetIndex().floor(position: position - 1)?.position : nil
            var scanner = BatchScanner(
                file: try segment.file(), from: from ?? 0, to: position, buffer: lane.scanBuffer)
            var endOffset = segment.baseOffset
            while let header = try scanner.next() { endOffset = header.nextOffset }
            return endOffset
        } catch {
            throw LogError(reading: error)
        }
    }

    /// The truncation itself. Nothing is in flight.
    func cutBack(to offset: Offset) throws(LogError) {
        cutTarget = offset
        do {
            readPositions.removeAll()
            cancelCleaning()
            let cut = try cut(at: offset)
            let segment = segments[cut.segmentIndex]
            try removeSegments(from: cut.segmentIndex + 1)
            try segment.truncate(to: cut.endOffset, position: cut.position, configuration: configuration)
            let file = try segment.file()
            try file.sync(.data)
            try rescanTail(of: segment)
            try finishCut(at: cut.endOffset, file: file, position: segment.byteCount)
            cutTarget = nil
        } catch {
            throw directory.writeFailed(error)
        }
    }

    /// Timestamps behind the last time index entry are only in the batches.
    private func rescanTail(of segment: LogSegment) throws {
        let from = try segment.offsetIndex().lastEntry?.position ?? 0
        var scanner = BatchScanner(
            file: try segment.file(), from: from, to: segment.byteCount, buffer: lane.scanBuffer)
        while true {
            let isFirst = scanner.position == 0
            guard let header = try scanner.next() else { return }
            segment.noteTimestamp(of: header, isFirst: isFirst)
        }
    }

    /// Brings all that is derived from the batches in line with the new end of the log. What takes room on
    /// the disk comes last: where there is none, what is known is right all the same.
    private func finishCut(at endOffset: Offset, file: any File, position: Int64) throws {
        commit.reset(file: file, position: position, endOffset: endOffset)
        highWatermark = min(highWatermark, endOffset)
        checkpointedRecoveryPoint = min(checkpointedRecoveryPoint, endOffset)
        cleaning.noteTruncation(to: endOffset)
        leaderEpochs.truncateFromEnd(endOffset)
        try removeSnapshots(above: endOffset)
        try rebuildProducers(upTo: endOffset)
        // Offsets are given again, perhaps in the same epoch: no start may find there what was cut off.
        if leaderEpochs.isDirty { try writeLeaderEpochs() }
    }

    /// Drops everything and goes on, empty, at `offset`: a follower whose leader has nothing before it.
    public func truncateFullyAndStart(at offset: Offset) throws(LogError) {
        try checkChangeable()
        do {
            try commit.drain()
            // A crash may leave no segment, and the log then begins where its start was checkpointed.
            try recoveryPointKeeper?.lowerRecoveryPoint(of: self, to: .zero)
            try startAnew(at: offset)
        } catch {
            throw directory.writeFailed(error)
        }
    }

    /// The new beginning itself, or what is left to do of one that a full disk interrupted. Nothing is in
    /// flight.
    func startAnew(at offset: Offset) throws {
        startTarget = offset
        cutTarget = nil
        readPositions.removeAll()
        cancelCleaning()
        // A start that finds no segment has the log begin where the checkpoint says: not below what was given
        // out.
        if offset > checkpointedLogStartOffset { try writeLogStart(offset) }
        // What is known of producers goes before the batches, without which it must not be believed.
        try removeSnapshots(above: Offset(-1))
        // The list keeps the segments until there is another: a log is never without one.
        try removeFiles(of: segments.all)
        leaderEpochs.removeAll()
        try writeLeaderEpochs()
        let names = try place.openDirectory()
        let segment = try LogSegment.create(
            baseOffset: offset, place: place, configuration: configuration, now: lane.now, jitter: 0)
        let file = try segment.file()
        try file.sync(.data)
        try names.sync()
        _ = segments.replace(0..<segments.count, with: segment)
        logStartOffset = offset
        highWatermark = offset
        checkpointedRecoveryPoint = min(checkpointedRecoveryPoint, offset)
        cleaning.noteTruncation(to: .zero)
        commit.reset(file: file, position: 0, endOffset: offset, syncedEndOffset: offset)
        producers.removeAll(endOffset: offset)
        // With a start above the log's end the next opening would drop what is appended from here on.
        if offset < checkpointedLogStartOffset { try writeLogStart(offset) }
        startTarget = nil
    }

    private func writeLogStart(_ offset: Offset) throws(LogError) {
        guard let recoveryPointKeeper else { return }
        try recoveryPointKeeper.writeLogStart(of: self, at: offset)
        checkpointedLogStartOffset = offset
    }

    /// Removes the segments from `first` on with their files, the last one first: what fails half way is gone
    /// on with.
    private func removeSegments(from first: Int) throws(IOError) {
        while segments.count > first {
            try removeFiles(of: [segments.active])
            _ = segments.removeFrom(segments.count - 1)
        }
    }

    /// Removes segments' files at once: suffix truncation, whose offsets will be given again, must not leave
    /// them. The last segment goes first, and each durably before the next, so that a crash leaves no hole.
    private func removeFiles(of removed: [LogSegment]) throws(IOError) {
        let names = try place.openDirectory()
        for segment in removed.reversed() {
            segment.releaseFiles()
            for kind in [LogFileKind.log, .offsetIndex, .timeIndex, .transactionIndex, .producerSnapshot] {
                try SegmentSwap.removeIfPresent(place.filePath(kind, segment.baseOffset), place.fileSystem)
            }
            try names.sync()
        }
    }

    /// Moves the log start forward: records before `offset` are gone for readers at once, their segments'
    /// files when `deleteOldSegments` finds them. Durable with the next checkpoint of log start offsets.
    public func advanceLogStart(to offset: Offset) throws(LogError) {
        try checkUsable()
        guard offset <= highWatermark else {
            throw .offsetOutOfRange(requested: offset, start: logStartOffset, end: highWatermark)
        }
        guard offset > logStartOffset else { return }
        logStartOffset = offset
        producers.truncateHead(to: offset)
    }
}
