internal import Base
internal import LogStorage
internal import RecordFormat

/// Decoding of producer snapshots, and the producer state under any sequence of operations.
let producerFuzzers = [
    Fuzzer(name: "producer-snapshot", seeds: { [ProducerSnapshotFile.encode([]), sampleSnapshot()] }) {
        input in
        // As it is, and under a CRC that is right for it: mutations seldom find one themselves.
        _ = try? ProducerSnapshotFile.decode(bytes: input)
        guard input.count >= ProducerSnapshotFile.headerByteCount else { return }
        var bytes = input
        let crc = CRC32C.checksum(bytes.span.bytes.extracting(droppingFirst: 6))
        withUnsafeBytes(of: crc.bigEndian) { bytes.replaceSubrange(2..<6, with: $0) }
        let entries = try ProducerSnapshotFile.decode(bytes: bytes)
        guard ProducerSnapshotFile.encode(entries) == bytes else {
            throw FuzzFailure("a snapshot that was taken is written otherwise")
        }
        var states = ProducerStates()
        states.load(entries, endOffset: Offset(1 << 40), now: .none)
        try compareTransactions(of: states)
    },
    Fuzzer(name: "producer-operations", seeds: { operationSeeds() }) { input in
        var run = OperationRun(input)
        while try run.step() {}
    },
]

private func sampleSnapshot() -> [UInt8] {
    var states = ProducerStates()
    var header = emptyHeader()
    for producer in 1...3 as ClosedRange<Int64> {
        header.producerID = ProducerID(producer)
        header.producerEpoch = ProducerEpoch(4)
        header.attributes = BatchAttributes(isTransactional: producer == 2)
        header.baseOffset = states.mapEndOffset
        states.update(header)
    }
    header.attributes = BatchAttributes(isTransactional: true, isControl: true)
    header.producerID = ProducerID(4)
    header.baseOffset = states.mapEndOffset
    _ = states.complete(header, isAbort: true, coordinatorEpoch: 9)
    return ProducerSnapshotFile.encode(states)
}

private func operationSeeds() -> [[UInt8]] {
    (0..<8).map { seed in
        var generator = SeededGenerator(seed: UInt64(seed))
        return (0..<400).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }
}

private func emptyHeader() -> RecordBatchHeader {
    var writer = ByteWriter(capacity: RecordBatchHeader.byteCount)
    writer.write(Int64(0))
    writer.write(Int32(RecordBatchHeader.byteCount - RecordBatchHeader.lengthPrefixByteCount))
    writer.write(Int32(0))
    writer.write(RecordBatchHeader.currentMagic)
    while writer.byteCount < RecordBatchHeader.byteCount { writer.write(UInt8(0)) }
    guard let header = try? RecordBatchHeader(parsing: writer.bytes.span.bytes) else {
        invariantFailed("an empty header has the right shape")
    }
    return header
}

/// The transactions that the state counts are those that its entries show.
private func compareTransactions(of states: ProducerStates) throws {
    let open = states.entries.compactMap(\.currentTransactionFirstOffset)
    guard states.ongoingTransactionCount == open.count, states.firstUndecidedOffset == open.min() else {
        throw FuzzFailure("\(open.count) open transactions, \(states.ongoingTransactionCount) counted")
    }
    if let undecided = open.min() {
        guard let unstable = states.firstUnstableOffset, unstable <= undecided else {
            throw FuzzFailure("an undecided offset \(undecided) that is not unstable")
        }
    }
}

/// Reads operations from the input, one byte what to do and one or two how.
private struct OperationRun {
    private let input: [UInt8]
    private var position = 0
    private var states = ProducerStates(expirationMilliseconds: 1_000, maximumCount: 8)
    private var header = emptyHeader()
    private var now: Int64 = 0
    private var highWatermark: Offset = .zero
    private var lastStableOffset: Offset = .zero

    init(_ input: [UInt8]) { self.input = input }

    private mutating func next() -> UInt8 {
        defer { position += 1 }
        return position < input.count ? input[position] : 0
    }

    /// Returns false at the end of the input.
    mutating func step() throws -> Bool {
        guard position < input.count else { return false }
        switch next() % 16 {
        case 0..<9: data()
        case 9..<12: marker()
        case 12:
            highWatermark = min(states.mapEndOffset, highWatermark + Int64(next()))
            states.onHighWatermarkUpdated(highWatermark)
        case 13:
            now += Int64(next()) * 8
            states.removeExpired(now: Timestamp(now))
        case 14:
            let entries = try ProducerSnapshotFile.decode(bytes: ProducerSnapshotFile.encode(states))
            states.load(entries, endOffset: states.mapEndOffset, now: Timestamp(now))
        default: states.truncateHead(to: min(highWatermark, Offset(Int64(next()))))
        }
        try compareTransactions(of: states)
        let stable = min(highWatermark, states.firstUnstableOffset ?? highWatermark)
        guard stable >= lastStableOffset else {
            throw FuzzFailure("the last stable offset went back from \(lastStableOffset) to \(stable)")
        }
        lastStableOffset = stable
        return true
    }

    /// Fills the header; returns where the batch comes from.
    private mutating func fill(isControl: Bool) -> AppendOrigin {
        let who = next()
        let what = next()
        header.producerID = ProducerID(Int64(who % 12) - 1)
        header.producerEpoch = ProducerEpoch(Int16(what >> 6) - 1)
        header.attributes = BatchAttributes(isTransactional: isControl || who >= 128, isControl: isControl)
        header.lastOffsetDelta = isControl ? 0 : Int32(what & 3)
        // Near 0 or near the wrap.
        let near = Int32(what & 31)
        header.baseSequence = SequenceNumber(near < 16 ? near : .max - (near - 16))
        if what & 32 != 0, let entry = states.entry(of: header.producerID) {
            header.baseSequence = entry.lastSequence.advanced(by: 1)
        }
        header.maxTimestamp = Timestamp(now)
        header.baseOffset = states.mapEndOffset
        return AppendOrigin.allCases[Int(who / 12) % AppendOrigin.allCases.count]
    }

    private mutating func data() {
        let origin = fill(isControl: false)
        if (try? states.check(header, origin: origin)) == .some(.none) { states.update(header) }
    }

    private mutating func marker() {
        let origin = fill(isControl: true)
        let marker = TransactionMarker(
            next() & 1 == 0 ? .commit : .abort, coordinatorEpoch: Int32(next() % 3))
        guard (try? states.checkMarker(header, marker: marker, origin: origin)) != nil else { return }
        let completed = states.complete(
            header, isAbort: marker.isAbort, coordinatorEpoch: marker.coordinatorEpoch)
        if let completed { states.transactionIndexed(completed) }
    }
}
