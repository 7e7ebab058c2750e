import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

/// A partition's log in memory: records, and how far they are committed.
final class MemoryLog: CoordinatorLog {
    private(set) var records: [CoordinatorRecordBytes] = []
    /// In which kind of batch each of them stands.
    private(set) var kinds: [CoordinatorBatchKind] = []
    private(set) var committedCount = 0
    /// What the next appends are told; nil: they are taken.
    var refusal: CoordinatorLogError?

    var highWatermark: Offset { Offset(Int64(committedCount)) }
    var endOffset: Offset { Offset(Int64(records.count)) }

    func append(
        _ batch: [CoordinatorRecordBytes], _ kind: CoordinatorBatchKind, at timestamp: Timestamp
    ) throws(CoordinatorLogError) -> Offset {
        if let refusal { throw refusal }
        records += batch
        kinds += Array(repeating: kind, count: batch.count)
        return endOffset
    }

    func commit(_ count: Int? = nil) { committedCount = count ?? records.count }

    /// Loses everything from `count` on, as a crash may of what is not committed.
    func truncate(to count: Int) {
        precondition(count >= committedCount)
        kinds.removeLast(kinds.count - count)
        records.removeLast(records.count - count)
    }

    func decoded() throws -> [GroupRecord] {
        try records.map { record in
            let value = record.value
            let key = record.key.span.bytes
            guard let value else { return try #require(try GroupRecord(key: key, value: nil)) }
            return try #require(try GroupRecord(key: key, value: value.span.bytes))
        }
    }
}

extension GroupMachine {
    /// A machine that has nothing but the log.
    static func replaying(
        _ log: MemoryLog, _ settings: GroupSettings, _ surroundings: (any GroupSurroundings)? = nil
    ) throws -> GroupMachine {
        let machine = GroupMachine(settings, surroundings: surroundings)
        for (record, kind) in zip(log.records, log.kinds) {
            var producer: CoordinatorProducer?
            switch kind {
            case .plain: break
            case .transactional(let own): producer = own
            case .marker(let own, _):
                machine.replayMarker(by: own, isCommit: record.key[3] == 1)
                continue
            }
            if let value = record.value {
                try machine.replay(key: record.key.span.bytes, value: value.span.bytes, by: producer)
            } else {
                try machine.replay(key: record.key.span.bytes, value: nil, by: producer)
            }
        }
        return machine
    }
}

/// The coordinator of one partition, with a clock and a log of its own.
final class GroupNode {
    let log = MemoryLog()
    private(set) var runtime: CoordinatorRuntime<GroupMachine>
    var settings: GroupSettings
    /// Whether appends are committed at once.
    var commitsAtOnce = true
    private(set) var time = CoordinatorMoment(
        monotonicMilliseconds: 5_000, wallClockMilliseconds: 1_700_000_000_000)
    private var nextRandom: UInt64 = 1

    let topics: TableOfTopics

    init(_ settings: GroupSettings = GroupSettings(), topics: [String: Int32] = [:]) throws {
        self.settings = settings
        self.topics = TableOfTopics(topics)
        runtime = CoordinatorRuntime(
            machine: GroupMachine(settings, surroundings: self.topics), log: log)
        runtime.activate(endOffset: .zero, time)
    }

    var machine: GroupMachine { runtime.machine }

    func group(_ id: String = "group") -> ClassicGroup? { machine.groups[id] }

    /// Asks; the reply is there when `Reply.value` is.
    @discardableResult
    func ask(_ request: GroupRequest) -> Reply {
        let reply = Reply()
        nextRandom += 1
        runtime.submit(request, random: UniqueID(high: 7, low: nextRandom), time) {
            precondition(reply.value == nil)
            reply.value = $0
        }
        settle()
        return reply
    }

    func settle() {
        if commitsAtOnce { commit() }
    }

    func commit() {
        log.commit()
        runtime.advance()
    }

    /// Time passes, and whatever is due on the way is done at its moment.
    func advance(milliseconds: Int64) {
        let end = time.monotonicMilliseconds + milliseconds
        while let next = runtime.nextDeadline, next <= end {
            move(to: max(next, time.monotonicMilliseconds))
            runtime.fireTimers(time)
            settle()
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
        let machine = try GroupMachine.replaying(log, settings, topics)
        runtime = CoordinatorRuntime(machine: machine, log: log)
        log.commit()
        runtime.activate(endOffset: log.endOffset, time)
    }

    /// A topic comes, grows, or goes (no partitions).
    func setTopic(_ name: String, _ partitionCount: Int32) {
        topics.set(name, partitionCount)
        machine.topicsChanged([name])
    }
}

final class Reply {
    var value: GroupResponse?

    var join: JoinGroupResponse? { if case .join(let value) = value { value } else { nil } }
    var sync: SyncGroupResponse? { if case .sync(let value) = value { value } else { nil } }
    var heartbeat: ErrorCode? { if case .heartbeat(let value) = value { value.errorCode } else { nil } }
    var leave: LeaveGroupResponse? { if case .leave(let value) = value { value } else { nil } }
    var commit: OffsetCommitResponse? { if case .commit(let value) = value { value } else { nil } }
    var fetch: OffsetFetchResponse.OffsetFetchResponseGroup? {
        if case .fetch(let value) = value { value } else { nil }
    }
    var deleteOffsets: OffsetDeleteResponse? {
        if case .deleteOffsets(let value) = value { value } else { nil }
    }
    var describe: DescribeGroupsResponse.DescribedGroup? {
        if case .describe(let value) = value { value } else { nil }
    }
    var list: ListGroupsResponse? { if case .list(let value) = value { value } else { nil } }
    var beat: ConsumerGroupHeartbeatResponse? {
        if case .consumerHeartbeat(let value) = value { value } else { nil }
    }
    var consumers: ConsumerGroupDescribeResponse.DescribedGroup? {
        if case .describeConsumer(let value) = value { value } else { nil }
    }
    var delete: ErrorCode? { if case .delete(let value) = value { value.errorCode } else { nil } }
}

// MARK: Requests in short

extension GroupRequest {
    static func caller(_ version: Int16 = 9, _ client: String = "client") -> GroupCaller {
        GroupCaller(clientID: client, clientHost: "/10.0.0.1", version: version)
    }

    static func subscription(_ topics: [String]) -> [UInt8] {
        (try? ConsumerProtocolSubscription(topics: topics).encodedVersioned(1)) ?? []
    }

    static func join(
        _ memberID: String = "", group: String = "group", instance: String? = nil, version: Int16 = 9,
        session: Int32 = 10_000, rebalance: Int32 = 60_000, type: String = "consumer",
        protocols: [String] = ["range"], topics: [String] = ["topic"]
    ) -> GroupRequest {
        .join(
            JoinGroupRequest(
                groupID: group, sessionTimeoutMilliseconds: session, rebalanceTimeoutMilliseconds: rebalance,
                memberID: memberID, groupInstanceID: instance, protocolType: type,
                protocols: protocols.map {
                    JoinGroupRequest.JoinGroupRequestProtocol(name: $0, metadata: subscription(topics))
                }), caller(version))
    }

    static func sync(
        _ memberID: String, _ generation: Int32, group: String = "group", instance: String? = nil,
        _ assignments: [(String, [UInt8])] = []
    ) -> GroupRequest {
        .sync(
            SyncGroupRequest(
                groupID: group, generationID: generation, memberID: memberID, groupInstanceID: instance,
                assignments: assignments.map {
                    SyncGroupRequest.SyncGroupRequestAssignment(memberID: $0.0, assignment: $0.1)
                }))
    }

    static func heartbeat(
        _ memberID: String, _ generation: Int32, group: String = "group", instance: String? = nil
    ) -> GroupRequest {
        .heartbeat(
            HeartbeatRequest(
                groupID: group, generationID: generation, memberID: memberID, groupInstanceID: instance))
    }

    static func leave(_ members: [(String, String?)], group: String = "group") -> GroupRequest {
        .leave(
            LeaveGroupRequest(
                groupID: group,
                members: members.map {
                    LeaveGroupRequest.MemberIdentity(memberID: $0.0, groupInstanceID: $0.1)
                }), caller(5))
    }

    static func commit(
        _ offsets: [(topic: String, partition: Int32, offset: Int64)], member: String = "",
        generation: Int32 = -1, group: String = "group", instance: String? = nil, version: Int16 = 9,
        metadata: String = "", retention: Int64 = -1
    ) -> GroupRequest {
        .commit(
            OffsetCommitRequest(
                groupID: group, generationIDOrMemberEpoch: generation, memberID: member,
                retentionTimeMilliseconds: retention, groupInstanceID: instance,
                topics: offsets.map {
                    OffsetCommitRequest.OffsetCommitRequestTopic(
                        name: $0.topic,
                        partitions: [
                            OffsetCommitRequest.OffsetCommitRequestPartition(
                                partitionIndex: $0.partition, committedOffset: Offset($0.offset),
                                committedMetadata: metadata)
                        ])
                }), caller(version))
    }

    static func fetch(_ topics: [String: [Int32]]?, group: String = "group") -> GroupRequest {
        .fetch(
            OffsetFetchRequest.OffsetFetchRequestGroup(
                groupID: group,
                topics: topics.map { topics in
                    topics.sorted { $0.key < $1.key }.map {
                        OffsetFetchRequest.OffsetFetchRequestTopics(
                            name: $0.key, partitionIndexes: $0.value)
                    }
                }), requireStable: false)
    }
}

extension GroupNode {
    /// The offset of one partition, -1 where there is none.
    func offset(_ topic: String, _ partition: Int32, group: String = "group") throws -> Int64 {
        let reply = try #require(ask(.fetch([topic: [partition]], group: group)).fetch)
        return try #require(reply.topics.first?.partitions.first).committedOffset.rawValue
    }

    /// Brings members into a stable group, and gives their IDs, the leader's first.
    func stableGroup(
        _ count: Int, group: String = "group", instances: [String?] = [], session: Int32 = 10_000,
        topics: [String] = ["topic"]
    ) throws -> [String] {
        var replies: [Reply] = []
        for number in 0..<count {
            let instance = number < instances.count ? instances[number] : nil
            var id = ""
            if instance == nil {
                id = try #require(ask(.join(group: group, session: session, topics: topics)).join).memberID
            }
            replies.append(
                ask(.join(id, group: group, instance: instance, session: session, topics: topics)))
        }
        advance(milliseconds: settings.initialRebalanceDelay)
        // Those who joined late extend the delay.
        while replies.contains(where: { $0.value == nil }) { advance(milliseconds: 1_000) }
        let answers = try replies.map { try #require($0.join) }
        try #require(answers.allSatisfy { $0.errorCode == .none })
        let leader = answers[0].leader
        let ids = answers.map(\.memberID).sorted { $0 == leader && $1 != leader }
        for id in ids.reversed() {
            let assignments = id == leader ? ids.map { ($0, Array($0.utf8)) } : []
            ask(.sync(id, answers[0].generationID, group: group, assignments))
        }
        try #require(self.group(group)?.state == .stable)
        return ids
    }
}
