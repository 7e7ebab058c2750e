import ClusterMetadata
import KafkaProtocol
import RecordFormat
import Testing

@testable import RaftController

@Suite("Commands about topics")
struct TopicCommandTests {
    private func create(
        _ topic: CreateTopics.NewTopic, in image: inout MetadataImage,
        policy: CommandPolicy = CommandPolicy(rules: .permissive)
    ) throws -> CreateTopics.CreatedTopic {
        try #require(try image.run(CreateTopics(topics: [topic]), policy: policy).first).result.get()
    }

    private func refusal(
        _ topic: CreateTopics.NewTopic, _ image: MetadataImage,
        policy: CommandPolicy = CommandPolicy(rules: .permissive)
    ) throws -> ErrorCode? {
        var image = image
        do {
            _ = try create(topic, in: &image, policy: policy)
            return nil
        } catch let error as CommandRefusal {
            #expect(!error.message.isEmpty)
            return error.code
        }
    }

    @Test("a topic gets its partitions, replicas, directories and settings")
    func created() throws {
        var image = try brokersImage(1)
        let made = try create(
            .init(name: "a", partitionCount: 3, configuration: ["cleanup.policy": "compact"]), in: &image)
        #expect(made.partitionCount == 3)
        #expect(made.replicationFactor == 1)
        let topic = try #require(image.topics["a"])
        #expect(topic.id == made.id)
        for partition in topic.partitions {
            #expect(partition.replicas == [1])
            #expect(partition.inSyncReplicas == [1])
            #expect(partition.leader == 1)
            #expect(partition.leaderEpoch == LeaderEpoch(0))
            #expect(partition.directories == [DirectoryID(UniqueID(high: 50, low: 1))])
        }
        #expect(image.configurations[.topic("a")] == ["cleanup.policy": "compact"])
    }

    @Test("topics that cannot be are refused with Kafka's codes")
    func refusals() throws {
        var image = try brokersImage(1)
        _ = try create(.init(name: "a.b"), in: &image)
        #expect(try refusal(.init(name: "a.b"), image) == .topicAlreadyExists)
        #expect(try refusal(.init(name: "a_b"), image) == .invalidTopicException)
        for name in ["", ".", "..", "a b", "a/b", "ä", String(repeating: "x", count: 250)] {
            #expect(try refusal(.init(name: name), image) == .invalidTopicException)
        }
        #expect(try refusal(.init(name: String(repeating: "x", count: 249)), image) == nil)
        #expect(try refusal(.init(name: "c", partitionCount: 0), image) == .invalidPartitions)
        #expect(try refusal(.init(name: "c", replicationFactor: 0), image) == .invalidReplicationFactor)
        #expect(try refusal(.init(name: "c", replicationFactor: 2), image) == .invalidReplicationFactor)
        #expect(try refusal(.init(name: "c", partitionCount: 20_000), image) == .policyViolation)
        #expect(try refusal(.init(name: "c", configuration: ["x": nil]), image) == .invalidConfig)
        #expect(try refusal(.init(name: "__cluster_metadata"), image) == .invalidTopicException)
        var policy = CommandPolicy(rules: .permissive)
        policy.rules.problem = { _, settings in settings["bad"].map { "bad is \($0)" } }
        #expect(
            try refusal(.init(name: "c", configuration: ["bad": "1"]), image, policy: policy)
                == .invalidConfig)
    }

    @Test("assignments by hand are checked")
    func assignments() throws {
        var image = try brokersImage(3, fenced: [3])
        func code(_ assignments: [Int32: [Int32]]) throws -> ErrorCode? {
            try refusal(.init(name: "c", assignments: assignments), image)
        }
        #expect(try code([0: [1, 2], 1: [2, 1]]) == nil)
        #expect(try code([1: [1]]) == .invalidReplicaAssignment)
        #expect(try code([0: [1], 2: [1]]) == .invalidReplicaAssignment)
        #expect(try code([0: []]) == .invalidReplicaAssignment)
        #expect(try code([0: [1, 1]]) == .invalidReplicaAssignment)
        #expect(try code([0: [9]]) == .invalidReplicaAssignment)
        #expect(try code([0: [3]]) == .invalidReplicaAssignment)
        #expect(try code([0: [1], 1: [1, 2]]) == .invalidReplicaAssignment)
        #expect(
            try refusal(.init(name: "c", partitionCount: 1, assignments: [0: [1]]), image)
                == .invalidRequest)
        #expect(
            try refusal(.init(name: "c", replicationFactor: 1, assignments: [0: [1]]), image)
                == .invalidRequest)
        _ = try create(.init(name: "d", assignments: [0: [3, 2]]), in: &image)
        let partition = try #require(image.topics["d"]?.partitions.first)
        #expect(partition.leader == 2)
        #expect(partition.inSyncReplicas == [2])
    }

    @Test("in one command, names twice and lookalikes are refused and the others made")
    func several() throws {
        var image = try brokersImage(1)
        let outcomes = try image.run(
            CreateTopics(
                topics: [
                    .init(name: "x.y"), .init(name: "x_y"), .init(name: "t"), .init(name: "t"),
                    .init(name: "ok"),
                ]))
        #expect(outcomes.map(\.name) == ["x.y", "x_y", "t", "ok"])
        let codes = outcomes.map { outcome -> ErrorCode? in
            if case .failure(let refusal) = outcome.result { refusal.code } else { nil }
        }
        #expect(codes == [nil, .invalidTopicException, .invalidRequest, nil])
        #expect(image.topics.count == 2)
    }

    @Test("validating writes nothing and tells what would be")
    func validateOnly() throws {
        var image = try brokersImage(1)
        let before = image
        let outcome = try image.run(CreateTopics(topics: [.init(name: "a")], validateOnly: true))
        #expect(try outcome[0].result.get().partitionCount == 1)
        _ = try image.run(
            IncrementalAlterConfigurations([.init(.allBrokers, [])], validateOnly: true))
        #expect(image == before)
    }

    @Test("topics are deleted by name and by ID, with their settings")
    func deleted() throws {
        var image = try brokersImage(1)
        let before = image
        _ = try create(.init(name: "a", configuration: ["x": "1"]), in: &image)
        let b = try create(.init(name: "b"), in: &image)
        let outcomes = try image.run(
            DeleteTopics(topics: [
                .name("a"), .id(b.id), .name("b"), .name("none"), .id(TopicID(UniqueID(high: 3, low: 3))),
            ]))
        let codes = outcomes.map { outcome -> ErrorCode? in
            if case .failure(let refusal) = outcome.result { refusal.code } else { nil }
        }
        #expect(codes == [nil, nil, .invalidRequest, .unknownTopicOrPartition, .unknownTopicID])
        #expect(image == before)
        var policy = CommandPolicy(rules: .permissive)
        policy.allowsDeletion = false
        _ = try create(.init(name: "a"), in: &image)
        let kept = try image.run(DeleteTopics(topics: [.name("a")]), policy: policy)
        #expect(throws: CommandRefusal.self) { try kept[0].result.get() }
        #expect(image.topics["a"] != nil)
    }

    @Test("partitions are added, never taken away")
    func grown() throws {
        var image = try brokersImage(2)
        _ = try create(.init(name: "a", partitionCount: 2, replicationFactor: 2), in: &image)
        func grow(_ count: Int32, _ assignments: [[Int32]]? = nil, name: String = "a") throws -> ErrorCode? {
            try image.run(
                CreatePartitions(topics: [
                    .init(name: name, partitionCount: count, assignments: assignments)
                ]))[0].refusal?.code
        }
        #expect(try grow(2) == .invalidPartitions)
        #expect(try grow(1) == .invalidPartitions)
        #expect(try grow(5, name: "none") == .unknownTopicOrPartition)
        #expect(try grow(4, [[1, 2]]) == .invalidReplicaAssignment)
        #expect(try grow(3, [[1]]) == .invalidReplicaAssignment)
        #expect(try grow(3, [[2, 1]]) == nil)
        #expect(image.topics["a"]?.partitions[2].replicas == [2, 1])
        #expect(try grow(8) == nil)
        let leaders = try #require(image.topics["a"]).partitions.map(\.leader)
        #expect(leaders.count { $0 == 1 } == 4)
        #expect(try grow(20_000) == .policyViolation)
    }
}
