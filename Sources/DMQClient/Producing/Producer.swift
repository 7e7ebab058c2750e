internal import Base
public import RecordFormat
internal import SystemIO
internal import Transport

/// Writes records to topics. Many callers may use one producer at once: it gathers their records into
/// batches.
///
/// Records of one partition are written in the order in which they were enqueued. With idempotence, which is
/// the default, each is written once, whatever happens on the way.
public final class Producer: @unchecked Sendable {
    // @unchecked: nothing changes after `init`; what the parts hold is behind a lock or on the lane.

    public let configuration: ProducerConfiguration
    private let client: Client
    private let accumulator: RecordAccumulator
    private let sender: ProduceSender

    /// - Throws: what is wrong with the configuration.
    public init(_ client: Client, _ configuration: ProducerConfiguration = ProducerConfiguration())
        throws(ClientError)
    {
        try configuration.check()
        self.client = client
        self.configuration = configuration
        accumulator = RecordAccumulator(configuration, client.core.lane.timeSource, seed: SystemRandom.seed())
        sender = ProduceSender(client.core, configuration, accumulator)
        let sender = self.sender
        if !client.core.lane.submit({ sender.start() }) { throw .closed }
    }

    deinit {
        let sender = self.sender
        _ = sender.core.lane.submit {
            sender.core.leave(sender)
            sender.clientClosed()
        }
    }

    // MARK: Without waiting

    /// Puts a record into a batch, or says why not. Never waits.
    /// - Parameters:
    ///   - partition: nil lets the key decide, as Kafka's clients do, and where there is none the producer,
    ///     which fills a batch for one partition after the other.
    ///   - key, value: nil for null. Copied.
    ///   - timestamp: nil for now.
    ///   - completion: told, on the client's thread, what became of the record; must not block. Without it a
    ///     failure is thrown by the next `flush`.
    /// - Throws: what no waiting helps against.
    public func tryEnqueue(
        topic: String, partition: Int32? = nil, key: RawSpan?, value: RawSpan?, headers: [RecordHeader] = [],
        timestamp: Timestamp? = nil, completion: DeliveryCompletion? = nil
    ) throws(ClientError) -> EnqueueResult {
        let (result, wakes) = try accumulator.append(
            topic: topic, partition: partition, key: key, value: value, headers: headers,
            timestamp: timestamp, completion)
        if wakes { wake() }
        return result
    }

    private func wake() {
        let sender = self.sender
        _ = client.core.lane.submit { sender.pump() }
    }

    // MARK: Waiting

    /// Asks for what has to be known of a topic before records can be enqueued.
    public func prepare(topic: String) async throws(ClientError) {
        if accumulator.knows(topic) { return }
        let accumulator = self.accumulator
        let milliseconds = configuration.topicMilliseconds
        let _: Bool = try await client.perform { core, completion in
            core.metadata.topic(topic, milliseconds: milliseconds, mayCreate: true) { result in
                switch result {
                case .success(let description) where description.partitions.isEmpty:
                    completion(
                        .failure(
                            .unknownPartition(topic: topic, partition: nil, reason: "it has no partitions")))
                case .success(let description):
                    accumulator.learn(description)
                    completion(.success(true))
                case .failure(let error): completion(.failure(error))
                }
            }
        }
    }

    /// Waits until the buffer has room.
    /// - Parameter byteCount: for a record with a key, a value and headers of so many bytes together.
    public func room(byteCount: Int = 0) async {
        let accumulator = self.accumulator
        let bound = ProducerBatch.byteCountBound(byteCount, 0, [])
        await withCheckedContinuation { continuation in
            // First be known to wait, then have what waits for its linger time sent.
            accumulator.room(bound, continuation)
            wake()
        }
    }

    /// Enqueues a record, waiting for the topic to be known and for room in the buffer.
    public func enqueue(
        topic: String, partition: Int32? = nil, key: [UInt8]?, value: [UInt8]?,
        headers: [RecordHeader] = [], timestamp: Timestamp? = nil, completion: DeliveryCompletion? = nil
    ) async throws(ClientError) {
        while true {
            let result = try tryEnqueue(
                topic: topic, partition: partition, keyBytes: key, valueBytes: value, headers: headers,
                timestamp: timestamp, completion: completion)
            switch result {
            case .queued: return
            case .bufferFull: await room(byteCount: Self.byteCount(key, value, headers))
            case .topicUnknown: try await prepare(topic: topic)
            }
        }
    }

    /// What a record takes of the buffer, with the most that its lengths can take.
    private static func byteCount(_ key: [UInt8]?, _ value: [UInt8]?, _ headers: [RecordHeader]) -> Int {
        ProducerBatch.byteCountBound(key?.count ?? 0, value?.count ?? 0, headers)
    }

    /// As `tryEnqueue`, from arrays.
    public func tryEnqueue(
        topic: String, partition: Int32? = nil, keyBytes: [UInt8]?, valueBytes: [UInt8]?,
        headers: [RecordHeader] = [], timestamp: Timestamp? = nil, completion: DeliveryCompletion? = nil
    ) throws(ClientError) -> EnqueueResult {
        switch (keyBytes, valueBytes) {
        case (let key?, let value?):
            try tryEnqueue(
                topic: topic, partition: partition, key: key.span.bytes, value: value.span.bytes,
                headers: headers, timestamp: timestamp, completion: completion)
        case (let key?, nil):
            try tryEnqueue(
                topic: topic, partition: partition, key: key.span.bytes, value: nil, headers: headers,
                timestamp: timestamp, completion: completion)
        case (nil, let value?):
            try tryEnqueue(
                topic: topic, partition: partition, key: nil, value: value.span.bytes, headers: headers,
                timestamp: timestamp, completion: completion)
        case (nil, nil):
            try tryEnqueue(
                topic: topic, partition: partition, key: nil, value: nil, headers: headers,
                timestamp: timestamp, completion: completion)
        }
    }

    private enum Attempt: Sendable {
        case done(Result<RecordMetadata, ClientError>)
        case refused(EnqueueResult)
    }

    /// Writes a record and waits until it is acknowledged.
    @discardableResult
    public func send(
        topic: String, partition: Int32? = nil, key: [UInt8]?, value: [UInt8]?,
        headers: [RecordHeader] = [], timestamp: Timestamp? = nil
    ) async throws(ClientError) -> RecordMetadata {
        while true {
            let attempt: Attempt = await withCheckedContinuation { continuation in
                do throws(ClientError) {
                    let result = try tryEnqueue(
                        topic: topic, partition: partition, keyBytes: key, valueBytes: value,
                        headers: headers, timestamp: timestamp,
                        completion: { continuation.resume(returning: .done($0)) })
                    if result != .queued { continuation.resume(returning: .refused(result)) }
                } catch {
                    continuation.resume(returning: .done(.failure(error)))
                }
            }
            switch attempt {
            case .done(let result): return try result.get()
            case .refused(.topicUnknown): try await prepare(topic: topic)
            case .refused: await room(byteCount: Self.byteCount(key, value, headers))
            }
        }
    }

    /// Sends what is gathered, and waits until all records that were enqueued before are acknowledged or have
    /// failed.
    /// - Throws: the first failure, since the last flush, of a record without a completion.
    public func flush() async throws(ClientError) {
        let accumulator = self.accumulator
        await withCheckedContinuation { continuation in
            accumulator.flush(continuation)
            wake()
        }
        if let error = accumulator.takeUnheardError() { throw error }
    }

    /// Flushes, and takes no more records.
    /// - Throws: as `flush`.
    public func close() async throws(ClientError) {
        try await flush()
        let sender = self.sender
        _ = sender.core.lane.submit {
            sender.core.leave(sender)
            sender.clientClosed()
        }
    }
}
