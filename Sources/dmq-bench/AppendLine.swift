import Base
import CBaseline
import LogStorage
import RecordFormat
import SystemIO

/// One log and those who append to it: each sends its next batch when the last one was acknowledged.
///
/// Acknowledgements come in the order of the appends, so who waits stands in a ring.
final class AppendLine: PartitionLogObserver {
    let log: PartitionLog
    private let isDurable: Bool
    /// More than there are appenders, so that not the same few bytes are appended all the time.
    private let buffers: [BufferSlice]
    private var nextBuffer = 0
    private var waiting: [Waiting]
    private var oldest = 0
    private(set) var waitingCount = 0
    private(set) var byteCount: UInt64 = 0
    private(set) var hash: UInt64 = 0
    private(set) var lostReason: String?
    private(set) var appendLatency = LatencyHistogram()
    private(set) var syncLatency = LatencyHistogram()
    private var writtenEnd = Offset.zero
    private var writtenAt: UInt64 = 0

    private struct Waiting {
        var since: UInt64 = 0
        var endOffset = Offset.zero
    }

    static let leaderEpoch = LeaderEpoch(0)

    /// - Parameter batches: at least as many as appenders.
    init(_ log: PartitionLog, batches: [[UInt8]], appenderCount: Int, isDurable: Bool) {
        self.log = log
        self.isDurable = isDurable
        buffers = batches.map { BufferSlice(IOBuffer(copying: $0)) }
        waiting = Array(repeating: Waiting(), count: appenderCount)
        writtenEnd = log.writtenEndOffset
        log.observer = self
    }

    /// Forgets what was measured.
    func resetMeasurements() {
        appendLatency.removeAll()
        syncLatency.removeAll()
        byteCount = 0
    }

    /// Everyone who waits for nothing appends a batch.
    /// - Parameter left: batches still to be appended; counted down.
    func appendAll(_ left: inout UInt64) throws {
        while waitingCount < waiting.count, left > 0 {
            let batch = buffers[nextBuffer]
            nextBuffer = nextBuffer + 1 == buffers.count ? 0 : nextBuffer + 1
            receive(batch)
            let since = dmq_nanoseconds()
            let result = try log.appendAsLeader(batch, leaderEpoch: Self.leaderEpoch, durably: isDurable)
            var place = oldest + waitingCount
            if place >= waiting.count { place -= waiting.count }
            waiting[place] = Waiting(since: since, endOffset: result.lastOffset + 1)
            waitingCount += 1
            left -= 1
            byteCount += UInt64(batch.byteCount)
            hash = hash &* 31 &+ UInt64(bitPattern: result.firstOffset.rawValue)
        }
    }

    /// What the log changed in place becomes again what a producer sends.
    private func receive(_ batch: BufferSlice) {
        var bytes = batch.buffer.mutableBytes(0..<RecordBatchHeader.magicPosition)
        bytes.storeBytes(of: 0, toByteOffset: 0, as: UInt64.self)
        bytes.storeBytes(of: -1, toByteOffset: RecordBatchHeader.lengthPrefixByteCount, as: Int32.self)
    }

    func logAdvanced(_ log: PartitionLog) {
        let now = dmq_nanoseconds()
        if log.writtenEndOffset > writtenEnd {
            writtenEnd = log.writtenEndOffset
            writtenAt = now
        } else if isDurable {
            syncLatency.record(now - writtenAt)
        }
        let end = isDurable ? log.syncedEndOffset : log.writtenEndOffset
        while waitingCount > 0, waiting[oldest].endOffset <= end {
            appendLatency.record(now - waiting[oldest].since)
            oldest = oldest + 1 == waiting.count ? 0 : oldest + 1
            waitingCount -= 1
        }
    }

    func logLostAppends(_ log: PartitionLog, from offset: Offset, because error: LogError) {
        lostReason = "\(error)"
        waitingCount = 0
    }
}

/// Passes everything on and counts the syncs.
final class CountingQueue: AppendQueue {
    private let queue: any AppendQueue
    private(set) var syncCount: UInt64 = 0

    init(_ queue: any AppendQueue) { self.queue = queue }

    var name: String { queue.name }
    var pendingCount: Int { queue.pendingCount }

    func write(
        _ slices: [BufferSlice], to file: any File, at position: Int64, thenSync: Bool,
        _ token: CompletionToken,
        _ handler: any AppendCompletionHandler
    ) {
        if thenSync { syncCount += 1 }
        queue.write(slices, to: file, at: position, thenSync: thenSync, token, handler)
    }

    func sync(_ file: any File, _ token: CompletionToken, _ handler: any AppendCompletionHandler) {
        syncCount += 1
        queue.sync(file, token, handler)
    }

    func submit() { queue.submit() }

    @discardableResult
    func poll(waitNanoseconds: UInt64?) -> Int { queue.poll(waitNanoseconds: waitNanoseconds) }
}
