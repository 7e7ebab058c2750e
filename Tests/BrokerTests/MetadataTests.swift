import KafkaProtocol
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import Broker

struct MetadataTests {
    @Test("ApiVersions tells what is served, in version 0 where the client is too new")
    func apiVersions() throws {
        let node = try TestNode()
        let client = try node.client()
        let answer = try client.ask(
            APIVersionsRequest(clientSoftwareName: "test", clientSoftwareVersion: "1.0"), version: 3)
        #expect(answer.errorCode == .none)
        let told = Set(APITable.served.map(\.key)).subtracting([.getTelemetrySubscriptions, .pushTelemetry])
        #expect(answer.apiKeys.map(\.apiKey) == told.map(\.rawValue).sorted())
        // A request of version 99 that looks like one of version 3.
        try client.send(bytes: [0, 0, 0, 12, 0, 18, 0, 99, 0, 0, 0, 77, 255, 255, 0, 0])
        let head = try client.exactly(4)
        let frame = try client.exactly(Int(head[3]))
        #expect(Array(frame[0..<6]) == [0, 0, 0, 77, 0, UInt8(ErrorCode.unsupportedVersion.rawValue)])
    }

    @Test("A topic comes about when a client asks for it, if it may", arguments: [1, 3])
    func autoCreation(lanes: Int) throws {
        let node = try TestNode(lanes: lanes, [("num.partitions", "4")])
        let client = try node.client()
        #expect(
            try client.metadata(["events"], creating: false).topics[0].errorCode == .unknownTopicOrPartition)
        let made = try client.metadata(["events", "no such name!"])
        #expect(made.topics.map(\.errorCode) == [.none, .invalidTopicException])
        #expect(made.topics[0].partitions.map(\.leaderID) == [1, 1, 1, 1])
        let byID = try client.ask(
            MetadataRequest(
                topics: [
                    MetadataRequest.MetadataRequestTopic(topicID: made.topics[0].topicID, name: nil),
                    MetadataRequest.MetadataRequestTopic(
                        topicID: TopicID(UniqueID(high: 3, low: 4)), name: nil),
                ]), version: 12)
        #expect(byID.topics.map(\.name) == ["events", nil])
        #expect(byID.topics.map(\.errorCode) == [.none, .unknownTopicID])
        // All topics.
        #expect(try client.ask(MetadataRequest(topics: nil), version: 9).topics.map(\.name) == ["events"])
    }

    @Test("Without auto.create.topics.enable nothing comes about")
    func noAutoCreation() throws {
        let node = try TestNode([("auto.create.topics.enable", "false")])
        let client = try node.client()
        #expect(try client.metadata(["events"]).topics[0].errorCode == .unknownTopicOrPartition)
    }

    @Test("Clients are told the address that they came by, or the advertised one")
    func addresses() throws {
        let node = try TestNode([("listeners", "PLAINTEXT://0.0.0.0:0")])
        let broker = try #require(try node.client().metadata([]).brokers.first)
        #expect(broker.host == "127.0.0.1")
        #expect(broker.port == Int32(node.port))
        let advertising = try TestNode([("advertised.listeners", "PLAINTEXT://broker.example:1234")])
        let advertised = try #require(try advertising.client().metadata([]).brokers.first)
        #expect(advertised.host == "broker.example")
        #expect(advertised.port == 1234)
        let cluster = try node.client().ask(DescribeClusterRequest(), version: 1)
        #expect(cluster.clusterID == node.node.clusterID)
        #expect(cluster.brokers.map(\.host) == ["127.0.0.1"])
    }

    @Test("A client that does not come to the advertised address is told of in the log, once")
    func unreachableAddress() throws {
        let node = try TestNode(lanes: 2, [("advertised.listeners", "PLAINTEXT://broker.example:1234")])
        let (lost, arrived) = (try node.client(clientID: "lost"), try node.client(clientID: "arrived"))
        for round in 0..<5 {
            for client in [lost, arrived] { try client.metadata(["events"]) }
            if round == 0 { try arrived.produce("events", TestBatches.batch()) }
            node.node.waitForLanes { _ in }
            let told = node.sink.lines(containing: "does not reach the advertised address")
            #expect(told.count == (round < 2 ? 0 : 1))
            #expect(told.allSatisfy { $0.contains("broker.example:1234") && $0.contains("client=lost") })
            node.advance(milliseconds: 5_000)
        }
    }

    @Test("What is no request ends the connection, with a line in the log")
    func refusals() throws {
        let node = try TestNode()
        // An API that nobody knows; an API that is not served; a request without a body.
        for bytes: [UInt8] in [
            [0, 0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 10, 0, 4, 0, 0, 0, 0, 0, 1, 255, 255],
            [0, 0, 0, 10, 0, 3, 0, 0, 0, 0, 0, 1, 255, 255],
        ] {
            let client = try node.client()
            try client.send(bytes: bytes)
            #expect(client.hasEnded())
        }
        #expect(node.sink.lines(containing: "request refused").count == 3)
    }

    @Test("Bytes behind the last field are passed over, as librdkafka sends some")
    func bytesBehind() throws {
        let node = try TestNode()
        let client = try node.client()
        try client.send(bytes: [0, 0, 0, 11, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255, 9])
        let head = try client.exactly(4)
        let frame = try client.exactly(Int(head[2]) << 8 | Int(head[3]))
        #expect(Array(frame[0..<6]) == [0, 0, 0, 7, 0, 0])
    }

    @Test("A restart keeps topics, records and offsets", arguments: [1, 3])
    func restart(lanes: Int) throws {
        let directory = try TemporaryDirectory()
        var node = try TestNode(lanes: lanes, [("num.partitions", "3")], in: directory)
        var client = try node.client()
        let id = try client.metadata(["events"]).topics[0].topicID
        for partition in Int32(0)..<3 {
            try client.produce("events", TestBatches.batch(count: 2), partition: partition)
        }
        node.stop()
        node = try TestNode(lanes: 4 - lanes, in: directory)
        client = try node.client()
        let topic = try client.metadata(["events"], creating: false).topics[0]
        #expect(topic.errorCode == .none)
        #expect(topic.topicID == id)
        let parts = try client.fetch(BrokerClient.fetch("events", (0..<3).map { (Int32($0), 0) }))
        #expect(try parts.map { try offsets($0.1) } == [[0, 1], [0, 1], [0, 1]])
        #expect(try client.produce("events", TestBatches.batch()).baseOffset == Offset(2))
    }
}
