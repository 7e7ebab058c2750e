internal import Base
internal import Coordinators
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication

/// TxnOffsetCommit: offsets of a group as part of a transaction.
enum TransactionOffsetHandlers {
    static let served = [
        ServedAPI(0...5) { (request: TxnOffsetCommitRequest, context) in commit(request, context) }
    ]

    private static func commit(_ request: TxnOffsetCommitRequest, _ context: RequestContext) {
        // What nobody knows is refused here; the coordinator hears of the rest.
        let isKnown = request.topics.map { topic in
            topic.partitions.map {
                context.exists(TopicPartition(topic: topic.name, partition: $0.partitionIndex))
            }
        }
        var known = request
        known.topics = zip(request.topics, isKnown).compactMap { topic, isKnown in
            var part = topic
            part.partitions = zip(topic.partitions, isKnown).filter(\.1).map(\.0)
            return part.partitions.isEmpty ? nil : part
        }
        if known.topics.isEmpty && !request.topics.isEmpty {
            return context.respond(request.refused(.unknownTopicOrPartition))
        }
        context.broker.commitInTransaction(
            known, TransactionSpeech(offsetCommitVersion: context.version)
        ) { response in
            var codes = response.topics.flatMap(\.partitions).map(\.errorCode).makeIterator()
            var whole = request.refused(.unknownTopicOrPartition)
            for (place, topic) in isKnown.enumerated() {
                for number in topic.indices where topic[number] {
                    whole.topics[place].partitions[number].errorCode = told(
                        codes.next() ?? .unknownServerError, context)
                }
            }
            context.respond(whole)
        }
    }

    private static func told(_ code: ErrorCode, _ context: RequestContext) -> ErrorCode {
        // Clients of these versions do not expect that a coordinator is loading.
        context.version < 2 && code == .coordinatorLoadInProgress ? .coordinatorNotAvailable : code
    }
}

extension BrokerLane {
    /// Has the offsets of a transaction kept by the coordinator of the group, once that of the transaction
    /// has confirmed that they are part of it.
    ///
    /// - Parameter done: called once, on this lane.
    func commitInTransaction(
        _ request: TxnOffsetCommitRequest, _ speech: TransactionSpeech,
        done: @escaping (TxnOffsetCommitResponse) -> Void
    ) {
        guard let partition = offsetsPartition(of: request.groupID) else {
            return done(request.refused(.notCoordinator))
        }
        ask(
            partition, lost: request.refused(.notCoordinator),
            work: { owner, reply in
                owner.commitHere(request, speech, partition, reply: reply)
            }, done: done)
    }

    private func commitHere(
        _ request: TxnOffsetCommitRequest, _ speech: TransactionSpeech,
        _ partition: TopicPartition, reply: @escaping (TxnOffsetCommitResponse) -> Void
    ) {
        let leader: LeaderReplica
        do throws(ReplicaError) {
            leader = try replicas.leader(of: partition)
        } catch {
            return reply(request.refused(.notCoordinator))
        }
        let append = TransactionalAppend(
            partition: partition, transactionalID: request.transactionalID,
            producer: CoordinatorProducer(id: request.producerID, epoch: request.producerEpoch),
            sequence: .none, speech: speech)
        verifier.confirm(append, at: leader) { [self] confirmation in
            switch confirmation {
            case .refused(let code):
                // A group's coordinator is asked again for what a partition would be.
                reply(request.refused(code == .notEnoughReplicas ? .coordinatorNotAvailable : code))
            case .confirmed(let requirement):
                groups.shards.submit(
                    .transactionalCommit(request), partition: partition.partition,
                    verifiedBy: requirement
                ) { answer in
                    if case .transactionalCommit(let response) = answer { reply(response) }
                }
            }
        }
        verifier.ask()
    }
}
