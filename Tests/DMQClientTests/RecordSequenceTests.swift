import Base
import KafkaProtocol
import RecordFormat
import SystemIO
import Testing

@testable import DMQClient

/// What a consumer reads as a sequence.
@Suite struct RecordSequenceTests {
    private let place = TopicPartition(topic: "t", partition: 0)
    private let other = TopicPartition(topic: "t", partition: 1)

    private func fill(_ broker: FakeBroker, batches: Int, partition: Int = 0) throws {
        for batch in 0..<batches {
            try broker.append(
                "t", partition,
                (0..<10).map {
                    Record(offset: .zero, timestamp: Timestamp(1), value: bytes("\(batch * 10 + $0)"))
                })
        }
    }

    @Test("a loop over records sees each once and in order; a second loop goes on where it left")
    func records() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try fill(broker, batches: 30)
        try await withClient(of: broker) { client in
            let consumer = try Consumer(client)
            consumer.assign([place: .earliest])
            var values: [String] = []
            for try await record in consumer.records {
                values.append(text(record.value))
                // In the middle of a fetch.
                if values.count == 103 { break }
            }
            values += try await consumer.poll(milliseconds: 0).map { text($0.value) }
            #expect(values.count == 110)
            for try await record in consumer.records {
                values.append(text(record.value))
                if values.count == 300 { break }
            }
            #expect(values == (0..<300).map { "\($0)" })
        }
    }

    @Test("a loop over batches sees them in place")
    func batches() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try fill(broker, batches: 30)
        try await withClient(of: broker) { client in
            let consumer = try Consumer(client)
            consumer.assign([place: .earliest])
            let decompressor = Decompressor()
            var next = Offset.zero
            var count = 0
            for try await batch in consumer.batches {
                #expect(batch.position == next)
                next = batch.nextPosition
                try batch.forEach(decompressor) { _, _ in
                    count += 1
                    return true
                }
                if next == Offset(300) { break }
            }
            #expect(count == 300)
        }
    }

    @Test("a loop whose task is cancelled ends, whether it waits or not", arguments: [0, 5])
    func cancelled(batches: Int) async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try fill(broker, batches: batches)
        try await withClient(of: broker) { client in
            let consumer = try Consumer(client)
            consumer.assign([place: .earliest])
            let seen = Locked(0)
            let reader = Task {
                for try await _ in consumer.records { seen.withLock { $0 += 1 } }
            }
            while seen.withLock({ $0 }) < batches * 10 { await Task.yield() }
            reader.cancel()
            try await reader.value
            // A task that is cancelled reads nothing, though there is something.
            try fill(broker, batches: 1)
            let late = Task {
                while !Task.isCancelled { await Task.yield() }
                for try await _ in consumer.records { seen.withLock { $0 += 1 } }
            }
            late.cancel()
            try await late.value
            #expect(seen.withLock { $0 } == batches * 10)
        }
    }

    @Test("a loop ends when the consumer is closed, and when the client is", arguments: [true, false])
    func closed(byConsumer: Bool) async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try fill(broker, batches: 1)
        try await withClient(of: broker) { client in
            let consumer = try Consumer(client)
            consumer.assign([place: .earliest])
            let seen = Locked(0)
            let reader = Task {
                for try await _ in consumer.records { seen.withLock { $0 += 1 } }
            }
            while seen.withLock({ $0 }) < 10 { await Task.yield() }
            if byConsumer { consumer.close() } else { await client.close() }
            try await reader.value
            for try await _ in consumer.batches { Issue.record("a consumer that is closed has nothing") }
        }
    }

    @Test("an error ends a loop, and the next one reads the other partitions on")
    func failure() async throws {
        let broker = try FakeBroker(topics: ["t": 2])
        try fill(broker, batches: 10, partition: 1)
        try await withClient(of: broker) { client in
            let consumer = try Consumer(client)
            consumer.assign([place: .offset(Offset(500)), other: .earliest])
            var values: [String] = []
            var reading = consumer.records.makeAsyncIterator()
            let error = await #expect(throws: ClientError.self) {
                while let record = try await reading.next() { values.append(text(record.value)) }
            }
            guard case .positionOutOfRange(place, Offset(500)) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try await reading.next() == nil)
            reading = consumer.records.makeAsyncIterator()
            while values.count < 100, let record = try await reading.next() {
                values.append(text(record.value))
            }
            #expect(values == (0..<100).map { "\($0)" })
        }
    }

    @Test("records before a damaged batch of the same fetch come first, then the error")
    func damaged() async throws {
        func batch(_ offset: Int64, _ value: String) throws -> [UInt8] {
            var builder = RecordBatchBuilder(baseOffset: Offset(offset))
            builder.append(timestamp: Timestamp(1), key: nil, value: bytes(value).span.bytes)
            return try builder.finish(compressor: Compressor())
        }
        var log = try batch(0, "a") + batch(1, "b") + batch(2, "c")
        log[log.count - 1] ^= 1
        let fetched = FetchedRecords(
            partition: place, position: .zero, nextPosition: Offset(3), highWatermark: Offset(3),
            logStart: .zero, bytes: BufferSlice(IOBuffer(copying: log)), aborted: [], checksChecksums: true,
            skipsAborted: false)
        let broker = try FakeBroker(topics: ["t": 1])
        try await withClient(of: broker) { client in
            let consumer = try Consumer(client)
            try consumer.keepCopies(of: fetched)
            #expect(try await consumer.poll(milliseconds: 0).map { text($0.value) } == ["a", "b"])
            let error = await #expect(throws: ClientError.self) { try await consumer.poll(milliseconds: 0) }
            guard case .corrupt(place, Offset(2), _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try await consumer.poll(milliseconds: 0).isEmpty)
        }
    }

    @Test("a reader that takes its time holds the fetching back")
    func slow() async throws {
        let broker = try FakeBroker(topics: ["t": 1])
        try fill(broker, batches: 50)
        try await withClient(of: broker) { client in
            var configuration = ConsumerConfiguration()
            configuration.prefetchByteCount = 1
            let consumer = try Consumer(client, configuration)
            consumer.assign([place: .earliest])
            var count = 0
            for try await batch in consumer.batches {
                count += 10
                let ahead = try await consumer.positions()[place]?.rawValue ?? 0
                // One batch lies ready, and one may be under way.
                #expect(ahead - batch.nextPosition.rawValue <= 20)
                if count == 500 { break }
            }
        }
    }
}
