import Base
import KafkaProtocol
import RecordFormat
import SystemIO
import Testing

@testable import DMQClient

@Suite struct ConsumerTests {
    private let place = TopicPartition(topic: "t", partition: 0)

    private func fill(_ broker: FakeBroker, count: Int, codec: CompressionCodec = .none, partition: Int = 0)
        throws
    {
        for start in stride(from: 0, to: count, by: 10) {
            try broker.append(
                "t", partition,
                (start..<min(start + 10, count)).map {
                    Record(offset: .zero, timestamp: Timestamp(Int64(1000 + $0)), value: bytes("\($0)"))
                }, codec: codec)
        }
    }

    private func read(
        _ consumer: Consumer, _ starts: [TopicPartition: StartPosition], count: Int
    ) async throws -> [String] {
        consumer.assign(starts)
        var values: [String] = []
        while values.count < count {
            values += try await consumer.poll(milliseconds: 2000).map { text($0.value) }
        }
        return values
    }

    @Test("all records are read once and in order, with every codec", arguments: CompressionCodec.allCases)
    func order(codec: CompressionCodec) async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try fill(broker, count: 500, codec: codec)
        try await withClient(of: broker) { client in
            let values = try await read(Consumer(client), [place: .earliest], count: 500)
            #expect(values == (0..<500).map { "\($0)" })
        }
        // After the first request of a session only what changed is said, and topics go by their IDs.
        #expect(broker.state.withLock { $0.incrementalFetches } > 10)
        #expect(broker.state.withLock { $0.fetchVersions } == [FetchRequest.versions.upperBound])
    }

    @Test(
        "reading begins where it is told to",
        arguments: [
            (.earliest, 0), (.offset(Offset(33)), 33), (.timestamp(Timestamp(1047)), 47), (.last(5), 95),
            (.last(1000), 0),
        ] as [(StartPosition, Int)])
    func starts(start: StartPosition, first: Int) async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try fill(broker, count: 100)
        try await withClient(of: broker) { client in
            let values = try await read(Consumer(client), [place: start], count: 100 - first)
            #expect(values == (first..<100).map { "\($0)" })
        }
    }

    @Test(
        "at the end it waits for what comes; so with a timestamp beyond all records",
        arguments: [StartPosition.latest, .timestamp(Timestamp(99_999))])
    func latest(start: StartPosition) async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try fill(broker, count: 20)
        try await withClient(of: broker) { client in
            let consumer = try Consumer(client)
            consumer.assign([place: start])
            while try await consumer.positions()[place] == nil { await Task.yield() }
            try broker.append("t", 0, [Record(offset: .zero, timestamp: Timestamp(1), value: bytes("new"))])
            var values: [String] = []
            while values.isEmpty {
                values = try await consumer.poll(milliseconds: 2000).map { text($0.value) }
            }
            #expect(values == ["new"])
        }
    }

    @Test("lost connections, lost sessions and moving leaders change nothing", arguments: 1...4)
    func faults(seed: UInt64) async throws {
        let generator = Locked(SeededGenerator(seed: seed))
        let broker = try FakeBroker(topics: ["t": 2]) { api, number in
            if api != .fetch && api != .listOffsets || number > 100 { return nil }
            return generator.withLock { generator -> Fault? in
                switch generator.next() % 8 {
                case 0: return .disconnect
                case 1: return .disconnectAfterwards
                case 2:
                    return api == .fetch ? .refuse(.fetchSessionIDNotFound) : .refuse(.notLeaderOrFollower)
                default: return nil
                }
            }
        }
        try fill(broker, count: 200)
        try fill(broker, count: 200, partition: 1)
        try await withClient(of: broker) { client in
            let consumer = try Consumer(client)
            let other = TopicPartition(topic: "t", partition: 1)
            consumer.assign([place: .earliest, other: .offset(Offset(10))])
            var values: [TopicPartition: [String]] = [:]
            while (values[place]?.count ?? 0) < 200 || (values[other]?.count ?? 0) < 190 {
                for record in try await consumer.poll(milliseconds: 2000) {
                    values[record.partition, default: []].append(text(record.value))
                }
            }
            #expect(values[place] == (0..<200).map { "\($0)" })
            #expect(values[other] == (10..<200).map { "\($0)" })
        }
    }

    @Test("a position outside of the log throws, or goes where the configuration says")
    func outside() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try fill(broker, count: 20)
        try await withClient(of: broker) { client in
            let strict = try Consumer(client)
            strict.assign([place: .offset(Offset(500))])
            do {
                while try await strict.fetch(milliseconds: 2000) == nil {}
                Issue.record("nothing was thrown")
            } catch let error as ClientError {
                guard case .positionOutOfRange(_, let offset) = error, offset.rawValue == 500 else {
                    Issue.record("\(error)")
                    return
                }
            }
            var configuration = ConsumerConfiguration()
            configuration.resetPosition = .earliest
            let values = try await read(
                Consumer(client, configuration), [place: .offset(Offset(500))], count: 20)
            #expect(values.first == "0")
        }
    }

    @Test("a damaged batch is an error that names its offset")
    func damaged() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try fill(broker, count: 20)
        broker.state.withLock { $0.topics["t"]![0].batches[1][80] ^= 1 }
        try await withClient(of: broker) { client in
            let consumer = try Consumer(client)
            consumer.assign([place: .earliest])
            var count = 0
            do {
                while count < 20 { count += try await consumer.poll(milliseconds: 2000).count }
                Issue.record("nothing was thrown")
            } catch let error as ClientError {
                #expect(count == 10)
                guard case .corrupt(_, let offset, _) = error, offset.rawValue == 10 else {
                    Issue.record("\(error)")
                    return
                }
            }
        }
    }

    @Test("records of aborted transactions and markers are not seen by who reads committed ones")
    func aborted() throws {
        func batch(_ offset: Int64, producer: Int64, isControl: Bool = false, _ value: String) throws
            -> [UInt8]
        {
            var builder = RecordBatchBuilder(
                baseOffset: Offset(offset), isTransactional: true, isControl: isControl,
                producerID: ProducerID(producer), producerEpoch: ProducerEpoch(0),
                baseSequence: isControl ? .none : SequenceNumber(0))
            builder.append(timestamp: Timestamp(1), key: nil, value: bytes(value).span.bytes)
            return try builder.finish(compressor: Compressor())
        }
        // Producer 1 aborts what is at 0 and 2, producer 2 commits 1; then producer 1 commits 5.
        let log =
            try batch(0, producer: 1, "a") + batch(1, producer: 2, "b") + batch(2, producer: 1, "c")
            + batch(3, producer: 1, isControl: true, "") + batch(4, producer: 2, isControl: true, "")
            + batch(5, producer: 1, "d")
        func values(committed: Bool) throws -> [String] {
            let records = FetchedRecords(
                partition: place, position: .zero, nextPosition: Offset(6), highWatermark: Offset(6),
                logStart: .zero, bytes: BufferSlice(IOBuffer(copying: log)),
                aborted: [
                    FetchResponse.AbortedTransaction(producerID: ProducerID(1), firstOffset: .zero)
                ], checksChecksums: true, skipsAborted: committed)
            return try records.records(Decompressor()).map { text($0.value) }
        }
        #expect(try values(committed: true) == ["b", "d"])
        #expect(try values(committed: false) == ["a", "b", "c", "d"])
    }

    @Test("a topic or partition that does not exist is thrown")
    func unknown() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try await withClient(of: broker) { client in
            var configuration = ConsumerConfiguration()
            configuration.topicMilliseconds = 20
            let consumer = try Consumer(client, configuration)
            consumer.assign([TopicPartition(topic: "nowhere", partition: 0): .earliest])
            await #expect(throws: ClientError.self) { try await consumer.fetch(milliseconds: 5000) }
            consumer.assign([TopicPartition(topic: "t", partition: 5): .earliest])
            await #expect(throws: ClientError.self) { try await consumer.fetch(milliseconds: 5000) }
        }
    }

    @Test(
        "a broker that fails every fetch, or answers at once with nothing, is asked ever more rarely",
        arguments: [
            Fault.disconnect, .refuse(.notLeaderOrFollower), .refuse(.fetchSessionIDNotFound), nil,
        ])
    func patience(fault: Fault?) async throws {
        let broker = try FakeBroker(topics: ["t": 1]) { api, _ in api == .fetch ? fault : nil }
        try await withClient(of: broker, longestBackoffMilliseconds: 60_000) { client in
            let consumer = try Consumer(client)
            try await warm(client)
            consumer.assign([place: .offset(.zero)])
            #expect(try await consumer.fetch(milliseconds: 1000) == nil)
        }
        // Pauses of 1, 2, 4... ms leave room for a dozen attempts in a second, and a few at once before them;
        // pauses that do not grow would leave room for hundreds.
        let count = broker.state.withLock { $0.counts[.fetch] ?? 0 }
        #expect(count >= 1 && count <= 24, "\(count) fetches")
    }

    @Test("a reader whose task is cancelled waits no longer")
    func cancelled() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try await withClient(of: broker) { client in
            let consumer = try Consumer(client)
            consumer.assign([place: .earliest])
            let reader = Task { try await consumer.fetch(milliseconds: 600_000) == nil }
            while broker.state.withLock({ $0.counts[.fetch] }) == nil { await Task.yield() }
            reader.cancel()
            #expect(try await reader.value)
        }
    }

    @Test("what is fetched ahead is bounded")
    func bounded() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try fill(broker, count: 500)
        try await withClient(of: broker) { client in
            var configuration = ConsumerConfiguration()
            configuration.prefetchByteCount = 1
            let consumer = try Consumer(client, configuration)
            consumer.assign([place: .earliest])
            #expect(try await consumer.poll(milliseconds: 5000).count == 10)
            // One batch lies ready and nothing more is fetched before it is taken.
            while (try await consumer.positions()[place]?.rawValue ?? 0) < 20 { await Task.yield() }
            let position = try await consumer.positions()[place]?.rawValue ?? 0
            #expect(position <= 30)
            var count = 10
            while count < 500 { count += try await consumer.poll(milliseconds: 2000).count }
        }
    }
}
