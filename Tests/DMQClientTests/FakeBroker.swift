import Base
import KafkaProtocol
import RecordFormat
import SystemIO
import Testing
import Transport

/// What goes wrong with a request.
enum Fault: Sendable {
    /// The connection ends and nothing was done.
    case disconnect
    /// It was done, and the connection ends before the answer.
    case disconnectAfterwards
    /// Nothing was done; every partition or thing in the answer has this code.
    case refuse(ErrorCode)
    /// It is never answered.
    case silence
}

/// A broker on loopback that keeps its logs in memory, checks what producers number as Kafka does, and fails
/// by script.
final class FakeBroker: @unchecked Sendable {
    // @unchecked: the state is touched with its lock held, the rest never changes.

    struct ProducerState {
        var epoch: Int16
        var batches: [(first: Int32, last: Int32, offset: Int64)] = []
    }

    struct Log {
        var batches: [[UInt8]] = []
        var nextOffset: Int64 = 0
        var producers: [Int64: ProducerState] = [:]
    }

    struct State {
        var topics: [String: [Log]] = [:]
        var ids: [String: TopicID] = [:]
        var settings: [String: [String: String]] = [:]
        var nextProducerID: Int64 = 1000
        /// Requests that came, by API.
        var counts: [APIKey: Int] = [:]
        var fetchVersions: Set<Int16> = []
        var incrementalFetches = 0
        var sessions: [Int32: Int32] = [:]
        var nextSession: Int32 = 1
        var sessionPartitions: [Int32: [TopicPartition: Int64]] = [:]
        var maximumVersions: [APIKey: Int16] = [:]
        /// Ports of the brokers, by ID.
        var brokers: [Int32: UInt16] = [:]
        /// Who leads all partitions.
        var leader: Int32 = 1
        var leaderEpoch: Int32 = 0
        var outOfOrder = 0
        var duplicates = 0
        /// What every answer to Produce and Fetch says of a quota.
        var throttleMilliseconds: Int32 = 0
        /// Before then nothing should come, by what was said; requests that came all the same.
        var quietUntil: UInt64 = 0
        var earlyRequests = 0
        /// What a broker that does not lead says of who does; nil when it says nothing.
        var hint: (leader: Int32, epoch: Int32)?
        /// What the metadata says of the leader; nil for the truth.
        var staleLeader: (leader: Int32, epoch: Int32)?
    }

    /// Brokers of one cluster share it.
    let state: Locked<State>
    let nodeID: Int32
    let port: UInt16
    private let lanes: LaneGroup
    private let listener: Listener
    /// Asked about every request: its API and how many of that API came before.
    private let script: @Sendable (APIKey, Int) -> Fault?

    /// What only a leader answers.
    static let ledAPIs: Set<APIKey> = [.produce, .fetch, .listOffsets]

    static let served: [APIKey] = [
        .produce, .fetch, .listOffsets, .metadata, .apiVersions, .createTopics, .deleteTopics, .deleteRecords,
        .initProducerID, .describeConfigs, .incrementalAlterConfigs, .createPartitions, .describeCluster,
        .describeLogDirs,
    ]

    /// - Parameter cluster: a broker of whose cluster this one is.
    init(
        topics: [String: Int] = [:], maximumVersions: [APIKey: Int16] = [:], nodeID: Int32 = 1,
        cluster: FakeBroker? = nil,
        _ script: @escaping @Sendable (APIKey, Int) -> Fault? = { _, _ in nil }
    ) throws {
        self.script = script
        self.nodeID = nodeID
        state = cluster?.state ?? Locked(State())
        lanes = try LaneGroup(LaneSettings(laneCount: 1), timeSource: SystemClock(), log: .silent)
        let box = Locked<WeakBroker>(WeakBroker())
        listener = try Listener(
            ListenerConfiguration(name: "FAKE", address: SocketAddress(.ipv4Loopback, port: 0)),
            lanes: lanes, limits: ConnectionLimits(), log: .silent
        ) { _ in FakeHandler(box.withLock { $0 }) }
        let port = listener.address.port
        self.port = port
        state.withLock { state in
            state.brokers[nodeID] = port
            state.maximumVersions = maximumVersions
            for (name, count) in topics {
                state.topics[name] = Array(repeating: Log(), count: count)
                state.ids[name] = TopicID(UniqueID(high: 7, low: UInt64(state.ids.count + 1)))
            }
        }
        box.withLock { $0.broker = self }
        try lanes.start()
        listener.start()
    }

    func stop() {
        _ = listener.stopAccepting()
        lanes.stop()
    }

    var address: String { "127.0.0.1:\(port)" }

    /// Another broker leads from now on.
    func moveLeader(to nodeID: Int32) {
        state.withLock { state in
            state.leader = nodeID
            state.leaderEpoch += 1
        }
    }

    /// What has come for an API, and what is to be done wrong with this request.
    func count(_ api: APIKey) -> Fault? {
        let before = state.withLock { state in
            defer { state.counts[api, default: 0] += 1 }
            return state.counts[api] ?? 0
        }
        return script(api, before)
    }

    /// Counts a request that comes while the client is to be quiet. The time that the next answer asks for
    /// counts from here, a little earlier than for the client.
    func noteArrival(of api: APIKey) {
        let now = SystemClock().monotonicNanoseconds()
        state.withLock { state in
            if now < state.quietUntil { state.earlyRequests += 1 }
            if state.throttleMilliseconds > 0 && (api == .produce || api == .fetch) {
                state.quietUntil = now + UInt64(state.throttleMilliseconds) * 1_000_000
            }
        }
    }

    /// All records of a partition, read back from its batches.
    func records(_ topic: String, _ partition: Int) throws -> [Record] {
        let batches = state.withLock { $0.topics[topic]?[partition].batches ?? [] }
        let decompressor = Decompressor()
        return try batches.flatMap { batch in
            let header = try RecordBatchHeader(parsing: batch.span.bytes)
            try RecordBatch.validate(batch.span.bytes, header: header)
            return try RecordBatch.records(of: batch.span.bytes, header: header, decompressor: decompressor)
        }
    }

    /// Writes a batch of records, as a leader would.
    func append(_ topic: String, _ partition: Int, _ records: [Record], codec: CompressionCodec = .none)
        throws
    {
        var builder = RecordBatchBuilder(codec: codec)
        for record in records {
            var record = record
            record.offset = Offset(Int64(builder.recordCount))
            builder.append(record)
        }
        try append(topic, partition, try builder.finish(compressor: Compressor()))
    }

    func append(_ topic: String, _ partition: Int, _ batch: [UInt8]) throws {
        let header = try RecordBatchHeader(parsing: batch.span.bytes)
        state.withLock { state in _ = Self.store(batch, header, &state.topics[topic]![partition]) }
    }

    static func store(_ batch: [UInt8], _ header: RecordBatchHeader, _ log: inout Log) -> Int64 {
        var batch = batch
        let offset = log.nextOffset
        var span = batch.mutableSpan
        var bytes = span.mutableBytes
        RecordBatch.assign(baseOffset: Offset(offset), leaderEpoch: LeaderEpoch(0), in: &bytes)
        log.batches.append(batch)
        log.nextOffset += Int64(header.lastOffsetDelta) + 1
        return offset
    }

    /// Appends what a producer sent, as Kafka does: what it has seen is not written again, gaps are refused.
    static func append(_ batch: [UInt8], _ log: inout Log, _ state: inout (outOfOrder: Int, duplicates: Int))
        -> (
            ErrorCode, Int64
        )
    {
        guard let header = try? RecordBatchHeader(parsing: batch.span.bytes),
            (try? RecordBatch.validate(batch.span.bytes, header: header)) != nil
        else { return (.corruptMessage, -1) }
        if !header.hasProducerID { return (.none, store(batch, header, &log)) }
        let id = header.producerID.rawValue
        let epoch = header.producerEpoch.rawValue
        let (first, last) = (header.baseSequence.rawValue, header.lastSequence.rawValue)
        var known = log.producers[id] ?? ProducerState(epoch: epoch)
        if epoch < known.epoch { return (.invalidProducerEpoch, -1) }
        if epoch > known.epoch { known = ProducerState(epoch: epoch) }
        if let seen = known.batches.first(where: { $0.first == first && $0.last == last }) {
            state.duplicates += 1
            return (.none, seen.offset)
        }
        let due = known.batches.last.map { SequenceNumber($0.last).advanced(by: 1).rawValue } ?? 0
        if first != due {
            state.outOfOrder += 1
            return (.outOfOrderSequenceNumber, -1)
        }
        let offset = store(batch, header, &log)
        known.batches.append((first, last, offset))
        if known.batches.count > 5 { known.batches.removeFirst() }
        log.producers[id] = known
        return (.none, offset)
    }
}

/// Handlers are made before the broker is complete.
struct WeakBroker: @unchecked Sendable {
    // @unchecked: written once, before the lanes start.
    weak var broker: FakeBroker?
}

/// Answers on the lane.
final class FakeHandler: FrameHandler {
    private let broker: FakeBroker?

    init(_ reference: WeakBroker) { broker = reference.broker }

    func connectionOpened(_ connection: Connection) {}
    func connectionClosed(_ connection: Connection, _ reason: CloseReason) {}

    func frameArrived(_ slice: BufferSlice, _ ticket: ResponseTicket) {
        guard let broker, let frame = try? RequestFrame(parsing: slice.bytes), let api = frame.apiKey else {
            return ticket.connection.close(because: "what is this?")
        }
        let fault = broker.count(api)
        broker.noteArrival(of: api)
        if case .disconnect = fault { return ticket.connection.close(because: "as the script says") }
        if case .silence = fault { return }
        do {
            var answers = FakeAnswers(broker, frame, slice)
            if case .refuse(let code) = fault { answers.refusal = code }
            if FakeBroker.ledAPIs.contains(api), broker.state.withLock({ $0.leader }) != broker.nodeID {
                answers.leads = false
            }
            let bytes = try answers.answer(api)
            if case .disconnectAfterwards = fault {
                return ticket.connection.close(because: "as the script says")
            }
            guard let bytes else { return ticket.completeWithoutResponse() }
            func complete() { ticket.complete(copying: bytes.span.bytes.extracting(4..<bytes.count)) }
            if !answers.hasNothing { return complete() }
            // Brokers wait a while when there is nothing to read. A client that asks again at once would keep
            // a core from all other tests.
            ticket.connection.lane.schedule(afterMilliseconds: 5, complete)
        } catch {
            // A mistake of the fake broker's or of the client's: either way the test is to fail.
            Issue.record("\(api) version \(frame.header.apiVersion): \(error)")
            ticket.connection.close(because: "\(error)")
        }
    }
}
