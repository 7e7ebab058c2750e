import Base
import CBaseline
import LogStorage
import RecordFormat
import SystemIO

/// Appends batches to logs, in a closed loop of so many appenders.
final class AppendBenchmark: Benchmark {
    private let options: StorageOptions
    private let directory: WorkDirectory
    private let traffic: ProducerTraffic
    private let batchCount: UInt64
    private let baselineBatches: BaselineBatches
    private let clock = SystemClock()
    private let queue: CountingQueue
    private let lane: LogLane
    let targets: [Target]

    private var logDirectory: LogDirectory
    private var lines: [AppendLine] = []
    private var baselineFiles: [Int32] = []

    init(_ options: StorageOptions, _ directory: WorkDirectory, targets: [Target] = []) throws {
        self.options = options
        self.directory = directory
        self.targets = targets
        let perLine = max(options.appenderCount / options.partitionCount, Self.fewestBatches)
        traffic = try ProducerTraffic(
            options, count: perLine, now: Timestamp(clock.wallClockMilliseconds()))
        baselineBatches = try BaselineBatches(traffic.batches)
        let byteCount = traffic.batches.reduce(0) { $0 + $1.count } / traffic.batches.count
        batchCount = UInt64(max(options.totalByteCount / byteCount, 1))
        queue = CountingQueue(try AppendQueues.make(options.backEnd, log: .silent))
        lane = LogLane(queue: queue, timeSource: clock, road: options.road)
        logDirectory = LogDirectory(
            path: try directory.makeDirectory("ours"), fileSystem: directory.fileSystem)
    }

    /// As many socket buffers as a lane might be reading from.
    private static let fewestBatches = 16

    var title: String {
        "append, \(options.durability.rawValue)\(options.recycles ? ", recycled files" : "")"
    }

    var settings: [(name: String, value: String)] {
        [
            ("batch", ByteCountText.format(Int64(options.batchByteCount))),
            ("record", ByteCountText.format(Int64(options.recordByteCount))), ("codec", options.codecName),
            ("partitions", "\(options.partitionCount)"), ("appenders", "\(options.appenderCount)"),
            ("back end", queue.name), ("road", options.road.rawValue),
            ("preallocate", options.preallocates ? "on" : "off"),
            ("recycle", options.recycles ? "on" : "off"),
            ("run", ByteCountText.format(Int64(options.totalByteCount))), ("crc", CRC32C.routineName),
        ]
    }

    var metrics: [Metric] {
        [.throughput, .records, .userTime, .systemTime, .processorTime, .operationsPerSync, .allocations]
            + Metric.latencies("append") { $0.operationLatency } + Metric.latencies("sync") { $0.syncLatency }
    }

    func prepare() throws {
        guard options.recycles else { return }
        try openLines()
        _ = try runOurs()
        try recycle()
        try openBaseline(keeps: false)
        _ = try runBaselineOnce()
    }

    // MARK: Ours

    private func openLines() throws {
        let recycled =
            options.recycles ? Int64(options.totalByteCount) * 2 + Int64(options.segmentByteCount) : 0
        logDirectory = LogDirectory(
            path: try directory.makeDirectory("ours"), fileSystem: directory.fileSystem,
            recycleByteCount: recycled)
        let appenders = options.appenderCount / options.partitionCount
        lines = try (0..<options.partitionCount).map { number in
            let partition = TopicPartition(topic: "bench", partition: Int32(number))
            let opening = LogOpening(
                partition: partition, path: "\(logDirectory.path)/\(partition)",
                configuration: options.logConfiguration)
            let log = try PartitionLog.open(opening, in: logDirectory, lane: lane)
            return AppendLine(
                log, batches: traffic.batches, appenderCount: appenders,
                isDurable: options.durability == .synced)
        }
        // The first append of a leader writes its epoch down.
        for line in lines { try line.log.assignLeaderEpoch(AppendLine.leaderEpoch) }
    }

    func run() throws -> Sample {
        if options.recycles {
            // What the last run left dirty is not this run's to write.
            for line in lines { try line.log.syncNow() }
        } else {
            try openLines()
        }
        let sample = try runOurs()
        try verify()
        if options.recycles {
            try recycle()
        } else {
            for line in lines { line.log.abandon() }
            lines = []
            try directory.remove(logDirectory.path)
        }
        return sample
    }

    private func runOurs() throws -> Sample {
        for line in lines { line.resetMeasurements() }
        let syncsBefore = queue.syncCount
        var sample = try Sample.measured(.process) { _ in try appendAll() }
        sample.operationCount = batchCount
        sample.recordCount = batchCount * UInt64(traffic.recordsPerBatch)
        sample.syncCount = options.durability == .synced ? queue.syncCount - syncsBefore : 0
        for line in lines {
            sample.byteCount += line.byteCount
            sample.hash = sample.hash &* 31 &+ line.hash
            sample.operationLatency.merge(line.appendLatency)
            sample.syncLatency.merge(line.syncLatency)
        }
        return sample
    }

    /// The turn of a lane: take what has come, flush, wait.
    private func appendAll() throws {
        var left = batchCount
        var waiting = 0
        repeat {
            for line in lines { try line.appendAll(&left) }
            lane.flush()
            waiting = 0
            for line in lines {
                if let reason = line.lostReason { throw BenchmarkError.lostAppends(reason) }
                waiting += line.waitingCount
            }
            if waiting > 0 { lane.poll(waitNanoseconds: nil) }
        } while left > 0 || waiting > 0
    }

    /// Reads back what was appended, with the baseline's reader.
    private func verify() throws {
        guard options.suite.isSmoke else { return }
        for line in lines {
            let path = LogLayout.path(line.log.path, LogLayout.fileName(.log, lastSegmentBase(of: line.log)))
            var hash: UInt64 = 0
            let sound = dmq_baseline_recover(path, 2 << 20, &hash)
            guard sound > 0 || line.log.byteCount == 0 else {
                throw BenchmarkError.wrongResult("no sound batch in \(path)")
            }
        }
    }

    private func lastSegmentBase(of log: PartitionLog) -> Offset {
        let names = (try? directory.fileSystem.contents(ofDirectory: log.path)) ?? []
        let bases = names.compactMap { LogLayout.parse(fileName: $0.name) }
            .filter { $0.kind == .log && $0.suffix == nil }.map(\.baseOffset)
        return bases.max() ?? .zero
    }

    /// Deletes all records; the files of the segments become those of the next run.
    private func recycle() throws {
        for line in lines {
            let log = line.log
            try log.syncNow()
            log.advanceHighWatermark(to: log.logEndOffset)
            try log.advanceLogStart(to: log.highWatermark)
            try log.roll()
            // While the sync of the rolled segment goes on its file is in use, and would be removed instead.
            try log.syncNow()
            try log.deleteOldSegments()
            try log.removeDeletedFiles(all: true)
            // The active segment is new and empty; this one stands over a recycled file.
            try log.truncateFullyAndStart(at: log.logEndOffset)
            try log.assignLeaderEpoch(AppendLine.leaderEpoch)
        }
    }

    // MARK: Baseline

    private func openBaseline(keeps: Bool) throws {
        closeBaseline()
        if !keeps { _ = try directory.makeDirectory("baseline") }
        for number in 0..<options.partitionCount {
            let path = "\(directory.path)/baseline/\(number).log"
            let file = dmq_baseline_open(path, keeps ? 1 : 0)
            guard file >= 0 else { throw BenchmarkError.baselineFailed("cannot open \(path)") }
            baselineFiles.append(file)
        }
    }

    private func closeBaseline() {
        for file in baselineFiles { dmq_baseline_close(file) }
        baselineFiles = []
    }

    func runBaseline() throws -> Sample {
        try openBaseline(keeps: options.recycles)
        let sample = try runBaselineOnce()
        closeBaseline()
        if !options.recycles { try directory.remove("\(directory.path)/baseline") }
        return sample
    }

    private func runBaselineOnce() throws -> Sample {
        if options.recycles {
            for file in baselineFiles where dmq_baseline_sync(file) != 0 {
                throw BenchmarkError.baselineFailed("sync")
            }
        }
        let group = min(max(options.appenderCount / options.partitionCount, 1), 1024)
        var plan = dmq_append_plan(
            batchCount: batchCount, group: Int32(group), syncs: options.durability == .synced ? 1 : 0,
            allocationStep: options.preallocates ? 16 << 20 : 0)
        var outcome = dmq_append_outcome()
        var written = [UInt64](repeating: 0, count: Int(batchCount))
        var synced = [UInt64](repeating: 0, count: options.durability == .synced ? Int(batchCount) : 1)
        var result: Int32 = 0
        var sample = Sample.measured(.process) { _ in
            result = dmq_baseline_append(
                baselineFiles, Int32(baselineFiles.count), baselineBatches.handle, &plan, &written, &synced,
                &outcome)
        }
        guard result == 0 else { throw BenchmarkError.baselineFailed("append") }
        sample.byteCount = outcome.byteCount
        sample.operationCount = batchCount
        sample.recordCount = batchCount * UInt64(traffic.recordsPerBatch)
        sample.syncCount = outcome.syncCount
        sample.hash = outcome.hash
        for latency in written { sample.operationLatency.record(latency) }
        for latency in synced.prefix(Int(outcome.syncCount)) { sample.syncLatency.record(latency) }
        return sample
    }

    func finish() throws {
        closeBaseline()
        for line in lines { line.log.abandon() }
        lines = []
        try directory.remove("\(directory.path)/baseline")
        try directory.remove(logDirectory.path)
    }
}
