internal import Base
public import RecordFormat
internal import SystemIO

extension PartitionLog {
    /// Removes everything from `offset` on, durably: what a follower does when its leader's log parted from
    /// its own.
    ///
    /// A batch that holds `offset` is removed whole, so the log may end earlier.
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
        try recoveryPointKeeper?.lowerRecoveryPoint(of: self, to: offset)
        do {
            // A log may start inside a batch; when that goes, nothing is left.
            let segment = segments[segments.floorIndex(offset) ?? 0]
            if let located = try locate(offset, in: segment, endPosition: segment.byteCount),
                located.baseOffset < logStartOffset
            {
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

    /// The truncation itself. Nothing is in flight.
    func cutBack(to offset: Offset) throws(LogError) {
        cutTarget = offset
        do {
            readPositions.removeAll()
            cancelCleaning()
            guard let index = segments.floorIndex(offset) else { return }
            let segment = segments[index]
            // What was lost on its way to the disk begins where the written bytes end; it cannot be scanned.
            let isLostTail = offset == writtenEndOffset && segment === segments.active
            let located =
                isLostTail
                ? LocatedBatch(position: commit.pendingPosition, baseOffset: offset, header: nil)
                : try locate(offset, in: segment, endPosition: segment.byteCount)
            // Later segments go first, last one first: a crash in between leaves a log without a hole.
            let removed = segments.removeFrom(index + 1)
            for segment in removed.reversed() { try removeFiles(of: segment) }
            if !removed.isEmpty { try place.fileSystem.syncDirectory(place.path) }
            var endOffset = offset
            if let located {
                try segment.truncate(
                    to: located.baseOffset, position: located.position, configuration: configuration)
                // Where compaction left a gap the batch begins behind the offset.
                endOffset = min(offset, located.baseOffset)
            } else if segment.isSealed {
                try segment.openForAppend(configuration: configuration)
            }
            let file = try segment.file()
            try file.sync(.data)
            try rescanTail(of: segment)
            try finishCut(at: endOffset, file: file, position: segment.byteCount)
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

    /// Brings all that is derived from the batches in line with the new end of the log.
    private func finishCut(at endOffset: Offset, file: any File, position: Int64) throws {
        commit.reset(file: file, position: position, endOffset: endOffset)
        highWatermark = min(highWatermark, endOffset)
        checkpointedRecoveryPoint = min(checkpointedRecoveryPoint, endOffset)
        cleaning.noteTruncation(to: endOffset)
        if leaderEpochs.truncateFromEnd(endOffset) { try writeLeaderEpochs() }
        try removeSnapshots(above: endOffset)
        try rebuildProducers(upTo: endOffset)
    }

    /// Drops everything and goes on, empty, at `offset`: a follower whose leader has nothing before it.
    public func truncateFullyAndStart(at offset: Offset) throws(LogError) {
        try checkChangeable()
        do {
            try commit.drain()
            try recoveryPointKeeper?.lowerRecoveryPoint(of: self, to: min(offset, logStartOffset))
            try startAnew(at: offset)
        } catch {
            throw directory.writeFailed(error)
        }
    }

    private func startAnew(at offset: Offset) throws {
        readPositions.removeAll()
        cancelCleaning()
        for segment in segments.removeFrom(0).reversed() { try removeFiles(of: segment) }
        let segment = try LogSegment.create(
            baseOffset: offset, place: place, configuration: configuration, now: lane.now, jitter: 0)
        segments.append(segment)
        let file = try segment.file()
        try file.sync(.data)
        try place.fileSystem.syncDirectory(place.path)
        logStartOffset = offset
        highWatermark = offset
        checkpointedRecoveryPoint = min(checkpointedRecoveryPoint, offset)
        cleaning.noteTruncation(to: .zero)
        commit.reset(file: file, position: 0, endOffset: offset, syncedEndOffset: offset)
        leaderEpochs.removeAll()
        try writeLeaderEpochs()
        try removeSnapshots(above: Offset(-1))
        producers.removeAll(endOffset: offset)
    }

    /// Removes a segment's files at once: suffix truncation, whose offsets will be given again, must not
    /// leave them.
    private func removeFiles(of segment: LogSegment) throws(IOError) {
        segment.releaseFiles()
        for kind in [LogFileKind.log, .offsetIndex, .timeIndex, .transactionIndex, .producerSnapshot] {
            try SegmentSwap.removeIfPresent(place.filePath(kind, segment.baseOffset), place.fileSystem)
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
