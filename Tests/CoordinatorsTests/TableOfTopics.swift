import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

/// A cluster's topics in a table. Each topic that is made gets the next ID.
final class TableOfTopics: GroupSurroundings {
    private(set) var version: Int64 = 0
    private var topics: [String: GroupTopic] = [:]
    private var nextID: UInt64 = 1
    var own: [String: OwnGroupSettings] = [:]

    init(_ topics: [String: Int32]) {
        for (name, count) in topics.sorted(by: { $0.key < $1.key }) { set(name, count) }
    }

    func set(_ name: String, _ partitionCount: Int32) {
        version += 1
        if partitionCount == 0 {
            topics[name] = nil
            return
        }
        if topics[name] == nil { nextID += 1 }
        let id = topics[name]?.id ?? TopicID(UniqueID(high: 9, low: nextID))
        topics[name] = GroupTopic(name: name, id: id, partitionCount: partitionCount)
    }

    func topic(named name: String) -> GroupTopic? { topics[name] }
    func topic(id: TopicID) -> GroupTopic? { topics.values.first { $0.id == id } }
    var topicNames: [String] { topics.keys.sorted() }
    func ownSettings(of group: String) -> OwnGroupSettings { own[group] ?? OwnGroupSettings() }

    func id(_ name: String) -> TopicID { topics[name]?.id ?? .none }
}

// MARK: Requests in short

extension GroupRequest {
    /// A heartbeat that says nothing but that the member is there.
    static func beat(
        _ member: String, _ epoch: Int32, group: String = "group", instance: String? = nil,
        owned: PartitionSet? = nil, version: Int16 = 1, topics: [String]? = nil, pattern: String? = nil,
        assignor: String? = nil, rebalance: Int32 = -1, rack: String? = nil
    ) -> GroupRequest {
        .consumerHeartbeat(
            ConsumerGroupHeartbeatRequest(
                groupID: group, memberID: member, memberEpoch: epoch, instanceID: instance, rackID: rack,
                rebalanceTimeoutMilliseconds: rebalance, subscribedTopicNames: topics,
                subscribedTopicRegex: pattern, serverAssignor: assignor,
                topicPartitions: owned?.sorted.map { .init(topicID: $0.topic, partitions: $0.partitions) }),
            GroupCaller(clientID: "client", clientHost: "/10.0.0.1", version: version))
    }

    /// The first heartbeat of a member.
    static func enter(
        _ member: String, group: String = "group", instance: String? = nil, version: Int16 = 1,
        topics: [String]? = ["topic"], pattern: String? = nil, assignor: String? = nil,
        rebalance: Int32 = 60_000
    ) -> GroupRequest {
        beat(
            member, 0, group: group, instance: instance, owned: PartitionSet(), version: version,
            topics: topics, pattern: pattern, assignor: assignor, rebalance: rebalance)
    }
}

extension ConsumerGroupHeartbeatResponse {
    var partitions: PartitionSet? {
        assignment.map { PartitionSet($0.topicPartitions.map { ($0.topicID, $0.partitions) }) }
    }
}

/// A member as clients are: it keeps what it is told, and gives back at once, as its next heartbeat says.
struct ConsumerClient {
    let id: String
    let instance: String?
    var epoch: Int32 = 0
    var owned = PartitionSet()

    init(_ id: String, instance: String? = nil) {
        self.id = id
        self.instance = instance
    }

    /// - Returns: the error, if it was refused.
    @discardableResult
    mutating func enter(_ node: GroupNode, topics: [String]? = ["topic"], pattern: String? = nil) throws
        -> ErrorCode
    {
        (epoch, owned) = (0, PartitionSet())
        return try take(node.ask(.enter(id, instance: instance, topics: topics, pattern: pattern)))
    }

    @discardableResult
    mutating func beat(_ node: GroupNode, topics: [String]? = nil) throws -> ErrorCode {
        try take(node.ask(.beat(id, epoch, instance: instance, owned: owned, topics: topics)))
    }

    private mutating func take(_ reply: Reply) throws -> ErrorCode {
        let answer = try #require(reply.beat)
        guard answer.errorCode == .none else { return answer.errorCode }
        epoch = answer.memberEpoch
        if let partitions = answer.partitions { owned = partitions }
        return .none
    }
}
