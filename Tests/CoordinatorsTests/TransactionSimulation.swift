import Base
import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

/// A partition that producers write to: which transactions are open, and what became of each.
struct SimulatedPartition {
    /// By producer ID, the epoch and name of the transaction that is open.
    private(set) var open: [ProducerID: (epoch: ProducerEpoch, name: String)] = [:]
    private(set) var epochs: [ProducerID: ProducerEpoch] = [:]
    /// By transaction, whether its marker says that it is committed.
    private(set) var outcomes: [String: Bool] = [:]

    /// - Returns: whether the records were taken.
    mutating func append(_ name: String, _ producer: CoordinatorProducer) -> Bool {
        if let known = epochs[producer.id], producer.epoch < known { return false }
        if let other = open[producer.id], other.epoch == producer.epoch, other.name != name {
            Issue.record("\(name) would continue \(other.name)")
        }
        epochs[producer.id] = producer.epoch
        open[producer.id] = (producer.epoch, name)
        return true
    }

    mutating func mark(_ order: MarkerOrder) {
        if let known = epochs[order.producer.id] {
            // A transaction of version 2 is ended in the epoch after its own: a marker in its own is that of
            // the one before, come late (as `ProducerStates` has it).
            let isLate =
                order.transactionVersion >= 2 && open[order.producer.id]?.epoch == order.producer.epoch
            if order.producer.epoch < known || isLate { return }
        }
        epochs[order.producer.id] = order.producer.epoch
        guard let ended = open.removeValue(forKey: order.producer.id) else { return }
        if let before = outcomes.updateValue(order.isCommit, forKey: ended.name) {
            Issue.record("\(ended.name) has heard \(before) and \(order.isCommit)")
        }
    }
}

/// Producers of some transactional IDs, several incarnations of each at a time, over a network that delays,
/// loses and doubles requests and answers; a coordinator whose log commits late, refuses records and loses in
/// crashes what is not committed; partitions whose markers come late, twice or not at all. All from one seed,
/// in virtual time.
final class TransactionSimulation: VirtualTimeSimulation {
    enum Event {
        case wake(Int)
        case request(producer: Int, call: Int, TransactionRequest)
        case response(producer: Int, call: Int, TransactionResponse)
        case marker(life: Int, MarkerOrder, TopicPartition)
        case marked(life: Int, MarkerOrder, TopicPartition)
        case commit(count: Int, life: Int)
        case timers
        case crash
        case loaded(life: Int)
    }

    /// One incarnation of a producer.
    struct Producer {
        enum Phase { case beginning, idle, adding, writing, ending(isCommit: Bool), fenced }

        let id: String
        var version: Int16
        var identity = CoordinatorProducer(id: .none, epoch: .none)
        var phase = Phase.beginning
        var call = 0
        var since: Int64 = 0
        var isWaiting = false
        var name = ""
        var written: Set<TopicPartition> = []
        var wanted: Set<TopicPartition> = []
        /// An answer to the end of the transaction was lost on the way.
        var hasDoubt = false
    }

    var time: VirtualTime<Event>
    let log = MemoryLog()
    let settings: TransactionSettings
    private var runtime: CoordinatorRuntime<TransactionMachine>
    private var producers: [Producer] = []
    private var partitions: [TopicPartition: SimulatedPartition] = [:]
    private var life = 0
    private var nextProducerID: Int64 = 0
    private var nextName = 0
    /// What producers were told: by transaction, its outcome and all that it has written.
    private(set) var told: [String: (isCommit: Bool, written: Set<TopicPartition>)] = [:]
    /// Transactions that a producer has never asked to commit.
    private var uncommitted: Set<String> = []
    private(set) var committedCount = 0
    private(set) var fencedCount = 0
    private(set) var crashCount = 0
    private var writtenBy: [String: Set<TopicPartition>] = [:]

    init(seed: UInt64, version: Int16) {
        time = VirtualTime(seed: seed)
        var settings = TransactionSettings()
        settings.timeoutCheck = 2_000
        self.settings = settings
        runtime = CoordinatorRuntime(machine: TransactionMachine(settings), log: log)
        for number in 0..<4 {
            partitions[TopicPartition(topic: "events", partition: Int32(number))] = SimulatedPartition()
        }
        activate()
        for number in 0..<9 {
            producers.append(Producer(id: "id-\(number % 3)", version: version))
            // The incarnations of an ID come one after the other, while those before go on.
            wake(number, in: Int64(number / 3) * pick(5_000, 20_000) + pick(0, 2_000))
        }
        later(.crash, in: pick(10_000, 30_000))
    }

    private func wake(_ number: Int, in delay: Int64) { later(.wake(number), in: delay) }

    private func activate() {
        let own = life
        runtime.carryOutOrder = { [unowned self] order in
            for partition in order.partitions { send(order, partition, own) }
        }
        runtime.activate(endOffset: log.endOffset, now)
        commitLater()
    }

    // MARK: The coordinator

    private func commitLater() {
        if log.records.count > log.committedCount {
            later(.commit(count: log.records.count, life: life), in: pick(0, isCalm ? 5 : 40))
        }
        time.schedule(.timers, at: runtime.nextDeadline)
    }

    private func submit(_ request: TransactionRequest, reply: @escaping (TransactionResponse) -> Void) {
        log.refusal = happens(1, in: 50) ? .unavailable : nil
        runtime.submit(request, random: .zero, now, reply: reply)
        log.refusal = nil
        commitLater()
    }

    /// With a producer ID where one is needed, as a broker does it.
    private func serve(
        _ request: TransactionRequest, reply: @escaping (TransactionResponse) -> Void
    ) {
        submit(request) { [self] response in
            guard case .producerIDNeeded = response else { return reply(response) }
            nextProducerID += 1
            let fresh = ProducerID(nextProducerID)
            switch request {
            case .begin(let asked, _): submit(.begin(asked, fresh: fresh), reply: reply)
            case .end(let asked, let version, _):
                submit(.end(asked, clientVersion: version, fresh: fresh), reply: reply)
            default: Issue.record("\(request) needs no producer ID")
            }
        }
    }

    private func crash() throws {
        crashCount += 1
        life += 1
        let kept =
            log.committedCount + Int(draw() % UInt64(log.records.count - log.committedCount + 1))
        runtime.end(.notCoordinator)
        log.truncate(to: kept)
        time.forgetTimer()
        later(.loaded(life: life), in: pick(0, 2_000))
        later(.crash, in: pick(10_000, 40_000))
    }

    // MARK: Markers

    private func send(_ order: MarkerOrder, _ partition: TopicPartition, _ life: Int) {
        later(.marker(life: life, order, partition), in: pick(0, isCalm ? 10 : 400))
    }

    // MARK: Events

    func run(until end: Int64) throws {
        while let event = time.next(until: end) {
            try handle(event)
            if eventCount % 1_000 == 0 { try checkReplay() }
        }
    }

    private func handle(_ event: Event) throws {
        switch event {
        case .wake(let number): act(number)
        case .request(let number, let call, let request):
            serve(request) { [self] response in
                if happens(1, in: 12) { return }
                later(.response(producer: number, call: call, response), in: pick(0, 60))
            }
        case .response(let number, let call, let response):
            guard producers[number].call == call, producers[number].isWaiting else { return }
            producers[number].isWaiting = false
            take(response, number)
        case .marker(let life, let order, let partition):
            // What a coordinator that is gone has sent comes before what the next one sends, or not at all;
            // an epoch for each transaction makes that needless.
            if life != self.life && order.transactionVersion < 2 { return }
            if happens(1, in: 8) { return send(order, partition, life) }
            partitions[partition]?.mark(order)
            later(.marked(life: life, order, partition), in: pick(0, 50))
        case .marked(let life, let order, let partition):
            if happens(1, in: 8) { return send(order, partition, life) }
            guard life == self.life else { return }
            submit(.marked(transactionalID: order.transactionalID, order.producer, [partition])) { _ in }
        case .commit(let count, let life):
            guard life == self.life, count > log.committedCount else { return }
            log.commit(count)
            runtime.advance()
            commitLater()
        case .timers:
            time.forgetTimer()
            runtime.fireTimers(now)
            commitLater()
        case .crash: if !isCalm { try crash() }
        case .loaded(let life):
            guard life == self.life else { return }
            runtime = CoordinatorRuntime(machine: try .replaying(log, settings), log: log)
            log.commit()
            activate()
        }
    }

    // MARK: Producers

    private func call(_ request: TransactionRequest, _ number: Int) {
        producers[number].call += 1
        producers[number].isWaiting = true
        producers[number].since = now.monotonicMilliseconds
        let event = Event.request(producer: number, call: producers[number].call, request)
        if !happens(1, in: 15) { later(event, in: pick(0, 60)) }
        // In version 1, an end that comes late ends the transaction after it, which is why there is version
        // 2.
        if case .end = request, producers[number].version < 2 { return }
        if happens(1, in: 15) { later(event, in: pick(0, 3_000)) }
    }

    private func act(_ number: Int) {
        let producer = producers[number]
        wake(number, in: pick(1, 300))
        if producer.isWaiting {
            if now.monotonicMilliseconds - producer.since < 3_000 { return }
            // Asked again, with the same.
            producers[number].hasDoubt = true
        }
        switch producer.phase {
        case .fenced:
            // The last incarnation of an ID begins anew, so that there is always one.
            if number >= 6 || (isCalm && number < 3) {
                producers[number].phase = .beginning
                producers[number].identity = CoordinatorProducer(id: .none, epoch: .none)
            }
        case .beginning:
            call(
                .begin(
                    InitProducerIDRequest(
                        transactionalID: producer.id, transactionTimeoutMilliseconds: 15_000), fresh: nil),
                number)
        case .idle:
            // An incarnation may stop for longer than its transaction may take.
            if happens(1, in: 60) { return wake(number, in: 20_000) }
            nextName += 1
            producers[number].name = "\(producer.id)/\(number)/\(nextName)"
            uncommitted.insert(producers[number].name)
            producers[number].written = []
            producers[number].hasDoubt = false
            // In an order of their own: that of the keys is another in every dictionary.
            let all = partitions.keys.sorted { $0.partition < $1.partition }
            producers[number].wanted = Set(all.filter { _ in time.random.chance(1, in: 2) })
            if producers[number].wanted.isEmpty { return }
            producers[number].phase = .adding
            add(number)
        case .adding: add(number)
        case .writing: write(number)
        case .ending(let isCommit): end(isCommit, number)
        }
    }

    private func add(_ number: Int) {
        let producer = producers[number]
        call(
            .add(
                TransactionPartitions(
                    transactionalID: producer.id, producer: producer.identity,
                    partitions: producer.wanted.sorted { $0.partition < $1.partition }),
                clientVersion: producer.version), number)
    }

    private func write(_ number: Int) {
        let producer = producers[number]
        // Checked and written in one step, as the lane of the partition does it (`TransactionVerifier`).
        guard runtime.stage == .active, let known = runtime.machine.entries[producer.id]?.transaction,
            known.producer == producer.identity, known.state == .ongoing
        else {
            producers[number].phase = .ending(isCommit: false)
            return end(false, number)
        }
        for partition in producer.wanted.sorted(by: { $0.partition < $1.partition })
        where known.partitions.contains(partition) {
            if partitions[partition]?.append(producer.name, producer.identity) == true {
                producers[number].written.insert(partition)
                writtenBy[producer.name, default: []].insert(partition)
            }
        }
        let isCommit = time.random.chance(3, in: 4)
        producers[number].phase = .ending(isCommit: isCommit)
        end(isCommit, number)
    }

    private func end(_ isCommit: Bool, _ number: Int) {
        let producer = producers[number]
        if isCommit { uncommitted.remove(producer.name) }
        call(
            .end(
                EndTxnRequest(
                    transactionalID: producer.id, producerID: producer.identity.id,
                    producerEpoch: producer.identity.epoch, committed: isCommit),
                clientVersion: producer.version, fresh: nil), number)
    }

    private func take(_ response: TransactionResponse, _ number: Int) {
        switch (response, producers[number].phase) {
        case (.begun(let answer), .beginning):
            guard answer.errorCode == .none else { return }
            producers[number].identity = CoordinatorProducer(
                id: answer.producerID, epoch: answer.producerEpoch)
            producers[number].phase = .idle
        case (.partitions(let codes), .adding):
            switch codes.first ?? .none {
            case .none:
                producers[number].phase = .writing
                write(number)
            case .producerFenced, .invalidProducerIDMapping: fenced(number)
            default: break
            }
        case (.ended(let answer), .ending(let isCommit)): took(answer, isCommit, number)
        default: break
        }
    }

    private func fenced(_ number: Int) {
        fencedCount += 1
        producers[number].phase = .fenced
    }

    private func took(_ answer: EndTxnResponse, _ isCommit: Bool, _ number: Int) {
        let producer = producers[number]
        switch answer.errorCode {
        case .none:
            // In version 1, one who asks again may be answered for a transaction after it.
            if producer.version >= 2 || !producer.hasDoubt {
                told[producer.name] = (isCommit, producer.written)
            }
            if isCommit { committedCount += 1 }
            if producer.version >= 2 {
                producers[number].identity = CoordinatorProducer(
                    id: answer.producerID, epoch: answer.producerEpoch)
            }
            producers[number].phase = .idle
        case .producerFenced, .invalidProducerIDMapping, .invalidTxnState: fenced(number)
        default: break
        }
    }

    // MARK: Checks

    /// What a new process would read is what this one has, but for what is not in the log.
    private func checkReplay() throws {
        if runtime.stage != .active { return }
        let replayed = try TransactionMachine.replaying(log, settings)
        let live = runtime.machine
        #expect(Set(replayed.entries.keys) == Set(live.entries.keys))
        for (id, entry) in live.entries {
            var durable = entry.transaction
            durable.lastProducerEpoch = .none
            #expect(replayed.entries[id]?.transaction == durable)
            #expect(entry.unmarked.isSubset(of: entry.transaction.partitions))
            if !entry.transaction.state.isPrepared { #expect(entry.unmarked.isEmpty) }
        }
    }

    /// All faults end; nothing is left undecided, and what producers were told is so.
    func settle() throws {
        time.isCalm = true
        try run(until: now.monotonicMilliseconds + 10_000)
        // Producers stop where they are; the coordinator ends what they have begun.
        time.remove { event in
            if case .wake = event { true } else { false }
        }
        try run(until: now.monotonicMilliseconds + 120_000)
        #expect(runtime.stage == .active && runtime.waitingCount == 0)
        for (id, entry) in runtime.machine.entries {
            #expect(entry.transaction.state.isIdle, "\(id) is \(entry.transaction.state)")
        }
        for (partition, state) in partitions { #expect(state.open.isEmpty, "\(partition)") }
        for (name, outcome) in told {
            for partition in outcome.written {
                #expect(
                    partitions[partition]?.outcomes[name] == outcome.isCommit, "\(name) in \(partition)")
            }
        }
        for (name, written) in writtenBy {
            let outcomes = Set(written.map { partitions[$0]?.outcomes[name] })
            #expect(outcomes.count == 1 && !outcomes.contains(nil), "\(name) is torn: \(outcomes)")
            if uncommitted.contains(name) { #expect(outcomes == [false], "\(name) was never committed") }
        }
    }
}
