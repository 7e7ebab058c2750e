internal import Base
internal import RecordFormat
internal import SystemIO

/// Brings the files of one log into a state that the log can go on from, but for the syncs that
/// `RecoveredLog.syncs` names. Any thread; one log is recovered by one.
struct LogRecovery {
    let opening: LogOpening
    let place: LogPlace
    let context: ScanContext
    let logger: Logger
    /// The log's directory, open from before the first change of names on, so that none is left without its
    /// sync.
    private var openedNames: (any OpenDirectory)?
    /// What was found in the directory.
    private(set) var entries: [DirectoryEntry] = []
    /// Files were changed.
    private var hasChanged = false
    var log = RecoveredLog()
    /// Everything from here on was read and checked, so that what is derived from it has to be derived anew.
    private var scannedFrom: Offset?
    /// Epochs that scanned batches began with.
    private var scannedEpochs: [(LeaderEpoch, Offset)] = []

    init(opening: LogOpening, place: LogPlace, context: ScanContext) {
        self.opening = opening
        self.place = place
        self.context = context
        logger = place.directory.logger.named("recovery")
    }

    var fileSystem: any FileSystem { place.fileSystem }

    mutating func run() throws -> RecoveredLog {
        guard try fileSystem.attributes(of: place.path) != nil else {
            return try begin(LogBirth(number: try place.directory.createChild(place.path)))
        }
        try list()
        if try wasNeverUsed() { return try begin(LogBirth(number: place.directory.childCount)) }
        let bases = try tidyFiles()
        if bases.isEmpty {
            try beginEmpty()
        } else {
            try recoverSegments(bases)
        }
        log.logStartOffset = max(opening.logStartOffset ?? .zero, log.segments.all[0].baseOffset)
        if log.logStartOffset > log.logEndOffset { try startAboveEnd() }
        log.checkpointedLogStartOffset = opening.logStartOffset ?? .zero
        log.checkpointedRecoveryPoint = min(opening.recoveryPoint ?? .zero, log.logEndOffset)
        try recoverLeaderEpochs()
        try recoverProducers()
        try publishIndexes()
        log.isUntouched = opening.wasShutDownCleanly && !hasChanged && scannedFrom == nil
        return log
    }

    /// Looks at what there is, once.
    private mutating func list() throws(IOError) {
        entries = try fileSystem.contents(ofDirectory: place.path)
    }

    private mutating func beginEmpty() throws {
        try addSegment(at: opening.logStartOffset ?? .zero)
        log.recoveryPoint = log.logEndOffset
    }

    /// The directory, for changes of names.
    private mutating func names() throws(IOError) -> any OpenDirectory {
        hasChanged = true
        if let openedNames { return openedNames }
        let opened = try place.openDirectory()
        openedNames = opened
        return opened
    }

    private mutating func addSegment(at baseOffset: Offset) throws {
        let names = try names()
        let segment = try LogSegment.create(
            baseOffset: baseOffset, place: place, configuration: opening.configuration, now: context.now,
            jitter: 0)
        try segment.file().sync(.data)
        try names.sync()
        log.segments.append(segment)
        log.logEndOffset = baseOffset
    }

    /// Records below the log start were deleted on request, and a crash took the log's tail: begin where the
    /// log starts.
    private mutating func startAboveEnd() throws {
        logger.log(
            .warn, "log ends below its start, begun anew",
            [
                LogField("path", place.path), LogField("logEndOffset", log.logEndOffset),
                LogField("logStartOffset", log.logStartOffset),
            ])
        let bases = log.segments.all.map(\.baseOffset)
        try addSegment(at: log.logStartOffset)
        log.recoveryPoint = log.logEndOffset
        // With the old ones there would be a hole before the new one, which looks like a tail that was lost.
        _ = log.segments.removeFirst(bases.count)
        try dropSegments(bases[...])
    }

    // MARK: Files

    /// Runs table 1 over the directory.
    /// - Returns: the base offsets of the segments that are left, rising.
    private mutating func tidyFiles() throws -> [Offset] {
        var files: [LogFileName] = []
        for entry in entries where entry.kind == .regular {
            if let file = LogLayout.parse(fileName: entry.name) {
                files.append(file)
            } else if entry.name.hasSuffix(LogLayout.temporarySuffix) {
                try fileSystem.remove(LogLayout.path(place.path, entry.name))
            }
        }
        let present = Set(files)
        var swaps: [Offset] = []
        var removed = false
        for file in files {
            let log = LogFileName(
                kind: .log, baseOffset: file.baseOffset, suffix: file.suffix == .swap ? .swap : nil)
            let facts = FileRecovery.Facts(
                kind: file.kind, suffix: file.suffix, hasLog: present.contains(log))
            switch FileRecovery.action(for: facts) {
            case .keep?: continue
            case .remove?:
                _ = try names()
                try fileSystem.remove(place.filePath(file.kind, file.baseOffset, suffix: file.suffix))
                removed = true
            case .completeSwap?: if file.kind == .log { swaps.append(file.baseOffset) }
            case nil: invariantFailed("no row of the table for \(facts)")
            }
        }
        if removed { try names().sync() }
        var bases = Set(files.filter { $0.kind == .log && $0.suffix == nil }.map(\.baseOffset))
        for swap in swaps.sorted() {
            let end = try swapEndOffset(swap)
            let covered = bases.filter { $0 > swap && $0 < end }
            try SegmentSwap.complete(swap, covered: covered.sorted(), in: place, try names())
            bases.subtract(covered)
            bases.insert(swap)
            logger.log(.info, "compaction completed", [LogField("path", place.filePath(.log, swap))])
        }
        return bases.sorted()
    }

    /// The offset after the last batch of a compacted segment that waits to take its place.
    private func swapEndOffset(_ baseOffset: Offset) throws -> Offset {
        let file = try fileSystem.open(place.filePath(.log, baseOffset, suffix: .swap), .read)
        var scanner = BatchScanner(file: file, from: 0, to: try file.byteCount(), buffer: context.buffer)
        var end = baseOffset
        do throws(LogError) {
            while let header = try scanner.next() { end = header.nextOffset }
        } catch {
            // What is damaged covers nothing; a file that cannot be read says nothing.
            guard case .corrupt = error else { throw error }
            return baseOffset
        }
        return end
    }

    // MARK: Segments

    private mutating func recoverSegments(_ bases: [Offset]) throws {
        let recoveryPoint = opening.recoveryPoint ?? bases[0]
        var index = 0
        while index < bases.count {
            let next = index + 1 < bases.count ? bases[index + 1] : nil
            let segment = try segment(bases[index], isLast: next == nil)
            let facts = SegmentRecovery.Facts(
                wasShutDownCleanly: opening.wasShutDownCleanly,
                extent: extent(of: bases[index], next: next, recoveryPoint),
                indexes: try indexState(of: segment))
            guard let action = SegmentRecovery.action(for: facts) else {
                invariantFailed("no row of the table for \(facts)")
            }
            log.segments.append(segment)
            log.logEndOffset = max(log.logEndOffset, segment.baseOffset)
            let goesOn = try recover(segment, action, next: next, recoveryPoint)
            if !goesOn {
                try dropSegments(bases[(index + 1)...])
                break
            }
            index += 1
        }
        try finishActiveSegment(recoveryPoint)
    }

    private func segment(_ base: Offset, isLast: Bool) throws(IOError) -> LogSegment {
        guard let attributes = try fileSystem.attributes(of: place.filePath(.log, base)) else {
            throw IOError(.stat, place.filePath(.log, base), .noSuchFile)
        }
        return LogSegment(
            baseOffset: base, place: place, byteCount: attributes.byteCount, isSealed: true,
            createdMilliseconds: attributes.modifiedMilliseconds)
    }

    private func extent(of base: Offset, next: Offset?, _ recoveryPoint: Offset) -> SegmentRecovery.Extent {
        if let next, next <= recoveryPoint { return next == recoveryPoint ? .ending : .below }
        return base < recoveryPoint ? .across : .above
    }

    /// Only whether they are there: a look into each index of a thousand segments would cost more than it
    /// tells, and a damaged one is noticed, and made anew, when it is first used.
    private func indexState(of segment: LogSegment) throws(IOError) -> SegmentRecovery.IndexState {
        for kind in [LogFileKind.offsetIndex, .timeIndex] {
            guard try fileSystem.attributes(of: place.filePath(kind, segment.baseOffset)) != nil else {
                return .missingOrDamaged
            }
        }
        return .sane
    }

    /// - Returns: false when the log ends with this segment, whatever follows.
    private mutating func recover(
        _ segment: LogSegment, _ action: SegmentAction, next: Offset?, _ recoveryPoint: Offset
    ) throws -> Bool {
        switch action {
        case .trust:
            return try next != nil || trustLast(segment, recoveryPoint)
        case .trim:
            return try trim(segment, next: next, recoveryPoint)
        case .scanFromRecoveryPoint:
            guard let start = try segment.keepIndexes(below: recoveryPoint, opening.configuration) else {
                return try scan(segment, from: nil, next: next, recoveryPoint)
            }
            return try scan(segment, from: start, next: next, recoveryPoint)
        case .rebuild:
            return try scan(segment, from: nil, next: next, recoveryPoint)
        }
    }

    /// The last segment of a log that was closed in order: only its end is looked for.
    private mutating func trustLast(_ segment: LogSegment, _ recoveryPoint: Offset) throws -> Bool {
        do {
            log.logEndOffset = try segment.endOffsetByIndex(buffer: context.buffer)
            return true
        } catch {
            logger.log(
                .warn, "last segment is not as it was left, read again",
                [LogField("path", segment.filePath), LogField("reason", "\(error)")])
            return try scan(segment, from: nil, next: nil, recoveryPoint)
        }
    }

    /// A segment that was whole and synced before it was rolled, and perhaps not after.
    private mutating func trim(_ segment: LogSegment, next: Offset?, _ recoveryPoint: Offset) throws -> Bool {
        do {
            let end = try segment.endPosition(before: next ?? recoveryPoint, buffer: context.buffer)
            let file = try segment.reopenForWriting()
            if try file.byteCount() > end { try file.truncate(to: end) }
            log.syncs.add(file)
            segment.byteCount = end
            segment.isSealed = true
            return true
        } catch let error as LogError {
            logger.log(
                .warn, "segment at the recovery point is not as it was left, read again",
                [LogField("path", segment.filePath), LogField("reason", error)])
            return try scan(segment, from: nil, next: next, recoveryPoint)
        }
    }

    /// Makes the indexes of a segment anew, empty. One that begins above the recovery point is read whole by
    /// the next start as well, should this one not come to its end: half an index is no harm there.
    private mutating func resetIndexes(of segment: LogSegment, _ recoveryPoint: Offset) throws {
        _ = try names()
        try segment.resetIndexes(
            configuration: opening.configuration, isProvisional: segment.baseOffset < recoveryPoint)
    }

    /// Reads a segment from `start` (nil: whole, indexes made anew), and acts on where that ends by table 3.
    private mutating func scan(
        _ segment: LogSegment, from start: OffsetPosition?, next: Offset?, _ recoveryPoint: Offset
    ) throws -> Bool {
        if start == nil { try resetIndexes(of: segment, recoveryPoint) }
        let file = try segment.reopenForWriting()
        let fileByteCount = try file.byteCount()
        scannedFrom = min(scannedFrom ?? .zero + Int64.max, start?.offset ?? segment.baseOffset)
        let buffer = IOBuffer(
            byteCount: Int(min(Int64(SegmentScanner.windowByteCount), max(fileByteCount, 4096))))
        var scanner = try SegmentScanner(
            file: file, from: start?.position ?? 0, segmentBaseOffset: segment.baseOffset,
            expectedOffset: start?.offset ?? segment.baseOffset, buffer: buffer)
        let indexInterval = opening.configuration.indexIntervalByteCount
        var hasGaps = false
        var nextOffset = scanner.expectedOffset
        while true {
            switch try scanner.next() {
            case .batch(let header, _):
                if header.baseOffset > nextOffset || header.recordCount != header.lastOffsetDelta + 1 {
                    hasGaps = true
                }
                nextOffset = header.nextOffset
                // An index that is kept gets no entries below the recovery point: should they reach the disk
                // and what comes after them not, the next start would begin at them and miss it.
                let isKept = start != nil && header.lastOffset < recoveryPoint
                segment.noteBatch(header, indexInterval: isKept ? Int.max : indexInterval)
                noteEpoch(header)
            case .end(let end, let reason):
                log.logEndOffset = max(log.logEndOffset, nextOffset)
                let facts = facts(end, next: next, recoveryPoint, hasGaps: hasGaps)
                return try finishScan(
                    of: segment, file, facts, reason, scanner.position, recoveryPoint,
                    fileByteCount: fileByteCount)
            }
        }
    }

    private func facts(
        _ end: TailRecovery.End, next: Offset?, _ recoveryPoint: Offset, hasGaps: Bool
    ) -> TailRecovery.Facts {
        let isBelow = log.logEndOffset < min(next ?? recoveryPoint, recoveryPoint)
        let reach: TailRecovery.Reach
        switch next {
        case nil: reach = .last
        case let next? where next == log.logEndOffset: reach = .complete
        // A log without checkpoints was brought here from elsewhere.
        case let next?:
            let isBrought = opening.recoveryPoint == nil
            let mayBeCompacted = isBelow || isBrought || next <= opening.cleanerOffset ?? .zero
            reach = hasGaps && mayBeCompacted ? .compacted : .short
        }
        return TailRecovery.Facts(end: end, reach: reach, isBelowRecoveryPoint: isBelow)
    }

    private mutating func noteEpoch(_ header: RecordBatchHeader) {
        guard header.partitionLeaderEpoch > (scannedEpochs.last?.0 ?? .none) else { return }
        scannedEpochs.append((header.partitionLeaderEpoch, header.baseOffset))
    }

    private mutating func finishScan(
        of segment: LogSegment, _ file: any File, _ facts: TailRecovery.Facts, _ reason: String,
        _ position: Int64,
        _ recoveryPoint: Offset, fileByteCount: Int64
    ) throws -> Bool {
        guard let action = TailRecovery.action(for: facts) else {
            invariantFailed("no row of the table for \(facts)")
        }
        switch action {
        case .accept:
            if position < fileByteCount { try file.truncate(to: position) }
        case .cut:
            try cut(segment, file, facts, reason, position, fileByteCount: fileByteCount)
        case .reportDamage:
            reportDamage(segment, reason, position, recoveryPoint)
            if facts.end != .endOfFile {
                segment.noteDamage(at: position, reason: reason, byteCount: fileByteCount)
            }
        }
        if facts.reach == .last {
            log.syncs.add(file)
        } else {
            try file.sync(.full)
            if action != .cut { try segment.seal() }
        }
        return action != .cut
    }

    private func cut(
        _ segment: LogSegment, _ file: any File, _ facts: TailRecovery.Facts, _ reason: String,
        _ position: Int64,
        fileByteCount: Int64
    ) throws {
        let level: LogLevel = facts.end == .invalid || facts.reach != .last ? .warn : .info
        logger.log(
            level, "log cut at its last sound batch",
            [
                LogField("path", segment.filePath), LogField("position", position),
                LogField("cutBytes", fileByteCount - position), LogField("logEndOffset", log.logEndOffset),
                LogField("reason", reason),
            ])
        try file.truncate(to: position)
    }

    private mutating func reportDamage(
        _ segment: LogSegment, _ reason: String, _ position: Int64, _ recoveryPoint: Offset
    ) {
        let damage = LogDamage(path: segment.filePath, position: position, reason: reason)
        log.damage.append(damage)
        logger.log(
            .error, "synced records are damaged or missing",
            [
                LogField("path", damage.path), LogField("position", position), LogField("reason", reason),
                LogField("firstOffset", log.logEndOffset), LogField("recoveryPoint", recoveryPoint),
            ])
    }

    /// Removes segments, the last first and each durably before the next, so that a crash leaves no hole.
    private mutating func dropSegments(_ bases: ArraySlice<Offset>) throws(IOError) {
        let names = try names()
        for base in bases.reversed() {
            logger.log(
                .warn, "segment that is no part of the log dropped",
                [LogField("path", place.filePath(.log, base))])
            for kind in LogFileKind.allCases {
                try SegmentSwap.removeIfPresent(place.filePath(kind, base), fileSystem)
            }
            try names.sync()
        }
    }

    /// The last segment becomes the active one, unless it is damaged: then a new one follows it.
    private mutating func finishActiveSegment(_ recoveryPoint: Offset) throws {
        let last = log.segments.active
        if last.damage != nil {
            log.logEndOffset = max(log.logEndOffset, recoveryPoint)
            try last.sealDamaged()
            try addSegment(at: log.logEndOffset)
        } else if last.isSealed {
            try last.openForAppend(configuration: opening.configuration)
        }
        log.recoveryPoint = log.logEndOffset
    }

    // MARK: What is derived from the batches

    /// What was read again and indexed counts as synced once the syncs are done, its indexes too.
    private mutating func publishIndexes() throws {
        guard !opening.wasShutDownCleanly || scannedFrom != nil else { return }
        let names = try names()
        for segment in log.segments.all where segment.hasProvisionalIndex { try segment.publishIndexes() }
        log.syncs.addIndexes(of: log.segments.active)
        log.syncs.names = names
    }

    private mutating func recoverLeaderEpochs() throws {
        let path = LogLayout.path(place.path, LogLayout.leaderEpochCheckpoint)
        do throws(StateFileError) {
            log.leaderEpochs = try LeaderEpochCache.read(path, fileSystem) ?? LeaderEpochCache()
        } catch {
            if case .io = error { throw error }
            logger.log(.warn, "leader epochs unreadable, rebuilt from the log", [LogField("reason", error)])
            scannedEpochs = try epochsOfAllBatches()
        }
        // Of a log that was closed in order nothing is lost: an epoch that has begun at its end has, without
        // records.
        let isCut = log.leaderEpochs.truncateFromEnd(
            opening.wasShutDownCleanly ? log.logEndOffset + 1 : log.logEndOffset)
        for (epoch, offset) in scannedEpochs where epoch > log.leaderEpochs.latest?.epoch ?? .none {
            log.leaderEpochs.assign(epoch, offset)
        }
        log.leaderEpochs.truncateFromStart(log.logStartOffset)
        // Offsets are given again, perhaps in the same epoch: what was cut off must not be found once more.
        // All else may wait for a checkpoint, as the next start would see the same.
        if isCut { try log.leaderEpochs.write(to: path, fileSystem) }
    }

    private func epochsOfAllBatches() throws -> [(LeaderEpoch, Offset)] {
        var epochs: [(LeaderEpoch, Offset)] = []
        for segment in log.segments.all {
            var scanner = BatchScanner(
                file: try segment.file(), from: 0, to: segment.readableByteCount, buffer: context.buffer)
            while let header = try scanner.next() {
                guard header.partitionLeaderEpoch > (epochs.last?.0 ?? .none) else { continue }
                epochs.append((header.partitionLeaderEpoch, header.baseOffset))
            }
        }
        return epochs
    }

    private mutating func recoverProducers() throws {
        var removed = false
        var hasSnapshots = false
        for entry in entries {
            guard let name = LogLayout.parse(fileName: entry.name), name.kind == .producerSnapshot else {
                continue
            }
            hasSnapshots = true
            guard name.baseOffset > log.logEndOffset else { continue }
            _ = try names()
            try SegmentSwap.removeIfPresent(LogLayout.path(place.path, entry.name), fileSystem)
            removed = true
        }
        // Offsets above the end will be given again: a snapshot of their former owners must not come back.
        if removed { try names().sync() }
        let builder = ProducerStateBuilder(
            place: place, context: context, configuration: opening.configuration, logger: logger)
        let built = try builder.build(
            segments: log.segments, logStartOffset: log.logStartOffset, endOffset: log.logEndOffset,
            rebuildFrom: scannedFrom, mayHaveSnapshots: hasSnapshots)
        log.producers = built.producers
        log.snapshotOffset = built.snapshotOffset
    }
}
