internal import Coordinators
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication
internal import SystemIO

/// The parts of a produce request that belong to one lane: appended there, and waited for there.
final class ProduceGroup: ProduceWaiter, @unchecked Sendable {
    // @unchecked: goes to the owner's lane with `start` and comes back with `ProduceOperation.finish`;
    // between the two only the owner's lane touches it, but for what is the operation's.

    let owner: BrokerLane
    private let operation: ProduceOperation
    /// In the order of the request.
    private var parts: ContiguousArray<ProducePart> = []
    private var waitingCount = 0
    private var isCancelled = false
    /// Where `takeAnswer` goes on.
    private var nextAnswer = 0
    /// The operation's: whether the answers may be looked at.
    var isFinished = false

    /// - Parameter count: at most so many parts follow.
    init(operation: ProduceOperation, owner: BrokerLane, expecting count: Int) {
        self.operation = operation
        self.owner = owner
        parts.reserveCapacity(count)
    }

    func add(_ part: ProducePart) { parts.append(part) }

    /// Appends all parts, here or on the owner's lane.
    /// - Returns: false when that has ended, as the node stops; the parts are answered so.
    func start() -> Bool {
        if owner === operation.context.broker {
            run()
            return true
        }
        if owner.lane.submit(from: operation.context.broker.lane, { [self] in runAway() }) { return true }
        for index in parts.indices { parts[index].take(ProduceAnswer(.notLeaderOrFollower)) }
        return false
    }

    private func runAway() {
        let began = owner.quotas.beginWork()
        run()
        owner.quotas.endWork(began, operation.context.header.clientID)
    }

    private func run() {
        // An append may finish earlier ones: they must not take themselves for the last.
        waitingCount += 1
        for index in parts.indices where !parts[index].isAnswered { append(index) }
        owner.verifier.ask()
        finishOne()
    }

    private func finishOne() {
        waitingCount -= 1
        if waitingCount == 0 { report() }
    }

    private func append(_ index: Int) {
        // Whoever appends holds the bytes for as long as they are needed.
        let records = parts[index].takeRecords()
        do throws(ReplicaError) {
            let leader = try owner.replicas.leader(of: parts[index].partition)
            let asked = parts[index].topicID
            if asked != .none && leader.topicID != asked {
                return parts[index].take(ProduceAnswer(.unknownTopicID))
            }
            guard let records else { throw .log(parts[index].partition, .emptyAppend) }
            if let header = Self.transactionalHeader(of: records) {
                return confirm(records, header, index, leader)
            }
            try append(records, index, leader, AppendTerms())
        } catch {
            parts[index].take(ProduceAnswer(error))
        }
    }

    private func append(
        _ records: BufferSlice, _ index: Int, _ leader: LeaderReplica, _ terms: AppendTerms
    ) throws(ReplicaError) {
        let appended = try leader.append(
            records, acks: operation.acks, terms: terms, waiter: self, part: index)
        parts[index].take(ProduceAnswer(appended.result, logStartOffset: leader.log.logStartOffset))
        if !appended.isAcknowledged {
            parts[index].isWaiting = true
            waitingCount += 1
        }
    }

    // MARK: Records of transactions

    /// Nil where the records are of no transaction, or cannot be read, which the log finds out.
    private static func transactionalHeader(of records: BufferSlice) -> RecordBatchHeader? {
        guard RecordBatchHeader.isTransactional(records.bytes) else { return nil }
        return try? RecordBatchHeader(parsing: records.bytes)
    }

    /// Appends once the coordinator of the transaction has confirmed that the partition is part of it.
    private func confirm(
        _ records: BufferSlice, _ header: RecordBatchHeader, _ index: Int, _ leader: LeaderReplica
    ) {
        let partition = parts[index].partition
        let append = TransactionalAppend(
            partition: partition, transactionalID: operation.transactionalID,
            producer: CoordinatorProducer(id: header.producerID, epoch: header.producerEpoch),
            sequence: header.baseSequence,
            speech: TransactionSpeech(produceVersion: operation.context.version))
        waitingCount += 1
        owner.verifier.confirm(append, at: leader) { [self] confirmation in
            defer { finishOne() }
            // Nobody waits any more; a client that hears nothing sends it again.
            if isCancelled { return parts[index].take(ProduceAnswer(.requestTimedOut)) }
            switch confirmation {
            case .refused(let code): parts[index].take(ProduceAnswer(code))
            case .confirmed(let requirement):
                do throws(ReplicaError) {
                    try self.append(
                        records, index, try owner.replicas.leader(of: partition),
                        AppendTerms(verification: requirement))
                } catch {
                    parts[index].take(ProduceAnswer(error))
                }
            }
        }
    }

    func appendFinished(part: Int, error: ReplicaError?) {
        if isCancelled || !parts[part].isWaiting { return }
        parts[part].isWaiting = false
        // Appended, and lost later.
        if let error { parts[part].take(ProduceAnswer(error)) }
        finishOne()
    }

    private func report() {
        let home = operation.context.broker
        if home === owner { return operation.finish(self) }
        _ = home.lane.submit(from: owner.lane) { [self] in operation.finish(self) }
    }

    /// Nobody waits any more. On the operation's lane.
    func abandon() {
        owner.perform(from: operation.context.broker) { [self] _ in cancel() }
    }

    private func cancel() {
        if isCancelled { return }
        isCancelled = true
        for part in parts where part.isWaiting {
            if let leader = try? owner.replicas.leader(of: part.partition) { leader.cancel(self) }
        }
    }

    /// The answer of a part, when it is one of these. To be asked for with numbers that rise.
    func takeAnswer(of number: Int) -> ProduceAnswer? {
        guard nextAnswer < parts.count, parts[nextAnswer].number == number else { return nil }
        defer { nextAnswer += 1 }
        return parts[nextAnswer].answer
    }
}
