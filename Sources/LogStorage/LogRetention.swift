internal import Base
internal import RecordFormat
internal import SystemIO

/// Which of a log's oldest segments retention lets go. A pure function of what is known of the segments.
enum LogRetention {
    struct Segment {
        let baseOffset: Offset
        /// The base offset of the next segment.
        let endOffset: Offset
        let byteCount: Int64
        /// Largest record timestamp, or when the file was last written where records carry no time.
        let newestMilliseconds: Int64
    }

    /// - Parameters:
    ///   - segments: the sealed segments, oldest first.
    ///   - activeByteCount: bytes in the active segment, which counts but is never let go here.
    /// - Returns: how many of the first segments to delete.
    static func deletableCount(
        _ segments: [Segment], activeByteCount: Int64, logStartOffset: Offset, highWatermark: Offset,
        now: Timestamp,
        configuration: LogConfiguration
    ) -> Int {
        var total = segments.reduce(activeByteCount) { $0 + $1.byteCount }
        var count = 0
        for segment in segments {
            // Nothing that is not replicated, and no hole: retention stops at the first segment that stays.
            guard segment.endOffset <= highWatermark else { break }
            let isBeforeStart = segment.endOffset <= logStartOffset
            guard isBeforeStart || isExpired(segment, total: total, now: now, configuration) else { break }
            total -= segment.byteCount
            count += 1
        }
        return count
    }

    private static func isExpired(
        _ segment: Segment, total: Int64, now: Timestamp, _ configuration: LogConfiguration
    ) -> Bool {
        guard configuration.cleanupPolicy.contains(.delete) else { return false }
        let time = configuration.retentionMilliseconds
        if time >= 0, now.rawValue - segment.newestMilliseconds > time { return true }
        let size = configuration.retentionByteCount
        return size >= 0 && total - segment.byteCount >= size
    }
}

extension PartitionLog {
    /// Deletes the segments that retention by time or size lets go, and those below the log start offset.
    /// Their files are renamed now and removed by `removeDeletedFiles` after `file.delete.delay.ms`; readers
    /// go on.
    ///
    /// When every record of the active segment has expired by time it is rolled first, so that it can go as
    /// well.
    /// - Returns: the number of segments deleted.
    @discardableResult
    public func deleteOldSegments() throws(LogError) -> Int {
        try checkUsable()
        do {
            let now = lane.now
            try rollIfExpired(now: now)
            let sealed = segments.all.dropLast()
            var known: [LogRetention.Segment] = []
            known.reserveCapacity(sealed.count)
            for (index, segment) in sealed.enumerated() {
                known.append(
                    LogRetention.Segment(
                        baseOffset: segment.baseOffset, endOffset: segments[index + 1].baseOffset,
                        byteCount: segment.byteCount, newestMilliseconds: try newestMilliseconds(of: segment))
                )
            }
            let count = LogRetention.deletableCount(
                known, activeByteCount: segments.active.byteCount, logStartOffset: logStartOffset,
                highWatermark: highWatermark, now: now, configuration: configuration)
            guard count > 0 else { return 0 }
            try deletePrefix(count)
            return count
        } catch {
            throw directory.writeFailed(error)
        }
    }

    func newestMilliseconds(of segment: LogSegment) throws -> Int64 {
        if let largest = try segment.largestTimestamp(), largest.timestamp.rawValue >= 0 {
            return largest.timestamp.rawValue
        }
        return segment.createdMilliseconds
    }

    private func rollIfExpired(now: Timestamp) throws {
        let active = segments.active
        let time = configuration.retentionMilliseconds
        // A cut that waits for room comes first: what is known of producers may go beyond it.
        guard configuration.cleanupPolicy.contains(.delete), time >= 0, active.byteCount > 0,
            cutTarget == nil, commit.queuedEndOffset == highWatermark,
            now.rawValue - (try newestMilliseconds(of: active)) > time
        else { return }
        try roll(now: now)
    }

    private func deletePrefix(_ count: Int) throws {
        let newStart = segments[count].baseOffset
        let names = try place.openDirectory()
        // Readers first: where a rename fails, the segments are below the log's start and wait for the next
        // time.
        if newStart > logStartOffset {
            logStartOffset = newStart
            producers.truncateHead(to: newStart)
        }
        readPositions.removeAll()
        // A round begins with the first segment: it would look for files that are gone.
        cancelCleaning()
        for _ in 0..<count {
            try setAside(segments[0], lastOffset: segments[1].baseOffset - 1)
            // One by one: a crash that kept an earlier segment and lost a later one would leave a hole.
            try names.sync()
            _ = segments.removeFirst(1)
        }
        logger.log(
            .info, "segments deleted",
            [
                LogField("partition", partition), LogField("count", count),
                LogField("logStartOffset", newStart),
            ])
        try SegmentSwap.removeSnapshots(below: newStart, keeping: snapshotOffset, in: place)
    }

    /// Renames a segment's files to `.deleted`, the log first: a segment is there as long as its log file is.
    ///
    /// After `noSpace` nothing has changed: an index for whose new name there is no room is removed at once.
    func setAside(_ segment: LogSegment, lastOffset: Offset) throws(IOError) {
        let fileSystem = place.fileSystem
        for kind in [LogFileKind.log, .offsetIndex, .timeIndex, .transactionIndex] {
            let path = place.filePath(kind, segment.baseOffset)
            guard try fileSystem.attributes(of: path) != nil else { continue }
            do {
                try fileSystem.rename(path, to: place.filePath(kind, segment.baseOffset, suffix: .deleted))
            } catch  where error.errno.meansNoSpace && kind != .log {
                try fileSystem.remove(path)
            }
        }
        deletedFiles.add(
            DeletedFiles.Entry(
                segment: segment, lastOffset: lastOffset,
                dueMilliseconds: lane.monotonicMilliseconds
                    + UInt64(max(0, configuration.fileDeleteDelayMilliseconds))))
    }

    /// Removes, or puts into the pool for reuse, the files of deleted segments whose delay is over.
    /// - Parameter all: also those whose delay is not.
    public func removeDeletedFiles(all: Bool = false) throws(LogError) {
        let due = deletedFiles.takeDue(at: all ? UInt64.max : lane.monotonicMilliseconds)
        do {
            for entry in due { try removeFiles(of: entry) }
        } catch {
            throw directory.writeFailed(error)
        }
    }

    private func removeFiles(of entry: DeletedFiles.Entry) throws(IOError) {
        let base = entry.segment.baseOffset
        for kind in [LogFileKind.offsetIndex, .timeIndex, .transactionIndex] {
            try SegmentSwap.removeIfPresent(place.filePath(kind, base, suffix: .deleted), place.fileSystem)
        }
        let path = place.filePath(.log, base, suffix: .deleted)
        // A file that a slice still reads must not be written to.
        let isUnused = entry.segment.releaseFileIsUnused()
        if isUnused, directory.recycledFiles.accept(path, lastOffset: entry.lastOffset) { return }
        try SegmentSwap.removeIfPresent(path, place.fileSystem)
    }
}
