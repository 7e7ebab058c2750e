import KafkaProtocol
import RecordFormat

/// How many there are of what.
struct GroupShape: Equatable {
    var groupCount: Int
    /// Of one group.
    var memberCount: Int

    var totalCount: Int { groupCount * memberCount }
}

/// Members of groups of the classic protocol, each asking for itself. Members of one group have connections
/// of their own, as answers to joins come when all have joined; groups share them.
final class GroupCrowd {
    private struct Member {
        let group: String
        var id = ""
        /// Of its group, where it leads it.
        var followers: [String]?
        var generation: Int32 = -1
    }

    private let connections: [BlockingConnection]
    private var members: [Member]
    private var nextOffset: Int64 = 0

    private static let sharedConnectionCount = 64
    /// Requests of a connection at once, where it is shared.
    private static let depth = 32
    static let topic = "benchmark"

    init(port: Int32, _ shape: GroupShape) throws {
        let count =
            shape.memberCount > 1 ? shape.totalCount : min(shape.totalCount, Self.sharedConnectionCount)
        connections = try (0..<count).map { _ in try BlockingConnection(port: port) }
        members = (0..<shape.groupCount).flatMap { group in
            (0..<shape.memberCount).map { _ in Member(group: Self.name(group)) }
        }
        try awaitCoordinators(of: shape.groupCount)
    }

    /// Has the topic of groups made, and waits until all of it is led and read.
    private func awaitCoordinators(of groupCount: Int) throws {
        let first = connections[0]
        try first.send(FindCoordinatorRequest(coordinatorKeys: [members[0].group]), version: 4)
        _ = try first.receive(FindCoordinatorRequest.self, version: 4)
        // A thousand groups have one in every partition.
        for group in 0..<min(groupCount, 1000) {
            var code = ErrorCode.coordinatorLoadInProgress
            while code == .coordinatorLoadInProgress || code == .notCoordinator {
                try first.send(HeartbeatRequest(groupID: Self.name(group), memberID: "nobody"), version: 4)
                code = try first.receive(HeartbeatRequest.self, version: 4).errorCode
            }
        }
    }

    private static func name(_ group: Int) -> String { "group-\(group)" }

    /// All members ask, as many at once as their connections may, and all are answered.
    private func askAll<Request: RequestMessage>(
        version: Int16, _ request: (Member) -> Request,
        _ take: (inout Member, Request.Response) throws -> Void
    ) throws {
        let wave = connections.count * (connections.count == members.count ? 1 : Self.depth)
        for first in stride(from: 0, to: members.count, by: wave) {
            let range = first..<min(first + wave, members.count)
            for number in range {
                try connections[number % connections.count].send(request(members[number]), version: version)
            }
            for number in range {
                let connection = connections[number % connections.count]
                try take(&members[number], try connection.receive(Request.self, version: version))
            }
        }
    }

    private func check(_ code: ErrorCode, _ what: String, or other: ErrorCode = .none) throws {
        if code != .none && code != other { throw BenchmarkError.broker("\(what): \(code)") }
    }

    /// All join, are told who is there, and get their shares.
    func join() throws {
        for isKnown in [false, true] {
            try askAll(version: 9) { member in
                JoinGroupRequest(
                    groupID: member.group, sessionTimeoutMilliseconds: 45_000,
                    rebalanceTimeoutMilliseconds: 300_000, memberID: member.id, protocolType: "consumer",
                    protocols: [.init(name: "range", metadata: Self.subscription)])
            } _: { member, response in
                try check(response.errorCode, "JoinGroup", or: isKnown ? .none : .memberIDRequired)
                member.id = response.memberID
                member.generation = response.generationID
                member.followers =
                    response.leader == response.memberID ? response.members.map(\.memberID) : nil
            }
        }
        try askAll(version: 5) { member in
            SyncGroupRequest(
                groupID: member.group, generationID: member.generation, memberID: member.id,
                protocolType: "consumer", protocolName: "range",
                assignments: (member.followers ?? []).map { .init(memberID: $0, assignment: Self.share) })
        } _: { _, response in
            try check(response.errorCode, "SyncGroup")
            if response.assignment != Self.share {
                throw BenchmarkError.wrongResult("a member's share is not what its leader gave it")
            }
        }
    }

    func heartbeat() throws {
        try askAll(version: 4) { member in
            HeartbeatRequest(groupID: member.group, generationID: member.generation, memberID: member.id)
        } _: { _, response in
            try check(response.errorCode, "Heartbeat")
        }
    }

    /// Each commits one partition.
    func commit() throws {
        nextOffset += 1
        let offset = nextOffset
        try askAll(version: 8) { member in
            OffsetCommitRequest(
                groupID: member.group, generationIDOrMemberEpoch: member.generation, memberID: member.id,
                topics: [
                    .init(
                        name: Self.topic,
                        partitions: [.init(partitionIndex: 0, committedOffset: Offset(offset))])
                ])
        } _: { _, response in
            try check(
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
