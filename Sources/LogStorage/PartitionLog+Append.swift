internal import Base
public import RecordFormat
public import SystemIO

/// What an append got.
public struct LogAppendResult: Sendable {
    /// Offset of the first record.
    public let firstOffset: Offset
    /// Offset of the last record.
    public let lastOffset: Offset
    /// The time stamped on the records, `none` with CreateTime.
    public let logAppendTime: Timestamp
    /// True when the log had the batch already; the offsets are those it got then (KIP-98).
    public let isDuplicate: Bool
}

/// What an append has to say of the transaction that its batch opens or ends.
public struct AppendTerms: Sendable {
    /// Whether the coordinator has to have confirmed a transaction that the batch opens, and how it did.
    public let verification: TransactionVerification.Requirement
    /// The transaction version of a marker: see `ProducerStates.checkMarker`.
    public let markerVersion: Int16

    @inlinable public init(
        verification: TransactionVerification.Requirement = .none, markerVersion: Int16 = 0
    ) {
        self.verification = verification
        self.markerVersion = markerVersion
    }
}

/// What pass one of an append learnt about its batches.
private struct AppendSummary {
    var batchCount = 0
    var recordCount: Int64 = 0
    var maxTimestamp = Timestamp.none
    var lastOffset = Offset(-1)
    /// Of the last batch seen; with one batch, its.
    var header: RecordBatchHeader?
}

extension PartitionLog {
    /// Appends record batches as the partition's leader: checks them, gives them offsets and the leader epoch
    /// in place, and queues them. See `LogLane.flush` for what happens next.
    ///
    /// - Parameters:
    ///   - batches: one whole batch from a client; one or more from a coordinator. Retained, and not to be
    ///     touched, until `writtenEndOffset` has passed them. Their offsets, leader epoch and, with
    ///     LogAppendTime, time are set.
    ///   - durably: ask for a sync, shared with all other appends that wait.
    /// - Throws: what is wrong with the batches; nothing has been appended then.
    public func appendAsLeader(
        _ batches: BufferSlice, leaderEpoch: LeaderEpoch, origin: AppendOrigin = .client,
        terms: AppendTerms = AppendTerms(), durably: Bool
    ) throws(LogError) -> LogAppendResult {
        try directory.checkAcceptsAppends()
        try checkChangeable()
        let now = lane.now
        var summary = try checkFromClient(batches, origin: origin, now: now)
        var batches = batches
        if origin == .client { try recompress(&batches, &summary) }
        if summary.batchCount == 1, let header = summary.header {
            if let duplicate = try checkProducer(header, of: batches, origin, terms) { return duplicate }
        }
        let logAppendTime = configuration.timestampType == .logAppendTime ? now : .none
        let timestamp = logAppendTime == .none ? summary.maxTimestamp : logAppendTime
        try makeRoom(
            for: batches.byteCount, lastOffset: logEndOffset + (summary.recordCount - 1),
            timestamp: timestamp, now: now)
        if leaderEpoch > leaderEpochs.latest?.epoch ?? .none {
            leaderEpochs.assign(leaderEpoch, logEndOffset)
        }

        let firstOffset = logEndOffset
        var nextOffset = firstOffset
        var position = batches.range.lowerBound
        while position < batches.range.upperBound {
            var header: RecordBatchHeader
            if summary.batchCount == 1, let known = summary.header {
                // Nobody has touched it since it was read.
                header = known
            } else {
                header = try self.header(of: batches, at: position - batches.range.lowerBound, index: 0)
            }
            var bytes = batches.buffer.mutableBytes(position..<position + header.byteCount)
            RecordBatch.assign(baseOffset: nextOffset, leaderEpoch: leaderEpoch, in: &bytes)
            if logAppendTime != .none {
                RecordBatch.stampLogAppendTime(logAppendTime, in: &bytes)
                header.maxTimestamp = logAppendTime
            }
            header.baseOffset = nextOffset
            try take(header, at: position, of: batches.buffer)
            nextOffset = header.nextOffset
            position += header.byteCount
        }
        commit.append(batches, endOffset: nextOffset, durably: durably)
        noteUnsynced()
        return LogAppendResult(
            firstOffset: firstOffset, lastOffset: nextOffset - 1, logAppendTime: logAppendTime,
            isDuplicate: false)
    }

    /// Appends record batches as the leader sent them, offsets and epochs included.
    ///
    /// - Returns: the log end offset.
    public func appendAsFollower(_ batches: BufferSlice, durably: Bool) throws(LogError) -> Offset {
        try directory.checkAcceptsAppends()
        try checkChangeable()
        let now = lane.now
        let summary = try checkFromLeader(batches)
        try makeRoom(
            for: batches.byteCount, lastOffset: summary.lastOffset, timestamp: summary.maxTimestamp, now: now)
        var position = batches.range.lowerBound
        var nextOffset = logEndOffset
        while position < batches.range.upperBound {
            let header = try header(of: batches, at: position - batches.range.lowerBound, index: 0)
            if header.partitionLeaderEpoch > (leaderEpochs.latest?.epoch ?? .none) {
                leaderEpochs.assign(header.partitionLeaderEpoch, header.baseOffset)
            }
            try take(header, at: position, of: batches.buffer)
            nextOffset = header.nextOffset
            position += header.byteCount
        }
        commit.append(batches, endOffset: nextOffset, durably: durably)
        noteUnsynced()
        return nextOffset
    }

    // MARK: Pass one: checks, nothing changes

    private func header(
        of batches: BufferSlice, at start: Int, index: Int
    ) throws(LogError) -> RecordBatchHeader {
        do {
            let bytes = batches.bytes
            return try RecordBatchHeader(parsing: bytes.extracting(start..<bytes.byteCount))
        } catch {
            throw .batch(error, index: index)
        }
    }

    private func checkFromClient(
        _ batches: BufferSlice, origin: AppendOrigin, now: Timestamp
    ) throws(LogError) -> AppendSummary {
        var summary = AppendSummary()
        var start = 0
        while start < batches.byteCount {
            let header = try header(of: batches, at: start, index: summary.batchCount)
            try check(header, at: start, of: batches, index: summary.batchCount)
            if origin == .client {
                do {
                    try RecordBatch.validateFromProducer(header)
                } catch {
                    throw .batch(error, index: summary.batchCount)
                }
                try checkTimestamp(header, now: now)
                try checkRecords(header, at: start, of: batches)
            }
            summary.batchCount += 1
            summary.recordCount += Int64(header.recordCount)
            summary.maxTimestamp = max(summary.maxTimestamp, header.maxTimestamp)
            start += header.byteCount
            summary.header = header
        }
        if summary.batchCount == 0 { throw .emptyAppend }
        if summary.batchCount > 1, origin == .client { throw .moreThanOneBatch(summary.batchCount) }
        if batches.byteCount > configuration.segmentByteCount {
            throw .appendTooLarge(
                byteCount: batches.byteCount, segmentByteCount: configuration.segmentByteCount)
        }
        return summary
    }

    private func checkFromLeader(_ batches: BufferSlice) throws(LogError) -> AppendSummary {
        var summary = AppendSummary()
        var expected = logEndOffset
        var start = 0
        while start < batches.byteCount {
            let header = try header(of: batches, at: start, index: summary.batchCount)
            try check(header, at: start, of: batches, index: summary.batchCount)
            // Compaction on the leader may leave gaps, never steps back.
            guard header.baseOffset >= expected else {
                throw .unexpectedOffset(found: header.baseOffset, expected: expected)
            }
            expected = header.nextOffset
            summary.batchCount += 1
            summary.lastOffset = header.lastOffset
            summary.maxTimestamp = max(summary.maxTimestamp, header.maxTimestamp)
            start += header.byteCount
        }
        if summary.batchCount == 0 { throw .emptyAppend }
        return summary
    }

    private func check(
        _ header: RecordBatchHeader, at start: Int, of batches: BufferSlice, index: Int
    ) throws(LogError) {
        guard start + header.byteCount <= batches.byteCount else {
            throw .batch(.truncated(have: batches.byteCount - start, need: header.byteCount), index: index)
        }
        guard header.byteCount <= configuration.maximumBatchByteCount else {
            throw .batchTooLarge(byteCount: header.byteCount, limit: configuration.maximumBatchByteCount)
        }
        do {
            try RecordBatch.validate(
                batches.bytes.extracting(start..<start + header.byteCount), header: header)
        } catch {
            throw .batch(error, index: index)
        }
    }

    /// Looks at the records of a client's batch as closely as the log is set to.
    private func checkRecords(
        _ header: RecordBatchHeader, at start: Int, of batches: BufferSlice
    ) throws(LogError) {
        let isCompacted = configuration.cleanupPolicy.contains(.compact)
        let isWanted =
            switch configuration.recordValidation {
            case .none: isCompacted
            case .uncompressed: isCompacted || header.attributes.codec == CompressionCodec.none
            case .all: true
            }
        guard isWanted else { return }
        do {
            try RecordBatch.validateRecords(
                batches.bytes.extracting(start..<start + header.byteCount), header: header,
                decompressor: lane.scanContext.decompressor, requireKeys: isCompacted)
        } catch {
            throw .batch(error, index: 0)
        }
    }

    /// Puts a client's batch into the compression that it is to be stored in.
    private func recompress(
        _ batches: inout BufferSlice, _ summary: inout AppendSummary
    ) throws(LogError) {
        guard let wanted = configuration.compression, let header = summary.header,
            header.attributes.codec != wanted.codec
        else { return }
        let context = lane.scanContext
        do throws(RecordBatchError) {
            let bytes = try RecordBatch.recompressed(
                batches.bytes, header: header, codec: wanted.codec, level: wanted.level,
                decompressor: context.decompressor, compressor: context.compressor)
            // What cannot be compressed so is stored as it was sent.
            guard let bytes else { return }
            batches = BufferSlice(IOBuffer(copying: bytes))
            summary.header = try RecordBatchHeader(parsing: batches.bytes)
        } catch {
            throw .batch(error, index: 0)
        }
        guard batches.byteCount <= configuration.maximumBatchByteCount else {
            throw .batchTooLarge(byteCount: batches.byteCount, limit: configuration.maximumBatchByteCount)
        }
        guard batches.byteCount <= configuration.segmentByteCount else {
            throw .appendTooLarge(
                byteCount: batches.byteCount, segmentByteCount: configuration.segmentByteCount)
        }
    }

    private func checkTimestamp(_ header: RecordBatchHeader, now: Timestamp) throws(LogError) {
        guard configuration.timestampType == .createTime, header.maxTimestamp != .none else { return }
        let before = configuration.timestampBeforeMaximumMilliseconds
        let after = configuration.timestampAfterMaximumMilliseconds
        let earliest = Timestamp(before > now.rawValue ? 0 : now.rawValue - before)
        let latest = Timestamp(after > Int64.max - now.rawValue ? Int64.max : now.rawValue + after)
        let worst = header.maxTimestamp > latest ? header.maxTimestamp : header.baseTimestamp
        guard worst <= latest, worst >= earliest || worst == .none else {
            throw .timestampOutOfRange(timestamp: worst, now: now, earliest: earliest, latest: latest)
        }
    }

    /// Non-nil when the log has the batch already.
    private func checkProducer(
        _ header: RecordBatchHeader, of batches: BufferSlice, _ origin: AppendOrigin, _ terms: AppendTerms
    ) throws(LogError) -> LogAppendResult? {
        guard header.hasProducerID else { return nil }
        do {
            if header.attributes.isControl {
                if let marker = TransactionMarker(inBatch: batches.bytes, header: header) {
                    try producers.checkMarker(
                        header, marker: marker, origin: origin, transactionVersion: terms.markerVersion)
                }
                return nil
            }
            guard
                let duplicate = try producers.check(
                    header, origin: origin, verification: terms.verification)
            else { return nil }
            return LogAppendResult(
                firstOffset: duplicate.firstOffset, lastOffset: duplicate.lastOffset,
                logAppendTime: configuration.timestampType == .logAppendTime ? duplicate.timestamp : .none,
                isDuplicate: true)
        } catch {
            throw .producer(error)
        }
    }

    // MARK: Pass two: the log takes the batches

    /// Rolls where the append does not fit, and makes sure that the disk has room for it. Throws also when
    /// that loses appends which were on their way: those that are to be made now have been checked against a
    /// log that ended with them.
    private func makeRoom(
        for byteCount: Int, lastOffset: Offset, timestamp: Timestamp, now: Timestamp
    ) throws(LogError) {
        let endOffset = logEndOffset
        var active = segments.active
        // A roll that a full disk interrupted has sealed the segment already.
        if active.isSealed
            || active.mustRoll(
                before: byteCount, lastOffset: lastOffset, timestamp: timestamp, now: now, configuration)
        {
            try roll(now: now)
            guard logEndOffset == endOffset else { throw .noSpace(path: directory.path) }
            active = segments.active
        }
        do {
            try active.reserve(byteCount, configuration: configuration)
        } catch {
            throw directory.writeFailed(error)
        }
    }

    /// Accounts for a batch in every part of the log but the bytes themselves.
    private func take(_ header: RecordBatchHeader, at position: Int, of buffer: IOBuffer) throws(LogError) {
        let segment = segments.active
        segment.noteBatch(header, indexInterval: configuration.indexIntervalByteCount)
        guard header.hasProducerID, header.attributes.isControl,
            let marker = TransactionMarker(
                inBatch: buffer.bytes(position..<position + header.byteCount), header: header)
        else { return producers.update(header) }
        do {
            try producers.takeMarker(marker, header, transactionIndex: segment.transactionIndex)
        } catch {
            throw takeBack(because: error)
        }
    }

    /// A full disk has met an append half way: what is accounted for of its batches is taken back, now or,
    /// where that finds no room either, before anything else changes the log.
    private func takeBack(because error: IOError) -> LogError {
        let reason = directory.writeFailed(error)
        if directory.failure == nil {
            cutTarget = logEndOffset
            try? checkChangeable()
        }
        return reason
    }

    /// Ends the active segment and begins the next at the log's end.
    public func roll() throws(LogError) {
        try checkChangeable()
        try roll(now: lane.now)
    }

    func roll(now: Timestamp) throws(LogError) {
        do {
            try commit.drainWrites()
            // Appends were lost just now, and what is known of them waits to be taken back.
            if cutTarget != nil { throw LogError.noSpace(path: directory.path) }
            let old = segments.active
            guard old.byteCount > 0 else { return }
            isUntouched = false
            let oldFile = try old.file()
            try old.seal()
            try writeProducerSnapshot(at: logEndOffset, sync: false)
            let new = try createSegment(now: now)
            segments.append(new)
            commit.switchFile(to: try new.file(), position: 0, rolledFile: oldFile)
        } catch {
            throw directory.writeFailed(error)
        }
    }

    /// A new, empty segment at the log's end, durably.
    private func createSegment(now: Timestamp) throws(IOError) -> LogSegment {
        let names = try place.openDirectory()
        do throws(IOError) {
            let segment = try LogSegment.create(
                baseOffset: logEndOffset, place: place, configuration: configuration, now: now,
                jitter: lane.nextJitter(below: configuration.segmentJitterMilliseconds))
            // A synced append is only as durable as the name of its file.
            try names.sync()
            return segment
        } catch {
            guard error.errno.meansNoSpace || error.errno.meansNoDescriptor else { throw error }
            // The log may be cut back before there is room, and have other batches at this offset then.
            for kind in LogFileKind.allCases where kind != .producerSnapshot {
                try SegmentSwap.removeIfPresent(place.filePath(kind, logEndOffset), place.fileSystem)
            }
            try names.sync()
            throw error
        }
    }

    func writeLeaderEpochs() throws(LogError) {
        do {
            try leaderEpochs.write(
                to: LogLayout.path(place.path, LogLayout.leaderEpochCheckpoint), place.fileSystem)
        } catch {
            throw directory.writeFailed(error)
        }
    }
}
