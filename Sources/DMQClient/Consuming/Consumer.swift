internal import Base
public import RecordFormat
internal import SystemIO
internal import Transport

/// Reads records of partitions that its user names. Fetches ahead of its reader, of which there is one, and
/// no further than `prefetchByteCount`: a reader that takes its time holds the brokers back.
///
///     let consumer = try Consumer(client)
///     consumer.assign([TopicPartition(topic: "events", partition: 0): .earliest])
///     for try await record in consumer.records {
///         print(record.partition, record.offset, record.value ?? [])
///     }
///
/// `records` makes a copy of every record; `batches` hands over what a fetch has brought, where it lies. Who
/// wants to wait for a while only asks `poll` or `fetch`.
public final class Consumer: @unchecked Sendable {
    // @unchecked: nothing changes after `init`; what the parts hold is behind a lock or on the lane.

    public let configuration: ConsumerConfiguration
    private let client: Client
    private let queue: FetchQueue
    private let fetcher: Fetcher
    private let kept = Locked<[KeptDecompressor]>([])
    private let copies = Locked(RecordCopies())

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
        copies.withLock { $0 = RecordCopies() }
        _ = client.core.lane.submit { fetcher.assign(partitions) }
    }

    /// The next records of some partition, in place. Those that a loop over `records` has left are not among
    /// them: `poll` gives them.
    /// - Parameter milliseconds: how long to wait for some.
    /// - Returns: nil when none came in that time, or the task was cancelled.
    /// - Throws: what no further attempt helps against. Other partitions can be read on.
    public func fetch(milliseconds: Int64) async throws(ClientError) -> FetchedRecords? {
        try await next(milliseconds: max(milliseconds, 0))
    }

    /// - Parameter milliseconds: nil for as long as it takes.
    /// - Returns: nil also when the task was cancelled.
    func next(milliseconds: Int64?) async throws(ClientError) -> FetchedRecords? {
        if let error = copies.withLock({ $0.failure.take() }) { throw error }
        if let (item, makesRoom) = queue.take() {
            if makesRoom { goOn() }
            return try unwrap(item)
        }
        if milliseconds == 0 { return nil }
        let (queue, lane, fetcher) = (self.queue, client.core.lane, self.fetcher)
        let item: FetchQueue.Item? = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard let number = queue.wait(continuation) else { return }
                if Task.isCancelled { return queue.giveUp(number) }
                let isTaken = lane.submit {
                    fetcher.pump()
                    if let milliseconds { fetcher.giveUp(number, afterMilliseconds: milliseconds) }
                }
                if !isTaken { queue.close() }
            }
        } onCancel: {
            queue.giveUp()
        }
        guard let item else { return nil }
        return try unwrap(item)
    }

    /// Copies of the next records of some partition; empty when none came in that time, when what came holds
    /// none that is to be seen, or when the task was cancelled.
    /// - Throws: as `fetch`; where a batch cannot be read, the records before it come first.
    public func poll(milliseconds: Int64) async throws(ClientError) -> [ConsumerRecord] {
        let left = copies.withLock { $0.takeAll() }
        if !left.isEmpty { return left }
        guard let fetched = try await fetch(milliseconds: milliseconds) else { return [] }
        try keepCopies(of: fetched)
        return copies.withLock { $0.takeAll() }
    }

    /// Makes copies of what was fetched, of which there are none left.
    /// - Throws: when not even the first batch can be read; otherwise the next fetch throws.
    func keepCopies(of fetched: FetchedRecords) throws(ClientError) {
        // One reader at a time takes it, and puts it back.
        let taken = kept.withLock { $0.popLast() } ?? KeptDecompressor()
        defer { kept.withLock { $0.append(taken) } }
        var made = RecordCopies()
        do {
            try fetched.append(to: &made.records, taken.decompressor)
        } catch {
            if made.records.isEmpty { throw error }
            made.failure = error
        }
        copies.withLock { [made] in $0 = made }
    }

    /// The next record of those that were copied and not handed over yet.
    func nextCopy() -> ConsumerRecord? { copies.withLock { $0.next() } }

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

    /// Ends fetching, and the sequences of records and batches.
    public func close() {
        let fetcher = self.fetcher
        _ = fetcher.core.lane.submit {
            fetcher.core.leave(fetcher)
            fetcher.clientClosed()
        }
    }
}

/// Copies of what one fetch brought.
private struct RecordCopies {
    var records: [ConsumerRecord] = []
    private var takenCount = 0
    /// What was wrong behind them.
    var failure: ClientError?

    mutating func next() -> ConsumerRecord? {
        if takenCount == records.count { return nil }
        let record = records[takenCount]
        takenCount += 1
        if takenCount == records.count { forget() }
        return record
    }

    mutating func takeAll() -> [ConsumerRecord] {
        defer { forget() }
        return takenCount == 0 ? records : Array(records[takenCount...])
    }

    private mutating func forget() {
        records = []
        takenCount = 0
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
