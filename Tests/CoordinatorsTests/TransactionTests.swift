import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

@Suite struct TransactionTests {
    @Test("a transaction is committed once its markers are written, and the next begins", arguments: [0, 2])
    func commit(version: Int16) throws {
        let node = try TransactionNode()
        var producer = try node.producer()
        #expect(producer.epoch == ProducerEpoch(0))
        for round in 0..<3 {
            #expect(node.add([0, 1], producer, version: version).codes == [.none, .none])
            #expect(node.add([1, 2], producer, version: version).codes == [.none, .none])
            #expect(node.verify([0, 3], producer).codes == [.none, .transactionAbortable])
            let ended = try #require(node.end(true, producer, version: version).ended)
            #expect(ended.errorCode == .none)
            let order = try #require(node.orders.first)
            #expect(order.isCommit && order.partitions == TransactionNode.partitions([0, 1, 2]))
            #expect(order.transactionVersion == version && node.orders.count == 1)
            #expect(node.add([1], producer, version: version).code != ErrorCode.none)
            if version == 2 {
                producer = CoordinatorProducer(id: ended.producerID, epoch: ended.producerEpoch)
            }
            #expect(Int(producer.epoch.rawValue) == (version == 2 ? round + 1 : 0))
            #expect(order.producer == producer)
            node.mark()
            #expect(node.transaction()?.state == .completeCommit)
        }
    }

    @Test("markers are ordered when the decision is committed in the log, not before")
    func order() throws {
        let node = try TransactionNode()
        let producer = try node.producer()
        node.add([0], producer)
        node.commitsAtOnce = false
        let answer = node.end(true, producer)
        #expect(answer.value == nil && node.orders.isEmpty)
        node.commit()
        #expect(answer.code == ErrorCode.none && node.orders.count == 1)
    }

    @Test("a decision that the log loses orders nothing, and another may be made")
    func lost() throws {
        let node = try TransactionNode()
        let producer = try node.producer()
        node.add([0], producer)
        node.commitsAtOnce = false
        let answer = node.end(true, producer)
        node.log.truncate(to: node.log.committedCount)
        try node.crash()
        #expect(answer.code == .notCoordinator && node.orders.isEmpty)
        node.commitsAtOnce = true
        #expect(node.end(false, producer).code == ErrorCode.none)
        #expect(node.orders.map(\.isCommit) == [false])
    }

    @Test("after a crash the markers of what was decided are ordered again", arguments: [true, false])
    func recovery(isCommit: Bool) throws {
        let node = try TransactionNode()
        let producer = try node.producer()
        node.add([0, 1], producer)
        node.end(isCommit, producer)
        node.ask(.marked(transactionalID: "t", producer, TransactionNode.partitions([0])))
        let orders = node.orders
        try node.crash()
        #expect(node.orders == orders)
        node.mark()
        #expect(node.transaction()?.state == (isCommit ? .completeCommit : .completeAbort))
        try node.crash()
        #expect(node.orders.isEmpty)
    }

    @Test("a completion that the log refuses is tried again")
    func refusedCompletion() throws {
        let node = try TransactionNode()
        let producer = try node.producer()
        node.add([0], producer)
        node.end(true, producer)
        node.log.refusal = .unavailable
        node.mark()
        #expect(node.transaction()?.state == .prepareCommit)
        node.advance(milliseconds: 1_500)
        node.log.refusal = nil
        node.advance(milliseconds: 1_500)
        #expect(node.transaction()?.state == .completeCommit)
    }

    @Test("a transaction that takes too long is aborted, and its producer fenced", arguments: [0, 2])
    func timeout(version: Int16) throws {
        let node = try TransactionNode()
        let producer = try node.producer(timeout: 15_000)
        node.add([0], producer, version: version)
        node.advance(milliseconds: 14_000)
        #expect(node.transaction()?.state == .ongoing)
        node.advance(milliseconds: 11_000)
        #expect(node.transaction()?.state == .prepareAbort)
        #expect(node.orders.map(\.isCommit) == [false] && node.orders[0].producer == producer.counted(1))
        #expect(node.end(true, producer, version: version).code != ErrorCode.none)
        node.mark()
        #expect(node.add([0], producer, version: version).code == .producerFenced)
        let committed = node.end(true, producer, version: version)
        #expect(committed.code == (version == 2 ? .invalidTxnState : .producerFenced))
    }

    @Test("a new producer takes the ID, and the one before it never commits")
    func fencing() throws {
        let node = try TransactionNode()
        let old = try node.producer()
        node.add([0], old)
        #expect(node.begin().code == .concurrentTransactions)
        #expect(node.begin().code == .concurrentTransactions)
        #expect(node.orders.count == 1)
        node.mark()
        let new = try node.producer()
        #expect(new.id == old.id && new.epoch.rawValue == 2)
        #expect(node.end(true, old).code == .producerFenced)
        #expect(node.add([0], old).code == .producerFenced)
        #expect(node.begin(as: old).code == .producerFenced)
    }

    @Test("a producer that says its epoch gets the next, and the same when it asks again (KIP-360)")
    func bump() throws {
        let node = try TransactionNode()
        let first = try node.producer()
        let answers = (0..<2).map { _ in node.begin(as: first).begun }
        #expect(answers.map { $0?.producerEpoch } == [ProducerEpoch(1), ProducerEpoch(1)])
        #expect(answers.allSatisfy { $0?.errorCode == ErrorCode.none && $0?.producerID == first.id })
        #expect(node.begin(as: first.counted(1)).begun?.producerEpoch == ProducerEpoch(2))
        #expect(node.begin(as: first).code == .producerFenced)
        // One that nobody knows any more begins anew.
        let unknown = CoordinatorProducer(id: ProducerID(5), epoch: ProducerEpoch(3))
        #expect(node.begin("other", as: unknown).begun?.producerEpoch == ProducerEpoch(0))
    }

    /// As many epochs as there are, without the transactions that would take them.
    private func exhaust(_ node: TransactionNode, _ epoch: Int16) throws {
        var transaction = try #require(node.transaction())
        transaction.producerEpoch = ProducerEpoch(epoch)
        _ = try node.log.append([try TransactionRecord.state(transaction).encoded()], .plain, at: .none)
        try node.crash()
    }

    @Test("when the epochs of a producer ID run out, there is another", arguments: [true, false])
    func exhaustion(saysEpoch: Bool) throws {
        let node = try TransactionNode()
        let first = try node.producer()
        try exhaust(node, Int16.max - 1)
        let known = CoordinatorProducer(id: first.id, epoch: ProducerEpoch(Int16.max - 1))
        let answer = try #require(node.begin(as: saysEpoch ? known : nil).begun)
        #expect(answer.errorCode == .none && answer.producerEpoch == ProducerEpoch(0))
        #expect(answer.producerID != first.id)
        if saysEpoch {
            let again = try #require(node.begin(as: known).begun)
            #expect(again.producerID == answer.producerID && again.producerEpoch == ProducerEpoch(0))
        }
        #expect(node.add([0], known).code == .invalidProducerIDMapping)
    }

    @Test("a transaction that takes the last epoch goes on with another producer ID (KIP-890)")
    func overflow() throws {
        let node = try TransactionNode()
        let first = try node.producer()
        try exhaust(node, Int16.max - 1)
        let last = CoordinatorProducer(id: first.id, epoch: ProducerEpoch(Int16.max - 1))
        node.add([0], last, version: 2)
        let ended = try #require(node.end(true, last, version: 2).ended)
        #expect(ended.errorCode == .none && ended.producerID != first.id)
        #expect(ended.producerEpoch == ProducerEpoch(0))
        #expect(node.orders.first?.producer == last.counted(1))
        #expect(node.end(true, last, version: 2).code == .concurrentTransactions)
        try node.crash()
        node.mark()
        let again = try #require(node.end(true, last, version: 2).ended)
        #expect(again.producerID == ended.producerID && again.producerEpoch == ProducerEpoch(0))
        let next = CoordinatorProducer(id: ended.producerID, epoch: ended.producerEpoch)
        #expect(node.add([0], next, version: 2).code == ErrorCode.none)
    }

    @Test("the last epoch is for fencing, and nobody is told of it")
    func lastEpoch() throws {
        let node = try TransactionNode()
        let first = try node.producer()
        try exhaust(node, Int16.max - 1)
        let last = CoordinatorProducer(id: first.id, epoch: ProducerEpoch(Int16.max - 1))
        node.add([0], last, version: 2)
        #expect(node.begin().code == .concurrentTransactions)
        #expect(node.end(false, last, version: 2).code == .producerFenced)
        node.mark()
        #expect(node.end(false, last, version: 2).code == .producerFenced)
        let next = try node.producer()
        #expect(next.id != first.id && next.epoch == ProducerEpoch(0))
    }

    @Test("IDs that nobody uses are forgotten, others are not")
    func expiry() throws {
        var settings = TransactionSettings()
        settings.idExpiration = 10_000_000
        settings.maximumTimeout = 1 << 40
        let node = try TransactionNode(settings)
        _ = try node.producer("idle")
        let busy = try node.producer("busy", timeout: .max)
        node.add([0], busy, "busy")
        node.advance(milliseconds: 9_000_000)
        _ = try node.producer("late")
        node.advance(milliseconds: 2_000_000)
        #expect(node.machine.entries.keys.sorted() == ["busy", "late"])
        #expect(node.log.records.last?.value == nil)
        #expect(node.ask(.describe("idle")).code == .transactionalIDNotFound)
        #expect(node.add([0], busy, "idle").code == .invalidProducerIDMapping)
        try node.crash()
        #expect(node.machine.entries.keys.sorted() == ["busy", "late"])
    }

    @Test("what is too much is refused")
    func bounds() throws {
        var settings = TransactionSettings()
        settings.maximumIDCount = 2
        settings.maximumIDByteCount = 5
        settings.maximumPartitionCount = 3
        settings.maximumPartitionByteCount = 60
        let node = try TransactionNode(settings)
        #expect(node.begin("").code == .invalidRequest && node.begin("sixsix").code == .invalidRequest)
        #expect(node.begin(timeout: 0).code == .invalidTransactionTimeout)
        #expect(node.begin(timeout: 900_001).code == .invalidTransactionTimeout)
        let half = CoordinatorProducer(id: ProducerID(3), epoch: .none)
        #expect(node.begin(as: half).code == .invalidRequest)
        let producer = try node.producer()
        _ = try node.producer("u")
        #expect(node.begin("v").code == .policyViolation)
        #expect(node.add([0, 1], producer).code == ErrorCode.none)
        #expect(node.add([2, 3], producer).code == .invalidRequest)
        #expect(node.transaction()?.partitions.count == 2)
        let long = TransactionPartitions(
            transactionalID: "t", producer: producer,
            partitions: TransactionNode.partitions([0], topic: String(repeating: "x", count: 40)))
        #expect(node.ask(.add(long, clientVersion: 0)).code == .invalidRequest)
    }

    @Test("transactions are described and listed, by state, producer and duration")
    func description() throws {
        let node = try TransactionNode()
        let a = try node.producer("a")
        _ = try node.producer("b")
        node.add([3, 1], a, "a")
        node.advance(milliseconds: 5_000)
        let described = try #require(node.ask(.describe("a")).described)
        #expect(described.transactionState == "Ongoing" && described.producerID == a.id)
        #expect(described.topics.map(\.partitions) == [[1, 3]])
        #expect(described.transactionStartTimeMilliseconds == 1_700_000_000_000)
        func listed(_ change: (inout TransactionFilter) -> Void) -> [String]? {
            var filter = TransactionFilter()
            change(&filter)
            return node.ask(.list(filter)).listed?.transactionStates.map(\.transactionalID)
        }
        #expect(listed { _ in } == ["a", "b"])
        #expect(listed { $0.states = [.empty] } == ["b"])
        #expect(listed { $0.producerIDs = [a.id] } == ["a"])
        #expect(listed { $0.durationMilliseconds = 4_000 } == ["a"])
        #expect(listed { $0.durationMilliseconds = 6_000 } == [])
    }
}
