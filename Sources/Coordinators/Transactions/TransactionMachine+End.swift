internal import KafkaProtocol
internal import RecordFormat

/// EndTxn: the outcome of a transaction.
///
///     state            client of version 1              client of version 2 (KIP-890)
///                      commit         abort             commit         abort
///     Ongoing          decided        decided           decided        decided
///     Empty            invalid state  invalid state     invalid state  decided, nothing to mark
///     PrepareCommit    concurrent     invalid state     concurrent     invalid state
///     PrepareAbort     invalid state  concurrent        invalid state  concurrent
///     CompleteCommit   done           invalid state     invalid state  decided, nothing to mark
///       asked again                                     done           invalid state
///     CompleteAbort    invalid state  done              invalid state  decided, nothing to mark
///       asked again                                     invalid state  done
///
/// In version 1 the same epoch goes through several transactions, so that one who asks again cannot be told
/// from one who asks late. In version 2 each transaction ends with a new epoch: who asks again has the one
/// before it, and whoever has any other is fenced.
extension TransactionMachine {
    func end(
        _ request: EndTxnRequest, _ clientVersion: Int16, _ fresh: ProducerID?, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) -> TransactionResponse {
        func refused(_ code: ErrorCode) -> TransactionResponse {
            .ended(EndTxnResponse(errorCode: code))
        }
        if request.transactionalID.isEmpty { return refused(.invalidRequest) }
        guard let transaction = entries[request.transactionalID]?.transaction else {
            return refused(.invalidProducerIDMapping)
        }
        let producer = CoordinatorProducer(id: request.producerID, epoch: request.producerEpoch)
        let claim: Claim
        switch clientVersion >= 2 ? claimOfBumping(producer, transaction) : claimOf(producer, transaction) {
        case .failure(let refusal): return refused(refusal.code)
        case .success(let found): claim = found
        }
        switch outcome(transaction.state, request.committed, claim, clientVersion) {
        case .refused(let code): return refused(code)
        case .done:
            return .ended(
                EndTxnResponse(
                    producerID: transaction.producerID, producerEpoch: transaction.producerEpoch))
        case .decided: break
        }
        var next = ProducerID.none
        if clientVersion >= 2 && transaction.isExhausted {
            guard let fresh else { return .producerIDNeeded }
            next = fresh
        }
        let prepared = transaction.prepared(
            isCommit: request.committed, clientVersion: clientVersion, nextProducerID: next, now)
        decide(prepared, now, &effects)
        // What the producer goes on with.
        return .ended(
            next == .none
                ? EndTxnResponse(producerID: prepared.producerID, producerEpoch: prepared.producerEpoch)
                : EndTxnResponse(producerID: next, producerEpoch: ProducerEpoch(0)))
    }

    /// What one who asks may be.
    private enum Claim {
        /// The producer of the current epoch.
        case current
        /// One who has asked before, and has not heard of the epoch that came of it.
        case again
    }

    private struct Refusal: Error {
        let code: ErrorCode
    }

    private func claimOf(
        _ producer: CoordinatorProducer, _ transaction: Transaction
    ) -> Result<Claim, Refusal> {
        if producer.id != transaction.producerID {
            return .failure(Refusal(code: .invalidProducerIDMapping))
        }
        return producer.epoch == transaction.producerEpoch
            ? .success(.current) : .failure(Refusal(code: .producerFenced))
    }

    private func claimOfBumping(
        _ producer: CoordinatorProducer, _ transaction: Transaction
    ) -> Result<Claim, Refusal> {
        let epoch = transaction.producerEpoch.rawValue
        let hasOverflowed =
            producer.id == transaction.previousProducerID
            && producer.epoch.rawValue == Transaction.lastEpoch - 1 && epoch == 0
        if hasOverflowed, transaction.state == .completeCommit || transaction.state == .completeAbort {
            return .success(.again)
        }
        if producer.id != transaction.producerID {
            return .failure(Refusal(code: .invalidProducerIDMapping))
        }
        // The last epoch is for fencing; nobody is told of it, unless another ID is there to go on with.
        let isBumped =
            Int32(epoch) == Int32(producer.epoch.rawValue) + 1
            && (epoch < Transaction.lastEpoch || transaction.nextProducerID != .none)
        let isCurrent = producer.epoch == transaction.producerEpoch
        switch transaction.state {
        case .prepareCommit where isBumped, .prepareAbort where isBumped: return .success(.again)
        case .completeCommit where isBumped, .completeAbort where isBumped: return .success(.again)
        case .completeCommit where isCurrent, .completeAbort where isCurrent: return .success(.current)
        case .empty where isCurrent, .ongoing where isCurrent: return .success(.current)
        default: return .failure(Refusal(code: .producerFenced))
        }
    }

    private enum Outcome {
        case decided
        /// As it was asked before.
        case done
        case refused(ErrorCode)
    }

    private func outcome(
        _ state: TransactionState, _ isCommit: Bool, _ claim: Claim, _ clientVersion: Int16
    ) -> Outcome {
        switch state {
        case .ongoing: return .decided
        case .prepareCommit: return .refused(isCommit ? .concurrentTransactions : .invalidTxnState)
        case .prepareAbort: return .refused(isCommit ? .invalidTxnState : .concurrentTransactions)
        case .completeCommit, .completeAbort:
            let isSame = isCommit == (state == .completeCommit)
            if clientVersion < 2 || claim == .again { return isSame ? .done : .refused(.invalidTxnState) }
            return isCommit ? .refused(.invalidTxnState) : .decided
        case .empty:
            return clientVersion >= 2 && !isCommit ? .decided : .refused(.invalidTxnState)
        case .dead, .prepareEpochFence: return .refused(.invalidTxnState)
        }
    }
}
