public import Base
public import RecordFormat

/// What a partition remembers of its producers: enough to append each batch once and in order (KIP-98), to
/// fence producers that have been replaced (KIP-98, KIP-360), and to know which transactions are open, from
/// which follows the last stable offset.
///
/// A value owned by one partition log; it does no I/O. Every batch, control batches included, goes through it
/// in the order of the log:
///
///     data batch     check    → append to the log → update
///     marker         checkMarker → append to the log → complete → transaction index → transactionIndexed
///
/// What is checked for a data batch, in this order; "known" is a producer of which an entry is held:
///
///     origin       producer  epoch          sequence              outcome
///     any          no ID     -              -                     append
///     replication  any       any            any                   append: the leader has checked
///     recovery     any       any            any                   append: it is in the log
///     client       any       any            none                  missingSequence
///     client       known     same           that of a retained    duplicate: answer with its offsets
///                                           batch, first and last
///     both         any       any, no open   any, transactional,   unverifiedTransaction
///                            transaction    not verified
///     both         known     older          any                   fencedEpoch
///     client       known     newer          0                     append, forgetting older batches
///     client       known     newer          not 0                 outOfOrderSequence
///     client       known     same           follows the last      append
///     client       known     same           anything else         outOfOrderSequence
///     client       unknown   any            any                   append: its state may have expired
///                                                                 or gone with its records (KIP-360)
///     coordinator  any       same or newer  any                   append: carries no sequence
///     both         known     any            any, outside of the   invalidTransactionState, where no
///                                           open transaction      refusal above applies
///
/// Check and update take constant time and allocate nothing for a known producer.
public struct ProducerStates: Sendable {
    /// Kafka's default of `producer.id.expiration.ms`: a day.
    public static let defaultExpirationMilliseconds: Int64 = 86_400_000
    /// Producers held when `maximumCount` is not set. One takes 216 bytes, about 20 more to be found, and 46
    /// in each snapshot, so this is 24 MB of memory and a snapshot of 4.6 MB at each roll; a partition that
    /// more producers write to within a day is written to by clients that make a producer for each batch,
    /// which repeat nothing.
    public static let defaultMaximumCount = 100_000

    private let expirationMilliseconds: Int64
    private var producers: ProducerTable
    private var ongoing = OngoingTransactions()
    private var unreplicated = UnreplicatedTransactions()
    private var verifications = TransactionVerifications()

    /// The offset after the last batch that is accounted for here: what a snapshot's file name says.
    public private(set) var mapEndOffset: Offset = .zero

    /// - Parameters:
    ///   - expirationMilliseconds: how long after its last batch a producer is forgotten.
    ///   - maximumCount: how many producers are held, at least 1. When one more comes, those that have been
    ///     silent for the longest are forgotten early. Producers with an open transaction are held beyond it:
    ///     without them the last stable offset would be wrong; their number is bounded by the transaction
    ///     time-out.
    ///   - logger: told when producers are forgotten early.
    public init(
        expirationMilliseconds: Int64 = ProducerStates.defaultExpirationMilliseconds,
        maximumCount: Int = ProducerStates.defaultMaximumCount, logger: Logger = .silent
    ) {
        self.expirationMilliseconds = expirationMilliseconds
        producers = ProducerTable(maximumCount: maximumCount, logger: logger)
    }

    // MARK: What is held

    /// Number of producers held.
    public var count: Int { producers.entries.count }
    /// All producers, in no order. For DescribeProducers, snapshots and dumps.
    public var entries: [ProducerEntry] { producers.entries }
    /// What is held of one producer.
    public func entry(of producerID: ProducerID) -> ProducerEntry? {
        producers.slot(of: producerID).map { producers.entries[$0] }
    }
    /// Number of transactions without a marker.
    public var ongoingTransactionCount: Int { ongoing.count }

    /// Whether this incarnation of the producer has a transaction open here (KIP-890).
    public func hasOngoingTransaction(producerID: ProducerID, producerEpoch: ProducerEpoch) -> Bool {
        guard let index = producers.slot(of: producerID) else { return false }
        return producers.entries[index].currentTransactionFirstOffset != nil
            && producers.entries[index].producerEpoch == producerEpoch
    }

    // MARK: Verification

    /// Asks for the verification with which the first batch of a transaction is to be appended (KIP-890). The
    /// caller then asks the transaction coordinator, and appends when that has confirmed the transaction. A
    /// marker that is written meanwhile makes the verification void.
    ///
    /// - Parameters:
    ///   - sequence: of the batch that is to be appended.
    ///   - supportsEpochBump: whether the client speaks transaction version 2.
    /// - Returns: nil when the transaction is open here and needs no verification.
    public mutating func beginVerification(
        producerID: ProducerID, producerEpoch: ProducerEpoch, sequence: SequenceNumber,
        supportsEpochBump: Bool,
        now: Timestamp
    ) -> TransactionVerification? {
        if hasOngoingTransaction(producerID: producerID, producerEpoch: producerEpoch) { return nil }
        return verifications.begin(
            producerID: producerID, producerEpoch: producerEpoch, sequence: sequence,
            supportsEpochBump: supportsEpochBump, now: now)
    }

    // MARK: Data batches

    /// Checks a data batch; call before offsets are assigned to it. Control batches pass: see `checkMarker`.
    ///
    /// Changes nothing but what makes the `update` that follows fast; mutating, it is also spared a copy of
    /// the state.
    ///
    /// - Parameter verification: whether the coordinator must have confirmed the transaction that the batch
    ///   opens (KIP-890).
    /// - Returns: nil when the batch is to be appended. Otherwise it was appended before, and this is what to
    ///   answer.
    public mutating func check(
        _ header: RecordBatchHeader, origin: AppendOrigin,
        verification: TransactionVerification.Requirement = .none
    ) throws(ProducerStateError) -> AppendedBatch? {
        guard header.hasProducerID, origin.mayRefuse, !header.attributes.isControl else { return nil }
        let checksSequence = origin == .client
        if checksSequence && header.baseSequence.rawValue < 0 {
            throw .missingSequence(producerID: header.producerID, received: header.baseSequence)
        }
        guard let index = producers.find(header.producerID) else {
            try checkVerification(header, verification)
            if checksSequence { try checkVerifiedSequence(header, isKnown: false) }
            return nil
        }
        // Through a span, an entry of 216 bytes is looked at without being copied.
        let entries = producers.entries.span
        if checksSequence, let duplicate = entries[index].duplicate(of: header) { return duplicate }
        let current = entries[index].producerEpoch
        let openFirstOffset = entries[index].currentTransactionFirstOffset
        if openFirstOffset == nil || header.producerEpoch != current {
            try checkVerification(header, verification)
        }
        if header.producerEpoch < current {
            throw .fencedEpoch(
                producerID: header.producerID, current: current, received: header.producerEpoch)
        }
        if checksSequence {
            try checkVerifiedSequence(header, isKnown: entries[index].batchCount > 0)
            try checkSequence(header, current: current, last: entries[index].lastSequence)
        }
        if let openFirstOffset, !header.attributes.isTransactional {
            throw .invalidTransactionState(
                producerID: header.producerID, transactionFirstOffset: openFirstOffset)
        }
        return nil
    }

    private func checkSequence(
        _ header: RecordBatchHeader, current: ProducerEpoch, last: SequenceNumber
    ) throws(ProducerStateError) {
        // A producer without an epoch has said nothing yet that a sequence could follow.
        guard current != .none else { return }
        let expected = header.producerEpoch == current ? last.next : SequenceNumber(0)
        if header.baseSequence != expected {
            throw .outOfOrderSequence(
                producerID: header.producerID, producerEpoch: header.producerEpoch, expected: expected,
                received: header.baseSequence)
        }
    }

    /// A transaction is opened with the verification that is under way and no other.
    private func checkVerification(
        _ header: RecordBatchHeader, _ requirement: TransactionVerification.Requirement
    ) throws(ProducerStateError) {
        guard header.attributes.isTransactional, case .verified(let verification) = requirement else {
            return
        }
        guard let verification, verifications.entry(of: header.producerID)?.verification == verification
        else {
            throw .unverifiedTransaction(producerID: header.producerID, producerEpoch: header.producerEpoch)
        }
    }

    /// While the coordinator is asked, batches of the producer may overtake each other: the lowest comes
    /// first. A client that counts its epoch up for each transaction begins at 0 where nothing is retained of
    /// it.
    private func checkVerifiedSequence(_ header: RecordBatchHeader, isKnown: Bool) throws(ProducerStateError)
    {
        guard !verifications.isEmpty, let entry = verifications.entry(of: header.producerID) else { return }
        let mustBeginAtZero = entry.supportsEpochBump && !isKnown && header.baseSequence != SequenceNumber(0)
        if mustBeginAtZero || header.baseSequence.rawValue > entry.lowestSequence.rawValue {
            throw .outOfOrderSequence(
                producerID: header.producerID, producerEpoch: header.producerEpoch,
                expected: mustBeginAtZero ? SequenceNumber(0) : entry.lowestSequence,
                received: header.baseSequence)
        }
    }

    /// Accounts for a batch that is in the log: call for every batch but markers, once its base offset is
    /// assigned.
    public mutating func update(_ header: RecordBatchHeader) {
        mapEndOffset = header.nextOffset
        guard header.hasProducerID, !header.attributes.isControl else { return }
        if header.attributes.isTransactional { verifications.end(header.producerID) }
        let index = producers.findOrAdd(header.producerID)
        producers.entries[index].adopt(header.producerEpoch)
        producers.entries[index].retain(
            AppendedBatch(
                lastSequence: header.lastSequence, lastOffset: header.lastOffset,
                offsetDelta: header.lastOffsetDelta, timestamp: header.maxTimestamp))
        producers.entries[index].lastTimestamp = header.maxTimestamp
        if header.attributes.isTransactional && producers.entries[index].currentTransactionFirstOffset == nil
        {
            producers.entries[index].currentTransactionFirstOffset = header.baseOffset
            ongoing.begin(producerID: header.producerID, firstOffset: header.baseOffset)
        }
    }

    // MARK: Markers

    /// Checks the control batch that ends a transaction; call before an offset is assigned to it.
    ///
    /// - Parameter transactionVersion: 2 when the coordinator counts up the producer's epoch for each
    ///   transaction (KIP-890): then a marker in the current epoch is late, but one that repeats the last is
    ///   let through. 0 or 1 otherwise, and where it is not known.
    public func checkMarker(
        _ header: RecordBatchHeader, marker: TransactionMarker, origin: AppendOrigin = .coordinator,
        transactionVersion: Int16 = 0
    ) throws(ProducerStateError) {
        guard header.hasProducerID, origin.mayRefuse, let index = producers.slot(of: header.producerID) else {
            return
        }
        let current = producers.entries[index].producerEpoch
        let isLate =
            transactionVersion >= 2 && header.producerEpoch == current
            && producers.entries[index].currentTransactionFirstOffset != nil
        if header.producerEpoch < current || isLate {
            throw .fencedEpoch(
                producerID: header.producerID, current: current, received: header.producerEpoch)
        }
        if marker.coordinatorEpoch < producers.entries[index].coordinatorEpoch {
            throw .staleCoordinatorEpoch(
                producerID: header.producerID, current: producers.entries[index].coordinatorEpoch,
                received: marker.coordinatorEpoch)
        }
    }

    /// Accounts for a marker that is in the log.
    ///
    /// - Returns: the transaction that it ends, which stays undecided until `transactionIndexed` is called
    ///   with it; nil when none was open, as for a repeated marker.
    public mutating func complete(
        _ header: RecordBatchHeader, isAbort: Bool, coordinatorEpoch: Int32
    ) -> CompletedTransaction? {
        mapEndOffset = header.nextOffset
        guard header.hasProducerID else { return nil }
        verifications.end(header.producerID)
        let index = producers.findOrAdd(header.producerID)
        let firstOffset = producers.entries[index].currentTransactionFirstOffset
        producers.entries[index].adopt(header.producerEpoch)
        producers.entries[index].coordinatorEpoch = coordinatorEpoch
        producers.entries[index].lastTimestamp = header.maxTimestamp
        producers.entries[index].currentTransactionFirstOffset = nil
        guard let firstOffset else { return nil }
        return CompletedTransaction(
            producerID: header.producerID, firstOffset: firstOffset, lastOffset: header.baseOffset,
            isAborted: isAbort)
    }

    /// The last stable offset as it will be once the high watermark has passed the marker: what the
    /// transaction index says of it. Call after `complete` and before `transactionIndexed`.
    public func lastStableOffset(afterCompleting completed: CompletedTransaction) -> Offset {
        ongoing.first(notOf: completed.producerID)?.firstOffset ?? completed.lastOffset + 1
    }

    /// The transaction is in the transaction index where it has to be (aborted ones do): it is decided now,
    /// and unstable only until the high watermark passes its marker. Call once for each that `complete`
    /// returned.
    public mutating func transactionIndexed(_ completed: CompletedTransaction) {
        let wasOngoing = ongoing.decide(producerID: completed.producerID, firstOffset: completed.firstOffset)
        invariant(wasOngoing, "\(completed) was not open")
        unreplicated.add(completed)
    }

    // MARK: Stable and unstable offsets

    /// First offset of the oldest transaction without a marker. Compaction must not go past it.
    public var firstUndecidedOffset: Offset? { ongoing.first?.firstOffset }

    /// First offset of the oldest transaction that has no marker, or whose marker the high watermark has not
    /// passed. The last stable offset is the smaller of this and the high watermark, and never below the log
    /// start offset.
    public var firstUnstableOffset: Offset? {
        guard let undecided = ongoing.first?.firstOffset else { return unreplicated.firstOffset }
        guard let replicating = unreplicated.firstOffset else { return undecided }
        return min(undecided, replicating)
    }

    /// Transactions whose markers lie below the high watermark become stable.
    public mutating func onHighWatermarkUpdated(_ highWatermark: Offset) {
        unreplicated.remove(endedBefore: highWatermark)
    }

    /// Timestamp of the last batch in the oldest open transaction: long past, it shows a transaction left
    /// hanging.
    public var oldestTransactionLastTimestamp: Timestamp? {
        ongoing.first.flatMap { entry(of: $0.producerID)?.lastTimestamp }
    }

    // MARK: Forgetting and loading

    /// Forgets producers that have been silent for longer than the expiration, but for those with an open
    /// transaction.
    public mutating func removeExpired(now: Timestamp) {
        verifications.removeExpired(now: now, after: expirationMilliseconds)
        producers.removeExpired(now: now, after: expirationMilliseconds)
    }

    /// The log start offset has advanced. Producers whose batches are gone stay known (KIP-360): their next
    /// batch is still checked.
    public mutating func truncateHead(to logStartOffset: Offset) {
        unreplicated.remove(endedBefore: logStartOffset)
        mapEndOffset = max(mapEndOffset, logStartOffset)
    }

    /// Forgets everything. The next batch is expected at `endOffset`.
    public mutating func removeAll(endOffset: Offset = .zero) {
        producers.removeAll()
        ongoing.removeAll()
        unreplicated.removeAll()
        verifications.removeAll()
        mapEndOffset = endOffset
    }

    /// Replaces everything by what a snapshot at `endOffset` holds, without the producers that have expired
    /// since. The batches from `endOffset` on are to be accounted for next.
    public mutating func load(_ entries: [ProducerEntry], endOffset: Offset, now: Timestamp) {
        removeAll(endOffset: endOffset)
        for entry in entries where !entry.isExpired(now: now, after: expirationMilliseconds) {
            invariant(
                producers.slot(of: entry.producerID) == nil, "producer \(entry.producerID) is loaded twice")
            let index = producers.findOrAdd(entry.producerID)
            producers.entries[index] = entry
            if let firstOffset = entry.currentTransactionFirstOffset {
                ongoing.begin(producerID: entry.producerID, firstOffset: firstOffset)
            }
        }
    }
}
