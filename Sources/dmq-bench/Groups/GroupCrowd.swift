import KafkaProtocol
import RecordFormat

/// How many there are of what.
struct GroupShape: Equatable {
    var groupCount: Int
    /// Of one group.
    var memberCount: Int
    /// Whether the broker divides the partitions (KIP-848).
    var usesConsumerProtocol = false

    var totalCount: Int { groupCount * memberCount }
}

/// Members of groups, each asking for itself, all of them at once.
protocol Crowd: AnyObject {
    /// All become members, and get their shares.
    func join() throws
    func heartbeat() throws
    /// Each commits one partition.
    func commit() throws
}

/// Members of groups of the classic protocol. Members of one group have connections of their own, as answers
/// to joins come when all have joined; groups share them.
final class GroupCrowd: Crowd {
    private struct Member {
        let group: String
        var id = ""
        /// Of its group, where it leads it.
        var followers: [String]?
        var generation: Int32 = -1
    }

    private let connections: CrowdConnections
    private var members: [Member]
    private var nextOffset: Int64 = 0

    private static let sharedConnectionCount = 64
    static let topic = "benchmark"

    init(port: Int32, _ shape: GroupShape) throws {
        let count =
            shape.memberCount > 1 ? shape.totalCount : min(shape.totalCount, Self.sharedConnectionCount)
        connections = try CrowdConnections(port: port, count: count)
        members = (0..<shape.groupCount).flatMap { group in
            (0..<shape.memberCount).map { _ in Member(group: Self.name(group)) }
        }
        // A thousand groups have one in every partition.
        try connections.awaitCoordinators(of: (0..<min(shape.groupCount, 1000)).map(Self.name))
    }

    private static func name(_ group: Int) -> String { "group-\(group)" }

    /// All join, are told who is there, and get their shares.
    func join() throws {
        for isKnown in [false, true] {
            try connections.askAll(&members, version: 9) { member in
                JoinGroupRequest(
                    groupID: member.group, sessionTimeoutMilliseconds: 45_000,
                    rebalanceTimeoutMilliseconds: 300_000, memberID: member.id, protocolType: "consumer",
                    protocols: [.init(name: "range", metadata: Self.subscription)])
            } _: { member, response in
                try CrowdConnections.check(
                    response.errorCode, "JoinGroup", or: isKnown ? .none : .memberIDRequired)
                member.id = response.memberID
                member.generation = response.generationID
                member.followers =
                    response.leader == response.memberID ? response.members.map(\.memberID) : nil
            }
        }
        try connections.askAll(&members, version: 5) { member in
            SyncGroupRequest(
                groupID: member.group, generationID: member.generation, memberID: member.id,
                protocolType: "consumer", protocolName: "range",
                assignments: (member.followers ?? []).map { .init(memberID: $0, assignment: Self.share) })
        } _: { _, response in
            try CrowdConnections.check(response.errorCode, "SyncGroup")
            if response.assignment != Self.share {
                throw BenchmarkError.wrongResult("a member's share is not what its leader gave it")
            }
        }
    }

    func heartbeat() throws {
        try connections.askAll(&members, version: 4) { member in
            HeartbeatRequest(groupID: member.group, generationID: member.generation, memberID: member.id)
        } _: { _, response in
            try CrowdConnections.check(response.errorCode, "Heartbeat")
        }
    }

    func commit() throws {
        nextOffset += 1
        let offset = nextOffset
        try connections.askAll(&members, version: 8) { member in
            OffsetCommitRequest(
                groupID: member.group, generationIDOrMemberEpoch: member.generation, memberID: member.id,
                topics: [
                    .init(
                        name: Self.topic,
                        partitions: [.init(partitionIndex: 0, committedOffset: Offset(offset))])
                ])
        } _: { _, response in
            try CrowdConnections.check(
                response.topics.first?.partitions.first?.errorCode ?? .unknownServerError, "OffsetCommit")
        }
    }

    /// As a consumer of one topic writes it: version, topics, user data.
    private static let subscription =
        [0, 1, 0, 0, 0, 1, 0, UInt8(topic.utf8.count)] + Array(topic.utf8) + [0, 0, 0, 0]
    /// As a leader writes it, of one partition.
    private static let share =
        [0, 1, 0, 0, 0, 1, 0, UInt8(topic.utf8.count)] + Array(topic.utf8)
        + [0, 0, 0, 1, 0, 0, 0, 0] + [0, 0, 0, 0]
}
