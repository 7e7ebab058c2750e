import KafkaProtocol
import RecordFormat
import SimulationKit
import Testing

@testable import Broker

/// Every version of every API that the broker names is answered in that version.
@Suite(.timeLimit(.minutes(1)))
struct VersionTests {
    private final class Tally {
        var seen: Set<APIKey> = []
    }

    /// Asks in all versions, and reads the answers.
    private func ask<Body: RequestMessage>(
        _ client: BrokerClient, _ tally: Tally, _ request: (Int16) -> Body
    ) throws {
        let api = try #require(APITable.api(Body.apiKey.rawValue))
        for version in api.versions {
            // Throws when the answer cannot be read, or is another's.
            _ = try client.ask(request(version), version: version)
        }
        tally.seen.insert(Body.apiKey)
    }

    @Test("Every version of every API is answered so that it can be read")
    func all() throws {
        let node = try TestNode(lanes: 2)
        let client = try node.client()
        let id = try client.metadata(["events"]).topics[0].topicID
        try client.produce("events", TestBatches.batch())
        let tally = Tally()
        try askAboutRecords(client, tally, id)
        try askAboutTopics(client, tally, id)
        try askAboutNode(client, tally)
        #expect(tally.seen == Set(APITable.served.map(\.key)))
    }

    private func askAboutRecords(_ client: BrokerClient, _ tally: Tally, _ id: TopicID) throws {
        try ask(client, tally) { version in
            var request = BrokerClient.produce("events", [(0, TestBatches.batch())])
            if version >= 13 { request.topicData[0].topicID = id }
            return request
        }
        try ask(client, tally) { version in
            var request = BrokerClient.fetch("events", [(0, 0)])
            if version >= 13 { request.topics[0].topicID = id }
            return request
        }
        try ask(client, tally) { _ in
            ListOffsetsRequest(
                replicaID: -1,
                topics: [.init(name: "events", partitions: [.init(timestamp: -1), .init(timestamp: 5)])])
        }
        try ask(client, tally) { _ in
            OffsetForLeaderEpochRequest(
                replicaID: -1, topics: [.init(topic: "events", partitions: [.init(leaderEpoch: .none)])])
        }
        try ask(client, tally) { _ in
            DeleteRecordsRequest(topics: [.init(name: "events", partitions: [.init(offset: .zero)])])
        }
        try ask(client, tally) { _ in InitProducerIDRequest(transactionalID: nil) }
        try ask(client, tally) { _ in
            DescribeProducersRequest(topics: [.init(name: "events", partitionIndexes: [0])])
        }
    }

    private func askAboutTopics(_ client: BrokerClient, _ tally: Tally, _ id: TopicID) throws {
        try ask(client, tally) { _ in MetadataRequest(topics: [.init(name: "events")]) }
        try ask(client, tally) { version in
            CreateTopicsRequest(
                topics: [
                    .init(name: "made-\(version)", numPartitions: 1, replicationFactor: 1),
                    .init(name: "events", numPartitions: 1, replicationFactor: 1),
                ])
        }
        try ask(client, tally) { version in
            version >= 6
                ? DeleteTopicsRequest(topics: [.init(name: "made-\(version)"), .init(topicID: id)])
                : DeleteTopicsRequest(topicNames: ["made-\(version)", "nowhere"])
        }
        try ask(client, tally) { version in
            CreatePartitionsRequest(
                topics: [.init(name: "made-7", count: Int32(version) + 2, assignments: nil)])
        }
        try ask(client, tally) { _ in
            DescribeConfigsRequest(resources: [
                .init(resourceType: 2, resourceName: "made-7", configurationKeys: nil),
                .init(resourceType: 4, resourceName: "1", configurationKeys: nil),
            ])
        }
        try ask(client, tally) { _ in
            AlterConfigsRequest(resources: [.init(resourceType: 2, resourceName: "made-7")])
        }
        try ask(client, tally) { _ in
            IncrementalAlterConfigsRequest(resources: [.init(resourceType: 2, resourceName: "made-7")])
        }
        try ask(client, tally) { _ in DescribeTopicPartitionsRequest(responsePartitionLimit: 10) }
    }

    private func askAboutNode(_ client: BrokerClient, _ tally: Tally) throws {
        try ask(client, tally) { _ in
            APIVersionsRequest(clientSoftwareName: "test", clientSoftwareVersion: "1")
        }
        try ask(client, tally) { _ in DescribeClusterRequest() }
        try ask(client, tally) { _ in DescribeLogDirsRequest(topics: nil) }
        try ask(client, tally) { _ in DescribeClientQuotasRequest() }
        try ask(client, tally) { _ in
            AlterClientQuotasRequest(entries: [.init(entity: [.init(entityType: "user", entityName: "a")])])
        }
        try ask(client, tally) { _ in GetTelemetrySubscriptionsRequest() }
        try ask(client, tally) { _ in PushTelemetryRequest() }
        try ask(client, tally) { _ in ListConfigResourcesRequest() }
        try ask(client, tally) { version in
            version >= 4
                ? FindCoordinatorRequest(coordinatorKeys: ["g"]) : FindCoordinatorRequest(key: "g")
        }
    }
}
