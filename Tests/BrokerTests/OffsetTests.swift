import KafkaProtocol
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import Broker

struct OffsetTests {
    private func list(
        _ client: BrokerClient, _ timestamp: Int64, version: Int16 = 7
    ) throws -> ListOffsetsResponse.ListOffsetsPartitionResponse {
        let answer = try client.ask(
            ListOffsetsRequest(
                replicaID: -1,
                topics: [
                    ListOffsetsRequest.ListOffsetsTopic(
                        name: "events",
                        partitions: [
                            ListOffsetsRequest.ListOffsetsPartition(timestamp: timestamp)
                        ])
                ]), version: version)
        return try #require(answer.topics.first?.partitions.first)
    }

    private func delete(
        _ client: BrokerClient, before offset: Int64
    ) throws -> DeleteRecordsResponse.DeleteRecordsPartitionResult {
        let answer = try client.ask(
            DeleteRecordsRequest(
                topics: [
                    DeleteRecordsRequest.DeleteRecordsTopic(
                        name: "events",
                        partitions: [
                            DeleteRecordsRequest.DeleteRecordsPartition(offset: Offset(offset))
                        ])
                ]), version: 2)
        return try #require(answer.topics.first?.partitions.first)
    }

    @Test("Offsets are listed by place and by time, and move with deleted records", arguments: [1, 3])
    func offsets(lanes: Int) throws {
        let node = try TestNode(lanes: lanes)
        let client = try node.client()
        try client.metadata(["events"])
        for time in [Int64(100), 300, 200] {
            try client.produce("events", TestBatches.batch(count: 2, timestamp: time))
        }
        #expect(try list(client, -2).offset == .zero)
        #expect(try list(client, -1).offset == Offset(6))
        #expect(try list(client, 150).offset == Offset(2))
        #expect(try list(client, 150).timestamp == 300)
        #expect(try list(client, 301).offset == Offset(-1))
        #expect(try list(client, -3).offset == Offset(2))
        #expect(try list(client, -4, version: 8).offset == .zero)
        #expect(try list(client, -1, version: 1).offset == Offset(6))
        #expect(try delete(client, before: 3).lowWatermark == 3)
        #expect(try list(client, -2).offset == Offset(3))
        #expect(try delete(client, before: 7).errorCode == .offsetOutOfRange)
        #expect(try delete(client, before: -1).lowWatermark == 6)
        let lost = try client.fetch(BrokerClient.fetch("events", [(0, 2)]))
        #expect(lost.first?.0.errorCode == .offsetOutOfRange)
    }

    @Test("The end of a leader epoch is known")
    func epochs() throws {
        let node = try TestNode()
        let client = try node.client()
        try client.metadata(["events"])
        try client.produce("events", TestBatches.batch(count: 4))
        func ask(_ epoch: Int32) throws -> OffsetForLeaderEpochResponse.EpochEndOffset? {
            try client.ask(
                OffsetForLeaderEpochRequest(
                    replicaID: -1,
                    topics: [
                        OffsetForLeaderEpochRequest.OffsetForLeaderTopic(
                            topic: "events",
                            partitions: [
                                OffsetForLeaderEpochRequest.OffsetForLeaderPartition(
                                    leaderEpoch: LeaderEpoch(epoch))
                            ])
                    ]), version: 4
            ).topics.first?.partitions.first
        }
        #expect(try ask(0)?.endOffset == Offset(4))
        #expect(try ask(5)?.endOffset == Offset(-1))
    }

    @Test("An idempotent producer's batch is stored once, and in its order")
    func idempotence() throws {
        let node = try TestNode(lanes: 2)
        let client = try node.client()
        try client.metadata(["events"])
        let request = InitProducerIDRequest(transactionalID: nil)
        let first = try client.ask(request, version: 4)
        let second = try client.ask(request, version: 4)
        #expect(first.errorCode == .none && first.producerID != second.producerID)
        func produce(_ sequence: Int32) throws -> ProduceResponse.PartitionProduceResponse {
            try client.produce(
                "events",
                TestBatches.batch(
                    count: 2, producerID: first.producerID.rawValue, producerEpoch: 0, sequence: sequence))
        }
        #expect(try produce(0).baseOffset == .zero)
        #expect(try produce(2).baseOffset == Offset(2))
        #expect(try produce(0).baseOffset == .zero)
        #expect(try produce(6).errorCode == .outOfOrderSequenceNumber)
        let transactional = try client.ask(InitProducerIDRequest(transactionalID: "t"), version: 4)
        // Nobody has looked for its coordinator, and the topic of coordinators is made by that.
        #expect(transactional.errorCode == .notCoordinator)
    }
}
