internal import Base
internal import RecordFormat

/// What became of the wish to produce a record.
public enum EnqueueResult: Sendable, Equatable {
    /// It will be sent.
    case queued
    /// The buffer is full: `Producer.room` waits until it is not.
    case bufferFull
    /// Nothing is known of the topic yet: `Producer.prepare` asks for it.
    case topicUnknown
}

/// Where callers put records into batches and the lane takes the batches out. Any thread, under one lock.
final class RecordAccumulator: @unchecked Sendable {
    // @unchecked: everything that changes is touched with the lock held.

    /// A topic that is produced to.
    private final class Topic {
        let name: String
        var queues: [PartitionQueue] = []
        /// Subscripts of partitions that have a leader.
        var available: [Int] = []
        /// Where records without a key go (KIP-794): the partition changes when about a batch has gone there.
        var sticky = -1
        var stickyByteCount = 0

        init(_ name: String) { self.name = name }
    }

    private let lock = HandLock()
    private let configuration: ProducerConfiguration
    private let clock: any TimeSource
    private var topics: [String: Topic] = [:]
    private var lastTopic: Topic?
    private var random: SeededGenerator
    private var touched: [PartitionQueue] = []
    private var bufferedByteCount = 0
    private var roomWaiters: [(byteCount: Int, continuation: CheckedContinuation<Void, Never>)] = []
    private var freeBuilders: [RecordBatchBuilder] = []
    private var generation: UInt64 = 0
    /// Batches that are not done, by generation.
    private var unfinished: [UInt64: Int] = [:]
    private var flushWaiters: [(generation: UInt64, continuation: CheckedContinuation<Void, Never>)] = []
    /// What became of a record nobody asked about.
    private var unheardError: ClientError?
    private var isWakeDue = false
    private var isClosed = false

    /// Builders that are kept for their memory.
    private static let keptBuilders = 64

    init(_ configuration: ProducerConfiguration, _ clock: any TimeSource, seed: UInt64) {
        self.configuration = configuration
        self.clock = clock
        random = SeededGenerator(seed: seed)
    }

    // MARK: Callers

    /// Puts a record into a batch.
    /// - Returns: what came of it, and whether the lane is to be woken.
    func append(
        topic name: String, partition: Int32?, key: RawSpan?, value: RawSpan?, headers: [RecordHeader],
        timestamp: Timestamp?, _ completion: DeliveryCompletion?
    ) throws(ClientError) -> (result: EnqueueResult, wakes: Bool) {
        let bound = ProducerBatch.byteCountBound(key?.byteCount ?? 0, value?.byteCount ?? 0, headers)
        if bound + RecordBatchHeader.byteCount > configuration.requestByteCount + 4096 {
            throw .recordTooLarge(topic: name, byteCount: bound, limit: configuration.requestByteCount)
        }
        lock.acquire()
        defer { lock.release() }
        if isClosed { throw .closed }
        guard let topic = find(name) else { return (.topicUnknown, false) }
        if bufferedByteCount > 0 && bufferedByteCount + bound > configuration.bufferByteCount {
            return (.bufferFull, takeWake())
        }
        let queue: PartitionQueue
        if let partition {
            guard partition >= 0, Int(partition) < topic.queues.count else {
                throw .unknownPartition(
                    topic: name, partition: partition, reason: "it has \(topic.queues.count) partitions")
            }
            queue = topic.queues[Int(partition)]
        } else if let key {
            queue = topic.queues[Murmur2.partition(ofKey: key, partitionCount: topic.queues.count)]
        } else {
            queue = stickyQueue(topic, bound)
        }
        let isTouched = queue.isTouched
        let batch = openBatch(queue, bound)
        let before = batch.builder.byteCount
        batch.append(
            key: key, value: value, headers: headers,
            timestamp: timestamp ?? Timestamp(clock.wallClockMilliseconds()), completion)
        let added = batch.builder.byteCount - before
        batch.bufferedByteCount += added
        bufferedByteCount += added
        if partition == nil && key == nil { topic.stickyByteCount += added }
        if batch.builder.byteCount >= configuration.batchByteCount { close(queue) }
        return (.queued, queue.isTouched && !isTouched ? takeWake() : false)
    }

    private func find(_ name: String) -> Topic? {
        if let lastTopic, lastTopic.name == name { return lastTopic }
        lastTopic = topics[name]
        return lastTopic
    }

    private func stickyQueue(_ topic: Topic, _ bound: Int) -> PartitionQueue {
        if topic.sticky < 0 || topic.sticky >= topic.queues.count || isDone(topic, bound) {
            let choices = topic.available.count
            let next =
                choices > 0
                ? topic.available[Int(random.next() % UInt64(choices))]
                : Int(random.next() % UInt64(topic.queues.count))
            topic.sticky = next
            topic.stickyByteCount = 0
        }
        return topic.queues[topic.sticky]
    }

    /// Whether about a batch has gone to the sticky partition, and the next record would begin another.
    private func isDone(_ topic: Topic, _ bound: Int) -> Bool {
        guard let open = topic.queues[topic.sticky].open else {
            return topic.stickyByteCount >= configuration.batchByteCount / 2
        }
        return open.builder.byteCount + bound > configuration.batchByteCount
            || topic.stickyByteCount >= 2 * configuration.batchByteCount
    }

    private func openBatch(_ queue: PartitionQueue, _ bound: Int) -> ProducerBatch {
        if let open = queue.open {
            if open.builder.byteCount + bound <= configuration.batchByteCount { return open }
            close(queue)
        }
        let builder =
            freeBuilders.popLast()
            ?? RecordBatchBuilder(
                codec: configuration.codec, compressionLevel: configuration.compressionLevel)
        let batch = ProducerBatch(
            queue, builder, created: clock.monotonicNanoseconds(), generation: generation)
        batch.bufferedByteCount = builder.byteCount
        bufferedByteCount += builder.byteCount
        unfinished[generation, default: 0] += 1
        queue.open = batch
        touch(queue)
        return batch
    }

    private func close(_ queue: PartitionQueue) {
        guard let open = queue.open else { return }
        queue.closed.append(open)
        queue.open = nil
        touch(queue)
    }

    private func touch(_ queue: PartitionQueue) {
        if queue.isTouched { return }
        queue.isTouched = true
        touched.append(queue)
    }

    private func takeWake() -> Bool {
        if isWakeDue { return false }
        isWakeDue = true
        return true
    }

    private func locked<Value>(_ body: () -> Value) -> Value { lock.withLock(body) }

    /// Waits until the buffer has room for a record whose bound is `byteCount`, as `append` sees it.
    func room(_ byteCount: Int, _ continuation: CheckedContinuation<Void, Never>) {
        let isThere = locked {
            if isClosed || hasRoom(byteCount) { return true }
            roomWaiters.append((byteCount, continuation))
            return false
        }
        if isThere { continuation.resume() }
    }

    /// Whether it is worth to go on. Half of the buffer is to be free, so that who waits is not woken for
    /// each batch; a record that is larger than that waits for more, or it would be refused again at once.
    private func hasRoom(_ byteCount: Int) -> Bool {
        if bufferedByteCount == 0 { return true }
        let limit = configuration.bufferByteCount
        return bufferedByteCount < limit / 2 && bufferedByteCount + byteCount <= limit
    }

    /// Closes all batches and resumes `continuation` when they and all before them are done.
    func flush(_ continuation: CheckedContinuation<Void, Never>) {
        let isDone = locked {
            for topic in topics.values {
                for queue in topic.queues where queue.open != nil { close(queue) }
            }
            let flushed = generation
            generation += 1
            if unfinished.isEmpty { return true }
            flushWaiters.append((flushed, continuation))
            return false
        }
        if isDone { continuation.resume() }
    }

    /// The first failure of a record that nobody was told of, and forgets it.
    func takeUnheardError() -> ClientError? {
        locked {
            defer { unheardError = nil }
            return unheardError
        }
    }

    var isEmpty: Bool { locked { unfinished.isEmpty } }

    func knows(_ name: String) -> Bool { locked { topics[name] != nil } }

    // MARK: The lane

    /// Takes in what the cluster says of a topic. Partitions never become fewer.
    func learn(_ description: TopicDescription) {
        locked {
            let topic = topics[description.name] ?? Topic(description.name)
            var number = Int32(topic.queues.count)
            while number < (description.partitions.last.map { $0.partition + 1 } ?? 0) {
                topic.queues.append(
                    PartitionQueue(TopicPartition(topic: description.name, partition: number)))
                number += 1
            }
            topic.available = description.partitions.filter { $0.leader != nil }.map { Int($0.partition) }
            if !topic.queues.isEmpty { topics[description.name] = topic }
        }
    }

    /// The partitions that got something since the last call.
    func takeTouched(into list: inout [PartitionQueue]) {
        locked {
            isWakeDue = false
            for queue in touched {
                queue.isTouched = false
                list.append(queue)
            }
            touched.removeAll(keepingCapacity: true)
        }
    }

    /// When the first batch of a partition is due: 0 when it is closed, nil when there is none.
    func dueTime(_ queue: PartitionQueue) -> UInt64? {
        locked {
            if !queue.closed.isEmpty { return 0 }
            guard let open = queue.open else { return nil }
            // Those who wait for room need not wait for the linger time too.
            if !roomWaiters.isEmpty { return 0 }
            return open.created + UInt64(configuration.lingerMilliseconds) * 1_000_000
        }
    }

    /// When the first batch of a partition was begun.
    func oldestTime(_ queue: PartitionQueue) -> UInt64? {
        locked { (queue.closed.first ?? queue.open)?.created }
    }

    /// Takes the first batch of a partition, closing it if it is open.
    func take(_ queue: PartitionQueue) -> ProducerBatch? {
        locked {
            if queue.closed.isEmpty {
                defer { queue.open = nil }
                return queue.open
            }
            return queue.closed.removeFirst()
        }
    }

    /// The builder's records are in the batch's bytes: its memory is for the next.
    func recycle(_ builder: RecordBatchBuilder) {
        var builder = builder
        builder.removeAll()
        locked { if freeBuilders.count < Self.keptBuilders { freeBuilders.append(builder) } }
    }

    /// A batch is done: its memory is free, and whoever waits for it goes on.
    /// - Parameter error: what became of records that nobody asked about.
    func finished(_ batch: ProducerBatch, _ error: ClientError?) {
        var resumed: [CheckedContinuation<Void, Never>] = []
        locked {
            bufferedByteCount -= batch.bufferedByteCount
            if let error, unheardError == nil { unheardError = error }
            let left = (unfinished[batch.generation] ?? 1) - 1
            unfinished[batch.generation] = left > 0 ? left : nil
            resumed += roomWaiters.filter { hasRoom($0.byteCount) }.map(\.continuation)
            roomWaiters.removeAll { hasRoom($0.byteCount) }
            let oldest = unfinished.keys.min() ?? .max
            resumed += flushWaiters.filter { $0.generation < oldest }.map(\.continuation)
            flushWaiters.removeAll { $0.generation < oldest }
        }
        for continuation in resumed { continuation.resume() }
    }

    /// Takes no more records.
    /// - Returns: every batch that was not taken.
    func close() -> [ProducerBatch] {
        locked {
            isClosed = true
            var left: [ProducerBatch] = []
            for topic in topics.values {
                for queue in topic.queues {
                    left += queue.closed
                    if let open = queue.open { left.append(open) }
                    queue.closed = []
                    queue.open = nil
                }
            }
            let resumed = roomWaiters
            roomWaiters = []
            for waiter in resumed { waiter.continuation.resume() }
            return left
        }
    }
}
