import Base
import LogStorage
import RecordFormat
import SystemIO

/// `dmq-bench storage endure` and `check`: numbered records, appended until somebody pulls the plug, and a
/// look afterwards whether any of those that had been reported as synced is missing. For disks and machines
/// whose word about a sync is in doubt, and for the tests of the storage engine on real disks.
struct EndureCommand {
    private let options: StorageOptions
    private static let partition = TopicPartition(topic: "endure", partition: 0)
    /// Small, so that rolling, recycling and retention happen all the time.
    private static let segmentByteCount = 256 << 10
    private static let retentionByteCount: Int64 = 2 << 20

    init(_ options: StorageOptions) { self.options = options }

    private var settings: LogConfiguration {
        var settings = LogConfiguration()
        settings.segmentByteCount = Self.segmentByteCount
        settings.retentionByteCount = Self.retentionByteCount
        settings.retentionMilliseconds = -1
        settings.fileDeleteDelayMilliseconds = 0
        settings.indexIntervalByteCount = 1024
        return settings
    }

    private func openStore() throws -> (LogStore, LogManager) {
        var configuration = LogStoreConfiguration(directoryPaths: [options.suite.directory])
        configuration.recycleByteCount = 1 << 20
        let store = try LogStore(
            configuration, fileSystem: PosixFileSystem(), timeSource: SystemClock(),
            logger: Logger(component: "endure", minimumLevel: .warn, sink: StandardErrorLog())
        ) {
            let (high, low) = SystemRandom.identifier()
            return UniqueID(high: high, low: low)
        }
        let lane = LogLane(
            queue: try AppendQueues.make(options.backEnd, log: .silent), timeSource: SystemClock(),
            road: options.road)
        let manager = LogManager(store: store, lane: lane)
        let settings = settings
        for recovered in store.recoverLogs(
            settings: { _ in settings }, run: { jobs in jobs.forEach { $0() } })
        {
            try manager.adopt(recovered)
        }
        return (store, manager)
    }

    /// Appends numbered records, `--total-bytes` of them, and prints `synced N` each time that more of them,
    /// N in all, are on stable storage.
    func endure() throws {
        let (store, manager) = try openStore()
        let log = try manager[Self.partition] ?? manager.create(Self.partition, settings: settings)
        let lane = manager.lane
        var reported = Offset(-1)
        var turn = 0
        var appendedByteCount = 0
        while appendedByteCount < options.totalByteCount {
            for _ in 0..<8 {
                let batch = try Self.batch(from: log.logEndOffset, count: 1 + turn % 5)
                _ = try log.appendAsLeader(batch, leaderEpoch: LeaderEpoch(0), durably: true)
                appendedByteCount += batch.byteCount
            }
            lane.flush()
            lane.poll(waitNanoseconds: nil)
            log.advanceHighWatermark(to: log.syncedEndOffset)
            if log.syncedEndOffset > reported {
                reported = log.syncedEndOffset
                try StandardStream.output.write("synced \(reported)\n")
            }
            turn += 1
            if turn % 50 == 0 { manager.maintain() }
            if turn % 70 == 0 { try manager.checkpoint() }
        }
        manager.close()
        store.markCleanShutdown()
    }

    /// Opens the log as after a crash, reads all of it, and prints what it holds.
    /// - Returns: whether every record is the one that its offset names, without a hole.
    func check() throws -> Bool {
        let (store, manager) = try openStore()
        guard let log = manager[Self.partition] else {
            print("holds nothing")
            return true
        }
        var next = log.logStartOffset
        var due = next
        let decompressor = Decompressor()
        while let slice = try log.read(from: next, maximumByteCount: 1 << 20, limit: .logEnd).slice {
            let buffer = IOBuffer(byteCount: slice.byteCount)
            let byteCount = try slice.file.read(into: buffer, 0..<slice.byteCount, at: slice.position)
            var position = 0
            while position < byteCount {
                let header = try RecordBatchHeader(parsing: buffer.bytes(position..<byteCount))
                let batch = buffer.bytes(position..<position + header.byteCount)
                try RecordBatch.validate(batch, header: header)
                var cursor = try RecordCursor(batch, header: header, decompressor: decompressor)
                while let record = try cursor.next() {
                    guard record.offset >= due else { continue }
                    guard record.offset == due, let value = record.value,
                        value.unsafeLoadUnaligned(as: Int64.self) == due.rawValue
                    else {
                        print("damaged at offset \(due)")
                        return false
                    }
                    due = due + 1
                }
                position += header.byteCount
            }
            next = slice.nextOffset
        }
        guard log.damage.isEmpty, due == log.logEndOffset else {
            print("damaged: \(log.damage), read up to \(due) of \(log.logEndOffset)")
            return false
        }
        print("holds \(log.logStartOffset) up to \(log.logEndOffset)")
        manager.close()
        store.markCleanShutdown()
        return true
    }

    /// Records whose values are their own offsets.
    private static func batch(from offset: Offset, count: Int) throws -> BufferSlice {
        var builder = RecordBatchBuilder(baseOffset: .zero)
        for index in 0..<count {
            var value = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: 300)
            let number = offset.rawValue + Int64(index)
            withUnsafeBytes(of: number) { bytes in
                for (place, byte) in bytes.enumerated() { value[place] = byte }
            }
            builder.append(timestamp: Timestamp(number), key: nil, value: value.span.bytes)
        }
        return BufferSlice(IOBuffer(copying: try builder.finish(compressor: Compressor())))
    }
}
