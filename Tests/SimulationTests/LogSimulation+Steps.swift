import Base
import RecordFormat
import SimulationKit
import SystemIO

@testable import LogStorage

// The random operations.
extension LogSimulation {
    /// One random operation, and a look at what can be seen of it.
    func step() throws {
        // Deleted, and refused when it was to be made anew.
        guard log != nil else { return try create() }
        switch generator.next() % (onlyOperates ? 109 : 121) {
        case 0..<42: try append()
        case 42..<53: flush()
        case 53..<63: poll()
        case 63..<67: try read()
        case 67..<73: advanceHighWatermark()
        case 73..<78: try checkpoint()
        case 78..<82: try roll()
        case 82..<85: try truncate()
        case 85..<87: try advanceLogStart()
        case 87..<90: try retain()
        case 90..<92: try repeatBatch()
        case 92..<107: try compact()
        case 107: try delete()
        case 108: try beginAnew()
        case 109..<111: try reopen()
        case 111..<113: try kill()
        case 113..<116: try crash()
        case 116..<119: try losePowerWhileOperating()
        default: clock.advance(milliseconds: Int64(generator.next() % 1000))
        }
        try noteProgress()
    }

    /// What the log says of its own progress may only grow, and is what must survive.
    func noteProgress() throws {
        // A log that never held a record is nowhere but in the metadata.
        if log.birth == nil { existence = .there }
        try check(
            log.logEndOffset.rawValue == model.endOffset,
            "log ends at \(log.logEndOffset), model \(model.endOffset)")
        try check(
            log.syncedEndOffset <= log.writtenEndOffset && log.writtenEndOffset <= log.logEndOffset,
            "synced \(log.syncedEndOffset), written \(log.writtenEndOffset), end \(log.logEndOffset)")
        // A disk that cannot be read any more ends compaction too.
        try check(
            log.uncleanableReason == nil || disk.hasLostPower || directory.failure != nil,
            "not compacted any more: \(log.uncleanableReason ?? "")")
        model.syncedOffset = max(model.syncedOffset, log.syncedEndOffset.rawValue)
        model.writtenOffset = max(model.writtenOffset, log.writtenEndOffset.rawValue)
    }

    private func flush() {
        let holdsSyncs = holdGenerator.chance(1, in: 4)
        note(holdsSyncs ? "flush without syncs" : "flush")
        manager.lane.holdsSyncs = holdsSyncs
        manager.lane.flush()
        manager.lane.holdsSyncs = false
    }

    private func poll() {
        note("poll")
        manager.lane.poll(waitNanoseconds: generator.next() % 500_000)
    }

    private func roll() throws {
        note("roll")
        try log.roll()
    }

    // MARK: Truncation and deletion

    /// - Parameter intoGap: where compaction has left one.
    func truncate(intoGap: Bool = false) throws {
        let start = log.logStartOffset.rawValue
        // What is replicated is cut off only where leaders are elected uncleanly.
        let isDeep = isCompacted && (intoGap || generator.chance(1, in: 2))
        let low = max(start, isDeep ? 0 : model.highWatermark - 5)
        guard model.endOffset > low else { return }
        var target = low + Int64(generator.next() % UInt64(model.endOffset - low))
        let gaps = isDeep ? (low..<model.endOffset).filter { model[$0].compaction.isGone } : []
        if !gaps.isEmpty {
            target = gaps[Int(generator.next() % UInt64(gaps.count))]
        }
        note("truncate to \(target)")
        let lowest = max(model.lowestEnd(ofTruncationTo: target), start)
        // A batch that holds the target goes whole.
        let highest = max(model[target].batchOffset, start)
        possibleEnd = lowest
        // Of a batch that compaction has dropped, nothing holds the target.
        let end = try log.truncate(to: Offset(target)).rawValue
        try check(
            end >= lowest && end <= highest, "truncated to \(end), expected \(lowest) to \(highest)")
        if model[target].compaction.isGone { count("truncations into gaps") }
        model.truncate(to: end)
        possibleEnd = nil
        try relearnProducers()
        count("truncations")
    }

    /// What a follower does whose leader's log begins behind the end of its own, or ends before its start.
    private func beginAnew() throws {
        guard generator.chance(1, in: 2) else { return }
        let target = Int64(generator.next() % UInt64(model.endOffset + 10))
        note("begin anew at \(target)")
        possibleBeginning = target
        possibleStart = max(target, possibleStart ?? 0)
        possibleEnd = 0
        do {
            try log.truncateFullyAndStart(at: Offset(target))
        } catch {
            // A full disk leaves the log as it was, or it is finished when there is room.
            if directory.failure == nil {
                possibleEnd = nil
                if log.startTarget == nil { possibleBeginning = nil }
            }
            throw error
        }
        try takeBeginning(at: target)
        count("beginnings")
    }

    /// The log is empty, and begins at `offset` from now on, whatever happens.
    func takeBeginning(at offset: Int64) throws {
        try check(
            log.logStartOffset.rawValue == offset && log.logEndOffset.rawValue == offset
                && log.syncedEndOffset.rawValue == offset,
            "begun anew at \(offset), the log is from \(log.logStartOffset) to \(log.logEndOffset)")
        model.beginAnew(at: offset)
        durableStart = offset
        possibleBeginning = nil
        possibleStart = nil
        possibleEnd = nil
        try relearnProducers()
    }

    private func advanceHighWatermark() {
        let target = model.highWatermark + Int64(generator.next() % (isCompacted ? 48 : 12))
        model.highWatermark = max(model.highWatermark, min(target, log.writtenEndOffset.rawValue))
        note("high watermark \(model.highWatermark)")
        log.advanceHighWatermark(to: Offset(model.highWatermark))
    }

    private func advanceLogStart() throws {
        guard model.highWatermark > log.logStartOffset.rawValue else { return }
        let room = UInt64(model.highWatermark - log.logStartOffset.rawValue)
        let target = log.logStartOffset.rawValue + Int64(generator.next() % (room + 1))
        note("log start \(target)")
        possibleStart = target
        try log.advanceLogStart(to: Offset(target))
        model.startOffset = target
        possibleStart = nil
        count("prefix deletions")
    }

    private func retain() throws {
        note("retention")
        possibleStart = model.highWatermark
        if manager.maintain() > 0 { count("retentions") }
        if directory.failure != nil { return }
        try check(
            log.logStartOffset.rawValue <= model.highWatermark
                || log.logStartOffset.rawValue == model.startOffset,
            "retention went to \(log.logStartOffset), beyond the high watermark \(model.highWatermark)")
        model.startOffset = max(model.startOffset, log.logStartOffset.rawValue)
        possibleStart = nil
    }

    func checkpoint() throws {
        note("checkpoint")
        possibleStart = max(model.startOffset, possibleStart ?? 0)
        try manager.checkpoint()
        durableStart = model.startOffset
        possibleStart = nil
    }

    private func read() throws {
        note("read")
        try compareRecords()
        if log.writtenEndOffset == log.logEndOffset { try compareDerived() }
    }

    /// Deletes the log, at once or not to be found by the next start, and begins another.
    private func delete() throws {
        guard generator.chance(1, in: 2) else { return }
        note("delete")
        let before = existence
        existence = .undecided
        do {
            try manager.delete(Self.partition, id: (generator.next(), generator.next()))
        } catch {
            // A full disk leaves the log as it was.
            if directory.failure == nil { existence = .there }
            throw error
        }
        // In a directory that has failed only this process is without the log: it lies there as it was.
        existence = directory.failure == nil ? .deleted : before
        log = nil
        round = nil
        group = nil
        count("deletions")
        switch onlyOperates ? 0 : generator.next() % 3 {
        case 0: try create()
        case 1: try kill()
        default: try crash()
        }
    }

    /// A new log under the name of one that is gone.
    func create() throws {
        note("create")
        if directory.failure != nil {
            _ = try manager.create(Self.partition, settings: settings)
            throw fail("a log was made in a directory that has failed")
        }
        existence = .undecided
        model = LogModel()
        durableStart = 0
        possibleEnd = nil
        possibleStart = nil
        possibleBeginning = nil
        listener.lostFrom = nil
        producers.removeAll()
        take(try manager.create(Self.partition, settings: settings))
    }
}
