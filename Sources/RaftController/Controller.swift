public import Base
public import ClusterMetadata
internal import KafkaProtocol
internal import LogStorage
public import RecordFormat

/// How the controller works.
public struct ControllerConfiguration: Sendable {
    /// `node.id`.
    public var nodeID: Int32
    public var policy: CommandPolicy
    /// What a new cluster agrees on.
    public var metadataVersion = MetadataVersion.standard
    /// `metadata.log.max.record.bytes.between.snapshots`.
    public var snapshotByteCount: Int64 = 20 << 20
    /// `metadata.log.max.snapshot.interval.ms`: a snapshot is made when something is not in one for so long.
    public var snapshotMilliseconds: Int64 = 3_600_000
    /// Commands that wait for their commit; more are refused, so that memory is bounded.
    public var maximumPendingCount = 10_000

    public init(nodeID: Int32, policy: CommandPolicy) {
        self.nodeID = nodeID
        self.policy = policy
    }
}

/// Decides commands, writes their records and tells what has become of the metadata.
///
/// Owned by one lane: all calls come from its thread, and all completions and observers are called on it. A
/// command is decided at once, against all records appended so far; its records are committed by the lane's
/// next sync, which all commands of a turn share. Then the image moves, observers hear of it, and those who
/// asked are answered, in this order.
public final class Controller {
    public let configuration: ControllerConfiguration
    /// What decisions to come are bounded by; begins as `configuration` has it.
    public var policy: CommandPolicy
    /// What is committed.
    public private(set) var image = MetadataImage()
    /// The offset after the last record that is in `image`.
    public private(set) var committedOffset = Offset.zero
    /// What is committed and what is on its way to be.
    private var pendingImage = MetadataImage()
    private var pending: [Pending] = []
    private let quorum: QuorumDriver
    private let timeSource: any TimeSource
    private var generator: SeededGenerator
    private let logger: Logger
    private var observers: [WeakObserver] = []
    private var state = State.stopped
    private var snapshotState = SnapshotState()
    /// How far the quorum is, where that is further than `committedOffset`: somebody is being told.
    private var reportedOffset = Offset.zero
    private var isDelivering = false

    private enum State {
        case stopped
        case active
        case failed(reason: String)
    }

    private struct WeakObserver {
        weak var observer: (any MetadataObserver)?
    }

    /// Something appended, or only decided, that waits for all before it to be committed.
    private struct Pending {
        let endOffset: Offset
        let records: [MetadataRecord]
        let finish: (CommandRefusal?) -> Void
    }

    /// What the last snapshot has, and what came after it.
    private struct SnapshotState {
        var endOffset = Offset.zero
        var byteCountBefore: Int64 = 0
        /// Of the last record that is committed.
        var lastTimestamp = Timestamp.none
        /// Since when something is in no snapshot, on the monotonic clock.
        var dirtySinceMilliseconds: UInt64?
    }

    /// - Parameter seed: of the generator that IDs and placements are drawn from; random in earnest.
    public init(
        log: MetadataLog, configuration: ControllerConfiguration, timeSource: any TimeSource, seed: UInt64,
        logger: Logger
    ) {
        self.configuration = configuration
        policy = configuration.policy
        self.timeSource = timeSource
        generator = SeededGenerator(seed: seed)
        self.logger = logger.named("controller")
        quorum = QuorumDriver(log: log, nodeID: configuration.nodeID, logger: logger)
        quorum.delegate = self
    }

    /// The epoch of this leadership.
    public var epoch: LeaderEpoch { quorum.epoch }

    /// Why nothing is decided any more; nil while the controller works.
    public var failure: String? { if case .failed(let reason) = state { reason } else { nil } }

    // MARK: Start

    /// Replays the log, takes up the leadership, gives a new cluster its first records and registers the
    /// broker of this node. All of that is committed when this returns.
    ///
    /// - Parameter broker: of this node; nil for a controller alone.
    public func start(registering broker: RegisterBroker?) throws(ControllerError) {
        do {
            let loaded = try quorum.start()
            image = loaded.image
            committedOffset = loaded.endOffset
            pendingImage = image
            snapshotState.endOffset = loaded.snapshot?.endOffset ?? .zero
            snapshotState.lastTimestamp = loaded.lastTimestamp
            state = .active
            if loaded.transaction.isOpen { try appendOwn([.abortTransaction(AbortTransactionRecord())]) }
            if image.isEmpty { try appendOwn(bootstrapRecords) }
            var refusal: CommandRefusal?
            if let broker {
                submit(broker) { if case .failure(let reason) = $0 { refusal = reason } }
            }
            try quorum.syncNow()
            if let refusal { throw ControllerError.refused(refusal) }
        } catch let error as ControllerError {
            throw error
        } catch let error as MetadataLogError {
            throw .log(error)
        } catch let error as LogError {
            throw .log(.log(error))
        } catch {
            invariantFailed("an error of an unknown kind: \(error)")
        }
        logger.log(
            .info, "controller active",
            [
                LogField("epoch", epoch), LogField("topics", image.topics.count),
                LogField("partitions", image.topics.partitionCount),
                LogField("committedOffset", committedOffset),
            ])
    }

    private var bootstrapRecords: [MetadataRecord] {
        [
            .featureLevel(
                FeatureLevelRecord(
                    name: MetadataVersion.featureName,
                    featureLevel: configuration.metadataVersion.rawValue))
        ]
    }

    private func appendOwn(_ records: [MetadataRecord]) throws(LogError) {
        try append(Decision((), records: records)) { _ in }
    }

    // MARK: Commands

    /// Decides a command and has its records written. `completion` is called once, on this lane: with the
    /// outcome when everything that it rests on is committed, or with the reason why it was refused. After
    /// `kafkaStorageError` it is not known whether it took effect.
    ///
    /// - Parameter decided: called first, and before anything waits, with what is decided and not committed
    ///   yet; not at all where the controller does not work.
    public func submit<Command: ControllerCommand>(
        _ command: Command, decided: (Result<Command.Outcome, CommandRefusal>) -> Void = { _ in },
        completion: @escaping (Result<Command.Outcome, CommandRefusal>) -> Void
    ) {
        if let refusal = refusalOfAll { return completion(.failure(refusal)) }
        var context = DecisionContext(
            nextOffset: quorum.endOffset, now: Timestamp(timeSource.wallClockMilliseconds()),
            policy: policy, generator: generator)
        let decision: Decision<Command.Outcome>
        do {
            decision = try command.decide(pendingImage, &context)
        } catch {
            generator = context.generator
            decided(.failure(error))
            // The reason may rest on what is not committed yet.
            return wait { completion(.failure($0 ?? error)) }
        }
        generator = context.generator
        let outcome = decision.outcome
        decided(.success(outcome))
        let finish: (CommandRefusal?) -> Void = { failure in
            completion(failure.map { .failure($0) } ?? .success(outcome))
        }
        if decision.records.isEmpty { return wait(finish) }
        do {
            try append(decision, finish)
        } catch {
            finish(refusal(of: error))
        }
    }

    /// What an append that was not taken means.
    private func refusal(of error: LogError) -> CommandRefusal {
        switch error {
        case .batchTooLarge, .appendTooLarge:
            return CommandRefusal(.policyViolation, "the change is too large: \(error); split it")
        default:
            if quorum.log.log.directory.failure != nil { state = .failed(reason: "\(error)") }
            return CommandRefusal(.kafkaStorageError, "the change cannot be written: \(error)")
        }
    }

    private var refusalOfAll: CommandRefusal? {
        switch state {
        case .stopped: return CommandRefusal(.notController, "the controller is not running")
        case .failed(let reason): return Self.refusal(because: reason)
        case .active:
            if pending.count < configuration.maximumPendingCount { return nil }
            return CommandRefusal(
                .throttlingQuotaExceeded,
                "\(pending.count) changes of the metadata wait for the disk; try again later")
        }
    }

    private static func refusal(because reason: String) -> CommandRefusal {
        CommandRefusal(
            .kafkaStorageError,
            "the metadata log cannot be written: \(reason); repair the disk and restart the node")
    }

    /// Answers when all that has been appended is committed.
    private func wait(_ finish: @escaping (CommandRefusal?) -> Void) {
        if pending.isEmpty { return finish(nil) }
        pending.append(Pending(endOffset: quorum.endOffset, records: [], finish: finish))
    }

    /// Appends a decision's records: as one batch, or as several where they need not be atomic.
    private func append<Outcome>(
        _ decision: Decision<Outcome>, _ finish: @escaping (CommandRefusal?) -> Void
    ) throws(LogError) {
        let version = pendingImage.metadataVersion
        let batchCount = decision.isAtomic ? decision.records.count : Self.recordsPerBatch
        var start = 0
        while start < decision.records.count {
            let end = min(start + batchCount, decision.records.count)
            let part = Array(decision.records[start..<end])
            let isLast = end == decision.records.count
            let endOffset: Offset
            do {
                endOffset = try quorum.append(part, version: version)
            } catch {
                // The parts before this one go their way; the next start or command mends the rest.
                throw error
            }
            for record in part { applyToPending(record) }
            pending.append(
                Pending(endOffset: endOffset, records: part, finish: isLast ? finish : { _ in }))
            start = end
        }
    }

    /// Records of a decision that is not atomic, per batch.
    static let recordsPerBatch = 1000

    private func applyToPending(_ record: MetadataRecord) {
        do {
            try pendingImage.apply(record)
        } catch {
            invariantFailed("a decided record does not fit the image: \(error)")
        }
    }

    // MARK: Observers

    /// Has `observer` told of all that is committed from now on; what was committed before is in the image
    /// that is returned. Not retained.
    public func observe(_ observer: any MetadataObserver) -> MetadataImage {
        observers.removeAll { $0.observer == nil }
        observers.append(WeakObserver(observer: observer))
        return image
    }

    // MARK: From time to time

    /// Writes a snapshot when it is time: about once a second.
    /// - Returns: whether one was written.
    @discardableResult
    public func maintain() -> Bool {
        guard case .active = state, let since = snapshotState.dirtySinceMilliseconds else { return false }
        let age = Int64(timeSource.monotonicNanoseconds() / 1_000_000 - since)
        let byteCount = quorum.log.log.byteCount - snapshotState.byteCountBefore
        guard byteCount >= configuration.snapshotByteCount || age >= configuration.snapshotMilliseconds
        else { return false }
        return writeSnapshot()
    }

    /// Writes a snapshot of what is committed, now.
    /// - Returns: whether there was something new to write, and it was written.
    @discardableResult
    public func writeSnapshot() -> Bool {
        guard case .active = state, committedOffset > snapshotState.endOffset,
            !quorum.log.log.directory.isFull
        else { return false }
        let id = MetadataSnapshotID(endOffset: committedOffset, epoch: epoch)
        do {
            try quorum.log.writeSnapshot(image, id, lastTimestamp: snapshotState.lastTimestamp)
        } catch {
            logger.log(.error, "metadata snapshot not written", [LogField("reason", error)])
            return false
        }
        snapshotState.endOffset = committedOffset
        snapshotState.byteCountBefore = quorum.log.log.byteCount
        snapshotState.dirtySinceMilliseconds = nil
        return true
    }

    /// Ends the work: what waits is refused. The log is closed by its `LogManager`.
    public func stop() {
        state = .stopped
        fail(pending, CommandRefusal(.notController, "the controller stops"))
    }

    private func fail(_ lost: [Pending], _ refusal: CommandRefusal) {
        pending.removeAll()
        for command in lost { command.finish(refusal) }
    }
}

extension Controller: QuorumDriverDelegate {
    func quorumCommitted(upTo offset: Offset) {
        reportedOffset = max(reportedOffset, offset)
        // Whoever is told may wait for the disk, which may bring the next report: that one comes after this.
        if isDelivering { return }
        isDelivering = true
        while committedOffset < reportedOffset { deliver(upTo: reportedOffset) }
        isDelivering = false
    }

    private func deliver(upTo offset: Offset) {
        let count = pending.firstIndex { $0.endOffset > offset } ?? pending.count
        let done = Array(pending.prefix(count))
        pending.removeFirst(count)
        var records: [MetadataRecord] = []
        var delta = MetadataDelta()
        for command in done {
            for record in command.records {
                do {
                    try image.apply(record, noting: &delta)
                } catch {
                    invariantFailed("a committed record does not fit the image: \(error)")
                }
            }
            records += command.records
        }
        committedOffset = offset
        snapshotState.lastTimestamp = Timestamp(timeSource.wallClockMilliseconds())
        if !records.isEmpty {
            if snapshotState.dirtySinceMilliseconds == nil {
                snapshotState.dirtySinceMilliseconds = timeSource.monotonicNanoseconds() / 1_000_000
            }
            let update = MetadataUpdate(records: records, delta: delta, endOffset: offset, epoch: epoch)
            for entry in observers { entry.observer?.metadataAdvanced(update) }
        }
        for command in done { command.finish(nil) }
    }

    func quorumLost(from offset: Offset, because error: LogError) {
        let reason = "\(error)"
        logger.log(
            .error, "changes of the metadata lost",
            [LogField("count", pending.count), LogField("reason", reason)])
        // On a full disk the log was cut back, and goes on when there is room. After anything else nobody
        // knows what is on the disk.
        if quorum.log.log.directory.failure != nil { state = .failed(reason: reason) }
        pendingImage = image
        fail(pending, Self.refusal(because: reason))
    }
}

/// Why the controller could not start.
public enum ControllerError: Error, Sendable, CustomStringConvertible {
    case log(MetadataLogError)
    /// The broker of this node cannot be registered.
    case refused(CommandRefusal)

    public var description: String {
        switch self {
        case .log(let error): "\(error)"
        case .refused(let refusal): "this node cannot register: \(refusal.message)"
        }
    }
}
