internal import Base
internal import KafkaProtocol
public import RecordFormat

/// All that is known of a transactional ID: who may use it, and what it is doing.
public struct Transaction: Hashable, Sendable {
    public let id: String
    public var producerID: ProducerID
    /// Before epochs ran out; none where they never have.
    public var previousProducerID = ProducerID.none
    /// After the transaction that is ending, as its epochs have run out; none otherwise.
    public var nextProducerID = ProducerID.none
    public var producerEpoch: ProducerEpoch
    /// The epoch before, of a producer that may not have heard of the new one. Not in the log, as in Kafka.
    public var lastProducerEpoch = ProducerEpoch.none
    public var timeoutMilliseconds: Int32
    public var state = TransactionState.empty
    public var partitions: Set<TopicPartition> = []
    /// When the transaction began; -1 before the first. Milliseconds since the Unix epoch, as the next.
    public var startTimestamp: Int64 = -1
    public var updateTimestamp: Int64
    /// 2 where the client has its epoch counted up by each transaction (KIP-890).
    public var clientVersion: Int16 = 0

    /// A new transactional ID.
    init(
        _ id: String, producerID: ProducerID, timeoutMilliseconds: Int32, _ now: CoordinatorMoment
    ) {
        self.id = id
        self.producerID = producerID
        producerEpoch = ProducerEpoch(0)
        self.timeoutMilliseconds = timeoutMilliseconds
        updateTimestamp = now.wallClockMilliseconds
    }

    /// Nil for a state that nobody writes.
    init?(_ id: String, _ value: TransactionLogValue) {
        guard let state = TransactionState(rawValue: value.transactionStatus) else { return nil }
        self.id = id
        producerID = value.producerID
        previousProducerID = value.previousProducerID
        nextProducerID = value.nextProducerID
        producerEpoch = value.producerEpoch
        timeoutMilliseconds = value.transactionTimeoutMilliseconds
        self.state = state
        startTimestamp = value.transactionStartTimestampMilliseconds
        updateTimestamp = value.transactionLastUpdateTimestampMilliseconds
        clientVersion = value.clientTransactionVersion
        for topic in value.transactionPartitions ?? [] {
            for number in topic.partitionIDs {
                partitions.insert(TopicPartition(topic: topic.topic, partition: number))
            }
        }
    }

    var producer: CoordinatorProducer { CoordinatorProducer(id: producerID, epoch: producerEpoch) }

    /// The last epoch is for fencing only: no producer is ever given it.
    static let lastEpoch = Int16.max
    /// Whether another epoch can be given.
    static func isExhausted(_ epoch: ProducerEpoch) -> Bool { epoch.rawValue >= lastEpoch - 1 }
    var isExhausted: Bool { Self.isExhausted(producerEpoch) }

    var sortedPartitions: [TopicPartition] {
        partitions.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
    }

    var partitionsByTopic: [(topic: String, partitions: [Int32])] {
        Dictionary(grouping: partitions, by: \.topic)
            .map { (topic: $0.key, partitions: $0.value.map(\.partition).sorted()) }
            .sorted { $0.topic < $1.topic }
    }

    // MARK: What becomes of it

    private func becoming(_ next: TransactionState, _ now: CoordinatorMoment) -> Transaction {
        invariant(state.mayBecome(next), "transaction \(id): \(state) to \(next)")
        var result = self
        result.state = next
        result.updateTimestamp = now.wallClockMilliseconds
        return result
    }

    /// A producer begins anew with another epoch.
    func begun(
        epoch: ProducerEpoch, lastEpoch: ProducerEpoch, timeoutMilliseconds: Int32, _ now: CoordinatorMoment
    ) -> Transaction {
        var result = becoming(.empty, now)
        result.producerEpoch = epoch
        result.lastProducerEpoch = lastEpoch
        result.timeoutMilliseconds = timeoutMilliseconds
        result.partitions = []
        result.startTimestamp = -1
        return result
    }

    /// A producer begins anew with another ID, as the epochs of this one have run out.
    ///
    /// - Parameter isKnown: the producer has said which epoch it has.
    func begun(
        producerID: ProducerID, isKnown: Bool, timeoutMilliseconds: Int32, _ now: CoordinatorMoment
    ) -> Transaction {
        var result = begun(
            epoch: ProducerEpoch(0), lastEpoch: isKnown ? producerEpoch : .none,
            timeoutMilliseconds: timeoutMilliseconds, now)
        result.previousProducerID = self.producerID
        result.producerID = producerID
        return result
    }

    /// The transaction has these partitions too; it begins with the first.
    func adding(
        _ more: Set<TopicPartition>, clientVersion: Int16, _ now: CoordinatorMoment
    ) -> Transaction {
        var result = becoming(.ongoing, now)
        if state != .ongoing {
            result.partitions = []
            result.startTimestamp = now.wallClockMilliseconds
        }
        result.partitions.formUnion(more)
        result.clientVersion = clientVersion
        return result
    }

    /// The outcome is decided.
    ///
    /// - Parameter nextProducerID: that the producer goes on with, where its epochs have run out.
    func prepared(
        isCommit: Bool, clientVersion: Int16, nextProducerID: ProducerID, _ now: CoordinatorMoment
    ) -> Transaction {
        var result = becoming(isCommit ? .prepareCommit : .prepareAbort, now)
        if state != .ongoing {
            result.partitions = []
            result.startTimestamp = now.wallClockMilliseconds
        }
        if clientVersion >= 2 {
            result.lastProducerEpoch = producerEpoch
            result.producerEpoch = ProducerEpoch(producerEpoch.rawValue + 1)
        }
        result.nextProducerID = nextProducerID
        result.clientVersion = clientVersion
        return result
    }

    /// The transaction is aborted, and its producer locked out by an epoch that nobody is told.
    func fenced(_ now: CoordinatorMoment) -> Transaction {
        invariant(
            producerEpoch.rawValue < Self.lastEpoch, "transaction \(id) has an epoch that is never given")
        var result = becoming(.prepareAbort, now)
        result.producerEpoch = ProducerEpoch(producerEpoch.rawValue + 1)
        result.lastProducerEpoch = .none
        result.nextProducerID = .none
        return result
    }

    /// All partitions have the marker.
    func completed(_ now: CoordinatorMoment) -> Transaction {
        var result = becoming(state == .prepareCommit ? .completeCommit : .completeAbort, now)
        result.partitions = []
        if nextProducerID != .none {
            result.previousProducerID = producerID
            result.producerID = nextProducerID
            result.nextProducerID = .none
            result.producerEpoch = ProducerEpoch(0)
            result.lastProducerEpoch = .none
        }
        return result
    }
}
