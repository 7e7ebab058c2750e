import KafkaProtocol
import RecordFormat
import Testing

@testable import DMQClient

/// Brokers whose answers say that a quota is used up (KIP-219).
@Suite struct ThrottleTests {
    private func produce(_ client: Client, count: Int) async throws {
        var configuration = ProducerConfiguration()
        // With more, requests are under way when the answer to the first one comes.
        configuration.inFlightPerBroker = 1
        let producer = try Producer(client, configuration)
        for number in 0..<count {
            try await producer.send(topic: "t", partition: 0, key: nil, value: bytes("\(number)"))
        }
        try await producer.close()
    }

    @Test("a producer sends nothing before the time is over that its broker asked for")
    func producer() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try await withClient(of: broker) { client in
            try await warm(client)
            broker.state.withLock { $0.throttleMilliseconds = 20 }
            try await produce(client, count: 10)
        }
        #expect(broker.state.withLock { $0.counts[.produce] } == 10)
        #expect(broker.state.withLock { $0.earlyRequests } == 0)
    }

    @Test("a consumer fetches nothing before the time is over that its broker asked for")
    func consumer() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        for number in 0..<10 {
            try broker.append(
                "t", 0, [Record(offset: .zero, timestamp: Timestamp(1), value: bytes("\(number)"))])
        }
        try await withClient(of: broker) { client in
            try await warm(client)
            broker.state.withLock { $0.throttleMilliseconds = 20 }
            let consumer = try Consumer(client)
            consumer.assign([TopicPartition(topic: "t", partition: 0): .offset(.zero)])
            var values: [String] = []
            for try await record in consumer.records {
                values.append(text(record.value))
                if values.count == 10 { break }
            }
            #expect(values == (0..<10).map { "\($0)" })
        }
        #expect(broker.state.withLock { $0.earlyRequests } == 0)
    }

    @Test("admin calls wait too, and go out when the time is over")
    func admin() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try await withClient(of: broker) { client in
            try await warm(client)
            broker.state.withLock { $0.throttleMilliseconds = 50 }
            try await produce(client, count: 1)
            // What follows is asked at a time when nothing is in flight.
            _ = try await client.offsets([TopicPartition(topic: "t", partition: 0)], .latest)
        }
        #expect(broker.state.withLock { $0.earlyRequests } == 0)
    }

    @Test("no broker is waited for longer than the client is set to")
    func bound() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        broker.state.withLock { $0.throttleMilliseconds = 3_600_000 }
        defer { broker.stop() }
        var configuration = ClientConfiguration(bootstrapServers: [broker.address])
        configuration.longestThrottleMilliseconds = 5
        let client = try Client(configuration)
        try await produce(client, count: 5)
        await client.close()
        #expect(broker.state.withLock { $0.counts[.produce] } == 5)
    }

    @Test("a broker that has waited itself, as those before KIP-219 do, is not waited for again")
    func oldVersions() async throws {
        let broker = try FakeBroker(topics: ["t": 1], maximumVersions: [.produce: 5, .fetch: 7])
        broker.state.withLock { $0.throttleMilliseconds = 3_600_000 }
        try await withClient(of: broker) { client in try await produce(client, count: 5) }
        #expect(broker.state.withLock { $0.counts[.produce] } == 5)
    }
}
