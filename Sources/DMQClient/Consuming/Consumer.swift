internal import Base
public import RecordFormat
internal import SystemIO
internal import Transport

/// Reads records of partitions that its user names. Fetches ahead of its reader, of which there is one.
///
///     let consumer = try Consumer(client)
///     try await consumer.assign([TopicPartition(topic: "events", partition: 0): .earliest])
///     while let records = try await consumer.fetch(milliseconds: 1000) {
///         try records.forEach(decompressor) { record, _ in … }
///     }
public final class Consumer: @unchecked Sendable {
    // @unchecked: nothing changes after `init`; what the parts hold is behind a lock or on the lane.

    public let configuration: ConsumerConfiguration
    private let client: Client
    private let queue: FetchQueue
    private let fetcher: Fetcher
    private let kept = Locked<[KeptDecompressor]>([])

    /// - Throws: what is wrong with the configuration.
    public init(_ client: Client, _ configuration: ConsumerConfiguration = ConsumerConfiguration())
        throws(ClientError)
    {
        try configuration.check()
        self.client = client
        self.configuration = configuration
        queue = FetchQueue(limit: max(configuration.prefetchByteCount, 1))
        fetcher = Fetcher(client.core, configuration, queue)
        let fetcher = self.fetcher
        if !client.core.lane.submit({ fetcher.start() }) { throw .closed }
    }

    deinit { close() }

    /// Reads these partitions from now on, and no others; what was fetched before is dropped. Where a topic
    /// or partition does not exist, reading throws it.
    public func assign(_ partitions: [TopicPartition: StartPosition]) {
        let fetcher = self.fetcher
        _ = client.core.lane.submit { fetcher.assign(partitions) }
    }

    /// The next records of some partition, in place.
    /// - Parameter milliseconds: how long to wait for some.
    /// - Returns: nil when none came in that time, or the task was cancelled.
    /// - Throws: what no further attempt helps against. Other partitions can be read on.
    public func fetch(milliseconds: Int64) async throws(ClientError) -> FetchedRecords? {
        if let (item, makesRoom) = queue.take() {
            if makesRoom { goOn() }
            return try unwrap(item)
        }
        if milliseconds <= 0 { return nil }
        goOn()
        let (queue, lane, fetcher) = (self.queue, client.core.lane, self.fetcher)
        let item: FetchQueue.Item? = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard let number = queue.wait(continuation) else { return }
                if Task.isCancelled { return queue.giveUp(number) }
                if !lane.submit({ fetcher.giveUp(number, afterMilliseconds: milliseconds) }) { queue.close() }
            }
        } onCancel: {
            queue.giveUp()
        }
        guard let item else { return nil }
        return try unwrap(item)
    }

    /// Copies of the next records of some partition; empty when none came in time.
    public func poll(milliseconds: Int64) async throws(ClientError) -> [ConsumerRecord] {
        guard let fetched = try await fetch(milliseconds: milliseconds) else { return [] }
        // One reader at a time takes it, and puts it back.
        let taken = kept.withLock { $0.popLast() } ?? KeptDecompressor()
        defer { kept.withLock { $0.append(taken) } }
        return try fetched.records(taken.decompressor)
    }

    private func unwrap(_ item: FetchQueue.Item) throws(ClientError) -> FetchedRecords {
        switch item {
        case .records(let records): return records
        case .failure(let error): throw error
        }
    }

    private func goOn() {
        let fetcher = self.fetcher
        _ = client.core.lane.submit { fetcher.pump() }
    }

    /// Where fetching goes on in each partition: behind what lies ready too. Without those whose start is not
    /// found yet.
    public func positions() async throws(ClientError) -> [TopicPartition: Offset] {
        let fetcher = self.fetcher
        return try await client.perform { _, completion in
            fetcher.positions { completion(.success($0)) }
        }
    }

    /// Ends fetching.
    public func close() {
        let fetcher = self.fetcher
        _ = fetcher.core.lane.submit {
            fetcher.core.leave(fetcher)
            fetcher.clientClosed()
        }
    }
}

/// A decompressor between two polls.
private struct KeptDecompressor: @unchecked Sendable {
    // @unchecked: whoever has taken it off the list, under its lock, is the only one who uses it.
    let decompressor = Decompressor()
}

extension Client {
    /// Offsets of partitions, asked of their leaders.
    /// - Throws: when one of them cannot be had.
    public func offsets(
        _ partitions: [TopicPartition], _ query: OffsetQuery,
        isolation: IsolationLevel = .readUncommitted
    ) async throws(ClientError) -> [TopicPartition: FoundOffset] {
        try await perform { core, completion in
            OffsetSearch(core, partitions, query, isolation, completion).run()
        }
    }
}
