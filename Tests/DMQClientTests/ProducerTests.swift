import Base
import KafkaProtocol
import RecordFormat
import Testing

@testable import DMQClient

@Suite struct ProducerTests {
    /// Small batches, so that many are under way.
    private func small(_ linger: Int64 = 0) -> ProducerConfiguration {
        var configuration = ProducerConfiguration()
        configuration.batchByteCount = 300
        configuration.lingerMilliseconds = linger
        return configuration
    }

    private func produce(
        _ client: Client, _ configuration: ProducerConfiguration, count: Int, topic: String = "t",
        partitions: Int = 2
    ) async throws {
        let producer = try Producer(client, configuration)
        for number in 0..<count {
            try await producer.enqueue(
                topic: topic, partition: Int32(number % partitions), key: nil, value: bytes("\(number)"))
        }
        try await producer.close()
    }

    /// Every number once and in order, in its partition.
    private func expectAll(_ broker: FakeBroker, count: Int, topic: String = "t", partitions: Int = 2) throws
    {
        for partition in 0..<partitions {
            let found = try broker.records(topic, partition).map { text($0.value) }
            let expected = stride(from: partition, to: count, by: partitions).map { "\($0)" }
            #expect(found == expected, "partition \(partition)")
        }
    }

    @Test(
        "records arrive in order, in batches, with key, headers, null and time",
        arguments: CompressionCodec.allCases)
    func simple(codec: CompressionCodec) async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try await withClient(of: broker) { client in
            var configuration = ProducerConfiguration()
            configuration.codec = codec
            let producer = try Producer(client, configuration)
            let header = RecordHeader("h", bytes("x"))
            try await producer.enqueue(
                topic: "t", key: bytes("k"), value: nil, headers: [header], timestamp: Timestamp(5))
            let place = try await producer.send(
                topic: "t", key: nil, value: bytes("v"), timestamp: Timestamp(6))
            #expect(place.partition == TopicPartition(topic: "t", partition: 0))
            #expect(place.offset == Offset(1))
            try await producer.close()
        }
        let records = try broker.records("t", 0)
        #expect(records.map(\.key) == [bytes("k"), nil])
        #expect(records.map(\.value) == [nil, bytes("v")])
        #expect(records.map(\.timestamp) == [Timestamp(5), Timestamp(6)])
        #expect(records[0].headers == [RecordHeader("h", bytes("x"))])
    }

    @Test(
        "a key goes to the partition that Kafka's clients choose; others fill one partition after the other")
    func partitions() async throws {
        let broker = try FakeBroker(topics: ["t": 7])
        try await withClient(of: broker) { client in
            let producer = try Producer(client, small(5))
            for number in 0..<50 {
                try await producer.enqueue(topic: "t", key: bytes("key-\(number)"), value: nil)
            }
            for _ in 0..<500 { try await producer.enqueue(topic: "t", key: nil, value: bytes("v")) }
            try await producer.close()
        }
        var unkeyed = 0
        for partition in 0..<7 {
            let records = try broker.records("t", partition)
            for record in records {
                guard let key = record.key else {
                    unkeyed += 1
                    continue
                }
                #expect(Murmur2.partition(ofKey: key.span.bytes, partitionCount: 7) == partition)
            }
        }
        #expect(unkeyed == 500)
    }

    @Test(
        "connections that end before or after the append lose nothing, double nothing, change no order",
        arguments: [
            Fault.disconnect, .disconnectAfterwards, .refuse(.notLeaderOrFollower), .refuse(.requestTimedOut),
        ])
    func faults(fault: Fault) async throws {
        let broker = try FakeBroker(topics: ["t": 2]) { api, number in
            api == .produce && number % 3 == 1 && number < 60 ? fault : nil
        }
        try await withClient(of: broker) { client in try await produce(client, small(), count: 1000) }
        try expectAll(broker, count: 1000)
        #expect(broker.state.withLock { $0.counts[.produce] ?? 0 } > 10)
    }

    @Test("random faults in all requests: every record once and in order", arguments: 1...6)
    func chaos(seed: UInt64) async throws {
        let generator = Locked(SeededGenerator(seed: seed))
        let broker = try FakeBroker(topics: ["t": 2]) { api, number in
            if number > 200 || api == .apiVersions { return nil }
            return generator.withLock { generator -> Fault? in
                switch generator.next() % 10 {
                case 0: return .disconnect
                case 1: return .disconnectAfterwards
                case 2: return api == .produce ? .refuse(.notEnoughReplicas) : nil
                default: return nil
                }
            }
        }
        try await withClient(of: broker) { client in try await produce(client, small(), count: 600) }
        try expectAll(broker, count: 600)
    }

    @Test(
        "a request that is never answered is given up with its connection, and what it carried is sent again")
    func silence() async throws {
        let broker = try FakeBroker(topics: ["t": 2]) { api, number in
            api == .produce && number == 2 ? .silence : nil
        }
        try await withClient(of: broker, requestMilliseconds: 200) { client in
            try await produce(client, small(), count: 300)
        }
        try expectAll(broker, count: 300)
    }

    @Test("a broker that has lost track of the producer gets a new epoch, and each record once")
    func newEpoch() async throws {
        let broker = try FakeBroker(topics: ["t": 1]) { api, number in
            api == .produce && number == 3 ? .refuse(.unknownProducerID) : nil
        }
        try await withClient(of: broker) { client in
            try await produce(client, small(), count: 400, partitions: 1)
        }
        try expectAll(broker, count: 400, partitions: 1)
        let epochs = broker.state.withLock { $0.topics["t"]![0].producers.values.map(\.epoch) }
        #expect(epochs.allSatisfy { $0 >= 1 } && !epochs.isEmpty)
    }

    @Test("a refusal that no retry helps against reaches the caller, and later records still arrive once")
    func refused() async throws {
        let broker = try FakeBroker(topics: ["t": 1]) { api, number in
            api == .produce && number == 1 ? .refuse(.messageTooLarge) : nil
        }
        let error = try await withClient(of: broker) { client -> ClientError? in
            let producer = try Producer(client, small())
            try await producer.send(topic: "t", key: nil, value: bytes("a"))
            var caught: ClientError?
            do {
                try await producer.send(topic: "t", key: nil, value: bytes("b"))
            } catch let error as ClientError { caught = error }
            for number in 0..<100 {
                try await producer.enqueue(topic: "t", key: nil, value: bytes("\(number)"))
            }
            try await producer.close()
            return caught
        }
        #expect(error?.code == .messageTooLarge)
        #expect(error?.description.contains("max.message.bytes") == true)
        let found = try broker.records("t", 0).map { text($0.value) }
        #expect(found == ["a"] + (0..<100).map { "\($0)" })
    }

    @Test("failures nobody was told of are thrown by flush")
    func unheard() async throws {
        let broker = try FakeBroker(topics: ["t": 1]) { api, _ in
            api == .produce ? .refuse(.topicAuthorizationFailed) : nil
        }
        try await withClient(of: broker) { client in
            let producer = try Producer(client)
            try await producer.enqueue(topic: "t", key: nil, value: bytes("a"))
            await #expect(throws: ClientError.self) { try await producer.flush() }
            try await producer.flush()
        }
    }

    @Test("what is not acknowledged within the delivery time-out fails, and says whether it may be there")
    func deliveryTimeout() async throws {
        let broker = try FakeBroker(topics: ["t": 1]) { api, _ in
            api == .produce ? .disconnectAfterwards : nil
        }
        try await withClient(of: broker) { client in
            var configuration = ProducerConfiguration()
            // Time enough for the first attempt, whatever else the machine does.
            configuration.deliveryMilliseconds = 5000
            configuration.lingerMilliseconds = 0
            try await warm(client)
            let producer = try Producer(client, configuration)
            do {
                try await producer.send(topic: "t", key: nil, value: bytes("a"))
                Issue.record("the record was acknowledged")
            } catch let error as ClientError {
                guard case .deliveryTimedOut(_, _, let mayBeWritten, _) = error, mayBeWritten else {
                    Issue.record("\(error)")
                    return
                }
            }
        }
    }

    @Test("a broker that is silent holds a record no longer than the delivery time-out")
    func silentBroker() async throws {
        let broker = try FakeBroker(topics: ["t": 1]) { api, number in
            api == .produce && number == 0 ? .silence : nil
        }
        try await withClient(of: broker, requestMilliseconds: 600_000) { client in
            var configuration = small()
            configuration.deliveryMilliseconds = 5000
            try await warm(client)
            let producer = try Producer(client, configuration)
            do {
                try await producer.send(topic: "t", key: nil, value: bytes("a"))
                Issue.record("the record was acknowledged")
            } catch let error as ClientError {
                guard case .deliveryTimedOut(_, _, let mayBeWritten, _) = error, mayBeWritten else {
                    Issue.record("\(error)")
                    return
                }
            }
        }
    }

    @Test("a producer whose every request fails tries ever more rarely")
    func patience() async throws {
        let broker = try FakeBroker(topics: ["t": 1]) { api, _ in
            api == .produce ? .refuse(.notEnoughReplicas) : nil
        }
        try await withClient(of: broker, longestBackoffMilliseconds: 60_000) { client in
            var configuration = small()
            configuration.deliveryMilliseconds = 1000
            try await warm(client)
            let producer = try Producer(client, configuration)
            await #expect(throws: ClientError.self) {
                try await producer.send(topic: "t", key: nil, value: bytes("a"))
            }
        }
        let count = broker.state.withLock { $0.counts[.produce] ?? 0 }
        #expect(count >= 1 && count <= 16, "\(count) requests")
    }

    @Test("a record larger than half of the buffer waits for room, and does not ask for it over and over")
    func largeRecords() async throws {
        let broker = try FakeBroker(topics: ["t": 1]) { api, number in
            api == .produce && number == 0 ? .refuse(.notEnoughReplicas) : nil
        }
        try await withClient(of: broker, longestBackoffMilliseconds: 200) { client in
            var configuration = small()
            configuration.bufferByteCount = 1000
            let producer = try Producer(client, configuration)
            try await producer.prepare(topic: "t")
            let large = [UInt8](repeating: 7, count: 950)
            #expect(
                try producer.tryEnqueue(topic: "t", keyBytes: nil, valueBytes: bytes("small")) == .queued)
            var refusals = 0
            while try producer.tryEnqueue(topic: "t", keyBytes: nil, valueBytes: large) != .queued {
                refusals += 1
                await producer.room(byteCount: large.count)
            }
            #expect(refusals <= 1)
            try await producer.close()
        }
        #expect(try broker.records("t", 0).count == 2)
    }

    @Test("a producer that is let go of tells what became of its records")
    func abandoned() async throws {
        let broker = try FakeBroker(topics: ["t": 1]) { api, number in
            api == .produce ? .disconnect : nil
        }
        try await withClient(of: broker) { client in
            let told = await withCheckedContinuation { continuation in
                let box = Locked<CheckedContinuation<Bool, Never>?>(continuation)
                Task {
                    let producer = try Producer(client, small())
                    try await producer.enqueue(topic: "t", key: nil, value: bytes("a")) { result in
                        if case .failure = result {
                            box.withLock { $0.take() }?.resume(returning: true)
                        }
                    }
                    while broker.state.withLock({ $0.counts[.produce] }) == nil { await Task.yield() }
                }
            }
            #expect(told)
        }
    }

    @Test("a topic without partitions is an error, not a wait")
    func noPartitions() async throws {
        let broker = try FakeBroker(topics: ["t": 0])
        try await withClient(of: broker) { client in
            let producer = try Producer(client)
            await #expect(throws: ClientError.self) {
                try await producer.send(topic: "t", key: nil, value: nil)
            }
        }
    }

    @Test("a full buffer holds the caller back until there is room")
    func backPressure() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try await withClient(of: broker) { client in
            var configuration = small(1000)
            configuration.bufferByteCount = 1000
            let producer = try Producer(client, configuration)
            try await producer.prepare(topic: "t")
            var refusals = 0
            for number in 0..<200 {
                let value = bytes("\(number)-" + String(repeating: "x", count: 50))
                while try producer.tryEnqueue(topic: "t", keyBytes: nil, valueBytes: value) != .queued {
                    refusals += 1
                    await producer.room()
                }
            }
            #expect(refusals > 0)
            try await producer.close()
        }
        #expect(try broker.records("t", 0).count == 200)
    }

    @Test("what waits for the connection goes out in its order, also where no answer comes")
    func orderWithoutAnswers() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try await withClient(of: broker) { client in
            var configuration = small()
            configuration.acknowledgement = .none
            let producer = try Producer(client, configuration)
            try await producer.prepare(topic: "t")
            // The connection to the leader is not there yet: the first batches wait for it.
            for number in 0..<500 {
                try await producer.enqueue(topic: "t", key: nil, value: bytes("\(number)"))
            }
            try await producer.close()
            _ = try await client.offsets([TopicPartition(topic: "t", partition: 0)], .latest)
        }
        #expect(try broker.records("t", 0).map { text($0.value) } == (0..<500).map { "\($0)" })
    }

    @Test(
        "acks 0 and 1 work without idempotence; idempotence with them is refused",
        arguments: [Acknowledgement.none, .leader])
    func acknowledgements(acks: Acknowledgement) async throws {
        let broker = try FakeBroker(topics: ["t": 2])
        try await withClient(of: broker) { client in
            var configuration = small()
            configuration.acknowledgement = acks
            try await produce(client, configuration, count: 100)
            // Without answers nobody knows when the last has arrived: a question behind them does.
            _ = try await client.offsets([TopicPartition(topic: "t", partition: 0)], .latest)
            configuration.isIdempotent = true
            #expect(throws: ClientError.self) { try Producer(client, configuration) }
        }
        try expectAll(broker, count: 100)
        #expect(broker.state.withLock { $0.counts[.initProducerID] } == nil)
    }

    @Test("a topic that nobody knows is an error that names it")
    func unknownTopic() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try await withClient(of: broker) { client in
            var configuration = ProducerConfiguration()
            configuration.topicMilliseconds = 20
            let producer = try Producer(client, configuration)
            do {
                try await producer.send(topic: "nowhere", key: nil, value: nil)
                Issue.record("the topic exists")
            } catch let error as ClientError {
                #expect(error.code == .unknownTopicOrPartition && "\(error)".contains("nowhere"))
            }
            await #expect(throws: ClientError.self) {
                try await producer.send(topic: "t", partition: 9, key: nil, value: nil)
            }
        }
    }

    @Test("closing the client fails what waits")
    func closing() async throws {
        let broker = try FakeBroker(topics: ["t": 1]) { api, _ in api == .produce ? .silence : nil }
        try await withClient(of: broker) { client in
            let producer = try Producer(client)
            async let failed: Bool = {
                do {
                    try await producer.send(topic: "t", key: nil, value: bytes("a"))
                    return false
                } catch { return true }
            }()
            while broker.state.withLock({ $0.counts[.produce] }) == nil { await Task.yield() }
            await client.close()
            #expect(await failed)
        }
    }
}
