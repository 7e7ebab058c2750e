internal import Base
internal import RecordFormat
internal import SystemIO

/// Derives producer state from the newest usable snapshot and the batches after it.
struct ProducerStateBuilder {
    let place: LogPlace
    let context: ScanContext
    let configuration: LogConfiguration
    let logger: Logger

    struct Result {
        var producers: ProducerStates
        var snapshotOffset: Offset?
    }

    /// - Parameters:
    ///   - endOffset: where the state is wanted; batches from here on are not looked at.
    ///   - mayHaveSnapshots: false: the directory has none, so it need not be looked at.
    ///   - rebuildFrom: transaction indexes lack what ended at or after this offset; it is added on the way.
    func build(
        segments: SegmentList, logStartOffset: Offset, endOffset: Offset, rebuildFrom: Offset? = nil,
        mayHaveSnapshots: Bool = true
    ) throws(LogError) -> Result {
        let newest = min(endOffset, rebuildFrom ?? endOffset)
        // What came between an older snapshot and the first batch nobody knows any more.
        let oldest = segments.first?.baseOffset ?? .zero
        var result = withoutSnapshot(logStartOffset)
        if mayHaveSnapshots {
            result = try newestSnapshot(oldest, atMost: newest, logStartOffset: logStartOffset)
        }
        let from = max(result.snapshotOffset ?? logStartOffset, segments.first?.baseOffset ?? .zero)
        guard from < endOffset, let first = segments.floorIndex(from) else { return result }
        do {
            for index in first..<segments.count where segments[index].baseOffset < endOffset {
                try replay(
                    segments[index], from: from, to: endOffset, rebuildFrom: rebuildFrom,
                    into: &result.producers)
            }
        } catch {
            throw LogError(reading: error)
        }
        return result
    }

    private func newestSnapshot(
        _ oldest: Offset, atMost limit: Offset, logStartOffset: Offset
    ) throws(LogError) -> Result {
        do {
            let offsets = try place.fileSystem.contents(ofDirectory: place.path).compactMap {
                entry -> Offset? in
                guard let name = LogLayout.parse(fileName: entry.name), name.kind == .producerSnapshot,
                    name.suffix == nil, name.baseOffset >= oldest, name.baseOffset <= limit
                else { return nil }
                return name.baseOffset
            }
            for offset in offsets.sorted(by: >) {
                guard let entries = try load(offset) else { continue }
                var producers = empty
                producers.load(entries, endOffset: offset, now: context.now)
                return Result(producers: producers, snapshotOffset: offset)
            }
        } catch {
            throw LogError(reading: error)
        }
        return withoutSnapshot(logStartOffset)
    }

    private func withoutSnapshot(_ logStartOffset: Offset) -> Result {
        var producers = empty
        producers.removeAll(endOffset: logStartOffset)
        return Result(producers: producers, snapshotOffset: nil)
    }

    private var empty: ProducerStates {
        ProducerStates(
            expirationMilliseconds: configuration.producerIDExpirationMilliseconds, logger: logger)
    }

    /// The entries of a snapshot; nil when it is damaged, in which case it is removed: the log knows better.
    private func load(_ offset: Offset) throws(IOError) -> [ProducerEntry]? {
        let path = place.filePath(.producerSnapshot, offset)
        let file = try place.fileSystem.open(path, .read)
        let byteCount = try file.byteCount()
        do {
            guard byteCount <= Self.maximumSnapshotByteCount else {
                throw ProducerSnapshotError.truncated(byteCount: Int(byteCount))
            }
            let buffer = IOBuffer(byteCount: Int(byteCount))
            let readCount = try file.read(into: buffer, 0..<Int(byteCount), at: 0)
            return try ProducerSnapshotFile.decode(buffer.bytes(0..<readCount))
        } catch let error as IOError {
            throw error
        } catch {
            logger.log(
                .warn, "producer snapshot unusable, rebuilt from the log",
                [LogField("path", path), LogField("reason", "\(error)")])
            try place.fileSystem.remove(path)
            return nil
        }
    }

    /// More than a snapshot of the largest number of producers takes, so that a damaged size allocates
    /// nothing.
    static let maximumSnapshotByteCount: Int64 = 256 << 20

    private func replay(
        _ segment: LogSegment, from: Offset, to endOffset: Offset, rebuildFrom: Offset?,
        into producers: inout ProducerStates
    ) throws {
        let floor =
            from > segment.baseOffset ? try segment.offsetIndex().floor(offset: from)?.position ?? 0 : 0
        let file = try segment.file()
        let isRebuilt = rebuildFrom != nil
        if isRebuilt, segment.isSealed { segment.reopenTransactionIndex() }
        var scanner = BatchScanner(
            file: file, from: floor, to: segment.readableByteCount, buffer: context.buffer)
        while true {
            let position = scanner.position
            guard let header = try scanner.next(), header.baseOffset < endOffset else { break }
            // A log may start inside a batch.
            guard header.lastOffset >= from else { continue }
            guard header.hasProducerID, header.attributes.isControl else {
                producers.update(header)
                continue
            }
            let batch = IOBuffer(byteCount: header.byteCount)
            _ = try file.read(into: batch, 0..<header.byteCount, at: position)
            guard let marker = TransactionMarker(inBatch: batch.bytes, header: header) else {
                producers.update(header)
                continue
            }
            // The index of a segment that was not read anew has it.
            let indexEnd = try isRebuilt ? segment.transactionIndex.lastEntry()?.lastOffset : nil
            let isMissing =
                rebuildFrom.map { header.baseOffset >= $0 } ?? false
                && header.baseOffset > indexEnd ?? Offset(-1)
            try producers.takeMarker(
                marker, header, transactionIndex: isMissing ? segment.transactionIndex : nil)
        }
        if isRebuilt, segment.isSealed { try segment.transactionIndex.seal() }
    }
}

extension ProducerStates {
    /// Accounts for a commit or abort marker that is in the log; an abort goes into the transaction index.
    mutating func takeMarker(
        _ marker: TransactionMarker, _ header: RecordBatchHeader, transactionIndex: TransactionIndex?
    ) throws(IOError) {
        guard
            let completed = complete(
                header, isAbort: marker.isAbort, coordinatorEpoch: marker.coordinatorEpoch)
        else { return }
        if completed.isAborted, let transactionIndex {
            try transactionIndex.append(
                AbortedTransaction(
                    producerID: completed.producerID, firstOffset: completed.firstOffset,
                    lastOffset: completed.lastOffset,
                    lastStableOffset: lastStableOffset(afterCompleting: completed)))
        }
        transactionIndexed(completed)
    }
}
