internal import Base
internal import ClusterMetadata
internal import Coordinators
internal import KafkaProtocol
internal import RecordFormat
internal import Settings

/// The transaction coordinators of one lane: those of the partitions of `__transaction_state` that it owns
/// and leads.
final class TransactionCoordinators: @unchecked Sendable {
    // @unchecked: touched on its lane only.

    private unowned let broker: BrokerLane
    let shards: CoordinatorShards<TransactionMachine>

    init(_ broker: BrokerLane) {
        self.broker = broker
        shards = CoordinatorShards(of: GroupPartition.transactionsTopic) { [unowned broker] partition in
            CoordinatorShard(
                partition, codec: .none, broker: broker,
                make: { [unowned broker] in TransactionMachine(broker.settings.transactions) },
                carryOut: { [unowned broker] order, shard in MarkerWriter(order, shard, broker).start() })
        }
    }

    func settingsChanged() {
        let settings = broker.settings.transactions
        for machine in shards.machines { machine.settings = settings }
    }
}

extension SettingValues {
    /// What transaction coordinators go by.
    var transactions: TransactionSettings {
        var result = TransactionSettings()
        result.maximumTimeout = Int64(self[BrokerSettings.transactionMaximumMilliseconds])
        result.idExpiration = Int64(self[BrokerSettings.transactionalIDExpirationMilliseconds])
        result.timeoutCheck = Int64(self[BrokerSettings.transactionTimeoutCheckMilliseconds])
        result.expirationCheck = Int64(self[BrokerSettings.transactionExpiryCheckMilliseconds])
        return result
    }
}

// MARK: - Asking

extension BrokerLane {
    /// The partition of `__transaction_state` that keeps a transactional ID; nil while there is no such
    /// topic.
    func transactionsPartition(of id: String) -> TopicPartition? {
        coordinatorPartition(of: id, topic: GroupPartition.transactionsTopic)
    }

    /// Asks the coordinator of a transactional ID, on whichever lane it is. Where it needs a producer ID, one
    /// is given to it.
    ///
    /// - Parameter done: called once, on this lane.
    func askTransaction(
        _ id: String, _ request: TransactionRequest, done: @escaping (TransactionResponse) -> Void
    ) {
        guard let partition = transactionsPartition(of: id) else {
            return done(request.refusal(.notCoordinator))
        }
        ask(partition, request) { [self] response in
            guard case .producerIDNeeded = response else { return done(response) }
            takeProducerID { [self] fresh in
                // Clients try again.
                guard let fresh else { return done(request.refusal(.coordinatorLoadInProgress)) }
                ask(partition, request.with(fresh), done: done)
            }
        }
    }

    private func ask(
        _ partition: TopicPartition, _ request: TransactionRequest,
        done: @escaping (TransactionResponse) -> Void
    ) {
        ask(
            partition, lost: request.refusal(.notCoordinator),
            work: { owner, reply in
                owner.transactions.shards.submit(request, partition: partition.partition, reply: reply)
            }, done: done)
    }

    /// Asks the coordinators of all partitions.
    func askAllTransactions(_ request: TransactionRequest, done: @escaping ([TransactionResponse]) -> Void) {
        askAllPartitions(
            of: GroupPartition.transactionsTopic,
            { partition, take in self.ask(partition, request, done: take) }, done: done)
    }
}

extension TransactionRequest {
    fileprivate func with(_ fresh: ProducerID) -> TransactionRequest {
        switch self {
        case .begin(let request, _): .begin(request, fresh: fresh)
        case .end(let request, let version, _): .end(request, clientVersion: version, fresh: fresh)
        default: self
        }
    }
}
