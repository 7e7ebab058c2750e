internal import KafkaProtocol
internal import RecordFormat

/// DescribeTransactions and ListTransactions.
extension TransactionMachine {
    func describe(_ id: String) -> DescribeTransactionsResponse.TransactionState {
        guard !id.isEmpty else {
            return DescribeTransactionsResponse.TransactionState(errorCode: .invalidRequest)
        }
        guard let transaction = entries[id]?.transaction else {
            return DescribeTransactionsResponse.TransactionState(
                errorCode: .transactionalIDNotFound, transactionalID: id)
        }
        return DescribeTransactionsResponse.TransactionState(
            transactionalID: id, transactionState: transaction.state.name,
            transactionTimeoutMilliseconds: transaction.timeoutMilliseconds,
            transactionStartTimeMilliseconds: transaction.startTimestamp,
            producerID: transaction.producerID, producerEpoch: transaction.producerEpoch,
            topics: transaction.partitionsByTopic.map {
                DescribeTransactionsResponse.TopicData(topic: $0.topic, partitions: $0.partitions)
            })
    }

    func list(_ filter: TransactionFilter, _ now: CoordinatorMoment) -> ListTransactionsResponse {
        let wanted = entries.values.map(\.transaction).filter { transaction in
            if !filter.states.isEmpty && !filter.states.contains(transaction.state) { return false }
            if !filter.producerIDs.isEmpty && !filter.producerIDs.contains(transaction.producerID) {
                return false
            }
            guard let duration = filter.durationMilliseconds else { return true }
            return transaction.startTimestamp >= 0
                && now.wallClockMilliseconds - transaction.startTimestamp > duration
        }
        return ListTransactionsResponse(
            transactionStates: wanted.sorted { $0.id < $1.id }.map {
                ListTransactionsResponse.TransactionState(
                    transactionalID: $0.id, producerID: $0.producerID, transactionState: $0.state.name)
            })
    }
}
