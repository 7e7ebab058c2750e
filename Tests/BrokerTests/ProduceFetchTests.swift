import KafkaProtocol
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import Broker

/// Each on one lane, and on several with hops between them.
struct ProduceFetchTests {
    @Test("What was produced is fetched, byte for byte behind offset and epoch", arguments: [1, 3])
    func roundTrip(lanes: Int) throws {
        let node = try TestNode(lanes: lanes, [("num.partitions", "6")])
        let client = try node.client()
        try client.metadata(["events"])
        let batches = (0..<6).map { number in
            (Int32(number), TestBatches.batch(count: number + 1, value: Array("v\(number)".utf8)))
        }
        let answer = try client.ask(BrokerClient.produce("events", batches), version: 9)
        let parts = try #require(answer.responses.first?.partitionResponses)
        #expect(parts.map(\.index) == [0, 1, 2, 3, 4, 5])
        #expect(parts.allSatisfy { $0.errorCode == .none && $0.baseOffset == .zero })
        let fetched = try client.fetch(BrokerClient.fetch("events", (0..<6).map { (Int32($0), 0) }))
        #expect(fetched.map(\.0.partitionIndex) == [0, 1, 2, 3, 4, 5])
        for (number, (data, bytes)) in fetched.enumerated() {
            #expect(data.errorCode == .none)
            #expect(data.highWatermark == Offset(Int64(number) + 1))
            #expect(try offsets(bytes) == Array(0...Int64(number)))
            // Base offset, then the length, then the leader epoch: the rest is the producer's.
            #expect(bytes.dropFirst(16) == BrokerClient.bytes(of: batches[number].1).dropFirst(16))
        }
    }

    @Test("Requests that are sent without waiting are answered in their order", arguments: [1, 3])
    func pipelining(lanes: Int) throws {
        let node = try TestNode(lanes: lanes, [("num.partitions", "3")])
        let client = try node.client()
        try client.metadata(["events"])
        for number in 0..<60 {
            let batch = TestBatches.batch(count: 2)
            try client.send(BrokerClient.produce("events", [(Int32(number % 3), batch)]), version: 9)
        }
        for number in 0..<60 {
            let answer = try client.receive(ProduceRequest.self, version: 9)
            let part = try #require(answer.responses.first?.partitionResponses.first)
            #expect(part.errorCode == .none)
            #expect(part.baseOffset == Offset(Int64(number / 3 * 2)))
        }
    }

    @Test("acks=0 has no answer, acks=1 has one, others are refused", arguments: [1, 3])
    func acks(lanes: Int) throws {
        let node = try TestNode(lanes: lanes)
        let client = try node.client()
        try client.metadata(["events"])
        let batch = TestBatches.batch()
        try client.send(BrokerClient.produce("events", [(0, batch)], acks: 0), version: 9, isAnswered: false)
        #expect(try client.produce("events", batch, acks: 1).baseOffset == Offset(1))
        #expect(try client.produce("events", batch, acks: 2).errorCode == .invalidRequiredAcks)
        #expect(try client.produce("events", batch, version: 2).errorCode == .unsupportedVersion)
        #expect(try client.produce("events", batch).baseOffset == Offset(2))
    }

    @Test("An acks=0 request that fails ends the connection")
    func failedWithoutAnswer() throws {
        let node = try TestNode()
        let client = try node.client()
        try client.send(
            BrokerClient.produce("nowhere", [(0, TestBatches.batch())], acks: 0), version: 9,
            isAnswered: false)
        #expect(client.hasEnded())
    }

    @Test("Errors of an append are told for its partition alone", arguments: [1, 3])
    func errors(lanes: Int) throws {
        let node = try TestNode(lanes: lanes, [("message.max.bytes", "1000")])
        let client = try node.client()
        try client.metadata(["events"])
        let good = TestBatches.batch()
        var damaged = BrokerClient.bytes(of: good)
        damaged[damaged.count - 1] ^= 1
        let answer = try client.ask(
            BrokerClient.produce(
                "events",
                [
                    (0, good), (7, good), (0, BufferSlice(IOBuffer(copying: damaged))),
                    (0, TestBatches.batch(value: [UInt8](repeating: 0, count: 2000))),
                ]), version: 9)
        let codes = answer.responses.flatMap(\.partitionResponses).map(\.errorCode)
        #expect(codes == [.none, .unknownTopicOrPartition, .corruptMessage, .messageTooLarge])
        #expect(try client.produce("nowhere", good).errorCode == .unknownTopicOrPartition)
        let unknownID = ProduceRequest(
            acks: 1,
            topicData: [
                ProduceRequest.TopicProduceData(
                    topicID: TopicID(UniqueID(high: 1, low: 2)),
                    partitionData: [ProduceRequest.PartitionProduceData(records: .empty)])
            ])
        let refused = try client.ask(unknownID, version: 13)
        #expect(refused.responses.first?.partitionResponses.first?.errorCode == .unknownTopicID)
    }

    @Test("A record without a key is named where the topic is compacted")
    func recordErrors() throws {
        let node = try TestNode([("log.cleanup.policy", "compact")])
        let client = try node.client()
        try client.metadata(["table"])
        let answer = try client.produce("table", TestBatches.batch(count: 2))
        #expect(answer.errorCode == .invalidRecord)
        #expect(answer.recordErrors.map(\.batchIndex) == [0])
        #expect(answer.errorMessage?.contains("key") ?? false)
    }

    @Test("A fetch that waits is answered by the produce that brings enough", arguments: [1, 3])
    func parkedFetch(lanes: Int) throws {
        let node = try TestNode(lanes: lanes, [("num.partitions", "4")])
        let (producer, consumer) = (try node.client(), try node.client())
        try producer.metadata(["events"])
        try consumer.send(
            BrokerClient.fetch("events", (0..<4).map { (Int32($0), 0) }, wait: 100_000, minBytes: 100),
            version: 12)
        // The clock stands still: only records can end the wait. The first batch is too little.
        try producer.produce("events", TestBatches.batch(), partition: 1)
        try producer.produce("events", TestBatches.batch(count: 5), partition: 2)
        let parts = try consumer.fetched().1
        #expect(parts.map(\.0.highWatermark) == [.zero, Offset(1), Offset(5), .zero])
        #expect(try offsets(parts[1].1) == [0])
        #expect(try offsets(parts[2].1) == [0, 1, 2, 3, 4])
    }

    @Test("A fetch waits as long as it asked to, and no longer", arguments: [1, 3])
    func fetchTimesOut(lanes: Int) throws {
        let node = try TestNode(lanes: lanes, [("num.partitions", "4")])
        let client = try node.client()
        try client.metadata(["events"])
        let (requests, responses) = (node.requestCount, node.responseCount)
        try client.send(
            BrokerClient.fetch("events", (0..<4).map { (Int32($0), 0) }, wait: 500), version: 12)
        while node.requestCount == requests {}
        // The turn that took it in is over.
        node.node.waitForLanes { _ in }
        node.advance(milliseconds: 499)
        node.node.waitForLanes { _ in }
        #expect(node.responseCount == responses)
        node.advance(milliseconds: 1)
        let response = try client.fetched().0
        #expect(response.responses.flatMap(\.partitions).count == 4)
    }

    @Test("The first batch is whole, whatever the limits say; the next keep to them", arguments: [1, 3])
    func byteLimits(lanes: Int) throws {
        let node = try TestNode(lanes: lanes, [("num.partitions", "2")])
        let client = try node.client()
        try client.metadata(["events"])
        let batch = TestBatches.batch(value: [UInt8](repeating: 7, count: 1000))
        for partition in [Int32(0), 0, 1, 1] { try client.produce("events", batch, partition: partition) }
        let both: [(Int32, Int64)] = [(0, 0), (1, 0)]
        let tiny = try client.fetch(BrokerClient.fetch("events", both, maxBytes: 10))
        #expect(try tiny.map { try offsets($0.1) } == [[0], []])
        let perPartition = try client.fetch(BrokerClient.fetch("events", both, partitionBytes: 10))
        #expect(try perPartition.map { try offsets($0.1).count }.reduce(0, +) >= 1)
        let all = try client.fetch(BrokerClient.fetch("events", both))
        #expect(try all.map { try offsets($0.1) } == [[0, 1], [0, 1]])
    }

    @Test("Offsets outside of the log, and leader epochs of others, are refused")
    func fetchErrors() throws {
        let node = try TestNode()
        let client = try node.client()
        try client.metadata(["events"])
        var request = BrokerClient.fetch("events", [(0, 5)])
        #expect(try client.fetch(request).first?.0.errorCode == .offsetOutOfRange)
        request.topics[0].partitions[0].fetchOffset = .zero
        request.topics[0].partitions[0].currentLeaderEpoch = LeaderEpoch(9)
        #expect(try client.fetch(request).first?.0.errorCode == .unknownLeaderEpoch)
        let unknown = BrokerClient.fetch("nowhere", [(0, 0)])
        #expect(try client.fetch(unknown).first?.0.errorCode == .unknownTopicOrPartition)
    }

    @Test("read_committed stops before an open transaction")
    func isolation() throws {
        // Nobody coordinates the transaction.
        let node = try TestNode([("transaction.partition.verification.enable", "false")])
        let client = try node.client()
        try client.metadata(["events"])
        try client.produce("events", TestBatches.batch())
        try client.produce(
            "events",
            TestBatches.batch(
                count: 2, producerID: 7, producerEpoch: 0, sequence: 0, isTransactional: true))
        let committed = try client.fetch(BrokerClient.fetch("events", [(0, 0)], isCommitted: true))
        #expect(try offsets(committed[0].1) == [0])
        #expect(committed[0].0.lastStableOffset == Offset(1))
        #expect(committed[0].0.abortedTransactions == [])
        let all = try client.fetch(BrokerClient.fetch("events", [(0, 0)]))
        #expect(try offsets(all[0].1) == [0, 1, 2])
        #expect(all[0].0.abortedTransactions == nil)
    }
}
