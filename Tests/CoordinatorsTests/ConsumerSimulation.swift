import Base
import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

/// Groups whose clients use the consumer protocol, the classic one, or either, over a network that delays and
/// loses requests and answers and delivers some twice, and a coordinator that crashes between append and
/// answer. After every event no partition has two owners, by what the clients themselves believe.
final class ConsumerSimulation: VirtualTimeSimulation {
    enum Event {
        case wake(client: Int, life: Int)
        case request(client: Int, life: Int, id: Int, GroupRequest, isStray: Bool)
        case response(client: Int, life: Int, id: Int, GroupResponse)
        case commit(count: Int, epoch: Int)
        case timers
        case loaded(epoch: Int)
        case crash
        case topics
    }

    var time: VirtualTime<Event>
    let log = MemoryLog()
    let topics = TableOfTopics(["topic": 6, "other": 5])
    var settings = GroupSettings()
    var runtime: CoordinatorRuntime<GroupMachine>
    var clients: [SimulatedConsumer] = []
    private var epoch = 0
    private var nextID = 0
    /// The log has got more since the groups were looked at.
    private var hasChanged = false
    private(set) var crashCount = 0
    private(set) var assignmentCount = 0
    private(set) var migrationCount = 0
    private(set) var strayCount = 0
    /// About members of the other protocol, whom they may not touch.
    private(set) var refusedStrayCount = 0
    private var wasConsumerGroup: [String: Bool] = [:]

    init(seed: UInt64, clients count: Int = 10, isMixed: Bool) {
        time = VirtualTime(seed: seed)
        settings.initialRebalanceDelay = 500
        if seed % 3 == 0 { settings.consumerAssignors = [.range, .uniform] }
        // As in a group of a thousand or two.
        if seed % 2 == 0 { settings.promptConsumerCount = -1_000 - Int(seed * 700 % 3_000) }
        runtime = CoordinatorRuntime(machine: GroupMachine(settings, surroundings: topics), log: log)
        runtime.activate(endOffset: .zero, now)
        for number in 0..<count {
            let group = "group-\(number % 2)"
            let isClassic = isMixed && number % 4 < 2
            clients.append(
                SimulatedConsumer(
                    number: number, group: group, instance: number % 3 == 0 ? "instance-\(number)" : nil,
                    isClassic: isClassic))
            wake(number, in: Int64(draw() % 5_000))
        }
        later(.crash, in: pick(30_000, 120_000))
        later(.topics, in: pick(20_000, 60_000))
    }

    private func wake(_ client: Int, in delay: Int64) {
        later(.wake(client: client, life: clients[client].life), in: delay)
    }

    // MARK: Events

    func run(until end: Int64) throws {
        while let event = time.next(until: end) {
            try handle(event)
            time.schedule(.timers, at: runtime.nextDeadline)
            if hasChanged { try checkGroups() }
            try checkOwners()
            if eventCount % 500 == 0 { try checkReplay() }
        }
    }

    private func handle(_ event: Event) throws {
        switch event {
        case .wake(let client, let life):
            guard clients[client].life == life else { return }
            // Those of the consumer protocol keep classic groups from being that for long.
            if happens(1, in: clients[client].isClassic ? 400 : 60) { sendStray(client) }
            act(client)
        case .request(let client, let life, let id, let request, let isStray):
            serve(client, life, id, request, isStray)
        case .response(let client, let life, let id, let response):
            guard clients[client].life == life, clients[client].pending?.id == id else { return }
            if clients[client].take(response, now.monotonicMilliseconds, &time.random, topics) {
                assignmentCount += 1
            }
            guard clients[client].isAlive, clients[client].isHasty,
                let request = clients[client].next(now.monotonicMilliseconds)
            else { return }
            send(request, client)
        case .commit(let count, let epoch):
            if epoch == self.epoch && count > log.committedCount {
                log.commit(count)
                runtime.advance()
            }
        case .timers:
            time.forgetTimer()
            let before = log.records.count
            runtime.fireTimers(now)
            noteAppends(before)
        case .loaded(let epoch):
            if epoch == self.epoch { runtime.activate(endOffset: log.endOffset, now) }
            hasChanged = true
        case .crash: try crash()
        case .topics: changeTopics()
        }
    }

    private func changeTopics() {
        if isCalm { return }
        let name = ["topic", "other", "third"][Int(draw() % 3)]
        let count = topics.topic(named: name)?.partitionCount ?? 0
        if count == 0 || count < 12 {
            topics.set(name, count + 1)
        } else if name == "third" {
            topics.set(name, 0)
        }
        runtime.machine.topicsChanged([name])
        later(.topics, in: pick(20_000, 80_000))
    }

    private func noteAppends(_ before: Int) {
        if log.records.count == before { return }
        hasChanged = true
        let delay = happens(1, in: 20) ? pick(100, 3_000) : pick(0, 8)
        later(.commit(count: log.records.count, epoch: epoch), in: delay)
    }

    private func crash() throws {
        if isCalm { return }
        crashCount += 1
        epoch += 1
        log.truncate(to: Int(pick(Int64(log.committedCount), Int64(log.records.count))))
        runtime = CoordinatorRuntime(
            machine: try GroupMachine.replaying(log, settings, topics), log: log)
        log.commit()
        time.forgetTimer()
        later(.loaded(epoch: epoch), in: pick(0, 2_000))
        later(.crash, in: pick(20_000, 200_000))
    }

    // MARK: The network

    private func send(_ request: GroupRequest, _ client: Int) {
        let id = nextID
        nextID += 1
        let life = clients[client].life
        clients[client].pending = (id, now.monotonicMilliseconds)
        let delay = happens(1, in: 60) ? pick(100, 15_000) : pick(0, 20)
        if !happens(1, in: 50) {
            later(.request(client: client, life: life, id: id, request, isStray: false), in: delay)
        }
        // Another copy came by a connection that its client has given up. Not of JoinGroup, which has no
        // epoch that would tell an old one: no client joins again before the other connection is over.
        if case .join = request { return }
        if happens(1, in: 40) {
            later(
                .request(client: client, life: life, id: id, request, isStray: true),
                in: delay + pick(0, 30_000))
        }
    }

    private func serve(_ client: Int, _ life: Int, _ id: Int, _ request: GroupRequest, _ isStray: Bool) {
        let before = log.records.count
        log.refusal = happens(1, in: 300) ? .unavailable : nil
        let epoch = epoch
        runtime.submit(request, random: UniqueID(high: draw(), low: draw()), now) { [unowned self] response in
            guard epoch == self.epoch, !isStray else { return }
            if happens(1, in: 50) { return }
            let delay = happens(1, in: 60) ? pick(100, 15_000) : pick(0, 20)
            later(.response(client: client, life: life, id: id, response), in: delay)
        }
        log.refusal = nil
        noteAppends(before)
    }

    /// A request of the protocol that a client does not use, about that client or about one whom nobody
    /// knows; whoever has sent it has gone.
    private func sendStray(_ number: Int) {
        let client = clients[number]
        let isAboutClient = client.isMember && time.random.chance(2, in: 3)
        let id = isAboutClient ? client.memberID : "stray-\(draw() % 50)"
        let epoch = max(client.epoch, 1)
        let group = client.group
        let request: GroupRequest
        switch (client.isClassic, draw() % 4) {
        case (true, 0) where !isAboutClient: request = .enter(id, group: group, rebalance: 20_000)
        case (true, _): request = .beat(id, epoch, group: group)
        case (false, 0):
            request = .join(
                id, group: group, session: SimulatedConsumer.session, rebalance: SimulatedConsumer.rebalance)
        case (false, 1): request = .sync(id, epoch, group: group)
        case (false, 2): request = .heartbeat(id, epoch, group: group)
        case (false, _): request = .leave([(id, nil)], group: group)
        }
        let member = runtime.machine.consumerGroups[group]?.members[id]
        let isToBeRefused = member?.isClassic == false && !client.isClassic
        let before = log.records.count
        let bits = UniqueID(high: draw(), low: draw())
        let event = eventCount
        runtime.submit(request, random: bits, now) { [unowned self] answer in
            guard isToBeRefused else { return }
            refusedStrayCount += 1
            if Self.code(answer) == ErrorCode.none { Issue.record("\(request) was taken in event \(event)") }
        }
        strayCount += 1
        if isToBeRefused { #expect(log.records.count == before) }
        noteAppends(before)
    }

    private static func code(_ response: GroupResponse) -> ErrorCode? {
        switch response {
        case .join(let answer): answer.errorCode
        case .sync(let answer): answer.errorCode
        case .heartbeat(let answer): answer.errorCode
        case .leave(let answer): answer.members.first?.errorCode ?? answer.errorCode
        case .consumerHeartbeat(let answer): answer.errorCode
        default: nil
        }
    }

    // MARK: Clients

    private func act(_ number: Int) {
        wake(number, in: pick(500, 3_000))
        guard clients[number].isAlive else {
            guard isCalm || happens(1, in: 15) else { return }
            clients[number].begin(UniqueID(high: draw(), low: draw()).hyphenated)
            return wake(number, in: 0)
        }
        if happens(1, in: 80) { return clients[number].die() }
        guard clients[number].isReady(now.monotonicMilliseconds) else { return }
        let choice = isCalm ? 99 : draw() % 100
        if choice < 3, clients[number].isMember {
            let request = clients[number].leaving(isForShort: time.random.chance(1, in: 2))
            return send(request, number)
        }
        if choice < 7 { clients[number].changeSubscription(draw()) }
        if let request = clients[number].next(now.monotonicMilliseconds) { send(request, number) }
    }

    // MARK: Checks

    private func checkOwners() throws {
        var owners: [String: [TopicID: [Int32: Int]]] = [:]
        for client in clients {
            for (topic, partitions) in client.believed(now.monotonicMilliseconds).topics {
                for partition in partitions {
                    if let other = owners[client.group]?[topic]?[partition] {
                        let both = "\(other) and \(client.number)"
                        Issue.record("\(client.group): \(both) have \(partition) in event \(eventCount)")
                        throw SimulationFailure()
                    }
                    owners[client.group, default: [:]][topic, default: [:]][partition] = client.number
                }
            }
        }
    }

    private func checkGroups() throws {
        hasChanged = false
        guard runtime.stage == .active else { return }
        for (id, group) in runtime.machine.consumerGroups {
            if let fault = group.fault() {
                Issue.record("\(id) after event \(eventCount): \(fault)")
                throw SimulationFailure()
            }
            #expect(runtime.machine.groups[id] == nil)
        }
        for name in ["group-0", "group-1"] {
            let isConsumer = runtime.machine.consumerGroups[name] != nil
            guard isConsumer || runtime.machine.groups[name] != nil else { continue }
            if let was = wasConsumerGroup[name], was != isConsumer { migrationCount += 1 }
            wasConsumerGroup[name] = isConsumer
        }
    }

    /// What a new process would read is what this one has.
    private func checkReplay() throws {
        guard runtime.stage == .active else { return }
        let live = runtime.machine
        let replayed = try GroupMachine.replaying(log, settings, topics)
        #expect(Set(live.consumerGroups.keys) == Set(replayed.consumerGroups.keys))
        for (id, group) in live.consumerGroups {
            let other = try #require(replayed.consumerGroups[id])
            #expect(group.members == other.members && group.targets == other.targets)
            #expect(group.epoch == other.epoch && group.targetEpoch == other.targetEpoch)
            #expect(group.topics == other.topics && group.patterns == other.patterns)
            #expect(group.staticMembers == other.staticMembers)
        }
    }

    /// All faults end; every group comes to rest, and its clients have all that they read.
    func settle() throws {
        time.isCalm = true
        try run(until: now.monotonicMilliseconds + 300_000)
        for name in Set(clients.map(\.group)) {
            let own = clients.filter { $0.group == name }
            let consumers = runtime.machine.consumerGroups[name]
            if let consumers {
                #expect(consumers.state == .stable, "\(name)")
                #expect(Set(consumers.members.keys) == Set(own.map(\.memberID)))
            } else {
                #expect(runtime.machine.groups[name]?.state == .stable, "\(name)")
            }
            var expected = PartitionSet()
            for topic in Set(own.flatMap { $0.reads(topics) }) {
                guard let image = topics.topic(named: topic) else { continue }
                for partition in 0..<image.partitionCount { expected.insert(image.id, partition) }
            }
            // Classic members that lead themselves do not hear of topics that grow.
            if consumers != nil {
                var owned = PartitionSet()
                for client in own { owned.formUnion(client.believed(now.monotonicMilliseconds)) }
                #expect(owned == expected, "\(name)")
            }
        }
        #expect(runtime.waitingCount == 0)
    }
}

extension ConsumerGroup {
    func fault() -> String? {
        if targetEpoch > epoch { return "the target is ahead of its group" }
        var held = PartitionSet()
        for member in members.values {
            if member.epoch > targetEpoch { return "\(member.id) is ahead of its target" }
            if held.intersects(member.held) { return "two members hold a partition" }
            held.formUnion(member.held)
            for (topic, partitions) in member.held.topics {
                if partitions.contains(where: { owner(topic, $0) != member.id }) {
                    return "an owner is not known"
                }
            }
            if member.state == .unrevoked && member.revoking.isEmpty { return "nothing to give back" }
            if member.state != .unrevoked && !member.revoking.isEmpty && !member.isPausing {
                return "revoking"
            }
            if member.state == .stable && member.epoch == targetEpoch && !member.isPausing
                && member.assigned != targets[member.id] ?? PartitionSet()
            {
                return "\(member.id) has not what it is to have"
            }
        }
        var targeted = PartitionSet()
        if epoch == targetEpoch {
            for target in targets.values {
                if targeted.intersects(target) { return "two members are to have a partition" }
                targeted.formUnion(target)
            }
        }
        let statics = members.values.filter { $0.instanceID != nil }
        if statics.count != staticMembers.count { return "static members miscounted" }
        if classicCount != members.values.filter(\.isClassic).count { return "classic members miscounted" }
        return nil
    }
}
