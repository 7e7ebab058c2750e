internal import KafkaProtocol
public import RecordFormat

/// A transactional ID as it is listed.
public struct TransactionListing: Hashable, Sendable {
    public let id: String
    public let producerID: ProducerID
    /// `Ongoing`, `CompleteCommit`, ...
    public let state: String
    /// The broker that keeps it.
    public let coordinator: Int32
}

/// A transactional ID with its transaction.
public struct TransactionDescription: Hashable, Sendable {
    public let id: String
    public let state: String
    public let producerID: ProducerID
    public let producerEpoch: ProducerEpoch
    public let timeoutMilliseconds: Int32
    /// When the transaction began, in milliseconds since the Unix epoch; nil where none has.
    public let startTimestamp: Int64?
    /// Those that the transaction has written to.
    public let partitions: [TopicPartition]
    public let coordinator: Int32
}

/// A producer that a partition knows.
public struct ProducerDescription: Hashable, Sendable {
    public let partition: TopicPartition
    public let producerID: ProducerID
    public let producerEpoch: ProducerEpoch
    /// Of the last coordinator that has ended a transaction; nil before the first.
    public let coordinatorEpoch: Int32?
    public let lastSequence: SequenceNumber
    /// Of the last batch, in milliseconds since the Unix epoch.
    public let lastTimestamp: Int64
    /// Where the transaction begins that is open; nil where none is.
    public let transactionStart: Offset?
}

extension Admin {
    // MARK: Transactions

    /// All transactional IDs of the cluster, by name.
    ///
    /// - Parameters:
    ///   - states: only those in one of these; empty for all.
    ///   - producerIDs: only those of one of these; empty for all.
    public func listTransactions(
        states: [String] = [], producerIDs: [ProducerID] = []
    ) async throws(ClientError) -> [TransactionListing] {
        let cluster = try await describeCluster()
        var found: [TransactionListing] = []
        for broker in cluster.brokers where !broker.isFenced {
            found += try await ask(
                ListTransactionsRequest(
                    stateFilters: states, producerIDFilters: producerIDs.map(\.rawValue)),
                to: .node(broker.id), versions: 0...1,
                refusal: { response, name in
                    response.errorCode == .none
                        ? nil
                        : .refused(
                            broker: name, api: .listTransactions, subject: "transactions",
                            code: response.errorCode, message: nil)
                },
                { response, _ in
                    response.transactionStates.map {
                        TransactionListing(
                            id: $0.transactionalID, producerID: $0.producerID, state: $0.transactionState,
                            coordinator: broker.id)
                    }
                })
        }
        return found.sorted { $0.id < $1.id }
    }

    /// A transactional ID and its transaction.
    public func describeTransaction(_ id: String) async throws(ClientError) -> TransactionDescription {
        let node: Int32 = try await ask(
            FindCoordinatorRequest(key: id, keyType: 1), to: .any, versions: 1...3,
            refusal: { response, broker in
                Self.refusal(
                    .findCoordinator, broker, "transactional ID \(id)", response.errorCode,
                    response.errorMessage)
            }, { response, _ in response.nodeID })
        return try await ask(
            DescribeTransactionsRequest(transactionalIDs: [id]), to: .node(node),
            refusal: { response, broker in
                Self.refusal(
                    .describeTransactions, broker, "transactional ID \(id)",
                    response.transactionStates.first?.errorCode ?? .unknownServerError, nil)
            },
            { response, _ in
                let state = response.transactionStates.first
                return TransactionDescription(
                    id: id, state: state?.transactionState ?? "", producerID: state?.producerID ?? .none,
                    producerEpoch: state?.producerEpoch ?? .none,
                    timeoutMilliseconds: state?.transactionTimeoutMilliseconds ?? 0,
                    startTimestamp: state.flatMap {
                        $0.transactionStartTimeMilliseconds >= 0 ? $0.transactionStartTimeMilliseconds : nil
                    },
                    partitions: (state?.topics ?? []).flatMap { topic in
                        topic.partitions.map { TopicPartition(topic: topic.topic, partition: $0) }
                    }, coordinator: node)
            })
    }

    private static func refusal(
        _ api: APIKey, _ broker: String, _ subject: String, _ code: ErrorCode, _ message: String?
    ) -> ClientError? {
        code == .none
            ? nil : .refused(broker: broker, api: api, subject: subject, code: code, message: message)
    }

    // MARK: Producers of partitions

    /// The producers that a partition knows, by ID.
    public func describeProducers(
        of partition: TopicPartition
    ) async throws(ClientError) -> [ProducerDescription] {
        let leader = try await leader(of: partition)
        return try await ask(
            DescribeProducersRequest(topics: [
                .init(name: partition.topic, partitionIndexes: [partition.partition])
            ]), to: .node(leader),
            refusal: { response, broker in
                let found = response.topics.first?.partitions.first
                return Self.refusal(
                    .describeProducers, broker, "\(partition)", found?.errorCode ?? .unknownServerError,
                    found?.errorMessage)
            },
            { response, _ in
                (response.topics.first?.partitions.first?.activeProducers ?? []).map {
                    ProducerDescription(
                        partition: partition, producerID: $0.producerID,
                        producerEpoch: ProducerEpoch(Int16(clamping: $0.producerEpoch)),
                        coordinatorEpoch: $0.coordinatorEpoch >= 0 ? $0.coordinatorEpoch : nil,
                        lastSequence: SequenceNumber($0.lastSequence), lastTimestamp: $0.lastTimestamp,
                        transactionStart: $0.currentTxnStartOffset >= .zero ? $0.currentTxnStartOffset : nil)
                }.sorted { $0.producerID.rawValue < $1.producerID.rawValue }
            })
    }

    /// Ends a transaction on one partition as aborted, without its coordinator. For transactions that no
    /// coordinator knows: of any other, the coordinator's decision is not to be forestalled.
    public func abortTransaction(
        of producerID: ProducerID, epoch: ProducerEpoch, coordinatorEpoch: Int32,
        on partition: TopicPartition
    ) async throws(ClientError) {
        let leader = try await leader(of: partition)
        let _: Bool = try await ask(
            WriteTxnMarkersRequest(markers: [
                .init(
                    producerID: producerID, producerEpoch: epoch, transactionResult: false,
                    topics: [.init(name: partition.topic, partitionIndexes: [partition.partition])],
                    coordinatorEpoch: coordinatorEpoch)
            ]), to: .node(leader), versions: 0...1,
            refusal: { response, broker in
                Self.refusal(
                    .writeTxnMarkers, broker, "\(partition)",
                    response.markers.first?.topics.first?.partitions.first?.errorCode ?? .unknownServerError,
                    nil)
            }, { _, _ in true })
    }

    private func leader(of partition: TopicPartition) async throws(ClientError) -> Int32 {
        let topic = try await client.topic(partition.topic)
        let described = topic.partitions.first { $0.partition == partition.partition }
        guard let leader = described?.leader else {
            throw .unknownPartition(
                topic: partition.topic, partition: partition.partition,
                reason: described == nil ? "it has \(topic.partitions.count) partitions" : "it has no leader")
        }
        return leader
    }
}
