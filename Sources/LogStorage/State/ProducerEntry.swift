internal import Base
public import RecordFormat

/// A batch that a producer has appended: enough to recognise it when it is sent again and to answer for it.
public struct AppendedBatch: Sendable, Hashable {
    /// -1 for batches of coordinators, which carry no sequence.
    public let firstSequence: SequenceNumber
    public let lastSequence: SequenceNumber
    /// Base offset of the batch.
    public let firstOffset: Offset
    public let lastOffset: Offset
    /// Largest timestamp of the batch; with LogAppendTime the time of the append.
    public let timestamp: Timestamp

    /// `lastOffset - firstOffset`, and `lastSequence - firstSequence` but for wrapping.
    public var offsetDelta: Int32 { Int32(truncatingIfNeeded: lastOffset - firstOffset) }

    /// - Parameter offsetDelta: `lastOffset - firstOffset`, 0 or more.
    public init(lastSequence: SequenceNumber, lastOffset: Offset, offsetDelta: Int32, timestamp: Timestamp) {
        self.firstSequence = lastSequence.retreated(by: offsetDelta)
        self.lastSequence = lastSequence
        self.firstOffset = lastOffset - Int64(offsetDelta)
        self.lastOffset = lastOffset
        self.timestamp = timestamp
    }
}

extension SequenceNumber {
    /// The number `count` records earlier, wrapping from 0 to 2^31 - 1; none stays none.
    func retreated(by count: Int32) -> SequenceNumber {
        guard self != .none else { return .none }
        let difference = Int64(rawValue) - Int64(count)
        return SequenceNumber(Int32(truncatingIfNeeded: difference < 0 ? difference + 1 << 31 : difference))
    }

    /// The number that must follow this one: 0 after 2^31 - 1, and 0 after none.
    var next: SequenceNumber { SequenceNumber(rawValue == .max ? 0 : rawValue + 1) }
}

/// What a partition remembers of one producer: fixed size, so that a table of entries needs no memory per
/// append.
public struct ProducerEntry: Sendable {
    /// Batches that are remembered: a producer may have five requests in flight (KIP-98), so a repeated batch
    /// is one of the last five.
    public static let retainedBatchCount = 5

    public let producerID: ProducerID
    public internal(set) var producerEpoch: ProducerEpoch
    /// Epoch of the coordinator that wrote the last marker; -1 before the first.
    public internal(set) var coordinatorEpoch: Int32
    /// Largest timestamp of the last batch or marker: expiry counts from here.
    public internal(set) var lastTimestamp: Timestamp
    /// Offset of the first record of the open transaction; nil when none is open.
    public internal(set) var currentTransactionFirstOffset: Offset?
    /// Batches in `ring`: 0 ... 5.
    public private(set) var batchCount: Int
    /// Place of the oldest batch in `ring`.
    private var oldest: Int
    private var ring: InlineArray<5, AppendedBatch>

    /// An entry without batches.
    public init(
        producerID: ProducerID, producerEpoch: ProducerEpoch = .none, coordinatorEpoch: Int32 = -1,
        lastTimestamp: Timestamp = .none, currentTransactionFirstOffset: Offset? = nil
    ) {
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.coordinatorEpoch = coordinatorEpoch
        self.lastTimestamp = lastTimestamp
        self.currentTransactionFirstOffset = currentTransactionFirstOffset
        batchCount = 0
        oldest = 0
        ring = InlineArray(repeating: Self.unusedBatch)
    }

    private static var unusedBatch: AppendedBatch {
        AppendedBatch(lastSequence: .none, lastOffset: Offset(-1), offsetDelta: 0, timestamp: .none)
    }

    /// A retained batch, 0 being the oldest. Traps outside of 0 ..< batchCount.
    public func batch(at index: Int) -> AppendedBatch {
        invariant(index >= 0 && index < batchCount, "batch \(index) of \(batchCount)")
        return ring[(oldest + index) % Self.retainedBatchCount]
    }

    /// The newest batch; nil when none is retained.
    public var lastBatch: AppendedBatch? { batchCount == 0 ? nil : batch(at: batchCount - 1) }
    /// Sequence of the last record; -1 when no batch is retained.
    public var lastSequence: SequenceNumber {
        batchCount == 0 ? .none : ring[(oldest + batchCount - 1) % Self.retainedBatchCount].lastSequence
    }
    /// Offset of the last data record; -1 when no batch is retained.
    public var lastDataOffset: Offset { lastBatch?.lastOffset ?? Offset(-1) }
    /// 0 when no batch is retained.
    public var lastOffsetDelta: Int32 { lastBatch?.offsetDelta ?? 0 }

    /// The retained batch with exactly these sequences, sent in this epoch; nil when there is none.
    func duplicate(of header: RecordBatchHeader) -> AppendedBatch? {
        guard header.producerEpoch == producerEpoch else { return nil }
        let firstSequence = header.baseSequence
        let lastSequence = header.lastSequence
        // Oldest first; the ring is only turned when it is full.
        var place = oldest
        for _ in 0..<batchCount {
            if ring[place].lastSequence == lastSequence, ring[place].firstSequence == firstSequence {
                return ring[place]
            }
            place = place + 1 == Self.retainedBatchCount ? 0 : place + 1
        }
        return nil
    }

    /// A new epoch starts with no batches.
    mutating func adopt(_ epoch: ProducerEpoch) {
        guard epoch != producerEpoch else { return }
        producerEpoch = epoch
        batchCount = 0
        oldest = 0
    }

    /// Remembers a batch in place of the oldest.
    mutating func retain(_ batch: AppendedBatch) {
        if batchCount == Self.retainedBatchCount {
            ring[oldest] = batch
            oldest = (oldest + 1) % Self.retainedBatchCount
        } else {
            ring[(oldest + batchCount) % Self.retainedBatchCount] = batch
            batchCount += 1
        }
    }

    /// Whether nothing was heard of the producer for so long that it may be forgotten. Never during a
    /// transaction.
    func isExpired(now: Timestamp, after expirationMilliseconds: Int64) -> Bool {
        guard currentTransactionFirstOffset == nil else { return false }
        // Timestamps come from clients: the difference may not fit.
        let (idle, overflow) = now.rawValue.subtractingReportingOverflow(lastTimestamp.rawValue)
        return overflow ? now > lastTimestamp : idle >= expirationMilliseconds
    }
}

extension ProducerEntry: Equatable {
    /// Equal when all that can be asked of them is equal, whatever the place in the ring.
    public static func == (left: ProducerEntry, right: ProducerEntry) -> Bool {
        guard left.producerID == right.producerID, left.producerEpoch == right.producerEpoch,
            left.coordinatorEpoch == right.coordinatorEpoch, left.lastTimestamp == right.lastTimestamp,
            left.currentTransactionFirstOffset == right.currentTransactionFirstOffset,
            left.batchCount == right.batchCount
        else { return false }
        return (0..<left.batchCount).allSatisfy { left.batch(at: $0) == right.batch(at: $0) }
    }
}
