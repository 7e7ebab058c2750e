import Base
import RecordFormat
import SimulationKit
import SystemIO

@testable import LogStorage

/// A log on a simulated disk, with everything it needs around it.
final class LogFixture {
    let disk: SimulatedDisk
    let clock: SimulatedClock
    let sink = RecordingLogSink()
    private(set) var fileSystem: SimulatedFileSystem
    private(set) var directory: LogDirectory
    private(set) var queue: SimulatedAppendQueue
    private(set) var lane: LogLane
    var configuration: LogConfiguration
    let recycleByteCount: Int64
    let road: AppendRoad
    private var seed: UInt64

    static let partition = TopicPartition(topic: "events", partition: 0)
    static let path = "/data/events-0"

    init(
        configuration: LogConfiguration = LogFixture.smallSegments(), seed: UInt64 = 1,
        road: AppendRoad = .direct,
        recycleByteCount: Int64 = 0
    ) throws {
        self.configuration = configuration
        self.seed = seed
        self.road = road
        self.recycleByteCount = recycleByteCount
        clock = SimulatedClock()
        disk = SimulatedDisk(clock: clock)
        fileSystem = disk.mount()
        try fileSystem.createDirectory("/data")
        try fileSystem.syncDirectory("/")
        directory = LogDirectory(path: "/data", fileSystem: fileSystem)
        queue = SimulatedAppendQueue(fileSystem, seed: seed)
        lane = LogLane(queue: queue, timeSource: clock, road: road)
        mountAgain()
    }

    /// Segments of 4 KiB with an index entry every 256 bytes: everything that happens to large logs happens
    /// soon.
    static func smallSegments() -> LogConfiguration {
        var configuration = LogConfiguration()
        configuration.segmentByteCount = 4096
        configuration.indexIntervalByteCount = 256
        configuration.fileDeleteDelayMilliseconds = 0
        return configuration
    }

    /// A new process on the same disk.
    func mountAgain() {
        seed += 1
        fileSystem = disk.mount()
        directory = LogDirectory(
            path: "/data", fileSystem: fileSystem,
            logger: Logger(component: "test", minimumLevel: .debug, sink: sink),
            recycleByteCount: recycleByteCount)
        queue = SimulatedAppendQueue(fileSystem, seed: seed)
        lane = LogLane(queue: queue, timeSource: clock, road: road)
    }

    /// - Parameter number: of the partition.
    func open(
        number: Int32 = 0, recoveryPoint: Offset? = nil, logStartOffset: Offset? = nil, clean: Bool = false
    ) throws -> PartitionLog {
        try PartitionLog.open(
            LogOpening(
                partition: TopicPartition(topic: Self.partition.topic, partition: number),
                path: number == 0 ? Self.path : "/data/events-\(number)", configuration: configuration,
                recoveryPoint: recoveryPoint,
                logStartOffset: logStartOffset, wasShutDownCleanly: clean), in: directory, lane: lane)
    }

    /// Flushes and waits until nothing is in flight.
    func settle() {
        lane.flush()
        while queue.pendingCount > 0 { lane.poll(waitNanoseconds: nil) }
    }
}

/// The record values of a log from `offset` on, read slice by slice.
func values(
    of log: PartitionLog, from offset: Offset? = nil, limit: ReadLimit = .logEnd,
    maximumByteCount: Int = 1 << 20
) throws -> [(offset: Int64, value: [UInt8])] {
    var next = offset ?? log.logStartOffset
    var found: [(offset: Int64, value: [UInt8])] = []
    let decompressor = Decompressor()
    while let slice = try log.read(from: next, maximumByteCount: maximumByteCount, limit: limit).slice {
        let buffer = IOBuffer(byteCount: slice.byteCount)
        let byteCount = try slice.file.read(into: buffer, 0..<slice.byteCount, at: slice.position)
        precondition(byteCount == slice.byteCount)
        var position = 0
        while position < byteCount {
            let header = try RecordBatchHeader(parsing: buffer.bytes(position..<byteCount))
            let batch = buffer.bytes(position..<position + header.byteCount)
            try RecordBatch.validate(batch, header: header)
            var cursor = try RecordCursor(batch, header: header, decompressor: decompressor)
            while let record = try cursor.next() {
                guard record.offset >= next, let value = record.value else { continue }
                found.append((record.offset.rawValue, value.withUnsafeBytes { Array($0) }))
            }
            position += header.byteCount
        }
        precondition(slice.nextOffset > next)
        next = slice.nextOffset
    }
    return found
}
