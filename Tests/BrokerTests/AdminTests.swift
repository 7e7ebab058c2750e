import KafkaProtocol
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import Broker

/// Topics and their settings, as clients change and see them.
struct AdminTests {
    private func create(
        _ client: BrokerClient, _ topics: [CreateTopicsRequest.CreatableTopic], version: Int16 = 7
    ) throws -> [CreateTopicsResponse.CreatableTopicResult] {
        try client.ask(CreateTopicsRequest(topics: topics), version: version).topics
    }

    private func topic(
        _ name: String, _ partitions: Int32 = -1, _ replicas: Int16 = -1, _ settings: [String: String] = [:]
    ) -> CreateTopicsRequest.CreatableTopic {
        CreateTopicsRequest.CreatableTopic(
            name: name, numPartitions: partitions, replicationFactor: replicas,
            configs: settings.sorted { $0.key < $1.key }.map {
                CreateTopicsRequest.CreatableTopicConfig(name: $0.key, value: $0.value)
            })
    }

    private func settings(
        _ client: BrokerClient, _ type: Int8, _ name: String, keys: [String]? = nil
    ) throws -> DescribeConfigsResponse.DescribeConfigsResult {
        let resource = DescribeConfigsRequest.DescribeConfigsResource(
            resourceType: type, resourceName: name, configurationKeys: keys)
        let answer = try client.ask(
            DescribeConfigsRequest(resources: [resource], includeSynonyms: true), version: 4)
        return try #require(answer.results.first)
    }

    private func value(_ client: BrokerClient, _ topic: String, _ key: String) throws -> String? {
        try settings(client, 2, topic, keys: [key]).configs.first?.value
    }

    private func change(
        _ client: BrokerClient, _ type: Int8, _ name: String,
        _ changes: [(key: String, operation: Int8, value: String?)], validateOnly: Bool = false
    ) throws -> ErrorCode {
        let configs = changes.map {
            IncrementalAlterConfigsRequest.AlterableConfig(
                name: $0.key, configOperation: $0.operation, value: $0.value)
        }
        let answer = try client.ask(
            IncrementalAlterConfigsRequest(
                resources: [
                    IncrementalAlterConfigsRequest.AlterConfigsResource(
                        resourceType: type, resourceName: name, configs: configs)
                ], validateOnly: validateOnly), version: 1)
        return try #require(answer.responses.first).errorCode
    }

    @Test("Topics are made with their settings, each on its own, and refused with Kafka's codes")
    func creating() throws {
        let node = try TestNode(lanes: 2, [("num.partitions", "2")])
        let client = try node.client()
        let made = try create(
            client,
            [
                topic("a", 3, 1, ["retention.ms": "1000"]), topic("b"), topic("no name"), topic("c", 0),
                topic("d", 1, 2), topic("e", 1, 1, ["retention.ms": "soon"]),
                topic("f", 1, 1, ["retention": "1"]),
            ])
        #expect(
            made.map(\.errorCode) == [
                .none, .none, .invalidTopicException, .invalidPartitions, .invalidReplicationFactor,
                .invalidConfig, .invalidConfig,
            ])
        #expect(made[0].numPartitions == 3 && made[0].topicID != .none)
        #expect(made[0].configs?.first { $0.name == "retention.ms" }?.value == "1000")
        #expect(made[1].numPartitions == 2)
        #expect(made[6].errorMessage?.contains("retention.ms") ?? false)
        #expect(try create(client, [topic("a")])[0].errorCode == .topicAlreadyExists)
        // All partitions are served at once.
        for partition in Int32(0)..<3 {
            #expect(try client.produce("a", TestBatches.batch(), partition: partition).errorCode == .none)
        }
        let draft = try client.ask(
            CreateTopicsRequest(topics: [topic("g")], validateOnly: true), version: 7)
        #expect(draft.topics[0].errorCode == .none)
        #expect(
            try client.metadata(["g"], creating: false).topics[0].errorCode == .unknownTopicOrPartition)
    }

    @Test("Deleted topics are gone with their records, by name and by ID", arguments: [1, 3])
    func deleting(lanes: Int) throws {
        let node = try TestNode(lanes: lanes)
        let client = try node.client()
        let made = try create(client, [topic("a", 3), topic("b", 1)])
        try client.produce("a", TestBatches.batch(), partition: 2)
        func delete(_ topics: [DeleteTopicsRequest.DeleteTopicState]) throws -> [ErrorCode] {
            try client.ask(DeleteTopicsRequest(topics: topics, timeoutMilliseconds: 30_000), version: 6)
                .responses.map(\.errorCode)
        }
        let gone = try delete([
            .init(name: "a"), .init(name: nil, topicID: made[1].topicID),
            .init(name: nil, topicID: TopicID(UniqueID(high: 8, low: 9))), .init(name: "nowhere"),
        ])
        #expect(gone == [.none, .none, .unknownTopicID, .unknownTopicOrPartition])
        #expect(try delete([.init(name: nil)]) == [.invalidRequest])
        #expect(
            try client.produce("a", TestBatches.batch(), partition: 2).errorCode == .unknownTopicOrPartition)
        // One of the same name begins anew.
        #expect(try create(client, [topic("a", 3)])[0].errorCode == .none)
        #expect(try client.produce("a", TestBatches.batch(), partition: 2).baseOffset == .zero)
    }

    @Test("A fetch that waits at a topic that is deleted is answered")
    func deletedUnderFetch() throws {
        let node = try TestNode(lanes: 2)
        let (consumer, client) = (try node.client(), try node.client())
        try client.metadata(["a"])
        let requests = node.requestCount
        try consumer.send(BrokerClient.fetch("a", [(0, 0)], wait: 100_000), version: 12)
        while node.requestCount == requests {}
        _ = try client.ask(DeleteTopicsRequest(topicNames: ["a"], timeoutMilliseconds: 30_000), version: 1)
        #expect(try consumer.fetched().1.first?.0.errorCode == .unknownTopicOrPartition)
    }

    @Test("Partitions are added and served; taking some away is refused", arguments: [1, 3])
    func growing(lanes: Int) throws {
        let node = try TestNode(lanes: lanes)
        let client = try node.client()
        _ = try create(client, [topic("a", 1)])
        func grow(_ name: String, to count: Int32) throws -> ErrorCode {
            try client.ask(
                CreatePartitionsRequest(
                    topics: [.init(name: name, count: count, assignments: nil)], timeoutMilliseconds: 30_000),
                version: 3
            ).results[0].errorCode
        }
        #expect(try grow("a", to: 4) == .none)
        #expect(try grow("a", to: 2) == .invalidPartitions)
        #expect(try grow("nowhere", to: 2) == .unknownTopicOrPartition)
        for partition in Int32(0)..<4 {
            #expect(try client.produce("a", TestBatches.batch(), partition: partition).errorCode == .none)
        }
    }

    @Test("A changed setting holds at once on the lane that owns the log", arguments: [1, 3])
    func dynamicTopicSettings(lanes: Int) throws {
        let node = try TestNode(lanes: lanes)
        let client = try node.client()
        _ = try create(client, [topic("a", 1)])
        let large = TestBatches.batch(value: [UInt8](repeating: 0, count: 2000))
        #expect(try client.produce("a", large).errorCode == .none)
        #expect(try change(client, 2, "a", [("max.message.bytes", 0, "1000")], validateOnly: true) == .none)
        #expect(try client.produce("a", large).errorCode == .none)
        #expect(try change(client, 2, "a", [("max.message.bytes", 0, "1000")]) == .none)
        #expect(try client.produce("a", large).errorCode == .messageTooLarge)
        #expect(try change(client, 2, "a", [("max.message.bytes", 1, nil)]) == .none)
        #expect(try client.produce("a", large).errorCode == .none)
        // For all topics, by the broker.
        #expect(try change(client, 4, "", [("message.max.bytes", 0, "1000")]) == .none)
        #expect(try client.produce("a", large).errorCode == .messageTooLarge)
        #expect(try value(client, "a", "max.message.bytes") == "1000")
        #expect(try settings(client, 4, "").configs.map(\.name) == ["message.max.bytes"])
    }

    @Test("Lists grow and shrink; what is not good is refused and changes nothing")
    func changingSettings() throws {
        let node = try TestNode()
        let client = try node.client()
        _ = try create(client, [topic("a", 1)])
        #expect(try change(client, 2, "a", [("cleanup.policy", 2, "compact")]) == .none)
        #expect(try value(client, "a", "cleanup.policy") == "delete,compact")
        #expect(try change(client, 2, "a", [("cleanup.policy", 3, "delete")]) == .none)
        #expect(try value(client, "a", "cleanup.policy") == "compact")
        #expect(try change(client, 2, "a", [("retention.ms", 2, "5")]) == .invalidConfig)
        #expect(try change(client, 2, "a", [("retention.ms", 0, "soon")]) == .invalidConfig)
        #expect(try change(client, 2, "a", [("retention.ms", 9, "5")]) == .invalidRequest)
        #expect(try change(client, 2, "nowhere", [("retention.ms", 0, "5")]) == .unknownTopicOrPartition)
        #expect(try change(client, 4, "1", [("log.dirs", 0, "/tmp")]) == .invalidConfig)
        #expect(try change(client, 4, "5", [("log.retention.ms", 0, "5")]) == .brokerIDNotRegistered)
        #expect(try change(client, 77, "a", [("retention.ms", 0, "5")]) == .invalidRequest)
        // The older request names all there is to be.
        let replaced = try client.ask(
            AlterConfigsRequest(
                resources: [
                    .init(
                        resourceType: 2, resourceName: "a",
                        configs: [.init(name: "retention.ms", value: "5000")])
                ]), version: 2)
        #expect(replaced.responses[0].errorCode == .none)
        #expect(try value(client, "a", "cleanup.policy") == "delete")
        let entry = try #require(try settings(client, 2, "a", keys: ["retention.ms"]).configs.first)
        #expect(entry.value == "5000" && entry.configSource == 1 && !entry.readOnly)
        #expect(entry.synonyms.map(\.source) == [1, 5])
    }

    @Test("Settings are told of what exists only")
    func describingSettings() throws {
        let node = try TestNode()
        let client = try node.client()
        #expect(try settings(client, 2, "nowhere").errorCode == .unknownTopicOrPartition)
        #expect(try settings(client, 2, "no name").errorCode == .invalidTopicException)
        #expect(try settings(client, 4, "7").errorCode == .invalidRequest)
        #expect(try settings(client, 99, "a").errorCode == .invalidRequest)
        let own = try settings(client, 4, "1").configs
        #expect(own.first { $0.name == "listeners" }?.value == "PLAINTEXT://127.0.0.1:0")
        #expect(own.first { $0.name == "listeners" }?.readOnly == true)
    }

    @Test("Partitions are described page by page")
    func pages() throws {
        let node = try TestNode()
        let client = try node.client()
        _ = try create(client, [topic("a", 3), topic("b", 2)])
        var request = DescribeTopicPartitionsRequest(responsePartitionLimit: 2)
        var seen: [String] = []
        var pageCount = 0
        while true {
            let page = try client.ask(request, version: 0)
            pageCount += 1
            for topic in page.topics {
                seen += topic.partitions.map { "\(topic.name ?? "")-\($0.partitionIndex)" }
            }
            guard let next = page.nextCursor else { break }
            request.cursor = .init(topicName: next.topicName, partitionIndex: next.partitionIndex)
        }
        #expect(seen == ["a-0", "a-1", "a-2", "b-0", "b-1"])
        #expect(pageCount == 3)
        let unknown = try client.ask(
            DescribeTopicPartitionsRequest(topics: [.init(name: "c")], responsePartitionLimit: 9), version: 0)
        #expect(unknown.topics.map(\.errorCode) == [.unknownTopicOrPartition])
    }

    @Test("Producers are described by the lane that has their partition", arguments: [1, 3])
    func producers(lanes: Int) throws {
        let node = try TestNode(lanes: lanes)
        let client = try node.client()
        _ = try create(client, [topic("a", 2)])
        try client.produce(
            "a", TestBatches.batch(count: 3, producerID: 7, producerEpoch: 2, sequence: 0), partition: 1)
        let answer = try client.ask(
            DescribeProducersRequest(topics: [.init(name: "a", partitionIndexes: [0, 1, 5])]), version: 0)
        let parts = answer.topics[0].partitions
        #expect(parts.map(\.errorCode) == [.none, .none, .unknownTopicOrPartition])
        #expect(parts[0].activeProducers.isEmpty)
        #expect(parts[1].activeProducers.map(\.producerID) == [ProducerID(7)])
        #expect(parts[1].activeProducers.map(\.lastSequence) == [2])
        #expect(parts[1].activeProducers.map(\.producerEpoch) == [2])
    }
}
