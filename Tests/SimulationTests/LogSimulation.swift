import Base
import RecordFormat
import SimulationKit
import SystemIO

@testable import LogStorage

/// What a simulation found wrong, with what is needed to replay it.
struct SimulationFailure: Error, CustomStringConvertible {
    let description: String
}

/// One log on a simulated disk, driven by random operations from a seed, compared with `LogModel` at every
/// step, and stopped in every way that a process and a machine can stop.
final class LogSimulation {
    let seed: UInt64
    var generator: SeededGenerator
    let clock = SimulatedClock()
    let disk: SimulatedDisk
    /// Of everything that the processes of this simulation are made of.
    let census: Census
    let sink = RecordingLogSink()
    let settings: LogConfiguration
    let road: AppendRoad
    let recycleByteCount: Int64
    var model = LogModel()
    private(set) var store: LogStore!
    private(set) var manager: LogManager!
    private(set) var log: PartitionLog!
    private(set) var trace: [String] = []
    private var epoch: Int32 = 0
    private var nextID: UInt64 = 1000
    /// Next sequence and whether a transaction is open, per producer.
    private var producers: [Int64: (sequence: Int32, isOpen: Bool)] = [:]
    private(set) var crashCount = 0
    /// The log start that a checkpoint has made durable.
    private var durableStart: Int64 = 0
    /// An operation that failed may have brought the log's end down to here, or its start up to there.
    private var possibleEnd: Int64?
    private var possibleStart: Int64?
    private let listener = LossListener()

    /// Hears of appends that were taken and then lost.
    private final class LossListener: PartitionLogObserver {
        var lostFrom: Int64?

        func logAdvanced(_ log: PartitionLog) {}

        func logLostAppends(_ log: PartitionLog, from offset: Offset, because error: LogError) {
            lostFrom = min(lostFrom ?? .max, offset.rawValue)
        }
    }

    static let partition = TopicPartition(topic: "events", partition: 0)

    init(seed: UInt64) throws {
        self.seed = seed
        var generator = SeededGenerator(seed: seed)
        disk = SimulatedDisk(seed: generator.next(), clock: clock)
        census = Census(disk)
        road = generator.chance(1, in: 2) ? .direct : .queued
        recycleByteCount = generator.chance(1, in: 2) ? 1 << 20 : 0
        var settings = LogConfiguration()
        settings.segmentByteCount = Int(2400 + generator.next() % 4096)
        settings.indexIntervalByteCount = Int(generator.next() % 512)
        settings.fileDeleteDelayMilliseconds = 0
        settings.preallocatesSegments = generator.chance(3, in: 4)
        settings.retentionByteCount = 8192
        settings.timestampAfterMaximumMilliseconds = .max
        self.settings = settings
        self.generator = generator
        try start()
        take(try manager.create(Self.partition, settings: settings))
    }

    deinit { if let manager { manager.all.forEach { $0.abandon() } } }

    private func take(_ log: PartitionLog) {
        self.log = log
        log.observer = listener
        census.note(log, "log")
        census.note(log.commit, "group commit")
    }

    /// Lets go of a process that is gone, whatever was in flight, and shows that nothing else holds it.
    private func leaveProcess() throws {
        manager.all.forEach { $0.abandon() }
        log = nil
        manager = nil
        store = nil
        let held = census.heldOfProcesses
        try check(held.isEmpty, "of a process that has ended, something is still held: \(held)")
    }

    private func start() throws {
        let fileSystem = disk.mount()
        var configuration = LogStoreConfiguration(directoryPaths: ["/data"])
        configuration.recycleByteCount = recycleByteCount
        store = try LogStore(
            configuration, fileSystem: fileSystem, timeSource: clock,
            logger: Logger(component: "test", minimumLevel: .info, sink: sink)
        ) {
            nextID += 1
            return UniqueID(high: nextID, low: nextID)
        }
        let queue = SimulatedAppendQueue(fileSystem, seed: generator.next())
        manager = LogManager(store: store, lane: LogLane(queue: queue, timeSource: clock, road: road))
        census.note(store, "store")
        census.note(queue, "queue")
        census.note(manager, "manager")
        census.note(manager.lane, "lane")
        census.note(fileSystem, "file system")
    }

    func fail(_ message: String) -> SimulationFailure {
        SimulationFailure(
            description: "seed \(seed): \(message)\nlast steps: \(trace.suffix(12).joined(separator: "; "))\n"
                + "last log lines: \(sink.lines.suffix(6).map(\.text).joined(separator: "\n"))")
    }

    func check(_ condition: Bool, _ message: @autoclosure () -> String) throws {
        if !condition { throw fail(message()) }
    }

    // MARK: Steps

    /// No crashes and restarts among the random operations.
    var onlyOperates = false

    /// One random operation, and a look at what can be seen of it.
    func step() throws {
        switch generator.next() % (onlyOperates ? 93 : 100) {
        case 0..<45: try append()
        case 45..<57: flush()
        case 57..<67: poll()
        case 67..<72: try read()
        case 72..<76: advanceHighWatermark()
        case 76..<79: try checkpoint()
        case 79..<82: try roll()
        case 82..<85: try truncate()
        case 85..<87: try advanceLogStart()
        case 87..<91: try retain()
        case 91..<93: try repeatBatch()
        case 93..<95: try reopen()
        case 95..<97: try kill()
        default: try crash()
        }
        try noteProgress()
    }

    private func value() -> [UInt8] {
        let byteCount = generator.chance(1, in: 12) ? Int(generator.next() % 700) : Int(generator.next() % 60)
        return (0..<byteCount).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }

    private func append() throws {
        let producerID = generator.chance(1, in: 2) ? Int64(generator.next() % 3) + 1 : -1
        if producerID >= 2, producers[producerID]?.isOpen == true, generator.chance(1, in: 3) {
            return try appendMarker(producerID)
        }
        let count = Int(generator.next() % 3) + 1
        let value = value()
        let timestamp = clock.wallClockMilliseconds() + Int64(generator.next() % 50)
        clock.advance(milliseconds: Int64(generator.next() % 20))
        if generator.chance(1, in: 30) { epoch += 1 }
        let isTransactional = producerID >= 2
        let sequence = producerID < 0 ? -1 : (producers[producerID]?.sequence ?? 0)
        let batch = TestBatches.batch(
            count: count, value: value, timestamp: timestamp, producerID: producerID,
            producerEpoch: producerID < 0 ? -1 : 0, sequence: sequence, isTransactional: isTransactional)
        trace.append("append \(count) of producer \(producerID) at \(model.endOffset)")
        let result = try log.appendAsLeader(
            batch, leaderEpoch: LeaderEpoch(epoch), durably: generator.chance(1, in: 2))
        try check(
            result.firstOffset.rawValue == model.endOffset && !result.isDuplicate,
            "appended at \(result.firstOffset), expected \(model.endOffset)")
        let first = model.endOffset
        let produced =
            producerID < 0
            ? nil
            : LogModel.ProducedBatch(
                producerID: producerID, producerEpoch: 0, sequence: sequence, firstOffset: first,
                lastOffset: first + Int64(count) - 1, isTransactional: isTransactional)
        for _ in 0..<count {
            model.append(
                LogModel.Entry(
                    value: value, timestamp: timestamp, epoch: epoch, batchOffset: first, producer: produced))
        }
        if producerID >= 0 { producers[producerID] = (sequence + Int32(count), isTransactional) }
    }

    private func appendMarker(_ producerID: Int64) throws {
        let isAbort = generator.chance(1, in: 2)
        let timestamp = clock.wallClockMilliseconds()
        trace.append("marker of producer \(producerID) at \(model.endOffset)")
        _ = try log.appendAsLeader(
            TestBatches.marker(
                isAbort: isAbort, producerID: producerID, producerEpoch: 0, timestamp: timestamp),
            leaderEpoch: LeaderEpoch(epoch), origin: .coordinator, durably: generator.chance(1, in: 2))
        let offset = model.endOffset
        model.append(
            LogModel.Entry(
                value: isAbort ? LogModel.abort : LogModel.commit, timestamp: timestamp, epoch: epoch,
                batchOffset: offset,
                producer: LogModel.ProducedBatch(
                    producerID: producerID, producerEpoch: 0, sequence: -1, firstOffset: offset,
                    lastOffset: offset,
                    isTransactional: true), isControl: true))
        producers[producerID]?.isOpen = false
        relearnForgottenProducers()
    }

    /// Sends the newest batch of a producer once more: it has to be recognised.
    private func repeatBatch() throws {
        guard let last = model.lastBatches.values.min(by: { $0.producerID < $1.producerID }),
            log.producerEntries.contains(where: {
                $0.producerID.rawValue == last.producerID && $0.lastDataOffset.rawValue == last.lastOffset
            })
        else { return }
        let count = Int(last.lastOffset - last.firstOffset) + 1
        let entry = model[last.firstOffset]
        trace.append("repeat \(last.firstOffset)")
        let result = try log.appendAsLeader(
            TestBatches.batch(
                count: count, value: entry.value, timestamp: entry.timestamp, producerID: last.producerID,
                producerEpoch: 0, sequence: last.sequence, isTransactional: last.isTransactional),
            leaderEpoch: LeaderEpoch(epoch), durably: false)
        try check(
            result.isDuplicate && result.firstOffset.rawValue == last.firstOffset
                && result.lastOffset.rawValue == last.lastOffset,
            "a repeated batch of producer \(last.producerID) got \(result), it stands at \(last.firstOffset)")
    }

    private func flush() {
        trace.append("flush")
        manager.lane.flush()
    }

    private func poll() {
        trace.append("poll")
        manager.lane.poll(waitNanoseconds: generator.next() % 500_000)
    }

    private func roll() throws {
        trace.append("roll")
        try log.roll()
    }

    private func truncate() throws {
        let low = max(log.logStartOffset.rawValue, model.highWatermark - 5)
        guard model.endOffset > low else { return }
        var target = low + Int64(generator.next() % UInt64(model.endOffset - low))
        trace.append("truncate to \(target)")
        possibleEnd = max(model[target].batchOffset, log.logStartOffset.rawValue)
        // A batch that holds the target goes whole.
        target = max(model[target].batchOffset, log.logStartOffset.rawValue)
        let end = try log.truncate(to: Offset(target))
        try check(end.rawValue == target, "truncated to \(end), expected \(target)")
        model.truncate(to: target)
        possibleEnd = nil
        relearnProducers()
    }

    /// What each producer would send next, as far as the log goes.
    private func relearnProducers() {
        producers.removeAll()
        for entry in model.entries {
            guard let producer = entry.producer else { continue }
            if entry.isControl {
                producers[producer.producerID]?.isOpen = false
            } else {
                let count = Int32(producer.lastOffset - producer.firstOffset) + 1
                producers[producer.producerID] = (producer.sequence + count, producer.isTransactional)
            }
        }
        relearnForgottenProducers()
    }

    /// Where only a marker is left of a producer, the log waits for it to begin anew, as Kafka's does.
    private func relearnForgottenProducers() {
        for entry in log.producerEntries where entry.batchCount == 0 {
            producers[entry.producerID.rawValue]?.sequence = 0
        }
    }

    private func advanceHighWatermark() {
        let target = model.highWatermark + Int64(generator.next() % 12)
        model.highWatermark = max(model.highWatermark, min(target, log.writtenEndOffset.rawValue))
        trace.append("high watermark \(model.highWatermark)")
        log.advanceHighWatermark(to: Offset(model.highWatermark))
    }

    private func advanceLogStart() throws {
        guard model.highWatermark > log.logStartOffset.rawValue else { return }
        let room = UInt64(model.highWatermark - log.logStartOffset.rawValue)
        let target = log.logStartOffset.rawValue + Int64(generator.next() % (room + 1))
        trace.append("log start \(target)")
        possibleStart = target
        try log.advanceLogStart(to: Offset(target))
        model.startOffset = target
        possibleStart = nil
    }

    private func retain() throws {
        trace.append("retention")
        possibleStart = model.highWatermark
        _ = manager.maintain()
        if log.directory.failure != nil { return }
        try check(
            log.logStartOffset.rawValue <= model.highWatermark
                || log.logStartOffset.rawValue == model.startOffset,
            "retention went to \(log.logStartOffset), beyond the high watermark \(model.highWatermark)")
        model.startOffset = max(model.startOffset, log.logStartOffset.rawValue)
        possibleStart = nil
    }

    private func checkpoint() throws {
        trace.append("checkpoint")
        possibleStart = max(model.startOffset, possibleStart ?? 0)
        try manager.checkpoint()
        durableStart = model.startOffset
        possibleStart = nil
    }

    private func read() throws {
        trace.append("read")
        try compareRecords()
    }

    /// What the log says of its own progress may only grow, and is what must survive.
    private func noteProgress() throws {
        try check(
            log.logEndOffset.rawValue == model.endOffset,
            "log ends at \(log.logEndOffset), model \(model.endOffset)")
        try check(
            log.syncedEndOffset <= log.writtenEndOffset && log.writtenEndOffset <= log.logEndOffset,
            "synced \(log.syncedEndOffset), written \(log.writtenEndOffset), end \(log.logEndOffset)")
        model.syncedOffset = max(model.syncedOffset, log.syncedEndOffset.rawValue)
        model.writtenOffset = max(model.writtenOffset, log.writtenEndOffset.rawValue)
    }

    /// As `step`, on a disk that fails: an operation that is refused is one of the ways to go on.
    /// - Returns: the refusal.
    func stepOnFailingDisk() throws -> LogError? {
        do {
            try step()
        } catch let error as LogError {
            trace.append("refused: \(error)")
            try learnLosses()
            return error
        } catch let failure as SimulationFailure {
            // Asynchronous appends may have been lost before the step looked: then the model has to hear of
            // it first.
            guard listener.lostFrom != nil || log.directory.failure != nil else { throw failure }
            try learnLosses()
        }
        guard let failure = log.directory.failure else { return nil }
        return .directoryOffline(path: log.directory.path, reason: "\(failure)")
    }

    /// Takes back what the log said was lost.
    private func learnLosses() throws {
        if let lost = listener.lostFrom {
            try check(lost >= model.syncedOffset, "lost from \(lost), synced up to \(model.syncedOffset)")
            listener.lostFrom = nil
            // On a disk that failed the bytes may be there all the same, when it is started again.
            if log.directory.failure == nil {
                model.truncate(to: lost)
                relearnProducers()
            }
        }
        if log.directory.failure == nil, possibleEnd == nil { try noteProgress() }
    }

    /// What a start after a failure may find.
    var promisedAfterFailure: Int64 { min(model.syncedOffset, possibleEnd ?? .max) }

    /// The process ends and starts anew on a disk that works again.
    func restartOnWorkingDisk(power: Bool) throws {
        disk.liftFaults()
        trace.append("disk works again")
        if power { disk.crash(&generator) } else { disk.killProcesses(&generator) }
        try leaveProcess()
        try restart(atLeast: promisedAfterFailure)
    }

    /// The disk has room again: the log takes appends without a restart, and holds what it held.
    func goOnWithRoom() throws {
        trace.append("room again")
        log.directory.refreshSpace()
        manager.lane.flush()
        while manager.lane.queue.pendingCount > 0 { manager.lane.poll(waitNanoseconds: nil) }
        try learnLosses()
        if let possibleEnd, log.logEndOffset.rawValue != model.endOffset {
            // A truncation that ran out of room had begun.
            try check(log.logEndOffset.rawValue >= possibleEnd, "the log ends at \(log.logEndOffset)")
            model.truncate(to: log.logEndOffset.rawValue)
            relearnProducers()
        }
        possibleEnd = nil
        model.startOffset = max(model.startOffset, log.logStartOffset.rawValue)
        try compareRecords()
    }

    // MARK: Ends and starts

    private func reopen() throws {
        trace.append("close and open")
        manager.close()
        store.markCleanShutdown()
        disk.killProcesses(&generator)
        try leaveProcess()
        model.syncedOffset = model.endOffset
        model.writtenOffset = model.endOffset
        durableStart = model.startOffset
        try restart(atLeast: model.endOffset)
        let wasClean = store.directories.allSatisfy(\.wasShutDownCleanly)
        try check(wasClean, "a clean stop was not recognised")
    }

    private func kill() throws {
        trace.append("kill")
        disk.killProcesses(&generator)
        try leaveProcess()
        try restart(atLeast: model.writtenOffset)
    }

    func crash(mode: CrashMode? = nil) throws {
        let report = disk.crash(&generator, mode: mode)
        trace.append("crash (\(report))")
        crashCount += 1
        try leaveProcess()
        try restart(atLeast: model.syncedOffset)
    }

    /// Starts a new process and compares what it finds with the model.
    func restart(atLeast promised: Int64) throws {
        try start()
        let settings = settings
        let recovered = store.recoverLogs(settings: { _ in settings }, run: { jobs in jobs.forEach { $0() } })
        guard let first = recovered.first, recovered.count == 1 else {
            throw fail("\(recovered.count) logs were recovered")
        }
        take(try manager.adopt(first))
        let end = log.logEndOffset.rawValue
        try check(end >= promised, "the log ends at \(end), \(promised) was promised")
        try check(end <= model.endOffset, "the log ends at \(end), only \(model.endOffset) was ever appended")
        try check(log.damage.isEmpty, "damage reported: \(log.damage)")
        try check(
            log.logStartOffset.rawValue >= durableStart
                && log.logStartOffset.rawValue <= max(model.startOffset, durableStart, possibleStart ?? 0),
            "the log starts at \(log.logStartOffset), checkpointed \(durableStart), last \(model.startOffset)"
        )
        model.truncate(to: end)
        model.startOffset = log.logStartOffset.rawValue
        possibleEnd = nil
        possibleStart = nil
        listener.lostFrom = nil
        model.syncedOffset = end
        model.writtenOffset = end
        model.highWatermark = log.highWatermark.rawValue
        relearnProducers()
        try compareRecords()
        try compareDerived()
    }
}
