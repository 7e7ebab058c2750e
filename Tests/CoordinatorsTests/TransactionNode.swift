import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

extension TransactionMachine {
    /// A machine that has nothing but the log.
    static func replaying(_ log: MemoryLog, _ settings: TransactionSettings) throws -> TransactionMachine {
        let machine = TransactionMachine(settings)
        for record in log.records {
            if let value = record.value {
                try machine.replay(key: record.key.span.bytes, value: value.span.bytes)
            } else {
                try machine.replay(key: record.key.span.bytes, value: nil)
            }
        }
        return machine
    }
}

/// The transaction coordinator of one partition, with a clock and a log of its own, and markers that wait
/// until they are asked for.
final class TransactionNode {
    let log = MemoryLog()
    private(set) var runtime: CoordinatorRuntime<TransactionMachine>
    var settings: TransactionSettings
    /// Whether appends are committed at once.
    var commitsAtOnce = true
    /// What was ordered and is not carried out.
    var orders: [MarkerOrder] = []
    private(set) var time = CoordinatorMoment(
        monotonicMilliseconds: 5_000, wallClockMilliseconds: 1_700_000_000_000)
    private var nextProducerID: Int64 = 1_000

    init(_ settings: TransactionSettings = TransactionSettings()) throws {
        self.settings = settings
        runtime = CoordinatorRuntime(machine: TransactionMachine(settings), log: log)
        activate()
    }

    var machine: TransactionMachine { runtime.machine }
    func transaction(_ id: String = "t") -> Transaction? { machine.entries[id]?.transaction }

    private func activate() {
        runtime.carryOutOrder = { [unowned self] in orders.append($0) }
        runtime.activate(endOffset: log.endOffset, time)
    }

    final class Answer {
        var value: TransactionResponse?
    }

    /// Asks; the answer is there when `Answer.value` is. Producer IDs are given where they are needed.
    @discardableResult
    func ask(_ request: TransactionRequest) -> Answer {
        let answer = Answer()
        runtime.submit(request, random: .zero, time) { [self] response in
            guard case .producerIDNeeded = response else {
                precondition(answer.value == nil)
                answer.value = response
                return
            }
            nextProducerID += 1
            let fresh = ProducerID(nextProducerID)
            let again: TransactionRequest
            switch request {
            case .begin(let request, _): again = .begin(request, fresh: fresh)
            case .end(let request, let version, _):
                again = .end(request, clientVersion: version, fresh: fresh)
            default: preconditionFailure("\(request) needs no producer ID")
            }
            runtime.submit(again, random: .zero, time) { answer.value = $0 }
        }
        if commitsAtOnce { commit() }
        return answer
    }

    func commit() {
        log.commit()
        runtime.advance()
    }

    /// All markers are written.
    func mark() {
        let all = orders
        orders = []
        for order in all {
            ask(.marked(transactionalID: order.transactionalID, order.producer, order.partitions))
        }
    }

    /// Time passes, and whatever is due on the way is done at its moment.
    func advance(milliseconds: Int64) {
        let end = time.monotonicMilliseconds + milliseconds
        while let next = runtime.nextDeadline, next <= end {
            move(to: max(next, time.monotonicMilliseconds))
            runtime.fireTimers(time)
            if commitsAtOnce { commit() }
        }
        move(to: end)
    }

    private func move(to moment: Int64) {
        time.wallClockMilliseconds += moment - time.monotonicMilliseconds
        time.monotonicMilliseconds = moment
    }

    /// The process dies, and another one reads the log.
    func crash() throws {
        runtime.end(.notCoordinator)
        orders = []
        runtime = CoordinatorRuntime(machine: try .replaying(log, settings), log: log)
        log.commit()
        activate()
        if commitsAtOnce { commit() }
    }
}

// MARK: Requests in short

extension TransactionNode.Answer {
    var begun: InitProducerIDResponse? { if case .begun(let value) = value { value } else { nil } }
    var ended: EndTxnResponse? { if case .ended(let value) = value { value } else { nil } }
    var codes: [ErrorCode]? { if case .partitions(let value) = value { value } else { nil } }
    var described: DescribeTransactionsResponse.TransactionState? {
        if case .described(let value) = value { value } else { nil }
    }
    var listed: ListTransactionsResponse? { if case .listed(let value) = value { value } else { nil } }

    /// The first code of whatever was answered.
    var code: ErrorCode? {
        switch value {
        case .begun(let value): value.errorCode
        case .ended(let value): value.errorCode
        case .partitions(let codes): codes.first
        case .described(let value): value.errorCode
        case .listed(let value): value.errorCode
        case .marked: ErrorCode.none
        case .producerIDNeeded, nil: nil
        }
    }
}

extension TransactionNode {
    @discardableResult
    func begin(
        _ id: String = "t", as producer: CoordinatorProducer? = nil, timeout: Int32 = 60_000
    ) -> Answer {
        ask(
            .begin(
                InitProducerIDRequest(
                    transactionalID: id, transactionTimeoutMilliseconds: timeout,
                    producerID: producer?.id ?? .none, producerEpoch: producer?.epoch ?? .none), fresh: nil))
    }

    /// Takes an ID, and says as whom.
    func producer(_ id: String = "t", timeout: Int32 = 60_000) throws -> CoordinatorProducer {
        let answer = try #require(begin(id, timeout: timeout).begun)
        try #require(answer.errorCode == .none)
        return CoordinatorProducer(id: answer.producerID, epoch: answer.producerEpoch)
    }

    static func partitions(_ numbers: [Int32], topic: String = "events") -> [TopicPartition] {
        numbers.map { TopicPartition(topic: topic, partition: $0) }
    }

    @discardableResult
    func add(
        _ numbers: [Int32], _ producer: CoordinatorProducer, _ id: String = "t", version: Int16 = 0
    ) -> Answer {
        ask(
            .add(
                TransactionPartitions(
                    transactionalID: id, producer: producer, partitions: Self.partitions(numbers)),
                clientVersion: version))
    }

    @discardableResult
    func verify(_ numbers: [Int32], _ producer: CoordinatorProducer, _ id: String = "t") -> Answer {
        ask(
            .verify(
                TransactionPartitions(
                    transactionalID: id, producer: producer, partitions: Self.partitions(numbers))))
    }

    @discardableResult
    func end(
        _ isCommit: Bool, _ producer: CoordinatorProducer, _ id: String = "t", version: Int16 = 0
    ) -> Answer {
        ask(
            .end(
                EndTxnRequest(
                    transactionalID: id, producerID: producer.id, producerEpoch: producer.epoch,
                    committed: isCommit), clientVersion: version, fresh: nil))
    }
}

extension CoordinatorProducer {
    func counted(_ change: Int16) -> CoordinatorProducer {
        CoordinatorProducer(id: id, epoch: ProducerEpoch(epoch.rawValue + change))
    }
}
