internal import Coordinators
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication
internal import Settings

/// How a request speaks of the transactions that its records belong to (KIP-890), by its version.
enum TransactionSpeech: Hashable, Sendable {
    /// The client has added the partition before. It knows INVALID_TXN_STATE only.
    case addedBefore
    /// The same, of a client that knows TRANSACTION_ABORTABLE.
    case addedBeforeAbortable
    /// The partition is added by being written to, and each transaction has an epoch of its own.
    case adding

    init(produceVersion version: Int16) {
        self = version >= 12 ? .adding : version >= 11 ? .addedBeforeAbortable : .addedBefore
    }

    init(offsetCommitVersion version: Int16) {
        self = version >= 5 ? .adding : version >= 4 ? .addedBeforeAbortable : .addedBefore
    }
}

/// Records of a transaction that a partition is to take.
struct TransactionalAppend {
    let partition: TopicPartition
    /// Empty where the request names none.
    let transactionalID: String
    let producer: CoordinatorProducer
    /// Of the first record; none for offsets.
    let sequence: SequenceNumber
    let speech: TransactionSpeech
}

/// What the coordinator says of such records.
enum TransactionConfirmation {
    /// They may be appended on these terms.
    case confirmed(TransactionVerification.Requirement)
    case refused(ErrorCode)
}

/// Asks coordinators about records that may open a transaction on a partition of this lane, so that none is
/// left open that the coordinator does not know of (KIP-890).
///
/// Whatever a producer sends to the partition meanwhile waits behind the question, in its order.
final class TransactionVerifier {
    private struct Place: Hashable {
        let partition: TopicPartition
        let producer: CoordinatorProducer
        let transactionalID: String
        let speech: TransactionSpeech
    }

    private struct Question: Hashable {
        let transactionalID: String
        let producer: CoordinatorProducer
        let speech: TransactionSpeech
    }

    private struct Pending {
        let verification: TransactionVerification
        var waiting: [(TransactionConfirmation) -> Void]
    }

    private unowned let broker: BrokerLane
    /// Bounded by the produce requests in flight.
    private var pending: [Place: Pending] = [:]
    /// Partitions that have yet to be asked about; questions of one turn go together.
    private var unasked: [Question: [TopicPartition]] = [:]

    init(_ broker: BrokerLane) { self.broker = broker }

    /// Has records confirmed. `ask` must be called after one call or several.
    ///
    /// - Parameter done: called once, on this lane; at once where the transaction is open already.
    func confirm(
        _ append: TransactionalAppend, at leader: LeaderReplica,
        done: @escaping (TransactionConfirmation) -> Void
    ) {
        if append.speech != .adding, !broker.settings[BrokerSettings.transactionVerification] {
            return done(.confirmed(.none))
        }
        let place = Place(
            partition: append.partition, producer: append.producer,
            transactionalID: append.transactionalID, speech: append.speech)
        let verification = leader.log.beginVerification(
            of: append.producer.id, epoch: append.producer.epoch, sequence: append.sequence,
            supportsEpochBump: append.speech == .adding)
        if pending[place] != nil {
            pending[place]?.waiting.append(done)
            return
        }
        guard let verification, !append.transactionalID.isEmpty else {
            return done(.confirmed(.verified(by: nil)))
        }
        pending[place] = Pending(verification: verification, waiting: [done])
        let question = Question(
            transactionalID: append.transactionalID, producer: append.producer, speech: append.speech)
        unasked[question, default: []].append(append.partition)
    }

    /// Sends the questions that have come together.
    func ask() {
        if unasked.isEmpty { return }
        let questions = unasked
        unasked = [:]
        for (question, partitions) in questions { ask(question, partitions) }
    }

    private func ask(_ question: Question, _ partitions: [TopicPartition]) {
        let what = TransactionPartitions(
            transactionalID: question.transactionalID, producer: question.producer, partitions: partitions)
        broker.askTransaction(
            question.transactionalID,
            question.speech == .adding ? .add(what, clientVersion: 2) : .verify(what)
        ) { [self] answer in
            guard case .partitions(let codes) = answer else { return }
            for (partition, code) in zip(partitions, codes) {
                take(
                    Place(
                        partition: partition, producer: question.producer,
                        transactionalID: question.transactionalID, speech: question.speech), code)
            }
        }
    }

    private func take(_ place: Place, _ code: ErrorCode) {
        guard let found = pending.removeValue(forKey: place) else { return }
        let confirmation: TransactionConfirmation =
            code == .none
            ? .confirmed(.verified(by: found.verification)) : .refused(Self.told(code, place.speech))
        for done in found.waiting { done(confirmation) }
    }

    /// What a producer is told, as it knows the code and does the right thing.
    private static func told(_ code: ErrorCode, _ speech: TransactionSpeech) -> ErrorCode {
        switch code {
        case .concurrentTransactions where speech == .adding: code
        case .concurrentTransactions, .coordinatorLoadInProgress, .coordinatorNotAvailable, .notCoordinator:
            .notEnoughReplicas
        case .producerFenced: .invalidProducerEpoch
        case .transactionAbortable where speech == .addedBefore: .invalidTxnState
        default: code
        }
    }
}
