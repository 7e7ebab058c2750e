import LogStorage
import RecordFormat
import Testing

/// What `check` says to a batch of producer 1, given what the producer did before.
private struct CheckCase: CustomTestStringConvertible, Sendable {
    enum Outcome: Equatable {
        case append
        case duplicate(firstOffset: Int64, lastOffset: Int64)
        case refusal(ProducerStateError)
    }

    let name: String
    /// Brings the state about; the log begins at offset 0.
    let before: @Sendable (inout ProducerStates) throws -> Void
    let batch: RecordBatchHeader
    var origin: AppendOrigin = .client
    let expected: Outcome

    var testDescription: String { name }
}

private let one = ProducerID(1)
private let last = Int32.max

private func outOfOrder(epoch: Int16 = 0, expected: Int32, received: Int32) -> CheckCase.Outcome {
    .refusal(
        .outOfOrderSequence(
            producerID: one, producerEpoch: ProducerEpoch(epoch), expected: SequenceNumber(expected),
            received: SequenceNumber(received)))
}

private func fenced(current: Int16, received: Int16) -> CheckCase.Outcome {
    .refusal(
        .fencedEpoch(producerID: one, current: ProducerEpoch(current), received: ProducerEpoch(received)))
}

/// Seven batches of ten records: sequences and offsets 0 ... 69, the batches from 20 on retained.
private func sevenBatches(_ states: inout ProducerStates) throws {
    for batch in 0..<7 { try states.append(producer: 1, sequence: Int32(batch * 10), count: 10) }
}

private func openTransaction(_ states: inout ProducerStates) throws {
    try states.append(producer: 1, sequence: 0, count: 3, isTransactional: true)
}

private let sequenceCases: [CheckCase] = [
    CheckCase(
        name: "a batch without a producer ID is appended", before: sevenBatches,
        batch: ProducerBatches.data(producer: -1, epoch: -1, sequence: -1), expected: .append),
    CheckCase(
        name: "a new producer begins at 0", before: { _ in },
        batch: ProducerBatches.data(producer: 1, sequence: 0),
        expected: .append),
    CheckCase(
        name: "an unknown producer may go on anywhere", before: { _ in },
        batch: ProducerBatches.data(producer: 1, epoch: 3, sequence: 77), expected: .append),
    CheckCase(
        name: "a client's batch with a producer ID needs a sequence", before: { _ in },
        batch: ProducerBatches.data(producer: 1, sequence: -1),
        expected: .refusal(.missingSequence(producerID: one, received: .none))),
    CheckCase(
        name: "the next sequence is appended", before: sevenBatches,
        batch: ProducerBatches.data(producer: 1, sequence: 70), expected: .append),
    CheckCase(
        name: "a gap is refused", before: sevenBatches,
        batch: ProducerBatches.data(producer: 1, sequence: 71),
        expected: outOfOrder(expected: 70, received: 71)),
    CheckCase(
        name: "the last batch again is a duplicate", before: sevenBatches,
        batch: ProducerBatches.data(producer: 1, sequence: 60, count: 10),
        expected: .duplicate(firstOffset: 60, lastOffset: 69)),
    CheckCase(
        name: "the fifth last batch again is a duplicate", before: sevenBatches,
        batch: ProducerBatches.data(producer: 1, sequence: 20, count: 10),
        expected: .duplicate(firstOffset: 20, lastOffset: 29)),
    CheckCase(
        name: "the sixth last batch again is out of order", before: sevenBatches,
        batch: ProducerBatches.data(producer: 1, sequence: 10, count: 10),
        expected: outOfOrder(expected: 70, received: 10)),
    CheckCase(
        name: "part of an old batch is no duplicate", before: sevenBatches,
        batch: ProducerBatches.data(producer: 1, sequence: 60, count: 9),
        expected: outOfOrder(expected: 70, received: 60)),
    CheckCase(
        name: "two old batches in one are no duplicate", before: sevenBatches,
        batch: ProducerBatches.data(producer: 1, sequence: 50, count: 20),
        expected: outOfOrder(expected: 70, received: 50)),
    CheckCase(
        name: "a coordinator's batch needs no sequence", before: sevenBatches,
        batch: ProducerBatches.data(producer: 1, sequence: -1), origin: .coordinator, expected: .append),
    CheckCase(
        name: "a follower takes a gap that the leader took", before: sevenBatches,
        batch: ProducerBatches.data(producer: 1, sequence: 90), origin: .replication, expected: .append),
    CheckCase(
        name: "a follower does not look for duplicates", before: sevenBatches,
        batch: ProducerBatches.data(producer: 1, sequence: 60, count: 10), origin: .replication,
        expected: .append),
    CheckCase(
        name: "recovery takes what is in the log", before: sevenBatches,
        batch: ProducerBatches.data(producer: 1, sequence: 5), origin: .recovery, expected: .append),
    CheckCase(
        name: "0 follows 2^31 - 1", before: { try $0.append(producer: 1, sequence: last) },
        batch: ProducerBatches.data(producer: 1, sequence: 0), expected: .append),
    CheckCase(
        name: "a batch across the wrap is followed by what is left of it",
        before: { try $0.append(producer: 1, sequence: last - 1, count: 5) },
        batch: ProducerBatches.data(producer: 1, sequence: 3), expected: .append),
    CheckCase(
        name: "a batch across the wrap is recognised when it comes again",
        before: { try $0.append(producer: 1, sequence: last - 1, count: 5) },
        batch: ProducerBatches.data(producer: 1, sequence: last - 1, count: 5),
        expected: .duplicate(firstOffset: 0, lastOffset: 4)),
    CheckCase(
        name: "1 does not follow 2^31 - 1", before: { try $0.append(producer: 1, sequence: last) },
        batch: ProducerBatches.data(producer: 1, sequence: 1),
        expected: outOfOrder(expected: 0, received: 1)),
    CheckCase(
        name: "after a coordinator's batch without sequence a client begins at 0",
        before: { try $0.append(producer: 1, sequence: -1, origin: .coordinator) },
        batch: ProducerBatches.data(producer: 1, sequence: 1),
        expected: outOfOrder(expected: 0, received: 1)),
]

private let epochCases: [CheckCase] = [
    CheckCase(
        name: "a new epoch begins at 0", before: sevenBatches,
        batch: ProducerBatches.data(producer: 1, epoch: 1, sequence: 0), expected: .append),
    CheckCase(
        name: "a new epoch does not begin elsewhere, not even at the next sequence", before: sevenBatches,
        batch: ProducerBatches.data(producer: 1, epoch: 1, sequence: 70),
        expected: outOfOrder(epoch: 1, expected: 0, received: 70)),
    CheckCase(
        name: "an older epoch is fenced",
        before: { try $0.append(producer: 1, epoch: 2, sequence: 0) },
        batch: ProducerBatches.data(producer: 1, epoch: 1, sequence: 1),
        expected: fenced(current: 2, received: 1)),
    CheckCase(
        name: "an older epoch is fenced even when it repeats its batch",
        before: {
            try sevenBatches(&$0)
            try $0.append(producer: 1, epoch: 1, sequence: 0)
        },
        batch: ProducerBatches.data(producer: 1, sequence: 60, count: 10),
        expected: fenced(current: 1, received: 0)),
    CheckCase(
        name: "a new epoch forgets the batches of the old one",
        before: {
            try $0.append(producer: 1, sequence: 0, count: 2)
            try $0.append(producer: 1, epoch: 1, sequence: 0, count: 3)
        },
        batch: ProducerBatches.data(producer: 1, epoch: 1, sequence: 0, count: 2),
        expected: outOfOrder(epoch: 1, expected: 3, received: 0)),
    CheckCase(
        name: "a coordinator's batch in an older epoch is fenced",
        before: { try $0.append(producer: 1, epoch: 2, sequence: 0) },
        batch: ProducerBatches.data(producer: 1, epoch: 1, sequence: -1), origin: .coordinator,
        expected: fenced(current: 2, received: 1)),
    CheckCase(
        name: "a follower takes an older epoch",
        before: { try $0.append(producer: 1, epoch: 2, sequence: 0) },
        batch: ProducerBatches.data(producer: 1, epoch: 1, sequence: 1), origin: .replication,
        expected: .append),
    CheckCase(
        name: "a marker fences older epochs",
        before: {
            try openTransaction(&$0)
            try $0.end(producer: 1, epoch: 1)
        },
        batch: ProducerBatches.data(producer: 1, sequence: 3, isTransactional: true),
        expected: fenced(current: 1, received: 0)),
    CheckCase(
        name: "after a marker in a new epoch the sequence begins at 0",
        before: {
            try openTransaction(&$0)
            try $0.end(producer: 1, epoch: 1)
        },
        batch: ProducerBatches.data(producer: 1, epoch: 1, sequence: 3),
        expected: outOfOrder(epoch: 1, expected: 0, received: 3)),
    CheckCase(
        name: "after a marker in the same epoch the sequence goes on",
        before: {
            try openTransaction(&$0)
            try $0.end(producer: 1)
        },
        batch: ProducerBatches.data(producer: 1, sequence: 3, isTransactional: true), expected: .append),
    CheckCase(
        name: "batches before a marker in the same epoch are still recognised",
        before: {
            try openTransaction(&$0)
            try $0.end(producer: 1)
        },
        batch: ProducerBatches.data(producer: 1, sequence: 0, count: 3, isTransactional: true),
        expected: .duplicate(firstOffset: 0, lastOffset: 2)),
    CheckCase(
        name: "a producer known by a marker alone begins at 0", before: { try $0.end(producer: 1) },
        batch: ProducerBatches.data(producer: 1, sequence: 4),
        expected: outOfOrder(expected: 0, received: 4)),
]

private let transactionCases: [CheckCase] = [
    CheckCase(
        name: "a transaction goes on", before: openTransaction,
        batch: ProducerBatches.data(producer: 1, sequence: 3, isTransactional: true), expected: .append),
    CheckCase(
        name: "a batch outside of the open transaction is refused", before: openTransaction,
        batch: ProducerBatches.data(producer: 1, sequence: 3),
        expected: .refusal(.invalidTransactionState(producerID: one, transactionFirstOffset: .zero))),
    CheckCase(
        name: "a gap outside of the open transaction is a gap first", before: openTransaction,
        batch: ProducerBatches.data(producer: 1, sequence: 4),
        expected: outOfOrder(expected: 3, received: 4)),
    CheckCase(
        name: "a coordinator's batch outside of the open transaction is refused", before: openTransaction,
        batch: ProducerBatches.data(producer: 1, sequence: -1), origin: .coordinator,
        expected: .refusal(.invalidTransactionState(producerID: one, transactionFirstOffset: .zero))),
    CheckCase(
        name: "a follower takes a batch outside of the open transaction", before: openTransaction,
        batch: ProducerBatches.data(producer: 1, sequence: 3), origin: .replication, expected: .append),
    CheckCase(
        name: "another producer's batch may be outside of a transaction", before: openTransaction,
        batch: ProducerBatches.data(producer: 2, sequence: 0), expected: .append),
    CheckCase(
        name: "after its end a batch may be outside of a transaction",
        before: {
            try openTransaction(&$0)
            try $0.end(producer: 1, .abort)
        },
        batch: ProducerBatches.data(producer: 1, sequence: 3), expected: .append),
    CheckCase(
        name: "control batches are not data and pass", before: sevenBatches,
        batch: ProducerBatches.marker(producer: 1, epoch: -1), expected: .append),
]

@Suite("Producer states")
struct ProducerStatesTests {
    @Test("check answers as Kafka does", arguments: sequenceCases + epochCases + transactionCases)
    fileprivate func check(_ example: CheckCase) throws {
        var states = ProducerStates()
        try example.before(&states)
        let entries = states.entries
        let outcome: CheckCase.Outcome
        do throws(ProducerStateError) {
            if let duplicate = try states.check(example.batch, origin: example.origin) {
                outcome = .duplicate(
                    firstOffset: duplicate.firstOffset.rawValue, lastOffset: duplicate.lastOffset.rawValue)
            } else {
                outcome = .append
            }
        } catch {
            outcome = .refusal(error)
        }
        #expect(outcome == example.expected)
        #expect(states.entries == entries)
    }

    @Test("a duplicate is answered with what was appended first")
    func duplicateDetails() throws {
        var states = ProducerStates()
        try states.append(producer: 1, sequence: 5, count: 4, timestamp: 700)
        try states.append(producer: 1, sequence: 9, count: 1, timestamp: 800)
        let answer = try states.append(producer: 1, sequence: 5, count: 4, timestamp: 999)
        let duplicate = try #require(answer)
        #expect(duplicate.firstSequence == SequenceNumber(5) && duplicate.lastSequence == SequenceNumber(8))
        #expect(duplicate.firstOffset == Offset(0) && duplicate.lastOffset == Offset(3))
        #expect(duplicate.offsetDelta == 3)
        #expect(duplicate.timestamp == Timestamp(700))
    }

    @Test("the end offset follows every batch, with or without a producer")
    func mapEndOffset() throws {
        var states = ProducerStates()
        try states.append(producer: -1, epoch: -1, sequence: -1, count: 10)
        #expect(states.mapEndOffset == Offset(10))
        #expect(states.count == 0)
        try states.append(producer: 1, sequence: 0, count: 5)
        #expect(states.mapEndOffset == Offset(15))
        try states.end(producer: 1)
        #expect(states.mapEndOffset == Offset(16))
        states.truncateHead(to: Offset(12))
        #expect(states.mapEndOffset == Offset(16))
        states.truncateHead(to: Offset(40))
        #expect(states.mapEndOffset == Offset(40))
        #expect(states.count == 1)
    }

    @Test("markers of fenced producers and of replaced coordinators are refused, on the leader only")
    func markerFencing() throws {
        var states = ProducerStates()
        try states.append(producer: 1, epoch: 4, sequence: 0, isTransactional: true)
        #expect(
            throws: ProducerStateError.fencedEpoch(
                producerID: one, current: ProducerEpoch(4), received: ProducerEpoch(3))
        ) {
            try states.end(producer: 1, epoch: 3)
        }
        try states.end(producer: 1, epoch: 4, coordinatorEpoch: 6)
        #expect(throws: ProducerStateError.staleCoordinatorEpoch(producerID: one, current: 6, received: 5)) {
            try states.end(producer: 1, epoch: 4, coordinatorEpoch: 5)
        }
        for origin in [AppendOrigin.replication, .recovery] {
            try states.checkMarker(
                ProducerBatches.marker(producer: 1, epoch: 3),
                marker: TransactionMarker(.abort, coordinatorEpoch: 5),
                origin: origin)
        }
        let repeated = try states.end(producer: 1, epoch: 4, coordinatorEpoch: 6)
        #expect(repeated == nil)
        let unknown = try states.end(producer: 2, epoch: 0, coordinatorEpoch: 0)
        #expect(unknown == nil)
    }

    @Test("with transaction version 2 a marker in the current epoch is late, but may repeat the last one")
    func markerOfTransactionVersion2() throws {
        var states = ProducerStates()
        try states.append(producer: 1, epoch: 4, sequence: 0, isTransactional: true)
        #expect(
            throws: ProducerStateError.fencedEpoch(
                producerID: one, current: ProducerEpoch(4), received: ProducerEpoch(4))
        ) {
            try states.end(producer: 1, epoch: 4, transactionVersion: 2)
        }
        let completed = try states.end(producer: 1, epoch: 5, transactionVersion: 2)
        #expect(completed != nil)
        let repeated = try states.end(producer: 1, epoch: 5, transactionVersion: 2)
        #expect(repeated == nil)
        #expect(throws: ProducerStateError.self) {
            try states.end(producer: 1, epoch: 4, transactionVersion: 2)
        }
    }

    @Test("a marker tells what it ended, once")
    func completedTransaction() throws {
        var states = ProducerStates()
        try states.append(producer: 9, sequence: 0, count: 100)
        try states.append(producer: 1, sequence: 0, count: 10, isTransactional: true)
        try states.append(producer: 1, sequence: 10, count: 10, isTransactional: true)
        #expect(states.hasOngoingTransaction(producerID: one, producerEpoch: ProducerEpoch(0)))
        #expect(!states.hasOngoingTransaction(producerID: one, producerEpoch: ProducerEpoch(1)))
        let completed = try states.end(producer: 1, .abort)
        #expect(
            completed
                == CompletedTransaction(
                    producerID: one, firstOffset: Offset(100), lastOffset: Offset(120), isAborted: true))
        #expect(!states.hasOngoingTransaction(producerID: one, producerEpoch: ProducerEpoch(0)))
        let repeated = try states.end(producer: 1, .abort)
        #expect(repeated == nil)
    }
}
