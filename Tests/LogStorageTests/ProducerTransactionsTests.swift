import Base
import LogStorage
import RecordFormat
import Testing

@Suite("Transactions and the last stable offset")
struct ProducerTransactionsTests {
    @Test("the first unstable offset follows interleaved transactions and the high watermark")
    func interleaved() throws {
        var states = ProducerStates()
        #expect(states.firstUnstableOffset == nil)
        try states.append(producer: 1, sequence: 0, count: 10, isTransactional: true) // 0 ... 9
        try states.append(producer: 2, sequence: 0, count: 10, isTransactional: true) // 10 ... 19
        try states.append(producer: 3, sequence: 0, count: 10, isTransactional: true) // 20 ... 29
        #expect(states.ongoingTransactionCount == 3)
        #expect(states.firstUndecidedOffset == Offset(0) && states.firstUnstableOffset == Offset(0))

        try states.end(producer: 2) // 30
        #expect(states.firstUndecidedOffset == Offset(0) && states.firstUnstableOffset == Offset(0))
        try states.end(producer: 1, .abort) // 31
        #expect(states.firstUndecidedOffset == Offset(20))
        // Decided, but the markers are not replicated.
        #expect(states.firstUnstableOffset == Offset(0))
        states.onHighWatermarkUpdated(Offset(31))
        // The high watermark is the offset after the last replicated one: the marker at 30 is passed, that at
        // 31 is not.
        #expect(states.firstUnstableOffset == Offset(0))
        states.onHighWatermarkUpdated(Offset(32))
        #expect(states.firstUnstableOffset == Offset(20))

        try states.append(producer: 1, sequence: 10, isTransactional: true) // 32
        try states.end(producer: 3) // 33
        #expect(states.firstUndecidedOffset == Offset(32) && states.firstUnstableOffset == Offset(20))
        states.onHighWatermarkUpdated(Offset(34))
        #expect(states.firstUndecidedOffset == Offset(32) && states.firstUnstableOffset == Offset(32))
        try states.end(producer: 1) // 34
        states.onHighWatermarkUpdated(Offset(35))
        #expect(states.firstUndecidedOffset == nil && states.firstUnstableOffset == nil)
        #expect(states.ongoingTransactionCount == 0)
    }

    @Test(
        "a decided transaction is stable only when the high watermark has passed its marker"
    )
    func unreplicatedOrder() throws {
        var states = ProducerStates()
        try states.append(producer: 1, sequence: 0, isTransactional: true) // 0
        try states.append(producer: 2, sequence: 0, isTransactional: true) // 1
        try states.end(producer: 1) // 2
        #expect(states.firstUnstableOffset == Offset(0))
        try states.end(producer: 2) // 3
        states.onHighWatermarkUpdated(Offset(3))
        #expect(states.firstUnstableOffset == Offset(1))
        states.onHighWatermarkUpdated(Offset(4))
        #expect(states.firstUnstableOffset == nil)
    }

    @Test("the transaction index gets the last stable offset as it will be")
    func lastStableOffset() throws {
        var states = ProducerStates()
        try states.append(producer: 1, sequence: 0, isTransactional: true) // 0
        try states.append(producer: 2, sequence: 0, isTransactional: true) // 1
        try states.append(producer: 3, sequence: 0, isTransactional: true) // 2
        let expected: [(producer: Int64, lastStableOffset: Int64)] = [(2, 0), (1, 2), (3, 6)]
        for (producer, lastStableOffset) in expected {
            let header = ProducerBatches.marker(producer: producer, at: states.mapEndOffset.rawValue)
            let ended = states.complete(header, isAbort: true, coordinatorEpoch: 0)
            let completed = try #require(ended)
            #expect(states.lastStableOffset(afterCompleting: completed) == Offset(lastStableOffset))
            // Until it is in the transaction index it is as undecided as before.
            #expect(states.firstUndecidedOffset == Offset(producer == 3 ? 2 : 0))
            states.transactionIndexed(completed)
        }
    }

    @Test("advancing the log start offset drops transactions that ended before it")
    func truncateHead() throws {
        var states = ProducerStates()
        try states.append(producer: 1, sequence: 0, isTransactional: true) // 0
        try states.end(producer: 1) // 1
        try states.append(producer: 1, sequence: 1, isTransactional: true) // 2
        #expect(states.firstUnstableOffset == Offset(0))
        states.truncateHead(to: Offset(2))
        #expect(states.firstUnstableOffset == Offset(2))
        // An open transaction stays, whatever became of its records.
        states.truncateHead(to: Offset(3))
        #expect(states.firstUnstableOffset == Offset(2))
    }

    @Test("the oldest transaction's last batch shows a transaction left hanging")
    func oldestTransactionLastTimestamp() throws {
        var states = ProducerStates()
        #expect(states.oldestTransactionLastTimestamp == nil)
        try states.append(producer: 1, sequence: 0, timestamp: 10, isTransactional: true)
        try states.append(producer: 2, sequence: 0, timestamp: 20, isTransactional: true)
        try states.append(producer: 1, sequence: 1, timestamp: 30, isTransactional: true)
        #expect(states.oldestTransactionLastTimestamp == Timestamp(30))
        try states.end(producer: 1)
        #expect(states.oldestTransactionLastTimestamp == Timestamp(20))
    }

    @Test("a transaction below others that have been decided is the oldest")
    func offsetsGoBack() throws {
        // No log is written so; one that is read again after damage may be.
        var states = ProducerStates()
        for (producer, offset) in [(1, 10), (2, 20), (3, 30)] as [(Int64, Int64)] {
            states.update(
                ProducerBatches.data(producer: producer, sequence: 0, at: offset, isTransactional: true))
        }
        try states.end(producer: 1)
        states.update(ProducerBatches.data(producer: 4, sequence: 0, at: 5, isTransactional: true))
        #expect(states.firstUndecidedOffset == Offset(5))
        try states.end(producer: 2)
        #expect(states.firstUndecidedOffset == Offset(5) && states.ongoingTransactionCount == 2)
        try states.end(producer: 4)
        #expect(states.firstUndecidedOffset == Offset(30) && states.ongoingTransactionCount == 1)
    }

    @Test("ten thousand open transactions that end in random order", arguments: [1, 2, 3] as [UInt64])
    func manyTransactions(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var states = ProducerStates()
        var open: [Int64: Int64] = [:]
        let count: Int64 = 10_000
        for producer in 0..<count {
            open[producer] = states.mapEndOffset.rawValue
            try states.append(producer: producer, sequence: 0, count: 3, isTransactional: true)
        }
        var ordered = open.sorted { $0.value < $1.value }
        var ended = 0
        for producer in (0..<count).shuffled(using: &generator) {
            let firstOffset = open.removeValue(forKey: producer)
            let completed = try states.end(producer: producer)
            #expect(completed?.firstOffset.rawValue == firstOffset)
            ended += 1
            if ended % 100 == 0 {
                ordered.removeAll { open[$0.key] == nil }
                #expect(states.firstUndecidedOffset?.rawValue == ordered.first?.value)
            }
        }
        #expect(states.ongoingTransactionCount == 0)
        // The first transaction's marker lies somewhere below the end.
        #expect(states.firstUnstableOffset == Offset(0))
        states.onHighWatermarkUpdated(states.mapEndOffset)
        #expect(states.firstUnstableOffset == nil)
    }
}
