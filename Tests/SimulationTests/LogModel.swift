import LogStorage
import RecordFormat

/// What a log ought to hold: the slow obvious model that the real one is compared with.
struct LogModel {
    struct Entry: Equatable {
        var value: [UInt8]
        var timestamp: Int64
        var epoch: Int32
        /// First offset of the batch that the record came in.
        var batchOffset: Int64
        var producer: ProducedBatch?
        var isControl = false
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
    var startOffset: Int64 = 0
    /// What the log reported as synced.
    var syncedOffset: Int64 = 0
    /// What the log reported as written.
    var writtenOffset: Int64 = 0
    var highWatermark: Int64 = 0

    var endOffset: Int64 { Int64(entries.count) }

    subscript(offset: Int64) -> Entry { entries[Int(offset)] }

    mutating func append(_ entry: Entry) { entries.append(entry) }

    mutating func truncate(to offset: Int64) {
        entries.removeSubrange(Int(min(offset, endOffset))...)
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
        (start..<max(start, end)).first { self[$0].timestamp >= timestamp }
    }

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

    /// The first offset that read_committed readers may not see. A restart forgets, as Kafka's does, whether
    /// a transaction whose marker is not replicated yet counts, and what lies below the log start: several
    /// answers are right then.
    func lastStableOffset(from start: Int64) -> ClosedRange<Int64> {
        let undecided = transactions.filter { $0.markerOffset == nil }
        let visible = undecided.compactMap { $0.offsets.first { $0 >= start } }.min()
        let upper = min(highWatermark, visible ?? highWatermark)
        let unreplicated = transactions.filter { $0.markerOffset.map { $0 >= highWatermark } ?? true }
        return min(upper, unreplicated.map(\.firstOffset).min() ?? upper)...upper
    }

    /// The newest batch of each producer.
    var lastBatches: [Int64: ProducedBatch] {
        var last: [Int64: ProducedBatch] = [:]
        for entry in entries where !entry.isControl {
            if let producer = entry.producer { last[producer.producerID] = producer }
        }
        return last
    }
}
