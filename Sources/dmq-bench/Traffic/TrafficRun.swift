import Base
import CBaseline
import DMQClient
import RecordFormat
import SystemIO

/// One measurement of a broker.
final class TrafficRun {
    /// Consumers that have not got everything so long after the last record was acknowledged have lost some.
    private static let catchUpNanoseconds: UInt64 = 15_000_000_000

    private let options: TrafficOptions
    private let clock = SystemClock()
    private var producers: [LoadedProducer] = []
    private var consumers: [ConsumerLoad] = []
    private var readers: [Task<Void, any Error>] = []
    /// Of the topic.
    private var partitionCount = 0
    /// The partitions that are read.
    private var consumed: [TopicPartition] = []
    private let progress: TrafficProgress

    init(_ options: TrafficOptions) {
        self.options = options
        progress = TrafficProgress(isWanted: options.showsProgress)
    }

    func run() async throws -> TrafficResult {
        let first = try makeClient()
        do {
            let partitions = try await findTopic(first)
            if let pid = options.brokerPID { _ = try ProcessorTime.of(pid: pid) }
            try await openConsumers(partitions, first)
            try await openProducers()
            if options.warmUpNanoseconds > 0 {
                let end = clock.monotonicNanoseconds() + options.warmUpNanoseconds
                try await write(until: end, limit: .max, "warming up")
                try await catchUp()
            }
            let result = try await measure()
            await close(first)
            return result
        } catch {
            await close(first)
            throw error
        }
    }

    private func makeClient() throws -> Client {
        var configuration = ClientConfiguration(
            bootstrapServers: options.bootstrap, clientID: "dmq-bench")
        configuration.apiMilliseconds = 10_000
        configuration.requestMilliseconds = 10_000
        return try Client(configuration)
    }

    private func close(_ first: Client) async {
        progress.end()
        for consumer in consumers { consumer.stop() }
        for consumer in consumers { await consumer.close() }
        for loaded in producers { await loaded.client.close() }
        await first.close()
    }

    // MARK: Setting up

    /// The partitions of the topic, which is made if it is missing.
    private func findTopic(_ client: Client) async throws -> [TopicPartition] {
        let admin = Admin(client)
        if case .failure? = try await admin.describeTopics([options.topic])[options.topic],
            options.kind.writes
        {
            let topic = NewTopic(
                options.topic, partitions: options.partitions, replicationFactor: options.replicas)
            do {
                let made = try await admin.createTopics([topic])[options.topic]
                if case .failure(let error)? = made, error.code != .topicAlreadyExists { throw error }
            } catch ClientError.unsupportedAPI {
                // A broker without admin calls may make topics on demand, with partitions as it likes.
            }
        }
        let topic = try await client.topic(
            options.topic, mayCreate: options.kind.writes, milliseconds: 10_000)
        partitionCount = topic.partitions.count
        return topic.partitions.map { TopicPartition(topic: options.topic, partition: $0.partition) }
    }

    private func openProducers() async throws {
        for _ in 0..<options.producerCount {
            let client = try makeClient()
            let producer = try Producer(client, options.producer)
            producers.append(
                LoadedProducer(client: client, producer: producer, counters: TrafficCounters()))
            try await producer.prepare(topic: options.topic)
        }
    }

    private func openConsumers(_ partitions: [TopicPartition], _ first: Client) async throws {
        var ends: [TopicPartition: Offset] = [:]
        if options.kind == .consume {
            // What lies there now is read; partitions without a record have nothing to wait for.
            let begins = try await first.offsets(partitions, .earliest)
            for (partition, found) in try await first.offsets(partitions, .latest)
            where found.offset > begins[partition]?.offset ?? .zero {
                ends[partition] = found.offset
            }
            if ends.isEmpty { throw BenchmarkError.broker("topic \(options.topic) is empty: produce first") }
        }
        let read = partitions.filter { options.kind != .consume || ends[$0] != nil }
        for place in 0..<options.consumerCount {
            let share = ConsumerLoad.share(of: read, place: place, count: options.consumerCount)
            let consumer = try ConsumerLoad(
                makeClient(), options, ends: ends.filter { share.contains($0.key) })
            consumers.append(consumer)
            if options.kind == .consume { continue }
            try await consumer.begin(share, at: .latest)
            startReading(consumer)
        }
        consumed = read
    }

    private func startReading(_ consumer: ConsumerLoad) {
        readers.append(
            Task {
                do {
                    try await consumer.run()
                } catch {
                    consumer.counters.fail("\(error)")
                    throw error
                }
            })
    }

    // MARK: Measuring

    private var written: [TrafficCounters] { producers.map(\.counters) }
    private var read: [TrafficCounters] { consumers.map(\.counters) }

    private func measure() async throws -> TrafficResult {
        let start = clock.monotonicNanoseconds()
        for counters in written + read { counters.restart(at: start) }
        let client = ProcessorTime.ofThisProcess()
        let broker = try options.brokerPID.map { try ProcessorTime.of(pid: $0) }
        var writeEnd = start
        if options.kind.writes {
            let end = options.recordLimit == nil ? start + options.durationNanoseconds : UInt64.max
            try await write(until: end, limit: options.recordLimit ?? .max, options.kind.rawValue)
            writeEnd = clock.monotonicNanoseconds()
            try await catchUp()
        } else {
            try await readAll(from: start)
        }
        let end = clock.monotonicNanoseconds()
        progress.end()
        let seconds = Double(end - start) / 1e9
        var result = TrafficResult(
            kind: options.kind, settings: options.described(partitionCount: partitionCount),
            client: .ofThisProcess() - client,
            broker: try broker.map { try ProcessorTime.of(pid: options.brokerPID ?? 0) - $0 },
            seconds: seconds, failureCount: (written + read).failureCount,
            firstError: (written + read).firstError)
        if options.kind.writes {
            result.written = TrafficResult.Flow(
                records: written.recordCount, bytes: written.byteCount,
                seconds: Double(writeEnd - start) / 1e9)
            result.acknowledgement = written.latency
        }
        if options.kind.reads {
            result.read = TrafficResult.Flow(
                records: read.recordCount, bytes: read.byteCount, seconds: seconds)
            if options.kind.writes { result.wholeWay = read.latency }
        }
        return result
    }

    /// Writes, and returns when everything is acknowledged or has failed.
    private func write(until end: UInt64, limit: Int, _ title: String) async throws {
        let threadCount = min(producers.count, max(1, Machine.coreCount))
        let schedule = Schedule(start: clock.monotonicNanoseconds(), recordsPerSecond: options.rate)
        let shares = (0..<threadCount).map { place in
            ProducerLoad(
                options: options,
                producers: producers.enumerated().filter { $0.offset % threadCount == place }.map(\.element),
                place: place, threadCount: threadCount, schedule: schedule, end: end, recordLimit: limit)
        }
        let watch = watching(title)
        defer { watch.end() }
        let threads = WorkerThreads(limit: threadCount, name: "bench-produce")
        defer { threads.finish() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for share in shares { group.addTask { try await Self.run(on: threads) { try share.run() } } }
            try await group.waitForAll()
        }
        for loaded in producers {
            do {
                try await loaded.producer.flush()
            } catch {
                loaded.counters.fail("\(error)")
            }
        }
    }

    /// Runs `body` on one of `threads`, which may block.
    private static func run(
        on threads: WorkerThreads, _ body: @escaping @Sendable () throws -> Void
    ) async throws {
        let result: Result<Void, any Error> = await withCheckedContinuation { continuation in
            do {
                let isTaken = try threads.submit { continuation.resume(returning: Result { try body() }) }
                invariant(isTaken, "a thread for a producer was refused")
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        try result.get()
    }

    /// Waits until the consumers have got what was written.
    private func catchUp() async throws {
        // With more consumers than partitions some read the same, and nobody knows how often.
        if consumers.isEmpty || consumers.count > consumed.count { return }
        let (written, read) = (self.written, self.read)
        let threads = WorkerThreads(limit: 1, name: "bench-wait")
        defer { threads.finish() }
        try await Self.run(on: threads) {
            let (clock, pause) = (SystemClock(), Pause())
            let limit = clock.monotonicNanoseconds() + Self.catchUpNanoseconds
            while read.failureCount == 0 && read.recordCount < written.recordCount {
                if clock.monotonicNanoseconds() > limit {
                    read.first?.fail("\(written.recordCount - read.recordCount) records did not arrive")
                    return
                }
                pause.wait(nanoseconds: 1_000_000)
            }
        }
    }

    private func readAll(from start: UInt64) async throws {
        let watch = watching(options.kind.rawValue)
        defer { watch.end() }
        for (place, consumer) in consumers.enumerated() {
            let share = ConsumerLoad.share(of: consumed, place: place, count: consumers.count)
            try await consumer.begin(share, at: .earliest)
            startReading(consumer)
        }
        for reader in readers { _ = await reader.result }
    }

    private func watching(_ title: String) -> TrafficWatch {
        TrafficWatch(title, producers.isEmpty ? read : written, latencies: written, progress)
    }
}

/// A thread that looks at the counters now and then and shows them, until its end.
final class TrafficWatch {
    private static let tickNanoseconds: UInt64 = 250_000_000

    private let pause = Pause()
    private let isOver = Locked(false)
    private var thread: JoinableThread?

    init(
        _ title: String, _ counters: [TrafficCounters], latencies: [TrafficCounters],
        _ progress: TrafficProgress
    ) {
        if !progress.isShown { return }
        let (pause, isOver) = (self.pause, self.isOver)
        // Without the thread nothing is shown, and nothing else is lost.
        thread = try? JoinableThread(name: "bench-progress") {
            let clock = SystemClock()
            let start = clock.monotonicNanoseconds()
            let (records, bytes) = (counters.recordCount, counters.byteCount)
            while true {
                pause.wait(nanoseconds: Self.tickNanoseconds)
                if isOver.withLock({ $0 }) { return }
                let seconds = Double(clock.monotonicNanoseconds() - start) / 1e9
                progress.show(
                    title, seconds, records: counters.recordCount - records,
                    bytes: counters.byteCount - bytes, latencies)
            }
        }
    }

    func end() {
        isOver.withLock { $0 = true }
        pause.end()
        thread?.join()
    }
}

/// One line on a terminal that says how it goes; silent elsewhere.
struct TrafficProgress: Sendable {
    let isShown: Bool

    init(isWanted: Bool) { isShown = isWanted && dmq_shows_progress() != 0 }

    func show(_ title: String, _ seconds: Double, records: Int, bytes: Int, _ latencies: [TrafficCounters]) {
        guard isShown, seconds > 0 else { return }
        let latency = latencies.latency
        var text = "\(title)  \(DecimalText.format(seconds, fractionDigits: 1)) s  "
        text += "\(DecimalText.grouped(Int64(Double(records) / seconds))) records/s  "
        text += "\(DecimalText.format(Double(bytes) / 1e6 / seconds, significantDigits: 3)) MB/s"
        if latency.count > 0 {
            text += "  ack p99 \(DurationText.format(nanoseconds: latency.percentile(99)))"
        }
        dmq_show("\r\u{1B}[K\(text)")
    }

    /// Removes the line.
    func end() { if isShown { dmq_show("\r\u{1B}[K") } }
}
