/// What a consumer reads, fetch by fetch, each with the records of one partition in place:
///
///     let decompressor = Decompressor()
///     for try await batch in consumer.batches {
///         try batch.forEach(decompressor) { record, _ in … }
///     }
///
/// It waits for what is yet to come, so it ends only when its task is cancelled, or when the consumer or its
/// client is closed. It throws what no further attempt helps against, in one partition or in all; whoever
/// iterates again then reads the other partitions on. A consumer has one reader: two loops at once are an
/// error.
public struct FetchedBatches: AsyncSequence, Sendable {
    /// What one fetch brought of one partition.
    public typealias Element = FetchedRecords
    /// What was wrong.
    public typealias Failure = ClientError

    let consumer: Consumer

    /// Begins, or goes on, where the consumer stands.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(consumer: consumer) }

    /// One loop. After an error, or its end, it gives nothing more.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let consumer: Consumer
        private var isDone = false

        init(consumer: Consumer) { self.consumer = consumer }

        /// Waits for the next fetch that brings something.
        /// - Returns: nil when the task was cancelled or the consumer is closed.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(ClientError) -> FetchedRecords? {
            if isDone || Task.isCancelled { return nil }
            do {
                // Without a limit only a task that was cancelled comes back with nothing.
                let records = try await consumer.next(milliseconds: nil)
                isDone = records == nil
                return records
            } catch {
                isDone = true
                if case .closed = error { return nil }
                throw error
            }
        }
    }
}

/// What a consumer reads, record by record, as copies. It ends and throws as `FetchedBatches` does; the
/// records before one that cannot be read come first. Whoever leaves a loop misses nothing: the next loop, or
/// `poll`, goes on with the next record.
public struct ConsumerRecords: AsyncSequence, Sendable {
    /// A record with its bytes.
    public typealias Element = ConsumerRecord
    /// What was wrong.
    public typealias Failure = ClientError

    let consumer: Consumer

    /// Begins, or goes on, where the consumer stands.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(consumer: consumer) }

    /// One loop. After an error, or its end, it gives nothing more.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private var batches: FetchedBatches.AsyncIterator

        init(consumer: Consumer) { batches = FetchedBatches.AsyncIterator(consumer: consumer) }

        /// Waits for the next record.
        /// - Returns: nil when the task was cancelled or the consumer is closed.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(ClientError) -> ConsumerRecord? {
            if Task.isCancelled { return nil }
            // A fetch may bring markers and what was aborted only.
            while true {
                if let record = batches.consumer.nextCopy() { return record }
                guard let fetched = try await batches.next(isolation: actor) else { return nil }
                try batches.consumer.keepCopies(of: fetched)
            }
        }
    }
}

extension Consumer {
    /// What is read, fetch by fetch and in place.
    public var batches: FetchedBatches { FetchedBatches(consumer: self) }

    /// What is read, record by record.
    public var records: ConsumerRecords { ConsumerRecords(consumer: self) }
}
