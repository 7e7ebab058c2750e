internal import Base
public import KafkaProtocol
public import RecordFormat

/// The transactions of one partition of `__transaction_state`.
public final class TransactionMachine: CoordinatorMachine {
    /// What it is asked.
    public typealias Request = TransactionRequest
    /// What it writes.
    public typealias Record = TransactionRecord
    /// What it has others do.
    public typealias Order = MarkerOrder

    struct Entry {
        var transaction: Transaction
        /// Where the marker of a decided transaction is missing.
        var unmarked: Set<TopicPartition> = []
    }

    /// May be changed at any time.
    public var settings: TransactionSettings
    private(set) var entries: [String: Entry] = [:]
    /// IDs with a transaction that is not decided.
    private var open: Set<String> = []
    private var deadlines = DeadlineQueue<TransactionTimer>()
    /// Those that a look has found and that have yet to be dealt with.
    private var overdue: [String] = []
    private var silent: [String] = []

    public init(_ settings: TransactionSettings) { self.settings = settings }

    /// How many transactional IDs there are.
    public var count: Int { entries.count }

    // MARK: Records

    public func replay(
        key: RawSpan, value: RawSpan?, by producer: CoordinatorProducer?
    ) throws(ProtocolError) {
        switch try TransactionRecord(key: key, value: value) {
        case .state(let transaction): take(transaction)
        case .forgotten(let id): forget(id)
        case nil: break
        }
    }

    public func replayMarker(by producer: CoordinatorProducer, isCommit: Bool) {}

    public func appended(_ records: [TransactionRecord], _ now: CoordinatorMoment) {
        for record in records {
            switch record {
            case .state(let transaction): take(transaction)
            case .forgotten(let id): forget(id)
            }
        }
    }

    private func take(_ transaction: Transaction) {
        entries[transaction.id] = Entry(
            transaction: transaction, unmarked: transaction.state.isPrepared ? transaction.partitions : [])
        if transaction.state == .ongoing {
            open.insert(transaction.id)
        } else {
            open.remove(transaction.id)
        }
    }

    private func forget(_ id: String) {
        entries[id] = nil
        open.remove(id)
    }

    public func refused(_ records: [TransactionRecord], _ now: CoordinatorMoment, _ effects: inout Effects) {
        for record in records {
            guard case .state(let transaction) = record,
                entries[transaction.id]?.transaction.state.isPrepared == true
            else { continue }
            deadlines.add(.completion(transaction.id), at: now.monotonicMilliseconds + settings.retry)
        }
    }

    // MARK: Requests

    public func handle(
        _ request: TransactionRequest, _ token: ReplyToken, random: UniqueID, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) {
        switch request {
        case .begin(let request, let fresh):
            effects.answer(token, begin(request, fresh, now, &effects))
        case .add(let what, let version):
            effects.answer(token, .partitions(add(what, version, now, &effects)))
        case .verify(let what): effects.answer(token, .partitions(verify(what)))
        case .end(let request, let version, let fresh):
            effects.answer(token, end(request, version, fresh, now, &effects))
        case .marked(let id, let producer, let partitions):
            marked(id, producer, partitions, now, &effects)
            effects.answer(token, .marked)
        case .describe(let id): effects.answer(token, .described(describe(id)))
        case .list(let filter): effects.answer(token, .listed(list(filter, now)))
        }
    }

    // MARK: Outcomes

    /// The outcome is decided: the record, and markers once it is committed.
    func decide(_ prepared: Transaction, _ now: CoordinatorMoment, _ effects: inout Effects) {
        effects.records.append(.state(prepared))
        if prepared.partitions.isEmpty {
            effects.records.append(.state(prepared.completed(now)))
        } else {
            effects.orders.append(MarkerOrder(prepared))
        }
    }

    private func marked(
        _ id: String, _ producer: CoordinatorProducer, _ partitions: [TopicPartition],
        _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) {
        guard let entry = entries[id], entry.transaction.state.isPrepared,
            entry.transaction.producer == producer, !entry.unmarked.isEmpty
        else { return }
        entries[id]?.unmarked.subtract(partitions)
        completeIfMarked(id, now, &effects)
    }

    private func completeIfMarked(_ id: String, _ now: CoordinatorMoment, _ effects: inout Effects) {
        guard let entry = entries[id], entry.transaction.state.isPrepared, entry.unmarked.isEmpty else {
            return
        }
        effects.records.append(.state(entry.transaction.completed(now)))
    }

    // MARK: Time

    private enum TransactionTimer {
        case timeouts
        case expiration
        case completion(String)
    }

    public func loaded(_ now: CoordinatorMoment, _ effects: inout Effects) {
        for id in entries.keys.sorted() {
            guard let entry = entries[id], entry.transaction.state.isPrepared else { continue }
            // What has been written of the markers nobody knows: they are written again.
            if entry.unmarked.isEmpty {
                deadlines.add(.completion(id), at: now.monotonicMilliseconds)
            } else {
                effects.orders.append(MarkerOrder(entry.transaction))
            }
        }
        deadlines.add(.timeouts, at: now.monotonicMilliseconds + settings.timeoutCheck)
        deadlines.add(.expiration, at: now.monotonicMilliseconds + settings.expirationCheck)
    }

    public var nextDeadline: Int64? { overdue.isEmpty && silent.isEmpty ? deadlines.first : .min }

    public func expire(_ now: CoordinatorMoment, _ effects: inout Effects) -> Bool {
        if let id = overdue.popLast() {
            if let transaction = entries[id]?.transaction, isOverdue(transaction, now) {
                decide(transaction.fenced(now), now, &effects)
            }
            return true
        }
        if let id = silent.popLast() {
            if let transaction = entries[id]?.transaction, isSilent(transaction, now) {
                effects.records.append(.forgotten(id))
            }
            return true
        }
        guard let due = deadlines.takeDue(now.monotonicMilliseconds) else { return false }
        switch due.element {
        case .completion(let id): completeIfMarked(id, now, &effects)
        case .timeouts:
            overdue = open.filter { entries[$0].map { isOverdue($0.transaction, now) } ?? false }.sorted(
                by: >)
            deadlines.add(.timeouts, at: now.monotonicMilliseconds + settings.timeoutCheck)
        case .expiration:
            silent = entries.values.map(\.transaction).filter { isSilent($0, now) }.map(\.id).sorted(by: >)
            deadlines.add(.expiration, at: now.monotonicMilliseconds + settings.expirationCheck)
        }
        return true
    }

    private func isOverdue(_ transaction: Transaction, _ now: CoordinatorMoment) -> Bool {
        transaction.state == .ongoing
            && now.wallClockMilliseconds - transaction.startTimestamp
                >= Int64(transaction.timeoutMilliseconds)
    }

    private func isSilent(_ transaction: Transaction, _ now: CoordinatorMoment) -> Bool {
        transaction.state.isIdle
            && now.wallClockMilliseconds - transaction.updateTimestamp >= settings.idExpiration
    }
}
