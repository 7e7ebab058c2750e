import KafkaProtocol
import RecordFormat
import SimulationKit
import Testing

@testable import Broker

/// Something that is done with requests of all types.
protocol RequestVisitor {
    func visit<Body: RequestMessage>(_ request: Body, version: Int16) throws
}

/// A good request of every version of every API, about the topic `events` of one partition.
struct SampleRequests {
    /// Of `events`.
    let topicID: TopicID

    func forEach(_ visitor: some RequestVisitor) throws {
        try records(visitor)
        try topics(visitor)
        try node(visitor)
        try groups(visitor)
        try transactions(visitor)
    }

    private func transactions(_ visitor: some RequestVisitor) throws {
        typealias Topic = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic
        let topics = [Topic(name: "events", partitions: [0])]
        try visitAll(visitor) { version in
            version < 4
                ? AddPartitionsToTxnRequest(v3AndBelowTransactionalID: "t", v3AndBelowTopics: topics)
                : AddPartitionsToTxnRequest(transactions: [
                    .init(transactionalID: "t", verifyOnly: true, topics: topics)
                ])
        }
        try visitAll(visitor) { _ in AddOffsetsToTxnRequest(transactionalID: "t", groupID: "g") }
        try visitAll(visitor) { _ in
            TxnOffsetCommitRequest(
                transactionalID: "t", groupID: "g",
                topics: [.init(name: "events", partitions: [.init(committedMetadata: nil)])])
        }
        try visitAll(visitor) { _ in EndTxnRequest(transactionalID: "t", committed: true) }
        try visitAll(visitor) { _ in
            WriteTxnMarkersRequest(markers: [
                .init(producerID: ProducerID(5), topics: [.init(name: "events", partitionIndexes: [0, 7])])
            ])
        }
        try visitAll(visitor) { _ in DescribeTransactionsRequest(transactionalIDs: ["t", ""]) }
        try visitAll(visitor) { _ in ListTransactionsRequest() }
    }

    private func visitAll<Body: RequestMessage>(
        _ visitor: some RequestVisitor, _ request: (Int16) -> Body
    ) throws {
        let api = try #require(APITable.api(Body.apiKey.rawValue))
        for version in api.versions { try visitor.visit(request(version), version: version) }
    }

    private func records(_ visitor: some RequestVisitor) throws {
        try visitAll(visitor) { version in
            var request = BrokerClient.produce("events", [(0, TestBatches.batch())])
            if version >= 13 { request.topicData[0].topicID = topicID }
            return request
        }
        try visitAll(visitor) { version in
            var request = BrokerClient.fetch("events", [(0, 0)])
            if version >= 13 { request.topics[0].topicID = topicID }
            return request
        }
        try visitAll(visitor) { _ in
            ListOffsetsRequest(
                replicaID: -1,
                topics: [.init(name: "events", partitions: [.init(timestamp: -1), .init(timestamp: 5)])])
        }
        try visitAll(visitor) { _ in
            OffsetForLeaderEpochRequest(
                replicaID: -1, topics: [.init(topic: "events", partitions: [.init(leaderEpoch: .none)])])
        }
        try visitAll(visitor) { _ in
            DeleteRecordsRequest(topics: [.init(name: "events", partitions: [.init(offset: .zero)])])
        }
        try visitAll(visitor) { _ in InitProducerIDRequest(transactionalID: nil) }
        try visitAll(visitor) { _ in
            DescribeProducersRequest(topics: [.init(name: "events", partitionIndexes: [0])])
        }
    }

    private func topics(_ visitor: some RequestVisitor) throws {
        try visitAll(visitor) { _ in MetadataRequest(topics: [.init(name: "events")]) }
        try visitAll(visitor) { version in
            CreateTopicsRequest(
                topics: [
                    .init(name: "made-\(version)", numPartitions: 1, replicationFactor: 1),
                    .init(name: "events", numPartitions: 1, replicationFactor: 1),
                ])
        }
        try visitAll(visitor) { version in
            version >= 6
                ? DeleteTopicsRequest(topics: [.init(name: "made-\(version)"), .init(topicID: topicID)])
                : DeleteTopicsRequest(topicNames: ["made-\(version)", "nowhere"])
        }
        try visitAll(visitor) { version in
            CreatePartitionsRequest(
                topics: [.init(name: "made-7", count: Int32(version) + 2, assignments: nil)])
        }
        try visitAll(visitor) { _ in
            DescribeConfigsRequest(resources: [
                .init(resourceType: 2, resourceName: "made-7", configurationKeys: nil),
                .init(resourceType: 4, resourceName: "1", configurationKeys: nil),
            ])
        }
        try visitAll(visitor) { _ in
            AlterConfigsRequest(resources: [.init(resourceType: 2, resourceName: "made-7")])
        }
        try visitAll(visitor) { _ in
            IncrementalAlterConfigsRequest(resources: [.init(resourceType: 2, resourceName: "made-7")])
        }
        try visitAll(visitor) { _ in DescribeTopicPartitionsRequest(responsePartitionLimit: 10) }
    }

    private func node(_ visitor: some RequestVisitor) throws {
        try visitAll(visitor) { _ in
            APIVersionsRequest(clientSoftwareName: "test", clientSoftwareVersion: "1")
        }
        try visitAll(visitor) { _ in DescribeClusterRequest() }
        try visitAll(visitor) { _ in DescribeLogDirsRequest(topics: nil) }
        try visitAll(visitor) { _ in
            AlterReplicaLogDirsRequest(
                dirs: [.init(path: "/none", topics: [.init(name: "events", partitions: [0])])])
        }
        try visitAll(visitor) { _ in DescribeClientQuotasRequest() }
        try visitAll(visitor) { _ in
            AlterClientQuotasRequest(entries: [.init(entity: [.init(entityType: "user", entityName: "a")])])
        }
        try visitAll(visitor) { _ in GetTelemetrySubscriptionsRequest() }
        try visitAll(visitor) { _ in PushTelemetryRequest() }
        try visitAll(visitor) { _ in ListConfigResourcesRequest() }
        try visitAll(visitor) { version in
            version >= 4
                ? FindCoordinatorRequest(coordinatorKeys: ["g"]) : FindCoordinatorRequest(key: "g")
        }
    }

    private func groups(_ visitor: some RequestVisitor) throws {
        // Before version 4 one who may join waits for others.
        try visitAll(visitor) { version in
            JoinGroupRequest(
                groupID: "g", sessionTimeoutMilliseconds: version < 4 ? 1 : 10_000, protocolType: "consumer",
                protocols: [.init(name: "range")])
        }
        try visitAll(visitor) { _ in SyncGroupRequest(groupID: "g", memberID: "m") }
        try visitAll(visitor) { _ in HeartbeatRequest(groupID: "g", memberID: "m") }
        try visitAll(visitor) { version in
            version < 3
                ? LeaveGroupRequest(groupID: "g", memberID: "m")
                : LeaveGroupRequest(groupID: "g", members: [.init(memberID: "m")])
        }
        try visitAll(visitor) { version in
            OffsetCommitRequest(
                groupID: "s",
                topics: [
                    .init(
                        name: "events", topicID: version >= 10 ? topicID : .none,
                        partitions: [.init(committedOffset: Offset(1))])
                ])
        }
        try visitAll(visitor) { version in
            version < 8
                ? OffsetFetchRequest(
                    groupID: "s", topics: [.init(name: "events", partitionIndexes: [0, 7])])
                : OffsetFetchRequest(
                    groups: [
                        .init(groupID: "s", topics: nil),
                        .init(
                            groupID: "t",
                            topics: [
                                .init(
                                    name: "events", topicID: version >= 10 ? topicID : .none,
                                    partitionIndexes: [0])
                            ]),
                    ])
        }
        try visitAll(visitor) { _ in
            OffsetDeleteRequest(
                groupID: "s", topics: [.init(name: "events", partitions: [.init(partitionIndex: 0)])])
        }
        try visitAll(visitor) { version in
            ConsumerGroupHeartbeatRequest(
                groupID: "k", memberID: "m\(version)", rebalanceTimeoutMilliseconds: 1_000,
                subscribedTopicNames: version == 0 ? ["events"] : nil,
                subscribedTopicRegex: version == 0 ? nil : "ev.*", topicPartitions: [])
        }
        try visitAll(visitor) { _ in ConsumerGroupDescribeRequest(groupIDs: ["k", "g", "none"]) }
        try visitAll(visitor) { _ in DescribeGroupsRequest(groups: ["g", "s", "none"]) }
        try visitAll(visitor) { _ in ListGroupsRequest() }
        try visitAll(visitor) { _ in DeleteGroupsRequest(groupsNames: ["none", "s"]) }
    }
}
