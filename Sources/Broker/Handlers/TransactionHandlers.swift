internal import Base
internal import ClusterMetadata
internal import Coordinators
internal import KafkaProtocol
internal import RecordFormat

/// What transactional producers ask: AddPartitionsToTxn, AddOffsetsToTxn and EndTxn.
enum TransactionHandlers {
    static let served = [
        ServedAPI(0...5) { (request: AddPartitionsToTxnRequest, context) in addPartitions(request, context) },
        ServedAPI(0...4) { (request: AddOffsetsToTxnRequest, context) in addOffsets(request, context) },
        ServedAPI(0...5) { (request: EndTxnRequest, context) in end(request, context) },
    ]

    // MARK: AddPartitionsToTxn

    private typealias Topic = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic
    private typealias Transaction = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction
    private typealias TopicResult = AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult

    private static func addPartitions(_ request: AddPartitionsToTxnRequest, _ context: RequestContext) {
        if context.version >= 4 { return addBatched(request, context) }
        let one = Transaction(
            transactionalID: request.v3AndBelowTransactionalID, producerID: request.v3AndBelowProducerID,
            producerEpoch: request.v3AndBelowProducerEpoch, topics: request.v3AndBelowTopics)
        add(one, context) { codes in
            let told = codes.map { code in
                context.version < 2 && code == .producerFenced ? .invalidProducerEpoch : code
            }
            context.noteTransaction(one.transactionalID, told.first { $0 != .none } ?? .none)
            context.respond(
                AddPartitionsToTxnResponse(resultsByTopicV3AndBelow: results(one.topics, told)))
        }
    }

    /// Of brokers, about several producers (KIP-890).
    private static func addBatched(_ request: AddPartitionsToTxnRequest, _ context: RequestContext) {
        let transactions = request.transactions
        let gathering = CoordinatorAnswers<[ErrorCode]>(count: transactions.count) { answers in
            context.respond(
                AddPartitionsToTxnResponse(
                    resultsByTransaction: zip(transactions, answers).map { transaction, codes in
                        let told = codes.map { code -> ErrorCode in
                            // The code came with version 5.
                            code == .transactionAbortable && context.version < 5 ? .invalidTxnState : code
                        }
                        return AddPartitionsToTxnResponse.AddPartitionsToTxnResult(
                            transactionalID: transaction.transactionalID,
                            topicResults: results(transaction.topics, told))
                    }))
        }
        for (number, transaction) in transactions.enumerated() {
            add(transaction, context) { gathering.take($0, number) }
        }
        if transactions.isEmpty { gathering.finishIfEmpty() }
    }

    private static func add(
        _ transaction: Transaction, _ context: RequestContext, done: @escaping ([ErrorCode]) -> Void
    ) {
        let partitions = transaction.topics.flatMap { topic in
            topic.partitions.map { TopicPartition(topic: topic.name, partition: $0) }
        }
        let problems = partitions.map { problem(of: $0, context) }
        if problems.contains(where: { $0 != .none }) {
            // All of them or none.
            return done(problems.map { $0 == .none ? .operationNotAttempted : $0 })
        }
        let what = TransactionPartitions(
            transactionalID: transaction.transactionalID,
            producer: CoordinatorProducer(id: transaction.producerID, epoch: transaction.producerEpoch),
            partitions: partitions)
        context.broker.askTransaction(
            transaction.transactionalID,
            transaction.verifyOnly ? .verify(what) : .add(what, clientVersion: 0)
        ) { answer in
            if case .partitions(let codes) = answer { done(codes) }
        }
    }

    private static func problem(of partition: TopicPartition, _ context: RequestContext) -> ErrorCode {
        if InternalTopics.contains(partition.topic) { return .topicAuthorizationFailed }
        return context.exists(partition) ? .none : .unknownTopicOrPartition
    }

    private static func results(_ topics: [Topic], _ codes: [ErrorCode]) -> [TopicResult] {
        var rest = codes[...]
        return topics.map { topic in
            TopicResult(
                name: topic.name,
                resultsByPartition: topic.partitions.map {
                    AddPartitionsToTxnResponse.AddPartitionsToTxnPartitionResult(
                        partitionIndex: $0, partitionErrorCode: rest.popFirst() ?? .unknownServerError)
                })
        }
    }

    // MARK: AddOffsetsToTxn

    private static func addOffsets(_ request: AddOffsetsToTxnRequest, _ context: RequestContext) {
        // Nobody may have looked for the coordinator of the group yet.
        CoordinatorHandler.provide(GroupPartition.offsetsTopic, context) { addKnown(request, context) }
    }

    private static func addKnown(_ request: AddOffsetsToTxnRequest, _ context: RequestContext) {
        guard let partition = context.broker.offsetsPartition(of: request.groupID) else {
            return context.respond(AddOffsetsToTxnResponse(errorCode: .coordinatorNotAvailable))
        }
        let what = TransactionPartitions(
            transactionalID: request.transactionalID,
            producer: CoordinatorProducer(id: request.producerID, epoch: request.producerEpoch),
            partitions: [partition])
        context.broker.askTransaction(request.transactionalID, .add(what, clientVersion: 0)) { answer in
            guard case .partitions(let codes) = answer else { return }
            var code = codes.first ?? .unknownServerError
            if context.version < 2 && code == .producerFenced { code = .invalidProducerEpoch }
            context.noteTransaction(request.transactionalID, code)
            context.respond(AddOffsetsToTxnResponse(errorCode: code))
        }
    }

    // MARK: EndTxn

    private static func end(_ request: EndTxnRequest, _ context: RequestContext) {
        let version: Int16 = context.version >= 5 ? 2 : 0
        context.broker.askTransaction(
            request.transactionalID, .end(request, clientVersion: version, fresh: nil)
        ) { answer in
            guard case .ended(var response) = answer else { return }
            if context.version < 2 && response.errorCode == .producerFenced {
                response.errorCode = .invalidProducerEpoch
            }
            context.noteTransaction(request.transactionalID, response.errorCode)
            context.respond(response)
        }
    }
}

extension RequestContext {
    func exists(_ partition: TopicPartition) -> Bool {
        guard let known = broker.metadata.topics[partition.topic] else { return false }
        return partition.partition >= 0 && Int(partition.partition) < known.partitions.count
    }

    /// One line for what is not part of every transaction.
    func noteTransaction(_ id: String, _ code: ErrorCode) {
        switch code {
        case .none, .concurrentTransactions, .coordinatorLoadInProgress, .notCoordinator: return
        default:
            logRefusal("transaction refused") {
                [LogField("transactionalID", id), LogField("error", code)]
            }
        }
    }
}
