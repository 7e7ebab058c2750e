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
    /// Draws which flushes hold back their syncs, beside the operations of a seed.
    var holdGenerator: SeededGenerator
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
    /// Nil between a deletion and the next creation only.
    var log: PartitionLog!
    var trace: [String] = []
    /// What was met on the way, by name.
    var counts: [String: Int] = [:]

    var epoch: Int32 = 0
    var nextValue: UInt32 = 0
    private var nextID: UInt64 = 1000
    var producers: [Int64: Producer] = [:]
    /// The round of compaction that is going on, and its segment that waits to be committed.
    var round: CleaningRound?
    var group: CleanedGroup?

    /// The log start that a checkpoint has made durable.
    var durableStart: Int64 = 0
    /// An operation that failed may have brought the log's end down to here, or its start up to there.
    var possibleEnd: Int64?
    var possibleStart: Int64?
    /// Where the log, if it is empty, may begin after a failure.
    var possibleBeginning: Int64?
    var existence = Existence.there
    let listener = LossListener()

    /// Whether a restart finds a log.
    enum Existence {
        case there, undecided, deleted
    }

    /// Hears of appends that were taken and then lost.
    final class LossListener: PartitionLogObserver {
        var lostFrom: Int64?

        func logAdvanced(_ log: PartitionLog) {}

        func logLostAppends(_ log: PartitionLog, from offset: Offset, because error: LogError) {
            lostFrom = min(lostFrom ?? .max, offset.rawValue)
        }
    }

    static let partition = TopicPartition(topic: "events", partition: 0)

    /// - Parameter compacts: nil: drawn.
    init(seed: UInt64, compacts: Bool? = nil) throws {
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
        let drawn = generator.chance(1, in: 2)
        if compacts ?? drawn {
            settings.cleanupPolicy = generator.chance(1, in: 2) ? .compact : [.compact, .delete]
            settings.segmentByteCount = Int(900 + generator.next() % 2048)
            settings.minimumCleanableDirtyRatio = 0
            settings.deleteRetentionMilliseconds = Int64(generator.next() % 400)
        }
        self.settings = settings
        self.generator = generator
        holdGenerator = SeededGenerator(seed: seed &+ 1)
        try start()
        take(try manager.create(Self.partition, settings: settings))
    }

    deinit { if let manager { manager.all.forEach { $0.abandon() } } }

    var isCompacted: Bool { settings.cleanupPolicy.contains(.compact) }

    var directory: LogDirectory { store.directories[0].directory }

    func take(_ log: PartitionLog) {
        self.log = log
        log.observer = listener
        census.note(log, "log")
        census.note(log.commit, "group commit")
        existence = log.birth == nil ? .there : .undecided
    }

    /// Lets go of a process that is gone, whatever was in flight, and shows that nothing else holds it.
    private func leaveProcess() throws {
        manager?.all.forEach { $0.abandon() }
        round = nil
        group = nil
        log = nil
        manager = nil
        store = nil
        let held = census.heldOfProcesses
        try check(held.isEmpty, "of a process that has ended, something is still held: \(held)")
    }

    private func start() throws {
        let fileSystem = disk.mount()
        census.note(fileSystem, "file system")
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
    }

    func fail(_ message: String) -> SimulationFailure {
        SimulationFailure(
            description: "seed \(seed): \(message)\nsteps: \(trace.joined(separator: "; "))\n"
                + "last log lines: \(sink.lines.suffix(6).map(\.text).joined(separator: "\n"))")
    }

    func check(_ condition: Bool, _ message: @autoclosure () -> String) throws {
        if !condition { throw fail(message()) }
    }

    func note(_ step: String) { trace.append(step) }

    func count(_ what: String) { counts[what, default: 0] += 1 }

    // MARK: Disks that fail

    /// No crashes and restarts among the random operations.
    var onlyOperates = false

    /// As `step`, on a disk that fails: an operation that is refused is one of the ways to go on.
    /// - Returns: the refusal.
    func stepOnFailingDisk() throws -> LogError? {
        do {
            try step()
        } catch let error as LogError {
            note("refused: \(error)")
            try learnLosses()
            return error
        } catch let error as IOError where directory.failure != nil || disk.hasLostPower {
            note("refused: \(error)")
        } catch let failure as SimulationFailure {
            // Asynchronous appends may have been lost before the step looked: then the model has to hear of
            // it first.
            guard listener.lostFrom != nil || directory.failure != nil else { throw failure }
            try learnLosses()
        }
        guard let failure = directory.failure else { return nil }
        return .directoryOffline(path: directory.path, reason: "\(failure)")
    }

    /// Takes back what the log said was lost.
    private func learnLosses() throws {
        if let lost = listener.lostFrom {
            try check(lost >= model.syncedOffset, "lost from \(lost), synced up to \(model.syncedOffset)")
            listener.lostFrom = nil
            // On a disk that failed the bytes may be there all the same, when it is started again.
            if directory.failure == nil, log != nil {
                model.truncate(to: lost)
                try relearnProducers()
            }
        }
        if directory.failure == nil, possibleEnd == nil, possibleBeginning == nil, log != nil {
            try noteProgress()
        }
    }

    /// What a start after a failure may find.
    private var promisedAfterFailure: Int64 { min(model.syncedOffset, possibleEnd ?? .max) }

    /// The process ends and starts anew on a disk that works again.
    func restartOnWorkingDisk(power: Bool) throws {
        disk.liftFaults()
        note("disk works again")
        if power { disk.crash(&generator) } else { disk.killProcesses(&generator) }
        try leaveProcess()
        try restart(atLeast: promisedAfterFailure)
    }

    /// The disk has room again: the log takes appends without a restart, and holds what it held.
    func goOnWithRoom() throws {
        note("room again")
        directory.refreshSpace()
        guard log != nil else { return try create() }
        manager.lane.flush()
        while manager.lane.queue.pendingCount > 0 { manager.lane.poll(waitNanoseconds: nil) }
        try learnLosses()
        // What ran out of room when it had begun is finished now.
        try log.checkChangeable()
        if let possibleBeginning, log.logStartOffset.rawValue == possibleBeginning, log.byteCount == 0 {
            try takeBeginning(at: possibleBeginning)
        } else if let possibleEnd, log.logEndOffset.rawValue != model.endOffset {
            try check(log.logEndOffset.rawValue >= possibleEnd, "the log ends at \(log.logEndOffset)")
            model.truncate(to: log.logEndOffset.rawValue)
        }
        try relearnProducers()
        possibleBeginning = nil
        possibleEnd = nil
        model.startOffset = max(model.startOffset, log.logStartOffset.rawValue)
        try compareRecords()
    }

    /// The power goes in the middle of an operation, of compaction and of an orderly stop too.
    func losePowerWhileOperating() throws {
        note("power goes soon")
        disk.install(.losingPower(atChange: Int(generator.next() % 40) + 1))
        onlyOperates = true
        for _ in 0..<12 where !disk.hasLostPower {
            let refusal = try stepOnFailingDisk()
            try check(refusal == nil || disk.hasLostPower, "refused: \(refusal.map { "\($0)" } ?? "")")
        }
        onlyOperates = false
        if !disk.hasLostPower, directory.failure == nil, generator.chance(1, in: 3) {
            note("close")
            possibleStart = max(model.startOffset, possibleStart ?? 0)
            manager.close()
            store.markCleanShutdown()
            if !disk.hasLostPower {
                durableStart = model.startOffset
                model.syncedOffset = model.endOffset
            }
        }
        count("power losses")
        try restartOnWorkingDisk(power: true)
    }

    // MARK: Ends and starts

    func reopen() throws {
        note("close and open")
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

    func kill() throws {
        note("kill")
        disk.killProcesses(&generator)
        try leaveProcess()
        try restartAfterInterruptions(atLeast: model.writtenOffset)
    }

    func crash(mode: CrashMode? = nil) throws {
        let report = disk.crash(&generator, mode: mode)
        note("crash (\(report))")
        count("crashes")
        try leaveProcess()
        try restartAfterInterruptions(atLeast: model.syncedOffset)
    }

    /// Sometimes the power goes while the log is recovered, too.
    private func restartAfterInterruptions(atLeast promised: Int64) throws {
        var promised = promised
        while generator.chance(1, in: 6) {
            if try startWithoutEnd(powerAt: Int(generator.next() % 12) + 1) {
                promised = min(promised, model.syncedOffset)
            }
        }
        try restart(atLeast: promised)
    }

    /// A start that loses its power at this change, or is killed when it has come to its end before.
    /// - Returns: whether it lost its power.
    private func startWithoutEnd(powerAt change: Int) throws -> Bool {
        note("start without end")
        disk.install(.losingPower(atChange: change))
        if (try? start()) != nil {
            let settings = settings
            let recovered = store.recoverLogs(settings: { _ in settings }, run: { $0.forEach { $0() } })
            if let first = recovered.first { _ = try? manager.adopt(first) }
        }
        disk.liftFaults()
        let hasLostPower = disk.hasLostPower
        if hasLostPower { disk.crash(&generator) } else { disk.killProcesses(&generator) }
        try leaveProcess()
        count("interrupted starts")
        return hasLostPower
    }

    /// The process is killed, and the power goes at this change of the next start.
    /// - Returns: false when that start had come to its end before.
    func losePowerWhileStarting(atChange change: Int) throws -> Bool {
        note("kill")
        disk.killProcesses(&generator)
        try leaveProcess()
        let hasLostPower = try startWithoutEnd(powerAt: change)
        try restart(atLeast: hasLostPower ? model.syncedOffset : model.writtenOffset)
        return hasLostPower
    }

    /// Starts a new process and compares what it finds with the model.
    func restart(atLeast promised: Int64) throws {
        try start()
        let settings = settings
        let recovered = store.recoverLogs(settings: { _ in settings }, run: { jobs in jobs.forEach { $0() } })
        listener.lostFrom = nil
        guard let first = recovered.first else {
            try check(existence != .there, "no log was recovered")
            return try create()
        }
        try check(existence != .deleted && recovered.count == 1, "a deleted log came back")
        take(try manager.adopt(first))
        let end = log.logEndOffset.rawValue
        if let possibleBeginning, log.logStartOffset.rawValue == end,
            end < durableStart || end > model.endOffset
        {
            // Everything was to go, and the log is not what is left of what it was. Where the beginning could
            // not be moved back before the power went, it stays at the start that had been written down.
            try check(
                end >= possibleBeginning && end <= max(possibleBeginning, durableStart),
                "the log begins anew at \(end)")
            return try takeBeginning(at: end)
        }
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
        possibleBeginning = nil
        model.syncedOffset = end
        model.writtenOffset = end
        model.highWatermark = log.highWatermark.rawValue
        try relearnProducers()
        try compareRecords()
        try compareDerived()
    }
}
