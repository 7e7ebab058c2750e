import KafkaProtocol
import RecordFormat
import Testing

@testable import DMQClient

/// Clusters of two brokers, of which the one and then the other leads.
@Suite struct LeaderChangeTests {
    @Test("records follow their leader from broker to broker, each once and in order")
    func producer() async throws {
        let first = try FakeBroker(topics: ["t": 2])
        let second = try FakeBroker(nodeID: 2, cluster: first)
        defer { second.stop() }
        try await withClient(of: first) { client in
            var configuration = ProducerConfiguration()
            configuration.batchByteCount = 300
            configuration.lingerMilliseconds = 0
            let producer = try Producer(client, configuration)
            for number in 0..<2000 {
                // Batches are under way while the leader goes.
                if number % 400 == 200 { first.moveLeader(to: number % 800 == 200 ? 2 : 1) }
                try await producer.enqueue(
                    topic: "t", partition: Int32(number % 2), key: nil, value: bytes("\(number)"))
                if number % 50 == 0 { await Task.yield() }
            }
            try await producer.close()
        }
        for partition in 0..<2 {
            let found = try first.records("t", partition).map { text($0.value) }
            #expect(found == stride(from: partition, to: 2000, by: 2).map { "\($0)" })
        }
    }

    @Test("a reader follows the leader, and misses and doubles nothing")
    func consumer() async throws {
        let first = try FakeBroker(topics: ["t": 1])
        let second = try FakeBroker(nodeID: 2, cluster: first)
        defer { second.stop() }
        for start in stride(from: 0, to: 500, by: 5) {
            try first.append(
                "t", 0,
                (start..<(start + 5)).map {
                    Record(offset: .zero, timestamp: Timestamp(1), value: bytes("\($0)"))
                })
        }
        try await withClient(of: first) { client in
            var configuration = ConsumerConfiguration()
            configuration.prefetchByteCount = 1
            let consumer = try Consumer(client, configuration)
            consumer.assign([TopicPartition(topic: "t", partition: 0): .earliest])
            var values: [String] = []
            var moves = 0
            while values.count < 500 {
                values += try await consumer.poll(milliseconds: 2000).map { text($0.value) }
                if values.count / 100 > moves {
                    moves += 1
                    first.moveLeader(to: moves % 2 == 1 ? 2 : 1)
                }
            }
            #expect(values == (0..<500).map { "\($0)" })
        }
    }

    @Test("a refusal that names the new leader is enough to find it, whatever the metadata says")
    func hints() async throws {
        let first = try FakeBroker(topics: ["t": 1])
        let second = try FakeBroker(nodeID: 2, cluster: first)
        defer { second.stop() }
        // The metadata never hears of the change.
        first.state.withLock { $0.staleLeader = (1, 0) }
        try await withClient(of: first) { client in
            let place = TopicPartition(topic: "t", partition: 0)
            let producer = try Producer(client)
            let consumer = try Consumer(client)
            try await producer.send(topic: "t", partition: 0, key: nil, value: bytes("0"))
            consumer.assign([place: .offset(.zero)])
            var reading = consumer.records.makeAsyncIterator()
            #expect(text(try await reading.next()?.value) == "0")
            first.moveLeader(to: 2)
            first.state.withLock { $0.hint = ($0.leader, $0.leaderEpoch) }
            try await producer.send(topic: "t", partition: 0, key: nil, value: bytes("1"))
            #expect(text(try await reading.next()?.value) == "1")
            try await producer.close()
        }
        #expect(try first.records("t", 0).map { text($0.value) } == ["0", "1"])
    }

    @Test("a refusal that names a leader of old changes nothing")
    func staleHints() async throws {
        let first = try FakeBroker(topics: ["t": 1])
        let second = try FakeBroker(nodeID: 2, cluster: first)
        defer { second.stop() }
        try await withClient(of: first) { client in
            let producer = try Producer(client)
            try await producer.send(topic: "t", partition: 0, key: nil, value: bytes("0"))
            first.moveLeader(to: 2)
            // The broker believes in itself no less than before: whoever believed it would ask it for ever.
            first.state.withLock { $0.hint = (1, 0) }
            try await producer.send(topic: "t", partition: 0, key: nil, value: bytes("1"))
            try await producer.close()
        }
        #expect(try first.records("t", 0).map { text($0.value) } == ["0", "1"])
    }

    @Test("what a broker that lags behind says of a leader does not take back what is known")
    func epochs() {
        func described(_ leader: Int32, _ epoch: Int32, id: UInt64 = 1) -> TopicDescription {
            TopicDescription(
                MetadataResponse.MetadataResponseTopic(
                    name: "t", topicID: TopicID(UniqueID(high: 1, low: id)),
                    partitions: [
                        MetadataResponse.MetadataResponsePartition(
                            partitionIndex: 0, leaderID: leader, leaderEpoch: LeaderEpoch(epoch),
                            replicaNodes: [1, 2], inSyncReplicasNodes: [1, 2])
                    ]), name: "t")
        }
        let known = described(2, 5)
        #expect(described(1, 4).replacing(known).partitions.first?.leader == 2)
        #expect(described(1, 6).replacing(known).partitions.first?.leader == 1)
        #expect(described(1, 5).replacing(known).partitions.first?.leader == 1)
        // A topic that was deleted and made again begins anew.
        #expect(described(1, 0, id: 2).replacing(known).partitions.first?.leader == 1)
        #expect(described(1, -1).replacing(known).partitions.first?.leader == 1)
    }
}
