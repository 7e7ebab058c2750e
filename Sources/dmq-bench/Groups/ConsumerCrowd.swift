import CBaseline
import KafkaProtocol
import RecordFormat

/// Members of one group whose broker divides the partitions (KIP-848), as many as there are of them. Each has
/// a connection of its own.
final class ConsumerCrowd: Crowd {
    private struct Member {
        let id: String
        var epoch: Int32 = 0
        var partitions: [ConsumerGroupHeartbeatResponse.TopicPartitions] = []
        /// What it has has changed, and it has not said so.
        var hasNews = true

        var partitionCount: Int { partitions.reduce(0) { $0 + $1.partitions.count } }
    }

    private let connections: CrowdConnections
    private var members: [Member]
    private var nextOffset: Int64 = 0

    private static let group = "group-0"
    /// A group that has not come to rest by then never will.
    private static let roundLimit = 200

    init(port: Int32, memberCount: Int) throws {
        connections = try CrowdConnections(port: port, count: memberCount)
        members = (0..<memberCount).map { Member(id: "member-\($0)") }
        try connections.awaitCoordinators(of: [Self.group])
    }

    /// All come, and send heartbeats until each has its one partition and nothing changes any more.
    func join() throws {
        for _ in 0..<Self.roundLimit {
            try heartbeat()
            // Real members come back after seconds; in a large group nothing happens before.
            dmq_nap(UInt64(members.count) * 1_000_000)
            let last = members.map(\.epoch).max() ?? 0
            let isDone = members.allSatisfy { $0.epoch == last && $0.partitionCount == 1 && !$0.hasNews }
            if isDone { return }
        }
        throw BenchmarkError.wrongResult("the group has not come to rest in \(Self.roundLimit) rounds")
    }

    func heartbeat() throws {
        typealias Owned = ConsumerGroupHeartbeatRequest.TopicPartitions
        try connections.askAll(&members, version: 1) { member in
            let isJoining = member.epoch == 0
            return ConsumerGroupHeartbeatRequest(
                groupID: Self.group, memberID: member.id, memberEpoch: member.epoch,
                rebalanceTimeoutMilliseconds: isJoining ? 300_000 : -1,
                subscribedTopicNames: isJoining ? [GroupCrowd.topic] : nil,
                topicPartitions: member.hasNews
                    ? member.partitions.map { Owned(topicID: $0.topicID, partitions: $0.partitions) } : nil)
        } _: { member, response in
            try CrowdConnections.check(response.errorCode, "ConsumerGroupHeartbeat")
            member.epoch = response.memberEpoch
            let given = response.assignment?.topicPartitions ?? member.partitions
            member.hasNews = given != member.partitions
            member.partitions = given
        }
    }

    func commit() throws {
        nextOffset += 1
        let offset = nextOffset
        try connections.askAll(&members, version: 9) { member in
            OffsetCommitRequest(
                groupID: Self.group, generationIDOrMemberEpoch: member.epoch, memberID: member.id,
                topics: [
                    .init(
                        name: GroupCrowd.topic,
                        partitions: [
                            .init(
                                partitionIndex: member.partitions.first?.partitions.first ?? 0,
                                committedOffset: Offset(offset))
                        ])
                ])
        } _: { _, response in
            try CrowdConnections.check(
                response.topics.first?.partitions.first?.errorCode ?? .unknownServerError, "OffsetCommit")
        }
    }
}
