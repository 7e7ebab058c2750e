import KafkaProtocol
import RecordFormat
import SimulationKit
import Testing

@testable import Broker

/// Groups of the consumer protocol (KIP-848) over real sockets.
struct ConsumerGroupTests {
    private typealias Beat = ConsumerGroupHeartbeatRequest

    private func enter(_ member: String, names: [String]? = ["events"], pattern: String? = nil) -> Beat {
        Beat(
            groupID: "group", memberID: member, rebalanceTimeoutMilliseconds: 60_000,
            subscribedTopicNames: names, subscribedTopicRegex: pattern, topicPartitions: [])
    }

    private func beat(_ member: String, _ epoch: Int32) -> Beat {
        Beat(groupID: "group", memberID: member, memberEpoch: epoch)
    }

    /// Asks until the coordinator has been found and has read its log.
    private func ask(_ client: BrokerClient, _ request: Beat) throws -> ConsumerGroupHeartbeatResponse {
        _ = try client.ask(FindCoordinatorRequest(coordinatorKeys: ["group"]), version: 4)
        while true {
            let answer = try client.ask(request, version: 1)
            if ![.coordinatorLoadInProgress, .notCoordinator].contains(answer.errorCode) { return answer }
        }
    }

    private func create(_ client: BrokerClient, _ topic: String, _ count: Int32) throws {
        let answer = try client.ask(
            CreateTopicsRequest(
                topics: [.init(name: topic, numPartitions: count, replicationFactor: 1)],
                timeoutMilliseconds: 30_000), version: 5)
        #expect(answer.topics[0].errorCode == .none)
    }

    @Test("Members get partitions, commit under their epochs, and outlive a restart", arguments: [1, 3])
    func life(lanes: Int) throws {
        let directory = try TemporaryDirectory()
        var node = try TestNode(lanes: lanes, in: directory)
        var client = try node.client()
        try create(client, "logs-1", 2)
        let first = try ask(client, enter("a", names: nil, pattern: "logs-.*"))
        #expect(first.errorCode == .none && first.memberEpoch == 1)
        let assignment = try #require(first.assignment?.topicPartitions.first)
        #expect(assignment.partitions == [0, 1])
        // A topic that comes is noticed.
        try create(client, "logs-2", 3)
        var answer = try ask(client, beat("a", 1))
        #expect(answer.memberEpoch == 2)
        #expect(answer.assignment?.topicPartitions.flatMap(\.partitions).count == 5)

        func commit(_ id: TopicID, _ epoch: Int32, _ partition: Int32 = 0) throws -> ErrorCode? {
            try client.ask(
                OffsetCommitRequest(
                    groupID: "group", generationIDOrMemberEpoch: epoch, memberID: "a",
                    topics: [
                        .init(
                            topicID: id,
                            partitions: [.init(partitionIndex: partition, committedOffset: Offset(7))])
                    ]), version: 10
            ).topics.first?.partitions.first?.errorCode
        }
        #expect(try commit(assignment.topicID, 2) == ErrorCode.none)
        #expect(try commit(assignment.topicID, 1) == .staleMemberEpoch)
        #expect(try commit(assignment.topicID, 2, 9) == .unknownTopicOrPartition)
        let strange = TopicID(UniqueID(high: 1, low: 2))
        #expect(try commit(strange, 2) == .unknownTopicID)
        let fetched = try client.ask(
            OffsetFetchRequest(groups: [
                .init(
                    groupID: "group", memberID: "a", memberEpoch: 2,
                    topics: [
                        .init(topicID: assignment.topicID, partitionIndexes: [0]),
                        .init(topicID: strange, partitionIndexes: [0]),
                    ]), .init(groupID: "group", topics: nil),
            ]), version: 10)
        let topics = fetched.groups[0].topics
        #expect(topics.map(\.topicID) == [assignment.topicID, strange])
        #expect(topics.flatMap(\.partitions).map(\.errorCode) == [.none, .unknownTopicID])
        #expect(topics[0].partitions[0].committedOffset == Offset(7))
        #expect(fetched.groups[1].topics.map(\.topicID) == [assignment.topicID])
        node.stop()

        node = try TestNode(lanes: lanes, in: directory)
        client = try node.client()
        answer = try ask(client, beat("a", 2))
        #expect(answer.errorCode == .none && answer.memberEpoch == 2)
        let described = try client.ask(ConsumerGroupDescribeRequest(groupIDs: ["group", "none"]), version: 1)
        #expect(described.groups.map(\.errorCode) == [.none, .groupIDNotFound])
        #expect(described.groups[0].groupState == "Stable" && described.groups[0].members.count == 1)
        let names = described.groups[0].members[0].assignment.topicPartitions.map(\.topicName)
        #expect(Set(names) == ["logs-1", "logs-2"])
        let left = try ask(client, beat("a", -1))
        #expect(left.errorCode == .none)
        let listed = try client.ask(ListGroupsRequest(typesFilter: ["consumer"]), version: 5)
        #expect(listed.groups.map(\.groupState) == ["Empty"])
        let deleted = try client.ask(DeleteGroupsRequest(groupsNames: ["group"]), version: 2)
        #expect(deleted.results.map(\.errorCode) == [.none])
        node.stop()
    }

    private func alter(_ client: BrokerClient, _ name: String, _ value: String) throws -> (ErrorCode, String)
    {
        let changed = try client.ask(
            IncrementalAlterConfigsRequest(resources: [
                .init(
                    resourceType: 32, resourceName: "group",
                    configs: [.init(name: "consumer.\(name)", value: value)])
            ]), version: 1)
        let response = try #require(changed.responses.first)
        return (response.errorCode, response.errorMessage ?? "")
    }

    @Test("A group has settings of its own within the broker's bounds, and goes by the broker's otherwise")
    func ownSettings() throws {
        let directory = try TemporaryDirectory()
        var node = try TestNode(in: directory)
        var client = try node.client()
        try client.metadata(["events"])
        #expect(try ask(client, enter("a")).heartbeatIntervalMilliseconds == 5_000)
        #expect(try alter(client, "heartbeat.interval.ms", "14000").0 == .none)
        #expect(try ask(client, beat("a", 1)).heartbeatIntervalMilliseconds == 14_000)
        for (name, value, reason) in [
            ("heartbeat.interval.ms", "4999", "group.consumer.min.heartbeat.interval.ms"),
            ("heartbeat.interval.ms", "15001", "group.consumer.max.heartbeat.interval.ms"),
            ("session.timeout.ms", "44999", "group.consumer.min.session.timeout.ms"),
            ("session.timeout.ms", "60001", "group.consumer.max.session.timeout.ms"),
            ("session.timeout.ms", "soon", "consumer.session.timeout.ms"),
            ("session.timeout", "50000", "consumer.session.timeout is not served"),
        ] {
            let (code, message) = try alter(client, name, value)
            #expect(code == .invalidConfig && message.contains(reason), "\(name)=\(value): \(message)")
        }
        #expect(try ask(client, beat("a", 1)).heartbeatIntervalMilliseconds == 14_000)
        node.stop()

        // Bounds that have become others hold for what is there already.
        node = try TestNode(
            [
                ("group.consumer.max.heartbeat.interval.ms", "9000"),
                ("group.consumer.min.session.timeout.ms", "6000"),
                ("group.consumer.session.timeout.ms", "8000"),
            ], in: directory)
        client = try node.client()
        #expect(try ask(client, beat("a", 1)).heartbeatIntervalMilliseconds == 9_000)
        #expect(try alter(client, "heartbeat.interval.ms", "7500").0 == .none)
        let (code, message) = try alter(client, "session.timeout.ms", "7000")
        #expect(code == .invalidConfig && message.contains("is not below"), "\(message)")
        node.stop()
    }
}
