import Base
import LogStorage
import RecordFormat
import SystemIO

/// A log made for benchmarks that look at one: filled once, closed in order, opened as often as needed.
final class PreparedLog {
    let options: StorageOptions
    let directory: WorkDirectory
    let logDirectory: LogDirectory
    let lane: LogLane
    let path: String
    private(set) var recordCount: UInt64 = 0
    private(set) var byteCount: UInt64 = 0
    private(set) var endOffset = Offset.zero
    private let partition = TopicPartition(topic: "bench", partition: 0)

    init(_ options: StorageOptions, _ directory: WorkDirectory) throws {
        self.options = options
        self.directory = directory
        logDirectory = LogDirectory(
            path: try directory.makeDirectory("prepared"), fileSystem: directory.fileSystem)
        lane = LogLane(
            queue: try AppendQueues.make(options.backEnd, log: .silent), timeSource: SystemClock(),
            road: options.road)
        path = "\(logDirectory.path)/\(partition)"
    }

    /// Appends batches until there are `byteCount` bytes.
    func fill(byteCount limit: Int) throws {
        try fill(batchesPerSegment: nil) { _, byteCount in byteCount >= UInt64(limit) }
    }

    /// Appends `segments` times so many batches, each time to a segment of their own.
    func fill(segments: Int, batchesPerSegment: Int) throws {
        try fill(batchesPerSegment: batchesPerSegment) { batches, _ in batches == segments * batchesPerSegment
        }
    }

    private func fill(batchesPerSegment: Int?, until isFull: (Int, UInt64) -> Bool) throws {
        let log = try open(isClean: false)
        let traffic = try ProducerTraffic(
            options, count: 16, now: Timestamp(lane.timeSource.wallClockMilliseconds()))
        let line = AppendLine(log, batches: traffic.batches, appenderCount: 1, isDurable: false)
        var batches = 0
        while !isFull(batches, line.byteCount) {
            if let batchesPerSegment, batches > 0, batches % batchesPerSegment == 0 { try log.roll() }
            var left: UInt64 = 1
            try line.appendAll(&left)
            lane.flush()
            batches += 1
            if let reason = line.lostReason { throw BenchmarkError.lostAppends(reason) }
        }
        byteCount = line.byteCount
        recordCount = UInt64(batches * traffic.recordsPerBatch)
        endOffset = log.logEndOffset
        _ = try log.close()
    }

    func open(isClean: Bool) throws -> PartitionLog {
        try PartitionLog.open(
            LogOpening(
                partition: partition, path: path, configuration: options.logConfiguration,
                recoveryPoint: isClean ? endOffset : nil, wasShutDownCleanly: isClean),
            in: logDirectory, lane: lane)
    }

    /// Paths of the log files, in the order of their offsets.
    func segmentPaths() throws -> [String] {
        let names = try directory.fileSystem.contents(ofDirectory: path).map(\.name)
        return names.filter { $0.hasSuffix(".log") }.sorted().map { "\(path)/\($0)" }
    }

    func remove() throws { try directory.remove(logDirectory.path) }
}
