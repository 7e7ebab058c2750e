public import RecordFormat

/// Why a batch of an idempotent or transactional producer is not appended. Each case becomes one Kafka error
/// code, named with it; nothing of the state changed when one is thrown.
public enum ProducerStateError: Error, Hashable, Sendable {
    /// OUT_OF_ORDER_SEQUENCE_NUMBER: there is a gap between the producer's last batch and this one, or an old
    /// batch is sent again that is no longer among the retained ones.
    case outOfOrderSequence(
        producerID: ProducerID, producerEpoch: ProducerEpoch, expected: SequenceNumber,
        received: SequenceNumber)

    /// INVALID_RECORD: a client's batch names a producer but carries no sequence.
    case missingSequence(producerID: ProducerID, received: SequenceNumber)

    /// INVALID_PRODUCER_EPOCH: a newer incarnation of the producer has written already (KIP-98, KIP-588).
    case fencedEpoch(producerID: ProducerID, current: ProducerEpoch, received: ProducerEpoch)

    /// TRANSACTION_COORDINATOR_FENCED: the marker comes from a transaction coordinator that has been
    /// replaced.
    case staleCoordinatorEpoch(producerID: ProducerID, current: Int32, received: Int32)

    /// INVALID_TXN_STATE: a batch outside of any transaction while the producer's transaction, which began at
    /// `transactionFirstOffset`, is still open.
    case invalidTransactionState(producerID: ProducerID, transactionFirstOffset: Offset)

    /// INVALID_TXN_STATE: a batch would open a transaction here that the transaction coordinator has not
    /// confirmed, or whose confirmation has been overtaken by its end (KIP-890).
    case unverifiedTransaction(producerID: ProducerID, producerEpoch: ProducerEpoch)
}

extension ProducerStateError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .outOfOrderSequence(let producerID, let producerEpoch, let expected, let received):
            "producer \(producerID), epoch \(producerEpoch), sent sequence \(received), not \(expected)"
        case .missingSequence(let producerID, let received):
            "producer \(producerID) sent \(received) for a sequence; with a producer ID send 0 or more"
        case .fencedEpoch(let producerID, let current, let received):
            "producer \(producerID) sent epoch \(received) and is fenced by epoch \(current)"
        case .staleCoordinatorEpoch(let producerID, let current, let received):
            "a marker for producer \(producerID) is of coordinator epoch \(received), now \(current)"
        case .invalidTransactionState(let producerID, let transactionFirstOffset):
            """
            producer \(producerID) sent a batch outside of its transaction, which is open since offset \
            \(transactionFirstOffset)
            """
        case .unverifiedTransaction(let producerID, let producerEpoch):
            """
            producer \(producerID), epoch \(producerEpoch), has no transaction here that its coordinator \
            knows; abort it and begin again
            """
        }
    }
}

/// Where a batch comes from, which says how strictly it is checked.
public enum AppendOrigin: Sendable, Hashable, CaseIterable {
    /// A produce request: epoch and sequence are checked, duplicates are recognised.
    case client
    /// A group or transaction coordinator on this broker: only the epoch is checked, because the offset
    /// commits of a transaction carry the producer's ID and epoch but no sequence.
    case coordinator
    /// A follower's fetch: what the leader took is taken.
    case replication
    /// The log itself, read again at open: what is there is taken.
    case recovery

    /// True when a batch may be refused; false when it has been accepted elsewhere already.
    var mayRefuse: Bool { self == .client || self == .coordinator }
}

/// What ends a transaction on a partition: the content of the control record that the coordinator writes.
public struct TransactionMarker: Sendable, Hashable {
    /// How the transaction ended.
    public enum Kind: Sendable, Hashable, CaseIterable { case commit, abort }

    public let kind: Kind
    /// Counts the leaders of the coordinator's partition; an older one is refused.
    public let coordinatorEpoch: Int32

    public init(_ kind: Kind, coordinatorEpoch: Int32) {
        self.kind = kind
        self.coordinatorEpoch = coordinatorEpoch
    }

    public var isAbort: Bool { kind == .abort }
}

/// A transaction whose marker is in the log.
public struct CompletedTransaction: Sendable, Hashable {
    public let producerID: ProducerID
    /// Offset of its first record on this partition.
    public let firstOffset: Offset
    /// Offset of the marker.
    public let lastOffset: Offset
    public let isAborted: Bool

    public init(producerID: ProducerID, firstOffset: Offset, lastOffset: Offset, isAborted: Bool) {
        self.producerID = producerID
        self.firstOffset = firstOffset
        self.lastOffset = lastOffset
        self.isAborted = isAborted
    }
}
