public import KafkaProtocol
public import RecordFormat

/// What the coordinator of one partition of `__transaction_state` is asked. Requests about several
/// transactions are taken apart before.
public enum TransactionRequest: CoordinatorRequest {
    /// InitProducerId. A fresh producer ID comes with it once `producerIDNeeded` was answered.
    case begin(InitProducerIDRequest, fresh: ProducerID?)
    /// AddPartitionsToTxn, or what stands for it: a produce request or a commit of offsets.
    case add(TransactionPartitions, clientVersion: Int16)
    /// Whether the transaction has these partitions; changes nothing.
    case verify(TransactionPartitions)
    /// EndTxn; the fresh producer ID as in `begin`.
    case end(EndTxnRequest, clientVersion: Int16, fresh: ProducerID?)
    /// These partitions have their marker, or are no more.
    case marked(transactionalID: String, CoordinatorProducer, [TopicPartition])
    case describe(String)
    case list(TransactionFilter)

    public func refusal(_ code: ErrorCode) -> TransactionResponse {
        let code = code == .recordListTooLarge ? .unknownServerError : code
        switch self {
        case .begin: return .begun(InitProducerIDResponse(errorCode: code, producerEpoch: .none))
        case .add(let what, _), .verify(let what): return .partitions(what.refused(code))
        case .end: return .ended(EndTxnResponse(errorCode: code))
        case .marked: return .marked
        case .describe(let id):
            return .described(
                DescribeTransactionsResponse.TransactionState(errorCode: code, transactionalID: id))
        case .list: return .listed(ListTransactionsResponse(errorCode: code))
        }
    }
}

/// Partitions that a producer says are in its transaction.
public struct TransactionPartitions: Sendable {
    public let transactionalID: String
    public let producer: CoordinatorProducer
    public let partitions: [TopicPartition]

    public init(transactionalID: String, producer: CoordinatorProducer, partitions: [TopicPartition]) {
        self.transactionalID = transactionalID
        self.producer = producer
        self.partitions = partitions
    }

    func refused(_ code: ErrorCode) -> [ErrorCode] { Array(repeating: code, count: partitions.count) }
}

/// Which transactions are listed. What is empty or nil lets all pass.
public struct TransactionFilter: Hashable, Sendable {
    public var states: Set<TransactionState> = []
    public var producerIDs: Set<ProducerID> = []
    /// Only those that have been open for longer.
    public var durationMilliseconds: Int64?

    public init() {}
}

/// The answer to a `TransactionRequest`.
public enum TransactionResponse: Sendable {
    case begun(InitProducerIDResponse)
    /// A code for each partition, in their order.
    case partitions([ErrorCode])
    case ended(EndTxnResponse)
    /// Nothing has happened: the same is to be asked again with a fresh producer ID.
    case producerIDNeeded
    case marked
    case described(DescribeTransactionsResponse.TransactionState)
    case listed(ListTransactionsResponse)
}

/// Markers that are to be written, again and again until all partitions have them.
public struct MarkerOrder: Hashable, Sendable {
    public let transactionalID: String
    public let producer: CoordinatorProducer
    public let isCommit: Bool
    public let transactionVersion: Int16
    public let partitions: [TopicPartition]

    init(_ transaction: Transaction) {
        transactionalID = transaction.id
        producer = transaction.producer
        isCommit = transaction.state == .prepareCommit
        transactionVersion = transaction.clientVersion
        partitions = transaction.sortedPartitions
    }
}
