import Base
import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

/// A client of `ConsumerSimulation`: of the consumer protocol, or of the classic one with eager rebalancing.
struct SimulatedConsumer {
    private enum Phase { case joining, syncing, stable, leaving }

    static let session: Int32 = 30_000
    static let rebalance: Int32 = 20_000
    static let consumerSession: Int64 = 45_000

    let number: Int
    let group: String
    let instance: String?
    let isClassic: Bool
    private(set) var isAlive = false
    private(set) var life = 0
    private(set) var memberID = ""
    private(set) var epoch: Int32 = 0
    private var owned = PartitionSet()
    private var phase = Phase.joining
    /// The last request that was answered well, by when it was sent.
    private var confirmed: Int64 = 0
    /// What it has to say is not known to the coordinator for sure.
    private var saysAll = true
    private var saysOwned = false
    private(set) var isHasty = false
    private var topicNames = ["topic"]
    private var pattern: String?
    private var saysTopics = false
    private var assignments: [SyncGroupRequest.SyncGroupRequestAssignment] = []
    var pending: (id: Int, since: Int64)?

    init(number: Int, group: String, instance: String?, isClassic: Bool) {
        self.number = number
        self.group = group
        self.instance = instance
        self.isClassic = isClassic
    }

    var isMember: Bool { epoch > 0 && phase == .stable }

    mutating func begin(_ name: String) {
        isAlive = true
        life += 1
        memberID = isClassic ? "" : name
        pending = nil
        rejoin()
    }

    mutating func die() {
        isAlive = false
        owned = PartitionSet()
    }

    private mutating func rejoin() {
        epoch = 0
        owned = PartitionSet()
        phase = .joining
        saysAll = true
    }

    mutating func changeSubscription(_ number: UInt64) {
        topicNames = [["topic"], ["topic", "other"], ["other"], ["other", "third"]][Int(number % 4)]
        pattern = !isClassic && number % 5 == 0 ? "t.*" : nil
        saysTopics = true
        if isClassic && phase == .stable { phase = .joining }
    }

    func reads(_ topics: TableOfTopics) -> [String] {
        topicNames + (pattern == nil ? [] : topics.topicNames.filter { $0.hasPrefix("t") })
    }

    /// What it takes for its own: nothing any more when it has not been heard of for so long that others may
    /// have it.
    func believed(_ now: Int64) -> PartitionSet {
        isAlive && now < confirmed + Int64(Self.rebalance) ? owned : PartitionSet()
    }

    /// Whether it may send.
    mutating func isReady(_ now: Int64) -> Bool {
        if now >= confirmed + Int64(Self.rebalance) && !owned.isEmpty {
            // As good as fenced: it gives everything up.
            owned = PartitionSet()
            saysAll = true
        }
        guard let pending else { return true }
        let patience: Int64 = isClassic && phase == .joining ? 30_000 : 8_000
        if now - pending.since < patience { return false }
        self.pending = nil
        saysAll = true
        if phase == .leaving {
            die()
            return false
        }
        return true
    }

    // MARK: Requests

    mutating func leaving(isForShort: Bool) -> GroupRequest {
        owned = PartitionSet()
        phase = .leaving
        if isClassic { return .leave([(memberID, instance)], group: group) }
        let epoch = isForShort && instance != nil ? ConsumerMember.pausingEpoch : ConsumerMember.leavingEpoch
        return .beat(memberID, epoch, group: group, instance: instance)
    }

    mutating func next(_ now: Int64) -> GroupRequest? {
        isHasty = false
        if isClassic { return nextClassic() }
        defer { (saysAll, saysOwned, saysTopics) = (false, false, false) }
        if epoch == 0 {
            return .enter(
                memberID, group: group, instance: instance, topics: topicNames, pattern: pattern ?? "",
                rebalance: Self.rebalance)
        }
        return .beat(
            memberID, epoch, group: group, instance: instance, owned: saysAll || saysOwned ? owned : nil,
            topics: saysAll || saysTopics ? topicNames : nil,
            pattern: saysAll || saysTopics ? pattern ?? "" : nil, rebalance: saysAll ? Self.rebalance : -1)
    }

    private mutating func nextClassic() -> GroupRequest? {
        switch phase {
        case .joining:
            owned = PartitionSet()
            return .join(
                memberID, group: group, instance: instance, session: Self.session, rebalance: Self.rebalance,
                protocols: ["range"], topics: topicNames)
        case .syncing:
            return .sync(
                SyncGroupRequest(
                    groupID: group, generationID: epoch, memberID: memberID, groupInstanceID: instance,
                    assignments: assignments))
        case .stable: return .heartbeat(memberID, epoch, group: group, instance: instance)
        case .leaving: return nil
        }
    }

    // MARK: Answers

    /// - Returns: whether it was given something.
    mutating func take(
        _ response: GroupResponse, _ now: Int64, _ random: inout SeededGenerator, _ topics: TableOfTopics
    ) -> Bool {
        guard isAlive, let sent = pending?.since else { return false }
        pending = nil
        if phase == .leaving {
            die()
            return false
        }
        switch response {
        case .consumerHeartbeat(let answer):
            guard answer.errorCode == .none else {
                fail(answer.errorCode)
                return false
            }
            confirmed = sent
            epoch = answer.memberEpoch
            phase = .stable
            guard let partitions = answer.partitions else { return false }
            // It says so at once when it has given something back.
            saysOwned = saysOwned || partitions != owned
            isHasty = !owned.isSubset(of: partitions)
            owned = partitions
            return true
        case .join(let answer): return takeJoin(answer, sent, topics)
        case .sync(let answer):
            guard answer.errorCode == .none else {
                fail(answer.errorCode)
                return false
            }
            confirmed = sent
            phase = .stable
            let read = try? ConsumerProtocolAssignment(decodingVersioned: answer.assignment.span.bytes)
            owned = PartitionSet(
                (read?.assignedPartitions ?? []).map { (topics.id($0.topic), $0.partitions) }
                    .filter { $0.0 != .none })
            return true
        case .heartbeat(let answer):
            if answer.errorCode == .none { confirmed = sent } else { fail(answer.errorCode) }
        default: break
        }
        return false
    }

    private mutating func takeJoin(
        _ answer: JoinGroupResponse, _ sent: Int64, _ topics: TableOfTopics
    ) -> Bool {
        if answer.errorCode == .memberIDRequired { memberID = answer.memberID }
        guard answer.errorCode == .none else {
            fail(answer.errorCode)
            return false
        }
        memberID = answer.memberID
        epoch = answer.generationID
        assignments = Self.divide(answer.members, topics)
        phase = .syncing
        isHasty = true
        return false
    }

    /// The work of a leader of a classic group.
    private static func divide(
        _ members: [JoinGroupResponse.JoinGroupResponseMember], _ topics: TableOfTopics
    ) -> [SyncGroupRequest.SyncGroupRequestAssignment] {
        let said = members.map { member in
            (try? ConsumerProtocolSubscription(decodingVersioned: member.metadata.span.bytes))?.topics ?? []
        }
        return members.enumerated().map { place, member in
            let own = said[place].compactMap { name -> ConsumerProtocolAssignment.TopicPartition? in
                guard let topic = topics.topic(named: name) else { return nil }
                let readers = said.indices.filter { said[$0].contains(name) }
                let rank = readers.firstIndex(of: place) ?? 0
                return .init(
                    topic: name,
                    partitions: (0..<topic.partitionCount).filter { Int($0) % readers.count == rank })
            }
            let bytes = try? ConsumerProtocolAssignment(assignedPartitions: own).encodedVersioned(1)
            return .init(memberID: member.memberID, assignment: bytes ?? [])
        }
    }

    private mutating func fail(_ code: ErrorCode) {
        switch code {
        case .unknownMemberID, .fencedMemberEpoch, .groupIDNotFound, .illegalGeneration:
            if isClassic && code == .unknownMemberID { memberID = "" }
            rejoin()
        case .memberIDRequired, .rebalanceInProgress:
            phase = .joining
            isHasty = true
        case .fencedInstanceID: die()
        default: saysAll = true
        }
    }
}
