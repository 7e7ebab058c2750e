public import Base
public import RecordFormat

/// What a partition remembers of its producers: enough to append each batch once and in order (KIP-98), to fence
/// producers that have been replaced (KIP-98, KIP-360), and to know which transactions are open, from which follows the
/// last stable offset.
///
/// A value owned by one partition log; it does no I/O. Every batch, control batches included, goes through it in the
/// order of the log:
///
///     data batch     check    → append to the log → update
///     marker         checkMarker → append to the log → complete → transaction index entry → transactionIndexed
///
/// What is checked for a data batch, in this order; "known" is a producer of which an entry is held:
///
///     origin        producer  epoch            sequence              outcome
///     any           no ID     -                -                     append
///     replication   any       any              any                   append: the leader has checked
///     recovery      any       any              any                   append: it is in the log
///     client        any       any              none                  missingSequence
///     client        known     same             that of a retained    duplicate: answer with its offsets
///                                              batch, first and last
///     both          known     older            any                   fencedEpoch
///     client        known     newer            0                     append, forgetting the older epoch's batches
///     client        known     newer            not 0                 outOfOrderSequence
///     client        known     same             follows the last      append
///     client        known     same             anything else         outOfOrderSequence
///     client        unknown   any              any                   append: its state may have expired or been
///                                                                    deleted with its records (KIP-360)
///     coordinator   any       same or newer    any                   append: carries no sequence
///     both          known     any              any, not              invalidTransactionState, where none of the
///                                              transactional, while  refusals above applies
///                                              a transaction is open
///
/// Check and update take constant time and allocate nothing for a known producer.
public struct ProducerStates: Sendable {
    /// Producers held when `maximumCount` is not set. An entry takes about 200 bytes here and 46 in each snapshot, so
    /// this is 20 MB of memory and a snapshot of 4.6 MB at each roll; a partition that more producers write to
    /// within a day is written to by clients that make a producer for each batch, which repeat nothing.
    public static let defaultMaximumCount = 100_000
    /// Kafka's default of `producer.id.expiration.ms`: a day.
    public static let defaultExpirationMilliseconds: Int64 = 86_400_000
    /// A full table forgets one producer in this many at once, so that the search for the oldest is paid for by many
    /// new ones.
    private static let evictionDivisor = 16

    private let expirationMilliseconds: Int64
    private let maximumCount: Int
    private let logger: Logger

    /// In no order. Slots are filled without gaps.
    private var table: [ProducerEntry] = []
    private var slots: [ProducerID: Int32] = [:]
    /// The producer last looked at and its slot: an update follows each check, and most batches come from the producer
    /// of the one before. No producer where the slot may have changed since.
    private var recentProducerID: ProducerID = .none
    private var recentSlot = 0
    private var ongoing = OngoingTransactions()
    private var unreplicated = UnreplicatedTransactions()

    /// Size of the table at which the next search for producers to forget is made.
    private var evictionCount: Int

    /// The offset after the last batch that is accounted for here: what a snapshot's file name says.
    public private(set) var mapEndOffset: Offset = .zero

    /// - Parameters:
    ///   - expirationMilliseconds: how long after its last batch a producer is forgotten.
    ///   - maximumCount: how many producers are held, at least 1. When one more comes, those that have been silent for
    ///     the longest are forgotten early. Producers with an open transaction are held beyond it: without
    ///     them the last stable offset would be wrong; their number is bounded by the transaction time-out.
    ///   - logger: told when producers are forgotten early.
    public init(
        expirationMilliseconds: Int64 = ProducerStates.defaultExpirationMilliseconds,
        maximumCount: Int = ProducerStates.defaultMaximumCount, logger: Logger = .silent
    ) {
        invariant(maximumCount >= 1, "a table of \(maximumCount) producers holds none")
        self.expirationMilliseconds = expirationMilliseconds
        self.maximumCount = maximumCount
        self.evictionCount = maximumCount
        self.logger = logger
    }

    // MARK: What is held

    /// Number of producers held.
    public var count: Int { table.count }
    /// All producers, in no order. For DescribeProducers, snapshots and dumps.
    public var entries: [ProducerEntry] { table }
    /// What is held of one producer.
    public func entry(of producerID: ProducerID) -> ProducerEntry? {
        slots[producerID].map { table[Int($0)] }
    }
    /// Number of transactions without a marker.
    public var ongoingTransactionCount: Int { ongoing.count }

    /// Whether this incarnation of the producer has a transaction open here (KIP-890).
    public func hasOngoingTransaction(producerID: ProducerID, producerEpoch: ProducerEpoch) -> Bool {
        guard let slot = slots[producerID] else { return false }
        let index = Int(slot)
        return table[index].currentTransactionFirstOffset != nil
            && table[index].producerEpoch == producerEpoch
    }

    // MARK: Data batches

    /// Checks a data batch; call before offsets are assigned to it. Control batches pass: see `checkMarker`.
    ///
    /// Changes nothing but what makes the `update` that follows fast; mutating, it is also spared a copy of the state.
    ///
    /// - Returns: nil when the batch is to be appended. Otherwise it was appended before, and this is what to answer.
    public mutating func check(
        _ header: RecordBatchHeader, origin: AppendOrigin
    ) throws(ProducerStateError) -> AppendedBatch? {
        guard header.hasProducerID, origin.mayRefuse, !header.attributes.isControl else { return nil }
        let checksSequence = origin == .client
        if checksSequence && header.baseSequence.rawValue < 0 {
            throw .missingSequence(producerID: header.producerID, received: header.baseSequence)
        }
        guard let index = knownSlot(of: header.producerID) else { return nil }
        // Through a span, an entry of 240 bytes is looked at without being copied.
        let entries = table.span
        if checksSequence, let duplicate = entries[index].duplicate(of: header) { return duplicate }
        let current = entries[index].producerEpoch
        if header.producerEpoch < current {
            throw .fencedEpoch(
                producerID: header.producerID, current: current, received: header.producerEpoch)
        }
        // A producer without an epoch has said nothing yet that a sequence could follow.
        if checksSequence && current != .none {
            let isNewEpoch = header.producerEpoch != current
            let expected = isNewEpoch ? SequenceNumber(0) : entries[index].lastSequence.next
            if header.baseSequence != expected {
                throw .outOfOrderSequence(
                    producerID: header.producerID, producerEpoch: header.producerEpoch, expected: expected,
                    received: header.baseSequence)
            }
        }
        if let firstOffset = entries[index].currentTransactionFirstOffset, !header.attributes.isTransactional
        {
            throw .invalidTransactionState(
                producerID: header.producerID, transactionFirstOffset: firstOffset)
        }
        return nil
    }

    /// Accounts for a batch that is in the log: call for every batch but markers, once its base offset is assigned.
    public mutating func update(_ header: RecordBatchHeader) {
        mapEndOffset = header.nextOffset
        guard header.hasProducerID, !header.attributes.isControl else { return }
        let index = slot(of: header.producerID)
        table[index].adopt(header.producerEpoch)
        table[index].retain(
            AppendedBatch(
                lastSequence: header.lastSequence, lastOffset: header.lastOffset,
                offsetDelta: header.lastOffsetDelta, timestamp: header.maxTimestamp))
        table[index].lastTimestamp = header.maxTimestamp
        if header.attributes.isTransactional && table[index].currentTransactionFirstOffset == nil {
            table[index].currentTransactionFirstOffset = header.baseOffset
            ongoing.begin(producerID: header.producerID, firstOffset: header.baseOffset)
        }
    }

    // MARK: Markers

    /// Checks the control batch that ends a transaction; call before an offset is assigned to it.
    ///
    /// - Parameter transactionVersion: 2 when the coordinator counts up the producer's epoch for each transaction
    ///   (KIP-890): then a marker in the current epoch is late, but one that repeats the last is let through.
    ///   0 or 1 otherwise, and where it is not known.
    public func checkMarker(
        _ header: RecordBatchHeader, marker: TransactionMarker, origin: AppendOrigin = .coordinator,
        transactionVersion: Int16 = 0
    ) throws(ProducerStateError) {
        guard header.hasProducerID, origin.mayRefuse, let slot = slots[header.producerID] else { return }
        let index = Int(slot)
        let current = table[index].producerEpoch
        let isLate =
            transactionVersion >= 2 && header.producerEpoch == current
            && table[index].currentTransactionFirstOffset != nil
        if header.producerEpoch < current || isLate {
            throw .fencedEpoch(
                producerID: header.producerID, current: current, received: header.producerEpoch)
        }
        if marker.coordinatorEpoch < table[index].coordinatorEpoch {
            throw .staleCoordinatorEpoch(
                producerID: header.producerID, current: table[index].coordinatorEpoch,
                received: marker.coordinatorEpoch)
        }
    }

    /// Accounts for a marker that is in the log.
    ///
    /// - Returns: the transaction that it ends, which stays undecided until `transactionIndexed` is called with it;
    ///   nil when none was open, as for a repeated marker.
    public mutating func complete(
        _ header: RecordBatchHeader, isAbort: Bool, coordinatorEpoch: Int32
    ) -> CompletedTransaction? {
        mapEndOffset = header.nextOffset
        guard header.hasProducerID else { return nil }
        let index = slot(of: header.producerID)
        let firstOffset = table[index].currentTransactionFirstOffset
        table[index].adopt(header.producerEpoch)
        table[index].coordinatorEpoch = coordinatorEpoch
        table[index].lastTimestamp = header.maxTimestamp
        table[index].currentTransactionFirstOffset = nil
        guard let firstOffset else { return nil }
        return CompletedTransaction(
            producerID: header.producerID, firstOffset: firstOffset, lastOffset: header.baseOffset,
            isAborted: isAbort)
    }

    /// The last stable offset as it will be once the high watermark has passed the marker: what the transaction index
    /// says of it. Call after `complete` and before `transactionIndexed`.
    public func lastStableOffset(afterCompleting completed: CompletedTransaction) -> Offset {
        ongoing.first(notOf: completed.producerID)?.firstOffset ?? completed.lastOffset + 1
    }

    /// The transaction is in the transaction index where it has to be (aborted ones do): it is decided now, and
    /// unstable only until the high watermark passes its marker. Call once for each that `complete` returned.
    public mutating func transactionIndexed(_ completed: CompletedTransaction) {
        let wasOngoing = ongoing.decide(producerID: completed.producerID, firstOffset: completed.firstOffset)
        invariant(wasOngoing, "\(completed) was not open")
        unreplicated.add(completed)
    }

    // MARK: Stable and unstable offsets

    /// First offset of the oldest transaction without a marker. Compaction must not go past it.
    public var firstUndecidedOffset: Offset? { ongoing.first?.firstOffset }

    /// First offset of the oldest transaction that has no marker, or whose marker the high watermark has not passed.
    /// The last stable offset is the smaller of this and the high watermark, and never below the log start
    /// offset.
    public var firstUnstableOffset: Offset? {
        guard let undecided = ongoing.first?.firstOffset else { return unreplicated.firstOffset }
        guard let replicating = unreplicated.firstOffset else { return undecided }
        return min(undecided, replicating)
    }

    /// Transactions whose markers lie below the high watermark become stable.
    public mutating func onHighWatermarkUpdated(_ highWatermark: Offset) {
        unreplicated.remove(endedBefore: highWatermark)
    }

    /// Timestamp of the last batch in the oldest open transaction: long past, it shows a transaction left hanging.
    public var oldestTransactionLastTimestamp: Timestamp? {
        ongoing.first.flatMap { entry(of: $0.producerID)?.lastTimestamp }
    }

    // MARK: Forgetting and loading

    /// Forgets producers that have been silent for longer than the expiration, but for those with an open transaction.
    public mutating func removeExpired(now: Timestamp) {
        var index = 0
        while index < table.count {
            if table[index].isExpired(now: now, after: expirationMilliseconds) {
                remove(at: index)
            } else {
                index += 1
            }
        }
    }

    /// The log start offset has advanced. Producers whose batches are gone stay known (KIP-360): their next batch is
    /// still checked.
    public mutating func truncateHead(to logStartOffset: Offset) {
        unreplicated.remove(endedBefore: logStartOffset)
        mapEndOffset = max(mapEndOffset, logStartOffset)
    }

    /// Forgets everything. The next batch is expected at `endOffset`.
    public mutating func removeAll(endOffset: Offset = .zero) {
        recentProducerID = .none
        table.removeAll()
        slots.removeAll()
        ongoing.removeAll()
        unreplicated.removeAll()
        mapEndOffset = endOffset
    }

    /// Replaces everything by what a snapshot at `endOffset` holds, without the producers that have expired since.
    /// The batches from `endOffset` on are to be accounted for next.
    public mutating func load(_ entries: [ProducerEntry], endOffset: Offset, now: Timestamp) {
        removeAll(endOffset: endOffset)
        for entry in entries where !entry.isExpired(now: now, after: expirationMilliseconds) {
            invariant(slots[entry.producerID] == nil, "producer \(entry.producerID) is loaded twice")
            table[slot(of: entry.producerID)] = entry
            if let firstOffset = entry.currentTransactionFirstOffset {
                ongoing.begin(producerID: entry.producerID, firstOffset: firstOffset)
            }
        }
    }

    // MARK: The table

    /// Place of a producer in the table; nil for one that is not known.
    private mutating func knownSlot(of producerID: ProducerID) -> Int? {
        if recentProducerID == producerID { return recentSlot }
        guard let slot = slots[producerID] else { return nil }
        recentProducerID = producerID
        recentSlot = Int(slot)
        return recentSlot
    }

    /// Place of a producer in the table, which gets an empty entry for one that is not known.
    private mutating func slot(of producerID: ProducerID) -> Int {
        if let index = knownSlot(of: producerID) { return index }
        if table.count >= evictionCount { evict() }
        slots[producerID] = Int32(table.count)
        table.append(ProducerEntry(producerID: producerID))
        return table.count - 1
    }

    /// Makes room in a full table: forgets the producers that have been silent for the longest, by the same timestamps
    /// as expiry, until a sixteenth of the table is free.
    private mutating func evict() {
        let margin = max(1, maximumCount / Self.evictionDivisor)
        var idle = table.filter { $0.currentTransactionFirstOffset == nil }
        idle.sort { ($0.lastTimestamp, $0.lastDataOffset) < ($1.lastTimestamp, $1.lastDataOffset) }
        let evicted = idle.prefix(table.count - (maximumCount - margin))
        for entry in evicted {
            if let slot = slots[entry.producerID] { remove(at: Int(slot)) }
        }
        // Where open transactions hold the table above its size, the search is not repeated for each new producer.
        evictionCount = max(maximumCount, table.count + margin)
        logger.log(
            .warn, "producers forgotten before their expiration",
            [
                LogField("forgotten", evicted.count), LogField("held", table.count),
                LogField("maximum", maximumCount),
            ])
    }

    private mutating func remove(at index: Int) {
        recentProducerID = .none
        slots[table[index].producerID] = nil
        let last = table.removeLast()
        if index < table.count {
            table[index] = last
            slots[last.producerID] = Int32(index)
        }
    }
}
