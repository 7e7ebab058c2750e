internal import KafkaProtocol
internal import RecordFormat

/// AddPartitionsToTxn: which partitions a transaction has.
extension TransactionMachine {
    /// - Returns: a code for each partition.
    func add(
        _ what: TransactionPartitions, _ clientVersion: Int16, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) -> [ErrorCode] {
        let transaction: Transaction
        switch transactionOf(what) {
        case .failure(let refusal): return what.refused(refusal.code)
        case .success(let found): transaction = found
        }
        let wanted = Set(what.partitions)
        if transaction.state == .ongoing && wanted.isSubset(of: transaction.partitions) {
            return what.refused(.none)
        }
        let next = transaction.adding(wanted, clientVersion: clientVersion, now)
        guard next.partitions.count <= settings.maximumPartitionCount,
            byteCount(next) <= settings.maximumPartitionByteCount
        else { return what.refused(.invalidRequest) }
        effects.records.append(.state(next))
        return what.refused(.none)
    }

    /// What the partitions take in a record: names once, numbers of four bytes.
    private func byteCount(_ transaction: Transaction) -> Int {
        var topics: Set<String> = []
        var total = 4 * transaction.partitions.count
        for partition in transaction.partitions where topics.insert(partition.topic).inserted {
            total += partition.topic.utf8.count + 8
        }
        return total
    }

    /// - Returns: a code for each partition.
    func verify(_ what: TransactionPartitions) -> [ErrorCode] {
        switch transactionOf(what) {
        case .failure(let refusal): return what.refused(refusal.code)
        case .success(let transaction):
            return what.partitions.map {
                transaction.state == .ongoing && transaction.partitions.contains($0)
                    ? .none : .transactionAbortable
            }
        }
    }

    private struct Refusal: Error {
        let code: ErrorCode
    }

    private func transactionOf(_ what: TransactionPartitions) -> Result<Transaction, Refusal> {
        if what.transactionalID.isEmpty { return .failure(Refusal(code: .invalidRequest)) }
        guard let transaction = entries[what.transactionalID]?.transaction,
            transaction.producerID == what.producer.id
        else { return .failure(Refusal(code: .invalidProducerIDMapping)) }
        guard transaction.producerEpoch == what.producer.epoch else {
            return .failure(Refusal(code: .producerFenced))
        }
        if transaction.state.isPrepared { return .failure(Refusal(code: .concurrentTransactions)) }
        return .success(transaction)
    }
}
