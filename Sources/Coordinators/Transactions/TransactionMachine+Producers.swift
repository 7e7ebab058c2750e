internal import KafkaProtocol
internal import RecordFormat

/// InitProducerId with a transactional ID: who takes an ID locks out whoever has had it.
extension TransactionMachine {
    func begin(
        _ request: InitProducerIDRequest, _ fresh: ProducerID?, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) -> TransactionResponse {
        func refused(_ code: ErrorCode) -> TransactionResponse {
            .begun(InitProducerIDResponse(errorCode: code, producerEpoch: .none))
        }
        let id = request.transactionalID ?? ""
        if id.isEmpty || id.utf8.count > settings.maximumIDByteCount { return refused(.invalidRequest) }
        let timeout = request.transactionTimeoutMilliseconds
        guard timeout > 0, Int64(timeout) <= settings.maximumTimeout else {
            return refused(.invalidTransactionTimeout)
        }
        guard (request.producerID == .none) == (request.producerEpoch == .none) else {
            return refused(.invalidRequest)
        }
        guard let transaction = entries[id]?.transaction else {
            if count >= settings.maximumIDCount { return refused(.policyViolation) }
            guard let fresh else { return .producerIDNeeded }
            return begun(
                Transaction(id, producerID: fresh, timeoutMilliseconds: timeout, now), &effects)
        }
        // Who says nothing of itself begins anew; who says what it has must have had it last (KIP-360).
        let known =
            request.producerID == .none
            ? nil : CoordinatorProducer(id: request.producerID, epoch: request.producerEpoch)
        if let known, !isLast(known, transaction) { return refused(.producerFenced) }
        switch transaction.state {
        case .ongoing:
            decide(transaction.fenced(now), now, &effects)
            return refused(.concurrentTransactions)
        case .prepareCommit, .prepareAbort, .prepareEpochFence, .dead:
            return refused(.concurrentTransactions)
        case .empty, .completeCommit, .completeAbort: break
        }
        if let known, known != transaction.producer {
            // It has not heard of the epoch that it was given.
            return begun(
                transaction.begun(
                    epoch: transaction.producerEpoch, lastEpoch: transaction.lastProducerEpoch,
                    timeoutMilliseconds: timeout, now), &effects)
        }
        if transaction.isExhausted {
            guard let fresh else { return .producerIDNeeded }
            return begun(
                transaction.begun(
                    producerID: fresh, isKnown: known != nil, timeoutMilliseconds: timeout, now), &effects)
        }
        return begun(
            transaction.begun(
                epoch: ProducerEpoch(transaction.producerEpoch.rawValue + 1),
                lastEpoch: known == nil ? .none : transaction.producerEpoch, timeoutMilliseconds: timeout,
                now), &effects)
    }

    /// Whether the producer is the one that has had the ID last, before or after its epoch was counted up.
    private func isLast(_ known: CoordinatorProducer, _ transaction: Transaction) -> Bool {
        if known == transaction.producer { return true }
        // Whoever began a transaction has heard of its epoch.
        guard transaction.state != .ongoing, transaction.lastProducerEpoch != .none,
            known.epoch == transaction.lastProducerEpoch
        else { return false }
        return known.id == transaction.producerID
            || (known.id == transaction.previousProducerID && Transaction.isExhausted(known.epoch))
    }

    private func begun(_ transaction: Transaction, _ effects: inout Effects) -> TransactionResponse {
        effects.records.append(.state(transaction))
        return .begun(
            InitProducerIDResponse(
                producerID: transaction.producerID, producerEpoch: transaction.producerEpoch))
    }
}
