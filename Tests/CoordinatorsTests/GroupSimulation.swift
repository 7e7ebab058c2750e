import Base
import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

/// Groups whose clients join, commit, leave and die, over a network that delays, loses and doubles requests,
/// and a coordinator whose log commits late, refuses records and loses what is not committed in crashes. All
/// from one seed, in virtual time.
final class GroupSimulation: VirtualTimeSimulation {
    enum Event {
        case wake(member: Int, life: Int)
        case request(member: Int, life: Int, id: Int, GroupRequest)
        case response(member: Int, life: Int, id: Int, GroupResponse)
        case commit(count: Int, epoch: Int)
        case timers
        case loaded(epoch: Int)
        case crash
    }

    var time: VirtualTime<Event>
    let log = MemoryLog()
    var runtime: CoordinatorRuntime<GroupMachine>
    let settings: GroupSettings
    var members: [SimulatedMember] = []
    /// Counts the coordinator's lives.
    var epoch = 0
    var checker = GroupHistory()
    private var nextID = 0
    private var nextOffset: Int64 = 0
    private(set) var crashCount = 0
    private(set) var rebalanceCount = 0

    init(seed: UInt64, groups: Int = 2, membersPerGroup: Int = 5) {
        time = VirtualTime(seed: seed)
        var settings = GroupSettings()
        settings.initialRebalanceDelay = Int64(time.random.next() % 2) * 3_000
        self.settings = settings
        runtime = CoordinatorRuntime(machine: GroupMachine(settings), log: log)
        runtime.activate(endOffset: .zero, now)
        for number in 0..<(groups * membersPerGroup) {
            let isStatic = number % 3 == 0
            members.append(
                SimulatedMember(
                    number: number, group: "group-\(number % groups)",
                    instance: isStatic ? "instance-\(number)" : nil))
            members[number].begin()
            wake(number, in: Int64(draw() % 5_000))
        }
        later(.crash, in: pick(30_000, 120_000))
    }

    func wake(_ member: Int, in delay: Int64) {
        later(.wake(member: member, life: members[member].life), in: delay)
    }

    // MARK: Events

    func run(until end: Int64) throws {
        while let event = time.next(until: end) {
            try handle(event)
            time.schedule(.timers, at: runtime.nextDeadline)
            if runtime.stage == .active, let fault = runtime.machine.fault() {
                Issue.record("after event \(eventCount): \(fault)")
                throw SimulationFailure()
            }
            if eventCount % 200 == 0 { try checkReplay() }
        }
    }

    private func handle(_ event: Event) throws {
        switch event {
        case .wake(let member, let life): if members[member].life == life { act(member) }
        case .request(let member, let life, let id, let request):
            serve(member, life, id, request)
        case .response(let member, let life, let id, let response):
            if members[member].life == life { take(response, id, member) }
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
        case .crash: try crash()
        }
    }

    private func noteAppends(_ before: Int) {
        if log.records.count == before { return }
        checker.appended(log, from: before)
        let delay = happens(1, in: 20) ? pick(100, 3_000) : pick(0, 8)
        later(.commit(count: log.records.count, epoch: epoch), in: delay)
    }

    /// The process ends, with everything that was on its way; what was not committed may be gone.
    private func crash() throws {
        if isCalm { return }
        crashCount += 1
        epoch += 1
        let kept = Int(pick(Int64(log.committedCount), Int64(log.records.count)))
        log.truncate(to: kept)
        checker.truncated(to: kept)
        runtime = CoordinatorRuntime(machine: try GroupMachine.replaying(log, settings), log: log)
        log.commit()
        time.forgetTimer()
        later(.loaded(epoch: epoch), in: pick(0, 2_000))
        later(.crash, in: pick(20_000, 200_000))
    }

    // MARK: The network

    func send(_ request: GroupRequest, _ member: Int) {
        let id = nextID
        nextID += 1
        let life = members[member].life
        members[member].pending = (id, now.monotonicMilliseconds)
        checker.sent(id, request)
        var copies = happens(1, in: 40) ? 2 : 1
        if happens(1, in: 50) { copies -= 1 }
        for _ in 0..<copies {
            later(.request(member: member, life: life, id: id, request), in: delay())
        }
    }

    private func delay() -> Int64 { happens(1, in: 60) ? pick(100, 20_000) : pick(0, 20) }

    private func serve(_ member: Int, _ life: Int, _ id: Int, _ request: GroupRequest) {
        let before = log.records.count
        log.refusal = happens(1, in: 300) ? .unavailable : nil
        let epoch = epoch
        runtime.submit(request, random: UniqueID(high: draw(), low: draw()), now) { [unowned self] response in
            // A process that has ended answers nobody.
            guard epoch == self.epoch else { return }
            checker.answered(id, request, response, log)
            if happens(1, in: 50) { return }
            later(.response(member: member, life: life, id: id, response), in: delay())
        }
        log.refusal = nil
        noteAppends(before)
    }

    // MARK: Members

    private func act(_ number: Int) {
        wake(number, in: pick(500, 3_000))
        guard members[number].isAlive else {
            if isCalm || happens(1, in: 15) { members[number].begin() } else { return }
            return wake(number, in: 0)
        }
        if happens(1, in: 60) {
            // Dies without a word.
            members[number].isAlive = false
            return
        }
        if let pending = members[number].pending {
            // A JoinGroup may take as long as a rebalance.
            let patience: Int64 = members[number].phase == .joining ? 70_000 : 10_000
            if now.monotonicMilliseconds - pending.since < patience { return }
            members[number].pending = nil
        }
        proceed(number)
    }

    private func proceed(_ number: Int) {
        let member = members[number]
        switch member.phase {
        case .joining:
            send(
                .join(
                    member.memberID, group: member.group, instance: member.instance, rebalance: 20_000,
                    protocols: member.number % 2 == 0 ? ["range", "sticky"] : ["sticky", "range"],
                    topics: ["topic-\(member.subscription)"]), number)
        case .syncing:
            send(
                .sync(
                    member.memberID, member.generation, group: member.group, instance: member.instance,
                    member.assignments), number)
        case .stable: beStable(number)
        }
    }

    private func beStable(_ number: Int) {
        let member = members[number]
        switch isCalm ? 99 : draw() % 100 {
        case 0..<3:
            send(.leave([(member.memberID, member.instance)], group: member.group), number)
        case 3..<6:
            members[number].subscription += 1
            members[number].phase = .joining
            proceed(number)
        case 6..<36:
            if member.partitions.isEmpty { fallthrough }
            let some = member.partitions.filter { _ in time.random.chance(1, in: 2) }
            let offsets = some.map { partition in
                nextOffset += 1
                return (topic: "topic", partition: partition, offset: nextOffset)
            }
            send(
                .commit(
                    offsets, member: member.memberID, generation: member.generation, group: member.group,
                    instance: member.instance), number)
        case 36..<46:
            send(.fetch(["topic": Array(0..<SimulatedMember.partitionCount)], group: member.group), number)
        default:
            send(
                .heartbeat(
                    member.memberID, member.generation, group: member.group, instance: member.instance),
                number)
        }
    }

    private func take(_ response: GroupResponse, _ id: Int, _ number: Int) {
        guard members[number].isAlive, members[number].pending?.id == id else { return }
        members[number].pending = nil
        switch response {
        case .join(let answer):
            guard answer.errorCode == .none else { return fail(answer.errorCode, number, answer.memberID) }
            rebalanceCount += 1
            members[number].memberID = answer.memberID
            members[number].generation = answer.generationID
            members[number].assignments =
                answer.skipAssignment || answer.members.isEmpty
                ? [] : SimulatedMember.divide(answer.members.map(\.memberID), nonce: draw())
            members[number].phase = .syncing
            proceed(number)
        case .sync(let answer):
            guard answer.errorCode == .none else { return fail(answer.errorCode, number) }
            members[number].phase = .stable
            members[number].partitions = SimulatedMember.read(answer.assignment)?.partitions ?? []
        case .heartbeat(let answer): fail(answer.errorCode, number)
        case .commit(let answer):
            fail(answer.topics.first?.partitions.first?.errorCode ?? .none, number)
        case .leave(let answer) where answer.errorCode == .none: members[number].isAlive = false
        default: break
        }
    }

    /// As consumers take errors.
    private func fail(_ code: ErrorCode, _ number: Int, _ memberID: String = "") {
        switch code {
        case .none: return
        case .memberIDRequired:
            members[number].memberID = memberID
            members[number].phase = .joining
            proceed(number)
        case .unknownMemberID, .illegalGeneration:
            if code == .unknownMemberID { members[number].memberID = "" }
            members[number].phase = .joining
        case .rebalanceInProgress: members[number].phase = .joining
        case .fencedInstanceID: members[number].isAlive = false
        default: break
        }
    }

    // MARK: Checks

    /// What a new process would read is what this one has.
    private func checkReplay() throws {
        let live = runtime.machine
        let replayed = try GroupMachine.replaying(log, settings)
        for id in Set(live.groups.keys).union(replayed.groups.keys) {
            #expect(live.offsets.topics(of: id) == replayed.offsets.topics(of: id))
            guard let group = live.groups[id] else {
                Issue.record("group \(id) is in the log only")
                continue
            }
            guard group.state == .stable || group.state == .empty, group.isRecorded else { continue }
            let other = try #require(replayed.groups[id])
            #expect(other.generation <= group.generation)
            if group.state == .stable {
                #expect(other.state == .stable && other.generation == group.generation)
                #expect(other.staticMembers == group.staticMembers)
                let (own, theirs) = (Self.durable(group), Self.durable(other))
                // Members may have gone without a word, which the next generation says.
                #expect(own.allSatisfy { theirs[$0.key] == $0.value })
            }
        }
    }

    private static func durable(_ group: ClassicGroup) -> [String: [UInt8]] {
        Dictionary(uniqueKeysWithValues: group.members.all.map { ($0.id, $0.assignment) })
    }

    /// All faults end; every group comes to rest with all its members.
    func settle() throws {
        time.isCalm = true
        try run(until: now.monotonicMilliseconds + 900_000)
        for name in Set(members.map(\.group)) {
            let group = try #require(runtime.machine.groups[name])
            let own = members.filter { $0.group == name }
            #expect(group.state == .stable, "\(name)")
            #expect(Set(group.members.all.map(\.id)) == Set(own.map(\.memberID)))
            #expect(own.flatMap(\.partitions).sorted() == Array(0..<SimulatedMember.partitionCount))
        }
        #expect(runtime.waitingCount == 0)
    }
}

struct SimulationFailure: Error {}
