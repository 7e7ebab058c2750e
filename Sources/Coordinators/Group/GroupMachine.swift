internal import Base
public import KafkaProtocol
public import RecordFormat

/// The groups of one partition of `__consumer_offsets` with their members and offsets.
public final class GroupMachine: CoordinatorMachine {
    /// What it is asked.
    public typealias Request = GroupRequest
    /// What it writes.
    public typealias Record = GroupRecord
    /// Others do nothing for it.
    public typealias Order = Never

    /// May be changed at any time; what has begun goes on as it was.
    public var settings: GroupSettings
    /// Classic groups, and those that only store offsets. No ID is among the consumer groups too.
    var groups: [String: ClassicGroup] = [:]
    var consumerGroups: [String: ConsumerGroup] = [:]
    /// What is waited for of members of consumer groups: until when, and the timer that looks after it.
    var waits: [WaitKey: (deadline: Int64, timer: Int64)] = [:]
    /// Members of consumer groups that have been told twice what they have.
    var toldTwice: Set<MemberKey> = []
    let surroundings: any GroupSurroundings
    var offsets = OffsetTable()
    private(set) var deadlines = DeadlineQueue<GroupTimer>()
    private var nextSerial: UInt64 = 0
    /// Groups that the look after expired offsets, which is under way, has yet to come to.
    var unswept: [String] = []

    /// - Parameter surroundings: nil for a cluster without topics.
    public init(_ settings: GroupSettings, surroundings: (any GroupSurroundings)? = nil) {
        self.settings = settings
        self.surroundings = surroundings ?? NoSurroundings()
    }

    /// How many groups there are.
    public var groupCount: Int { groups.count + consumerGroups.count }

    // MARK: Records

    public func replay(
        key: RawSpan, value: RawSpan?, by producer: CoordinatorProducer?
    ) throws(ProtocolError) {
        switch try GroupRecord(key: key, value: value) {
        case .offset(let key, let committed?) where producer != nil:
            if let producer { hold(key, committed, by: producer.id, Self.loading) }
        case .offset(let key, let committed): apply(key, committed, Self.loading)
        case .pendingOffset, .endOfTransaction: break
        case .classicGroup(let id, let value?):
            groups[id] = ClassicGroup(id, value)
            consumerGroups[id] = nil
        case .classicGroup(let id, nil): forget(id, Self.loading)
        case .consumer(let record): apply(record, Self.loading)
        case nil: break
        }
    }

    /// While the log is read, nothing has a time.
    private static let loading = CoordinatorMoment(monotonicMilliseconds: 0, wallClockMilliseconds: 0)

    public func appended(_ records: [GroupRecord], _ now: CoordinatorMoment) {
        for record in records {
            switch record {
            case .offset(let key, let committed): apply(key, committed, now)
            case .pendingOffset(let key, let committed, let producer):
                hold(key, committed, by: producer.id, now)
            case .endOfTransaction(let end): endTransaction(of: end.producer.id, isCommit: end.isCommit, now)
            case .classicGroup(let id, let value?): note(id, value, now)
            case .classicGroup(let id, nil): forget(id, now)
            case .consumer(let record): apply(record, now)
            }
        }
    }

    private func note(_ id: String, _ value: GroupMetadataValue, _ now: CoordinatorMoment) {
        if let group = groups[id], !group.members.isEmpty || value.members.isEmpty {
            group.isRecorded = true
        } else {
            // It was a consumer group.
            adopt(ClassicGroup(id, value), now)
        }
    }

    private func apply(_ key: OffsetKey, _ committed: CommittedOffset?, _ now: CoordinatorMoment) {
        if committed != nil { makeSimple(key.group, now) }
        offsets.set(key, committed)
    }

    /// Where there is no group, there is one that only stores offsets.
    private func makeSimple(_ id: String, _ now: CoordinatorMoment) {
        if groups[id] == nil && consumerGroups[id] == nil { groups[id] = ClassicGroup(id, now) }
    }

    /// The offset counts when the transaction is committed.
    private func hold(
        _ key: OffsetKey, _ committed: CommittedOffset, by producer: ProducerID, _ now: CoordinatorMoment
    ) {
        makeSimple(key.group, now)
        offsets.hold(key, committed, by: producer)
    }

    public func replayMarker(by producer: CoordinatorProducer, isCommit: Bool) {
        endTransaction(of: producer.id, isCommit: isCommit, Self.loading)
    }

    private func endTransaction(of producer: ProducerID, isCommit: Bool, _ now: CoordinatorMoment) {
        for key in offsets.decide(producer, isCommit: isCommit) where isCommit { makeSimple(key.group, now) }
    }

    private func forget(_ id: String, _ now: CoordinatorMoment) {
        guard let group = groups.removeValue(forKey: id) else { return }
        group.transition(to: .dead, now)
        // Offsets that are still there are those of a group without members.
        if offsets.hasAny(of: id) { groups[id] = ClassicGroup(id, now) }
    }

    public func refused(_ records: [GroupRecord], _ now: CoordinatorMoment, _ effects: inout Effects) {
        var refused: Set<String> = []
        for record in records {
            if case .consumer(let record) = record, refused.insert(record.group).inserted,
                let group = consumerGroups[record.group]
            {
                group.forgetDecisions()
                beginSessions(group, now)
            }
            guard case .classicGroup(let id, _?) = record, let group = groups[id] else { continue }
            // Nobody may go by an assignment that a restart would not know.
            if group.state == .stable { prepareRebalance(group, now, &effects) }
        }
    }

    // MARK: Requests

    public func handle(
        _ request: GroupRequest, _ token: ReplyToken, random: UniqueID, _ now: CoordinatorMoment,
        _ effects: inout Effects
    ) {
        switch request {
        case .join(let request, let caller):
            let joiner = Joiner(request, caller, token, random)
            if let refusal = join(joiner, now, &effects) {
                effects.answer(token, .join(refusal))
            }
        case .sync(let request): sync(request, token, now, &effects)
        case .heartbeat(let request):
            effects.answer(
                token, .heartbeat(HeartbeatResponse(errorCode: heartbeat(request, now, &effects))))
        case .leave(let request, let caller):
            effects.answer(token, .leave(leave(request, caller, now, &effects)))
        case .commit(let request, let caller):
            effects.answer(token, .commit(commit(request, caller, now, &effects)))
        case .fetch(let group, let requireStable):
            effects.answer(token, .fetch(fetch(group, requireStable: requireStable)))
        case .transactionalCommit(let request):
            effects.answer(token, .transactionalCommit(commit(request, now, &effects)))
        case .endTransaction(let end):
            effects.records.append(.endOfTransaction(end))
            effects.answer(token, .transactionEnded(.none))
        case .deleteOffsets(let request):
            effects.answer(token, .deleteOffsets(deleteOffsets(request, &effects)))
        case .describe(let group, let caller): effects.answer(token, .describe(describe(group, caller)))
        case .list(let states, let types): effects.answer(token, .list(list(states: states, types: types)))
        case .delete(let group): effects.answer(token, .delete(delete(group, &effects)))
        case .consumerHeartbeat(let request, let caller):
            let answer = heartbeat(request, caller, random: random, now, &effects)
            effects.answer(token, .consumerHeartbeat(answer))
        case .describeConsumer(let group):
            effects.answer(token, .describeConsumer(describeConsumerGroup(group)))
        }
    }

    // MARK: Time

    /// What is looked after when its moment comes.
    enum GroupTimer {
        case session(group: String, member: String)
        case pendingJoin(group: String, member: String)
        case join(group: String, serial: UInt64)
        case sync(group: String, serial: UInt64)
        /// It was a consumer group.
        case divide(group: String)
        case consumer(WaitKey)
        case sweep
    }

    func schedule(_ timer: GroupTimer, at deadline: Int64) { deadlines.add(timer, at: deadline) }

    /// Names a timer, so that one that was given up is recognised.
    func takeSerial() -> UInt64 {
        nextSerial += 1
        return nextSerial
    }

    public func loaded(_ now: CoordinatorMoment, _ effects: inout Effects) {
        for id in groups.keys.sorted() {
            guard let group = groups[id] else { continue }
            for place in group.members.all.indices {
                touch(group, place, group.members[place].sessionTimeout, now)
            }
            if group.state == .stable && (group.members.count > settings.maximumSize || group.isUndivided) {
                prepareRebalance(group, now, &effects)
            }
        }
        for id in consumerGroups.keys.sorted() {
            if let group = consumerGroups[id] { beginSessions(group, now) }
        }
        schedule(.sweep, at: now.monotonicMilliseconds + settings.offsetsRetentionCheck)
    }

    public var nextDeadline: Int64? { unswept.isEmpty ? deadlines.first : .min }

    public func expire(_ now: CoordinatorMoment, _ effects: inout Effects) -> Bool {
        if let id = unswept.popLast() {
            sweep(id, now, &effects)
            return true
        }
        guard let due = deadlines.takeDue(now.monotonicMilliseconds) else { return false }
        switch due.element {
        case .session(let id, let member): sessionTimer(id, member, due.deadline, now, &effects)
        case .pendingJoin(let id, let member): pendingJoinTimer(id, member, due.deadline, now, &effects)
        case .join(let id, let serial): joinTimer(id, serial, now, &effects)
        case .sync(let id, let serial): syncTimer(id, serial, now, &effects)
        case .divide(let id):
            if let group = groups[id], group.state == .stable { prepareRebalance(group, now, &effects) }
        case .consumer(let name): consumerTimer(name, due.deadline, now, &effects)
        case .sweep:
            unswept = (Array(groups.keys) + consumerGroups.keys).sorted(by: >)
            schedule(.sweep, at: now.monotonicMilliseconds + settings.offsetsRetentionCheck)
        }
        return true
    }
}
