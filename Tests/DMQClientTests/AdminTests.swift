import KafkaProtocol
import RecordFormat
import Testing

@testable import DMQClient

@Suite struct AdminTests {
    @Test("topics are made, described, grown and deleted; each refusal is its own")
    func topics() async throws {
        let broker = try FakeBroker(topics: ["old": 1])
        try await withClient(of: broker) { client in
            let admin = Admin(client)
            let made = try await admin.createTopics([NewTopic("new", partitions: 3), NewTopic("old")])
            #expect(try made["new"]?.get().partitions == 3)
            guard case .failure(let error)? = made["old"] else {
                Issue.record("made twice")
                return
            }
            #expect(
                error.code == .topicAlreadyExists
                    && error.remedy == "use another name, or delete the topic first")
            #expect(try await admin.describeTopics(["new"])["new"]?.get().partitions.count == 3)
            #expect(try await admin.describeTopics().keys.sorted() == ["new", "old"])
            try await admin.createPartitions(["new": 5])["new"]?.get()
            #expect(try await admin.describeTopics(["new"])["new"]?.get().partitions.count == 5)
            _ = try await admin.deleteTopics(["new"])["new"]?.get()
            guard case .failure(let missing)? = try await admin.describeTopics(["new"])["new"] else {
                Issue.record("not deleted")
                return
            }
            #expect(missing.code == .unknownTopicOrPartition)
        }
    }

    @Test("settings are changed and read back")
    func settings() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try await withClient(of: broker) { client in
            let admin = Admin(client)
            try await admin.alterSettings(
                of: .topic("t"), [("retention.ms", .set("5")), ("cleanup.policy", .set("compact"))])
            try await admin.alterSettings(of: .topic("t"), [("cleanup.policy", .delete)])
            let entries = try await admin.describeSettings(of: .topic("t"))
            #expect(entries.map(\.name) == ["retention.ms"])
            #expect(entries.first?.value == "5" && entries.first?.source == "DYNAMIC_TOPIC_CONFIG")
        }
    }

    @Test("the cluster, its directories, offsets and the deletion of records")
    func others() async throws {
        let broker = try FakeBroker(topics: ["t": 2])
        try broker.append("t", 1, [Record(offset: .zero, timestamp: Timestamp(1), value: [1])])
        try await withClient(of: broker) { client in
            let admin = Admin(client)
            let cluster = try await admin.describeCluster()
            #expect(cluster.clusterID == "fake" && cluster.brokers.map(\.id) == [1])
            #expect(try await admin.describeLogDirectories().map(\.path) == ["/data"])
            let places = [0, 1].map { TopicPartition(topic: "t", partition: $0) }
            let ends = try await client.offsets(places, .latest)
            #expect(places.map { ends[$0]?.offset } == [Offset(0), Offset(1)])
            let deleted = try await admin.deleteRecords([places[1]: Offset(1)])
            #expect(try deleted[places[1]]?.get() == Offset(1))
        }
    }

    @Test("calls are made again after lost connections and passing refusals")
    func retries() async throws {
        let broker = try FakeBroker(topics: ["t": 1]) { api, number in
            if api == .describeCluster && number < 2 { return .disconnect }
            if api == .metadata && number == 0 { return .disconnect }
            return nil
        }
        try await withClient(of: broker) { client in
            let cluster = try await Admin(client).describeCluster()
            #expect(cluster.clusterID == "fake")
        }
    }

    @Test(
        "an old broker that does not know the newest question for versions is understood",
        arguments: [0, 2] as [Int16])
    func oldVersions(version: Int16) async throws {
        let broker = try FakeBroker(
            topics: ["t": 1], maximumVersions: [.apiVersions: version, .metadata: 5, .fetch: 5, .produce: 3])
        try broker.append("t", 0, [Record(offset: .zero, timestamp: Timestamp(1), value: bytes("x"))])
        try await withClient(of: broker) { client in
            let producer = try Producer(client)
            try await producer.send(topic: "t", key: nil, value: bytes("y"))
            let consumer = try Consumer(client)
            consumer.assign([TopicPartition(topic: "t", partition: 0): .earliest])
            var values: [String] = []
            while values.count < 2 {
                values += try await consumer.poll(milliseconds: 1000).map { text($0.value) }
            }
            #expect(values == ["x", "y"])
        }
    }

    @Test("an API that the broker does not serve is named")
    func unsupported() async throws {
        let broker = try FakeBroker(topics: ["t": 1], maximumVersions: [.createPartitions: -1])
        try await withClient(of: broker) { client in
            do {
                _ = try await Admin(client).createPartitions(["t": 2])
                Issue.record("it was served")
            } catch {
                #expect("\(error)".contains("serves no CreatePartitions"))
            }
        }
    }

    @Test("a broker that is not there is an error with its address")
    func unreachable() async throws {
        // A port that nobody is given by chance.
        let address = "127.0.0.1:1"
        var configuration = ClientConfiguration(bootstrapServers: [address])
        configuration.apiMilliseconds = 300
        let client = try Client(configuration)
        do {
            _ = try await Admin(client).describeCluster()
            Issue.record("somebody answered")
        } catch {
            #expect("\(error)".contains(address) || "\(error)".contains("did not answer"))
        }
        await client.close()
    }

    @Test(
        "addresses of brokers",
        arguments: [
            ("a:1", "a:1"), ("a", "a:9092"), ("[::1]:5", "[::1]:5"), ("127.0.0.1:9092", "127.0.0.1:9092"),
        ])
    func addresses(text: String, expected: String) throws {
        #expect(try BrokerEndpoint(text).description == expected)
    }

    @Test("what is no address is refused", arguments: ["", ":5", "a:b", "a:0", "a:70000", "http://a:1"])
    func badAddresses(text: String) {
        #expect(throws: ClientError.self) { try BrokerEndpoint(text) }
    }
}
