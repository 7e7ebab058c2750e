import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

/// Every state of a transactional ID, and all that can be asked in it: the answers and what becomes of it.
@Suite struct TransactionTableTests {
    /// Where an ID can be, with a client of version 1 or 2 that brought it there.
    enum Place: String, CaseIterable {
        case empty, ongoing, prepareCommit, prepareAbort, completeCommit, completeAbort

        var state: TransactionState { TransactionState.allCases.first { "\($0)" == rawValue }! }
    }

    enum Question: String, CaseIterable {
        case begin, beginCurrent, beginBefore, beginOther
        case add, addBefore, addAfter, addOther, verify, verifyBefore
        case commit, abort, commitBefore, abortBefore, commitAfter, commitOther
        case marked, markedBefore
    }

    /// A line for each place, a column for each question: the code, and the state after it where that
    /// differs. Codes: ok; ct concurrent; pf fenced; im mapping; is invalid state; ta abortable.
    static let table: [Int16: [Place: String]] = [
        0: [
            .empty:
                "ok ok pf pf | ok>ongoing pf pf im ta pf | is is pf pf pf im | ok ok",
            .ongoing:
                "ct>prepareAbort ct>prepareAbort pf pf | ok pf pf im ok pf"
                + " | ok>prepareCommit ok>prepareAbort pf pf pf im | ok ok",
            .prepareCommit:
                "ct ct pf pf | ct pf pf im ct pf | ct is pf pf pf im | ok>completeCommit ok",
            .prepareAbort:
                "ct ct pf pf | ct pf pf im ct pf | is ct pf pf pf im | ok>completeAbort ok",
            .completeCommit:
                "ok>empty ok>empty pf pf | ok>ongoing pf pf im ta pf | ok is pf pf pf im | ok ok",
            .completeAbort:
                "ok>empty ok>empty pf pf | ok>ongoing pf pf im ta pf | is ok pf pf pf im | ok ok",
        ],
        2: [
            .empty:
                "ok ok pf pf | ok>ongoing pf pf im ta pf | is ok>completeAbort pf pf pf im | ok ok",
            .ongoing:
                "ct>prepareAbort ct>prepareAbort pf pf | ok pf pf im ok pf"
                + " | ok>prepareCommit ok>prepareAbort pf pf pf im | ok ok",
            // Here the epoch has been counted up: who says the one before asks again.
            .prepareCommit:
                "ct ct ct pf | ct pf pf im ct pf | pf pf ct is pf im | ok>completeCommit ok",
            .prepareAbort:
                "ct ct ct pf | ct pf pf im ct pf | pf pf is ct pf im | ok>completeAbort ok",
            .completeCommit:
                "ok>empty ok>empty ok>empty pf | ok>ongoing pf pf im ta pf"
                + " | is ok>completeAbort ok is pf im | ok ok",
            .completeAbort:
                "ok>empty ok>empty ok>empty pf | ok>ongoing pf pf im ta pf"
                + " | is ok is ok pf im | ok ok",
        ],
    ]

    static let codes: [String: ErrorCode] = [
        "ok": .none, "ct": .concurrentTransactions, "pf": .producerFenced, "im": .invalidProducerIDMapping,
        "is": .invalidTxnState, "ta": .transactionAbortable,
    ]

    /// Brings an ID to a place, with epochs before the current one.
    private func node(_ place: Place, _ version: Int16) throws -> TransactionNode {
        let node = try TransactionNode()
        _ = try node.producer()
        let producer = try node.producer()
        if place == .empty { return node }
        node.add([1, 2], producer, version: version)
        if place == .ongoing { return node }
        let isCommit = place == .prepareCommit || place == .completeCommit
        node.end(isCommit, producer, version: version)
        if place == .completeCommit || place == .completeAbort { node.mark() }
        return node
    }

    private func ask(
        _ question: Question, _ node: TransactionNode, _ version: Int16
    ) throws -> TransactionNode.Answer {
        let current = try #require(node.transaction()).producer
        let other = CoordinatorProducer(id: ProducerID(77), epoch: current.epoch)
        let partitions = TransactionNode.partitions([1, 2])
        switch question {
        case .begin: return node.begin()
        case .beginCurrent: return node.begin(as: current)
        case .beginBefore: return node.begin(as: current.counted(-1))
        case .beginOther: return node.begin(as: other)
        case .add: return node.add([1], current, version: version)
        case .addBefore: return node.add([1], current.counted(-1), version: version)
        case .addAfter: return node.add([1], current.counted(1), version: version)
        case .addOther: return node.add([1], other, version: version)
        case .verify: return node.verify([1], current)
        case .verifyBefore: return node.verify([1], current.counted(-1))
        case .commit: return node.end(true, current, version: version)
        case .abort: return node.end(false, current, version: version)
        case .commitBefore: return node.end(true, current.counted(-1), version: version)
        case .abortBefore: return node.end(false, current.counted(-1), version: version)
        case .commitAfter: return node.end(true, current.counted(1), version: version)
        case .commitOther: return node.end(true, other, version: version)
        case .marked: return node.ask(.marked(transactionalID: "t", current, partitions))
        case .markedBefore: return node.ask(.marked(transactionalID: "t", current.counted(-1), partitions))
        }
    }

    @Test("every question in every state has the answer of the table", arguments: [Int16(0), 2])
    func table(version: Int16) throws {
        for place in Place.allCases {
            let line = try #require(Self.table[version]?[place])
            let cells = line.split(separator: " ").filter { $0 != "|" }
            try #require(cells.count == Question.allCases.count, "\(place)")
            for (question, cell) in zip(Question.allCases, cells) {
                let parts = cell.split(separator: ">").map(String.init)
                let node = try node(place, version)
                let before = try #require(node.transaction())
                try #require(before.state == place.state)
                let answer = try ask(question, node, version)
                let after = try #require(node.transaction())
                let expected = try #require(Self.codes[parts[0]])
                #expect(answer.code == expected, "version \(version), \(place), \(question)")
                let state = parts.count > 1 ? parts[1] : place.rawValue
                #expect("\(after.state)" == state, "version \(version), \(place), \(question)")
                // What changes nothing is not written, and what is written reads the same.
                let replayed = try TransactionMachine.replaying(node.log, node.settings)
                var durable = after
                durable.lastProducerEpoch = .none
                #expect(replayed.entries["t"]?.transaction == durable)
            }
        }
    }

    @Test("states change as the table beside them says and in no other way")
    func transitions() {
        let allowed: [TransactionState: [TransactionState]] = [
            .empty: [.empty, .ongoing, .prepareAbort, .dead],
            .ongoing: [.ongoing, .prepareCommit, .prepareAbort],
            .prepareCommit: [.completeCommit],
            .prepareAbort: [.completeAbort],
            .completeCommit: [.empty, .ongoing, .prepareAbort, .dead],
            .completeAbort: [.empty, .ongoing, .prepareAbort, .dead],
        ]
        for from in TransactionState.allCases {
            for to in TransactionState.allCases {
                #expect(from.mayBecome(to) == (allowed[from]?.contains(to) ?? false), "\(from) to \(to)")
            }
        }
    }
}
