import Base
import RecordFormat
import SimulationKit
import SystemIO

@testable import LogStorage

/// A slow, obvious model of a compacted log: every record ever appended, and what has become of it.
struct CleanerModel {
    struct Entry: Equatable {
        let record: Record
        /// Base offset of its batch.
        let batch: Int64
        /// Last offset of its batch.
        let batchEnd: Int64
        var isGone = false
        var offset: Int64 { record.offset.rawValue }
    }

    private(set) var entries: [Entry] = []
    /// First offset and marker of aborted transactions, by producer.
    private(set) var aborted: [(producer: Int64, range: ClosedRange<Int64>)] = []
    /// Base offsets of batches by the producer of their transaction.
    private var transactional: [Int64: Int64] = [:]
    /// Delete horizons by base offset of the batch.
    private var horizons: [Int64: Int64] = [:]

    mutating func append(_ records: [Record], transactionOf producer: Int64?) {
        let base = records[0].offset.rawValue
        let end = records[records.count - 1].offset.rawValue
        for record in records { entries.append(Entry(record: record, batch: base, batchEnd: end)) }
        if let producer { transactional[base] = producer }
    }

    mutating func abort(_ producer: Int64, _ range: ClosedRange<Int64>) { aborted.append((producer, range)) }

    mutating func truncate(to offset: Int64) {
        entries.removeAll { $0.offset >= offset }
        aborted.removeAll { $0.range.upperBound >= offset }
    }

    private func isAborted(_ entry: Entry) -> Bool {
        guard let producer = transactional[entry.batch] else { return false }
        return aborted.contains { $0.producer == producer && $0.range.contains(entry.batch) }
    }

    /// A round that knew the keys below `end` and rewrote the segments below `rewrittenEnd`.
    mutating func clean(below end: Int64, rewrittenBelow rewrittenEnd: Int64, now: Int64, retention: Int64) {
        var latest: [[UInt8]: Int64] = [:]
        for entry in entries where entry.offset < end && !isAborted(entry) {
            if let key = entry.record.key { latest[key] = entry.offset }
        }
        var tombstones: Set<Int64> = []
        for index in entries.indices where entries[index].batch < rewrittenEnd && !entries[index].isGone {
            let entry = entries[index]
            if isAborted(entry) {
                entries[index].isGone = true
            } else if entry.offset < end {
                let isLatest = entry.record.key.map { latest[$0] == entry.offset } ?? false
                let isOver = entry.record.value == nil && horizons[entry.batch].map { $0 <= now } ?? false
                if !isLatest || isOver { entries[index].isGone = true }
            }
            if !entries[index].isGone, entry.record.value == nil, entry.batchEnd < end {
                tombstones.insert(entry.batch)
            }
        }
        for batch in tombstones where horizons[batch] == nil { horizons[batch] = now + retention }
    }

    /// What a reader who sees aborted records too must find.
    var records: [Record] { entries.filter { !$0.isGone }.map(\.record) }

    func horizon(ofBatch base: Int64) -> Int64? { horizons[base] }
}

/// Random appends with keys, tombstones, producers and transactions, in all codecs, to a log and its model.
final class CleanerWorkload {
    let fixture: LogFixture
    var log: PartitionLog
    var model = CleanerModel()
    var generator: SeededGenerator
    var keyCount = 20
    private let compressor = Compressor()
    /// Next sequence by producer.
    private var sequences: [Int64: Int32] = [:]
    /// First offset of the open transaction by producer.
    private var open: [Int64: Int64] = [:]

    init(seed: UInt64, configure: (inout LogConfiguration) -> Void = { _ in }) throws {
        var configuration = LogFixture.smallSegments()
        configuration.cleanupPolicy = .compact
        configuration.minimumCleanableDirtyRatio = 0
        configuration.deleteRetentionMilliseconds = 10_000
        configure(&configuration)
        fixture = try LogFixture(configuration: configuration, seed: seed)
        generator = SeededGenerator(seed: seed)
        log = try fixture.open()
    }

    func key(_ number: Int) -> [UInt8] { Array("key-\(number)".utf8) }

    /// A batch of random records.
    func appendBatch(
        producer: Int64? = nil, isTransactional: Bool = false, codec: CompressionCodec? = nil,
        count: Int? = nil
    ) throws {
        let codec = codec ?? CompressionCodec.allCases[Int(generator.next() % 5)]
        let count = count ?? Int(generator.next() % 6) + 1
        let base = log.logEndOffset.rawValue
        let now = fixture.clock.wallClockMilliseconds()
        var records: [Record] = []
        for index in 0..<count {
            let isKeyless = generator.chance(1, in: 20)
            let length = Int(generator.next() % 120)
            records.append(
                Record(
                    offset: Offset(base + Int64(index)),
                    timestamp: Timestamp(now - Int64(generator.next() % 50)),
                    key: isKeyless ? nil : key(Int(generator.next() % UInt64(keyCount))),
                    value: generator.chance(1, in: 5)
                        ? nil : Array("\(base + Int64(index))-".utf8) + Array(repeating: 0x61, count: length),
                    headers: generator.chance(1, in: 4) ? [RecordHeader("trace", [1, 2, 3])] : []))
        }
        try append(records, producer: producer, isTransactional: isTransactional, codec: codec)
    }

    /// A batch of these records, whose offsets must continue the log.
    func append(
        _ records: [Record], producer: Int64? = nil, isTransactional: Bool = false,
        codec: CompressionCodec = .none
    ) throws {
        var builder = RecordBatchBuilder(codec: codec, isTransactional: isTransactional)
        if let producer {
            builder.producerID = ProducerID(producer)
            builder.producerEpoch = ProducerEpoch(0)
            builder.baseSequence = SequenceNumber(sequences[producer] ?? 0)
            sequences[producer, default: 0] += Int32(records.count)
        }
        for (index, record) in records.enumerated() {
            var record = record
            record.offset = Offset(Int64(index))
            builder.append(record)
        }
        let batch = try builder.finish(compressor: compressor)
        // A compacted log refuses records without a key; what it became compacted with may have some.
        var configuration = log.configuration
        let policy = configuration.cleanupPolicy
        configuration.cleanupPolicy = .delete
        log.updateConfiguration(configuration)
        defer {
            configuration.cleanupPolicy = policy
            log.updateConfiguration(configuration)
        }
        let result = try log.appendAsLeader(
            BufferSlice(IOBuffer(copying: batch)), leaderEpoch: LeaderEpoch(0), durably: false)
        precondition(result.firstOffset == records[0].offset && !result.isDuplicate)
        model.append(records, transactionOf: isTransactional ? producer : nil)
        if let producer, isTransactional, open[producer] == nil {
            open[producer] = records[0].offset.rawValue
        }
    }

    func endTransaction(of producer: Int64, isAbort: Bool) throws {
        let result = try log.appendAsLeader(
            TestBatches.marker(
                isAbort: isAbort, producerID: producer, producerEpoch: 0,
                timestamp: fixture.clock.wallClockMilliseconds()),
            leaderEpoch: LeaderEpoch(0), origin: .coordinator, durably: false)
        if let first = open.removeValue(forKey: producer), isAbort {
            model.abort(producer, first...result.firstOffset.rawValue)
        }
    }

    /// One random thing.
    func step() throws {
        fixture.clock.advance(milliseconds: Int64(generator.next() % 20))
        switch generator.next() % 10 {
        case 0, 1: try appendBatch(producer: Int64(generator.next() % 3) + 1)
        case 2, 3, 4: try appendBatch(producer: Int64(generator.next() % 4) + 100, isTransactional: true)
        case 5:
            guard let producer = open.min(by: { $0.value < $1.value })?.key else { return try appendBatch() }
            try endTransaction(of: producer, isAbort: generator.chance(1, in: 2))
        default: try appendBatch()
        }
        if generator.chance(1, in: 5) { fixture.lane.flush() }
    }

    func endAllTransactions() throws {
        for producer in open.keys.sorted() {
            try endTransaction(of: producer, isAbort: generator.chance(1, in: 2))
        }
    }

    /// Everything so far is durable, replicated and checkpointed.
    func settle() throws {
        fixture.settle()
        try log.syncNow()
        log.advanceHighWatermark(to: log.logEndOffset)
        try log.noteCheckpointed(try log.prepareCheckpoint())
    }

    /// A round, all of whose groups are committed; nil when nothing is due. The model follows.
    @discardableResult
    func clean(
        dedupeByteCount: Int = 1 << 20, betweenSteps: () throws -> Void = {}
    ) throws -> CleaningSummary? {
        guard let cleanability = try log.cleanability(), cleanability.isDue(log.configuration) else {
            return nil
        }
        let round = CleaningRound(
            try log.planCleaning(cleanability), configuration: Self.small(dedupeByteCount),
            throttle: DiskThrottle(bytesPerSecond: nil, timeSource: fixture.clock, wait: { _ in }),
            secret: (1, 2))
        while true {
            try betweenSteps()
            switch try round.next() {
            case .group(let group):
                try betweenSteps()
                let isCommitted = try log.commit(group, of: round.plan)
                precondition(isCommitted)
            case .finished(let summary):
                log.finishCleaning(round.plan, summary)
                follow(round.plan, summary)
                return summary
            }
        }
    }

    static func small(_ dedupeByteCount: Int = 1 << 20) -> CleanerConfiguration {
        var configuration = CleanerConfiguration()
        configuration.dedupeByteCount = dedupeByteCount
        configuration.bufferByteCount = 700
        return configuration
    }

    func follow(_ plan: CleanerPlan, _ summary: CleaningSummary) {
        let rewrittenEnd = plan.sources.last { $0.baseOffset < summary.endOffset }?.nextBaseOffset ?? .zero
        model.clean(
            below: summary.endOffset.rawValue, rewrittenBelow: rewrittenEnd.rawValue, now: plan.now.rawValue,
            retention: plan.configuration.deleteRetentionMilliseconds)
    }

    /// A new process after a crash or a stop.
    func reopen(recoveryPoint: Offset?, clean: Bool = false) throws {
        let firstDirty = log.firstDirtyOffset
        fixture.mountAgain()
        log = try fixture.open(recoveryPoint: recoveryPoint, clean: clean)
        log.restoreFirstDirtyOffset(firstDirty)
    }
}

/// A batch as it is in the log.
struct StoredBatch: Equatable {
    let header: RecordBatchHeader
    let bytes: [UInt8]
}

/// All batches of a log, checked, read slice by slice.
func batches(of log: PartitionLog, from offset: Offset? = nil, maximumByteCount: Int = 1 << 20) throws
    -> [StoredBatch]
{
    var next = offset ?? log.logStartOffset
    var found: [StoredBatch] = []
    while let slice = try log.read(from: next, maximumByteCount: maximumByteCount, limit: .logEnd).slice {
        let buffer = IOBuffer(byteCount: slice.byteCount)
        let byteCount = try slice.file.read(into: buffer, 0..<slice.byteCount, at: slice.position)
        precondition(byteCount == slice.byteCount)
        var position = 0
        while position < slice.byteCount {
            let header = try RecordBatchHeader(parsing: buffer.bytes(position..<slice.byteCount))
            let bytes = buffer.bytes(position..<position + header.byteCount)
            try RecordBatch.validate(bytes, header: header)
            found.append(StoredBatch(header: header, bytes: bytes.withUnsafeBytes { Array($0) }))
            position += header.byteCount
        }
        precondition(slice.nextOffset > next)
        next = slice.nextOffset
    }
    return found
}

/// The records of data batches.
func records(in batches: [StoredBatch], from offset: Offset = .zero) throws -> [Record] {
    let decompressor = Decompressor()
    return try batches.filter { !$0.header.attributes.isControl }.flatMap { batch in
        try RecordBatch.records(of: batch.bytes.span.bytes, header: batch.header, decompressor: decompressor)
    }.filter { $0.offset >= offset }
}
