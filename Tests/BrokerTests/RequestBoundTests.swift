import KafkaProtocol
import RecordFormat
import Settings
import SimulationKit
import SystemIO
import Testing

@testable import Broker

/// Counts that clients make up.
@Suite
struct RequestBoundTests {
    private func create(
        _ client: BrokerClient, _ topics: [CreateTopicsRequest.CreatableTopic]
    ) throws -> [CreateTopicsResponse.CreatableTopicResult] {
        try client.ask(CreateTopicsRequest(topics: topics, timeoutMilliseconds: 30_000), version: 7).topics
    }

    private func topic(_ name: String, _ count: Int32) -> CreateTopicsRequest.CreatableTopic {
        CreateTopicsRequest.CreatableTopic(name: name, numPartitions: count, replicationFactor: 1)
    }

    private func grow(
        _ client: BrokerClient, _ topics: [CreatePartitionsRequest.CreatePartitionsTopic]
    ) throws -> [CreatePartitionsResponse.CreatePartitionsTopicResult] {
        try client.ask(
            CreatePartitionsRequest(topics: topics, timeoutMilliseconds: 30_000), version: 3
        ).results
    }

    @Test(
        "Numbers of partitions that nobody can mean are refused with a word on what may be",
        arguments: [1, 2])
    func partitionCounts(lanes: Int) throws {
        let node = try TestNode(lanes: lanes)
        let client = try node.client()
        let counts: [(Int32, ErrorCode)] = [
            (.max, .policyViolation), (10_002, .policyViolation), (0, .invalidPartitions),
            (-2, .invalidPartitions), (.min, .invalidPartitions),
        ]
        for (count, code) in counts {
            let made = try #require(try create(client, [topic("a", count)]).first)
            #expect(made.errorCode == code, "\(count)")
            #expect(made.errorMessage?.contains("\(count)") == true, "\(made.errorMessage ?? "")")
        }
        #expect(try create(client, [topic("a", 1)])[0].errorCode == .none)
        for (count, code) in counts {
            let grown = try #require(
                try grow(client, [.init(name: "a", count: count, assignments: nil)]).first)
            #expect(grown.errorCode == (code == .policyViolation ? code : .invalidPartitions), "\(count)")
            #expect(grown.errorMessage?.isEmpty == false)
        }
        #expect(try client.metadata(["a"]).topics[0].partitions.count == 1)
        // Replicas by hand count the same.
        var manual = topic("b", -1)
        manual.replicationFactor = -1
        manual.assignments = (0..<10_001).map {
            CreateTopicsRequest.CreatableReplicaAssignment(partitionIndex: $0, brokerIDs: [1])
        }
        #expect(try create(client, [manual])[0].errorCode == .policyViolation)
    }

    @Test("Thousands of topics in one request are refused as a whole, each by name")
    func topicCounts() throws {
        let node = try TestNode(lanes: 2)
        let client = try node.client()
        let names = (0..<10_001).map { "topic-\($0)" }
        let made = try create(client, names.map { topic($0, 1) })
        #expect(made.map(\.name) == names)
        #expect(made.allSatisfy { $0.errorCode == .policyViolation })
        #expect(made[0].errorMessage?.contains("10000") == true)
        let grown = try grow(client, names.map { .init(name: $0, count: 2, assignments: nil) })
        #expect(grown.count == names.count && grown.allSatisfy { $0.errorCode == .policyViolation })
        let deleted = try client.ask(
            DeleteTopicsRequest(
                topics: names.map { DeleteTopicsRequest.DeleteTopicState(name: $0) },
                timeoutMilliseconds: 30_000), version: 6)
        #expect(deleted.responses.allSatisfy { $0.errorCode == .policyViolation })
        let changed = try client.ask(
            AlterConfigsRequest(
                resources: names.map {
                    AlterConfigsRequest.AlterConfigsResource(resourceType: 2, resourceName: $0)
                }), version: 2)
        #expect(changed.responses.count == names.count)
        #expect(changed.responses.allSatisfy { $0.errorCode == .policyViolation })
        // So are topics that would come about because they are asked for.
        let found = try client.metadata(names).topics
        #expect(found.count == names.count && found.allSatisfy { $0.errorCode == .policyViolation })
        #expect(try client.ask(MetadataRequest(topics: nil), version: 12).topics.isEmpty)
    }

    @Test("A request whose lists have too many elements together ends its connection, and the log says why")
    func elements() throws {
        let node = try TestNode([("dmq.request.max.elements", "1000")])
        let client = try node.client()
        let names = (0..<1000).map { "topic-\($0)" }
        #expect(try client.metadata(names, creating: false).topics.count == 1000)
        try client.send(
            MetadataRequest(topics: (names + ["one more"]).map { .init(name: $0) }), version: 12)
        #expect(client.hasEnded())
        let lines = node.sink.lines(containing: "request refused", "dmq.request.max.elements", "1000")
        #expect(lines.count == 1)
        // Lists within lists count as well.
        let other = try node.client()
        let partitions = (0..<499).map { ListOffsetsRequest.ListOffsetsPartition(partitionIndex: $0) }
        let two = ["a", "b"].map { ListOffsetsRequest.ListOffsetsTopic(name: $0, partitions: partitions) }
        #expect(try other.ask(ListOffsetsRequest(topics: two), version: 7).topics.count == 2)
        try other.send(ListOffsetsRequest(topics: two + two), version: 7)
        #expect(other.hasEnded())
    }

    @Test("What is named again and again is told once, or refused")
    func twins() throws {
        let node = try TestNode(lanes: 2)
        let client = try node.client()
        let id = try client.metadata(["a"]).topics[0].topicID
        try client.produce("a", TestBatches.batch(producerID: 7, producerEpoch: 0, sequence: 0))
        #expect(try client.metadata(Array(repeating: "a", count: 1000)).topics.count == 1)
        let byID = MetadataRequest.MetadataRequestTopic(topicID: id, name: nil)
        #expect(
            try client.ask(
                MetadataRequest(topics: Array(repeating: byID, count: 1000)), version: 12
            ).topics.count == 1)
        let resource = DescribeConfigsRequest.DescribeConfigsResource(resourceType: 2, resourceName: "a")
        let told = try client.ask(
            DescribeConfigsRequest(resources: Array(repeating: resource, count: 1000)), version: 4)
        #expect(told.results.count == 1 && told.results[0].errorCode == .none)
        let producers = try client.ask(
            DescribeProducersRequest(topics: [.init(name: "a", partitionIndexes: [0, 0, 0])]), version: 0)
        #expect(
            producers.topics[0].partitions.map(\.errorCode) == [.none, .invalidRequest, .invalidRequest])
        #expect(producers.topics[0].partitions[0].activeProducers.count == 1)
        let partition = ListOffsetsRequest.ListOffsetsPartition(partitionIndex: 0, timestamp: -1)
        let listed = try client.ask(
            ListOffsetsRequest(topics: [.init(name: "a", partitions: [partition, partition])]), version: 7)
        #expect(listed.topics[0].partitions.map(\.errorCode) == [.none, .invalidRequest])
    }

    @Test("Long lists and unknown names do not hold up who decides")
    func slowWork() throws {
        let node = try TestNode()
        let client = try node.client()
        // As long as one value may be, and then the same taken away.
        let list = (0..<2_500).map { "\(100 + $0 % 100).\($0 % 256):1" }.joined(separator: ",")
        func change(_ operation: Int8) throws -> ErrorCode {
            let config = IncrementalAlterConfigsRequest.AlterableConfig(
                name: "max.connections.per.ip.overrides", configOperation: operation, value: list)
            let answer = try client.ask(
                IncrementalAlterConfigsRequest(resources: [
                    .init(resourceType: 4, resourceName: "", configs: [config])
                ]), version: 1)
            return try #require(answer.responses.first).errorCode
        }
        for _ in 0..<5 {
            #expect(try change(2) == .none)
            #expect(try change(3) == .none)
        }
        // Each unknown name is compared with all that there are.
        let long = String(repeating: "x.y", count: 60)
        let made = try create(
            client,
            (0..<100).map { number in
                var asked = topic("t\(number)", 1)
                asked.configs = [.init(name: "\(long)\(number)", value: "1")]
                return asked
            })
        #expect(made.allSatisfy { $0.errorCode == .invalidConfig })
    }
}
