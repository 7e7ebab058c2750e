import LogStorage
import RecordFormat

/// What a log ought to hold: the slow obvious model that the real one is compared with.
struct LogModel {
    struct Entry: Equatable {
        /// Nil in a log that is not compacted.
        var key: [UInt8]?
        /// Nil: the record deletes its key.
        var value: [UInt8]?
        var timestamp: Int64
        var epoch: Int32
        /// First offset of the batch that the record came in.
        var batchOffset: Int64
        var producer: ProducedBatch?
        var isControl = false
        var compaction = Compaction()
    }

    /// What compaction may do, or has done, to a record.
    struct Compaction: Equatable {
        /// The compacted segment that was put in the place of its own may lack it.
        var mayBeGone = false
        /// It was found to be gone: it may not come back.
        var isGone = false
        /// It belonged to an aborted transaction then: it deletes or replaces nothing.
        var isAborted = false
        /// From when on a round may leave out a record that deletes its key, or a marker.
        var horizon: Int64?
    }

    /// The batch of an idempotent producer that a record belongs to.
    struct ProducedBatch: Equatable {
        var producerID: Int64
        var producerEpoch: Int16
        var sequence: Int32
        var firstOffset: Int64
        var lastOffset: Int64
        var isTransactional: Bool
    }

    /// Every record that was ever given its offset and not cut off since, below the log start too.
    private(set) var entries: [Entry] = []
    var startOffset: Int64 = 0 {
        didSet { highestStartOffset = max(highestStartOffset, startOffset) }
    }
    /// The log started here once. Producers whose records were all below may be forgotten, and stay so when
    /// a crash takes the start back.
    private(set) var highestStartOffset: Int64 = 0
    /// What the log reported as synced.
    var syncedOffset: Int64 = 0
    /// What the log reported as written.
    var writtenOffset: Int64 = 0
    var highWatermark: Int64 = 0
    /// What becomes of each record when the round that is going on puts a segment in the place of its own.
    private var planned: [Compaction] = []
    /// A segment was put in the place of others.
    private var isCompacted = false
    /// Records were cut off after that: what they replaced may be gone, and what was known from that.
    private(set) var wasCutAfterCompaction = false

    var endOffset: Int64 { Int64(entries.count) }

    subscript(offset: Int64) -> Entry { entries[Int(offset)] }

    mutating func append(_ entry: Entry) { entries.append(entry) }

    mutating func truncate(to offset: Int64) {
        if isCompacted, offset < endOffset { wasCutAfterCompaction = true }
        entries.removeSubrange(Int(min(offset, endOffset))...)
        planned.removeSubrange(min(Int(offset), planned.count)...)
        // A batch that went whole, though the log starts inside it, is nobody's any more.
        var last = entries.count - 1
        while last >= 0, let producer = entries[last].producer, producer.lastOffset >= offset {
            entries[last].producer = nil
            last -= 1
        }
        syncedOffset = min(syncedOffset, offset)
        writtenOffset = min(writtenOffset, offset)
        highWatermark = min(highWatermark, offset)
    }

    /// Everything goes, and the log begins again at `offset`.
    mutating func beginAnew(at offset: Int64) {
        self = LogModel()
        for gap in 0..<offset {
            entries.append(
                Entry(
                    timestamp: 0, epoch: 0, batchOffset: gap,
                    compaction: Compaction(mayBeGone: true, isGone: true)))
        }
        startOffset = offset
        syncedOffset = offset
        writtenOffset = offset
        highWatermark = offset
    }

    /// First offset of each leader epoch, rising, as far as records from `start` on show it.
    func epochs(from start: Int64) -> [Int32: Int64] {
        var starts: [Int32: Int64] = [:]
        for offset in start..<max(start, endOffset) where starts[entries[Int(offset)].epoch] == nil {
            starts[entries[Int(offset)].epoch] = offset
        }
        return starts
    }

    /// First offset from `start` on with a timestamp of at least `timestamp`.
    func offset(forTimestamp timestamp: Int64, from start: Int64, below end: Int64) -> Int64? {
        (start..<max(start, end)).first { self[$0].timestamp >= timestamp && !self[$0].compaction.isGone }
    }

    /// The newest batch of each producer, unless a marker of a newer epoch has come since.
    var lastBatches: [Int64: ProducedBatch] {
        var last: [Int64: ProducedBatch] = [:]
        for entry in entries {
            guard let producer = entry.producer else { continue }
            if !entry.isControl {
                last[producer.producerID] = producer
            } else if producer.producerEpoch > last[producer.producerID]?.producerEpoch ?? .max {
                last[producer.producerID] = nil
            }
        }
        return last
    }

    // MARK: Transactions

    struct Transaction: Equatable {
        var producerID: Int64
        var firstOffset: Int64
        /// Of its records.
        var offsets: [Int64]
        /// Of its marker; nil while it is open.
        var markerOffset: Int64?
        var isAborted = false
    }

    /// The transactions with a record below the end, in the order of their first offsets. A marker's value
    /// says whether it aborts.
    var transactions: [Transaction] {
        var open: [Int64: Int] = [:]
        var all: [Transaction] = []
        for offset in 0..<endOffset {
            guard let producer = self[offset].producer, producer.isTransactional else { continue }
            if self[offset].isControl {
                guard let index = open.removeValue(forKey: producer.producerID) else { continue }
                all[index].markerOffset = offset
                all[index].isAborted = self[offset].value == Self.abort
            } else if let index = open[producer.producerID] {
                all[index].offsets.append(offset)
            } else {
                open[producer.producerID] = all.count
                all.append(
                    Transaction(producerID: producer.producerID, firstOffset: offset, offsets: [offset]))
            }
        }
        return all
    }

    static let abort: [UInt8] = [0]
    static let commit: [UInt8] = [1]

    /// The first of the transaction's records that a reader from `start` on still finds.
    func firstVisible(of transaction: Transaction, from start: Int64) -> Int64? {
        transaction.offsets.first { $0 >= start && !self[$0].compaction.isGone }
    }

    /// The first offset that read_committed readers may not see. A restart forgets, as Kafka's does, that a
    /// transaction counts as open until its marker is replicated, and what lies below the log start. The
    /// upper bound is what no committed reader may ever pass.
    func lastStableOffset(from start: Int64) -> ClosedRange<Int64> {
        let all = transactions
        let visible = all.filter { $0.markerOffset == nil }.compactMap { firstVisible(of: $0, from: start) }
        let upper = min(highWatermark, visible.min() ?? highWatermark)
        let unreplicated = all.filter { $0.markerOffset.map { $0 >= highWatermark } ?? true }
        return min(upper, unreplicated.map(\.firstOffset).min() ?? upper)...upper
    }

    // MARK: Compaction

    /// A round over everything below `end` has been planned. Where it puts a segment in place, a record may
    /// be left out that has a later one of its key, or was aborted, or deletes its key and was met by a
    /// committed round so long ago. *May*: a map that is too small for all keys makes the round end earlier.
    mutating func planCompaction(below end: Int64, now: Int64, retention: Int64) {
        planned = entries[..<Int(end)].map(\.compaction)
        for transaction in transactions where transaction.isAborted {
            for offset in transaction.offsets where offset < end { planned[Int(offset)].isAborted = true }
        }
        let latest = latestOffsets(below: end) { planned[Int($0)].isAborted }
        for offset in 0..<end {
            let entry = self[offset]
            if entry.isControl || entry.value == nil {
                if let horizon = entry.compaction.horizon, horizon <= now {
                    planned[Int(offset)].mayBeGone = true
                }
                planned[Int(offset)].horizon = entry.compaction.horizon ?? now + retention
            }
            if !entry.isControl, planned[Int(offset)].isAborted || latest[entry.key ?? []] != offset {
                planned[Int(offset)].mayBeGone = true
            }
        }
    }

    /// The round has put its segment in the place of those that held these offsets.
    mutating func commitCompaction(of offsets: Range<Int64>) {
        isCompacted = true
        for offset in offsets where offset < planned.count {
            planned[Int(offset)].isGone = self[offset].compaction.isGone
            entries[Int(offset)].compaction = planned[Int(offset)]
        }
    }

    /// The offset of the record that stands for each key.
    private func latestOffsets(below end: Int64, isAborted: (Int64) -> Bool) -> [[UInt8]: Int64] {
        var latest: [[UInt8]: Int64] = [:]
        for offset in 0..<end where !self[offset].isControl && !isAborted(offset) {
            if let key = self[offset].key { latest[key] = offset }
        }
        return latest
    }

    mutating func noteGone(_ offset: Int64) { entries[Int(offset)].compaction.isGone = true }

    /// A record that a round, after which everything below `end` is clean, should have left out.
    func uncleaned(from start: Int64, below end: Int64) -> Int64? {
        let latest = latestOffsets(below: end) { self[$0].compaction.isAborted }
        return (start..<max(start, end)).first { offset in
            let entry = self[offset]
            return !entry.isControl && !entry.compaction.isGone
                && (entry.compaction.isAborted || latest[entry.key ?? []] != offset)
        }
    }

    /// An older record of a key that is there though a newer one is gone, which had deleted or replaced it.
    func resurrected(from start: Int64) -> Int64? {
        var newestGone: [[UInt8]: Int64] = [:]
        for offset in stride(from: endOffset - 1, through: start, by: -1) {
            let entry = self[offset]
            guard !entry.isControl, !entry.compaction.isAborted, let key = entry.key else { continue }
            if self[offset].compaction.isGone {
                newestGone[key] = newestGone[key] ?? offset
            } else if newestGone[key] != nil {
                return offset
            }
        }
        return nil
    }

    /// Where a truncation to `target` may end: a batch goes whole, and a gap before it too. Of a batch that
    /// compaction has emptied something may be left, so that the gap is not as long as records are missing.
    func lowestEnd(ofTruncationTo target: Int64) -> Int64 {
        var end = self[target].batchOffset
        while end > startOffset, self[end - 1].compaction.mayBeGone { end = self[end - 1].batchOffset }
        return end
    }
}
