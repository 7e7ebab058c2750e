internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication
internal import SystemIO

/// A batch of a produce request, on its way to its partition.
struct ProducePart: Sendable {
    /// Its place in the request, all topics counted through.
    let number: Int
    let partition: TopicPartition
    let topicID: TopicID
    /// Nil where the request had null.
    let records: BufferSlice?
}

/// What became of a part.
struct ProduceAnswer: Sendable {
    var error = ErrorCode.none
    var baseOffset = Offset(-1)
    var logAppendTime = Timestamp.none
    var logStartOffset = Offset(-1)
    /// The record to blame, where one is.
    var recordIndex: Int32?
    var message: String?

    init(_ error: ErrorCode, _ message: String? = nil) {
        self.error = error
        self.message = message
    }

    init(_ result: LogAppendResult, logStartOffset: Offset) {
        baseOffset = result.firstOffset
        logAppendTime = result.logAppendTime
        self.logStartOffset = logStartOffset
    }

    /// An append that was refused.
    init(_ error: ReplicaError) {
        self.error = ErrorMapping.code(error)
        if let record = ErrorMapping.recordError(error) {
            recordIndex = record.index
            message = "record \(record.index): \(record.message)"
        } else if case .log(_, let reason) = error {
            message = "\(reason)"
        } else {
            message = "\(error)"
        }
    }

    /// The same append, lost later.
    mutating func fail(_ error: ReplicaError) { self = ProduceAnswer(error) }

    func response(partition: Int32) -> ProduceResponse.PartitionProduceResponse {
        ProduceResponse.PartitionProduceResponse(
            index: partition, errorCode: error, baseOffset: error == .none ? baseOffset : Offset(-1),
            logAppendTimeMilliseconds: logAppendTime.rawValue, logStartOffset: logStartOffset,
            recordErrors: recordIndex.map {
                [
                    ProduceResponse.BatchIndexAndErrorMessage(
                        batchIndex: $0, batchIndexErrorMessage: message)
                ]
            } ?? [], errorMessage: message)
    }
}

/// The parts of a produce request that belong to one lane: appended there, and waited for there.
final class ProduceGroup: ProduceWaiter, @unchecked Sendable {
    // @unchecked: touched on the owner's lane only, once it is there.

    private let parts: [ProducePart]
    private let acks: RequiredAcks
    private let operation: ProduceOperation
    private let owner: BrokerLane
    private var answers: [ProduceAnswer] = []
    private var isWaiting: [Bool] = []
    private var waitingCount = 0
    private var isCancelled = false

    init(_ parts: [ProducePart], acks: RequiredAcks, operation: ProduceOperation, owner: BrokerLane) {
        self.parts = parts
        self.acks = acks
        self.operation = operation
        self.owner = owner
    }

    var numbers: [Int] { parts.map(\.number) }

    /// Appends all parts. On the owner's lane.
    func run() {
        let isAway = owner !== operation.context.broker
        let began = isAway ? owner.quotas.beginWork() : nil
        answers.reserveCapacity(parts.count)
        isWaiting.reserveCapacity(parts.count)
        for index in parts.indices {
            let (answer, waits) = append(parts[index], index)
            answers.append(answer)
            isWaiting.append(waits)
            if waits { waitingCount += 1 }
        }
        owner.quotas.endWork(began, operation.context.header.clientID)
        if waitingCount == 0 { report() }
    }

    private func append(_ part: ProducePart, _ index: Int) -> (ProduceAnswer, Bool) {
        do throws(ReplicaError) {
            if InternalTopics.contains(part.partition.topic) {
                return (
                    ProduceAnswer(.invalidTopicException, "the topic is written by the broker only"), false
                )
            }
            let leader = try owner.replicas.leader(of: part.partition)
            if part.topicID != .none && leader.topicID != part.topicID {
                return (ProduceAnswer(.unknownTopicID), false)
            }
            guard let records = part.records else { throw .log(part.partition, .emptyAppend) }
            let appended = try leader.append(records, acks: acks, waiter: self, part: index)
            let answer = ProduceAnswer(appended.result, logStartOffset: leader.log.logStartOffset)
            return (answer, !appended.isAcknowledged)
        } catch {
            return (ProduceAnswer(error), false)
        }
    }

    func appendFinished(part: Int, error: ReplicaError?) {
        if isCancelled || !isWaiting[part] { return }
        isWaiting[part] = false
        if let error { answers[part].fail(error) }
        waitingCount -= 1
        if waitingCount == 0 { report() }
    }

    private func report() {
        let home = operation.context.broker
        if home === owner { return operation.take(answers, of: self) }
        _ = home.lane.submit { [self] in operation.take(answers, of: self) }
    }

    /// Nobody waits any more. On the owner's lane.
    func cancel() {
        if isCancelled { return }
        isCancelled = true
        for index in parts.indices where isWaiting[index] {
            if let leader = try? owner.replicas.leader(of: parts[index].partition) { leader.cancel(self) }
        }
    }
}
