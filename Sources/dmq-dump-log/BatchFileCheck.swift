import LogStorage
import RecordFormat
import SystemIO

/// Ranges of a log file that were reported, so that an index that points there is not blamed as well.
struct DamagedRanges {
    /// More than this are not remembered: the file is lost anyway.
    private static let maximumCount = 4096

    private var ranges: [Range<Int64>] = []

    var isEmpty: Bool { ranges.isEmpty }

    mutating func add(_ range: Range<Int64>) {
        if ranges.count < Self.maximumCount { ranges.append(range) }
    }

    /// Whether `position` lies in one of them.
    func contains(_ position: Int64) -> Bool { ranges.contains { $0.contains(position) } }
}

/// Checks a file of batches: everything that shows without looking at other files.
final class BatchFileCheck {
    private let path: String
    private let extent: LogExtent
    private let nextBaseOffset: Offset?
    private let fileSystem: any FileSystem
    private let output: DumpOutput
    private let counts: VerifiedCounts
    private let decompressor = Decompressor()
    private var leaderEpoch = LeaderEpoch.none
    private(set) var damaged = DamagedRanges()

    /// What follows the batches: where the checks of the indexes join in.
    typealias Follower = (RecordBatchHeader, Int64, ControlRecord?) throws(DumpFailure) -> Void

    init(
        _ path: String, _ extent: LogExtent, nextBaseOffset: Offset? = nil, _ fileSystem: any FileSystem,
        _ output: DumpOutput, _ counts: VerifiedCounts
    ) {
        self.path = path
        self.extent = extent
        self.nextBaseOffset = nextBaseOffset
        self.fileSystem = fileSystem
        self.output = output
        self.counts = counts
    }

    /// Reads the file to its end.
    /// - Parameter follower: gets every sound batch, its position, and, of a control batch, its first record.
    @discardableResult
    func run(
        _ progress: inout DumpProgress, _ follower: Follower = { (_, _, _) throws(DumpFailure) in }
    ) throws(DumpFailure) -> SegmentReader {
        let reader = try DumpFailure.reading { () throws(IOError) in try SegmentReader(path, fileSystem) }
        counts.fileCount += 1
        var scan = LogScan(reader, extent)
        while true {
            let before = scan.position
            let event = try DumpFailure.reading { () throws(IOError) in try scan.next() }
            progress.advance(scan.position - before)
            counts.byteCount += scan.position - before
            switch event {
            case .batch(let header, let position):
                counts.batchCount += 1
                let control = try check(header, position, reader)
                try follower(header, position, control)
            case .damage(let position, let byteCount, _):
                damaged.add(position..<position + byteCount)
                try report(event)
            case .allocatedAhead, .recycledTail: try report(event)
            case .end: return reader
            }
        }
    }

    private func report(_ event: LogEvent) throws(DumpFailure) {
        try DumpFailure.writing { () throws(IOError) in try event.report(path, to: output) }
    }

    private func damage(_ header: RecordBatchHeader, _ position: Int64, _ reason: String) throws(DumpFailure)
    {
        try DumpFailure.writing { () throws(IOError) in
            try output.damage(path, position: position, byteCount: Int64(header.byteCount), reason)
        }
    }

    /// Checks the records of a batch.
    /// - Returns: the first record of a control batch.
    private func check(
        _ header: RecordBatchHeader, _ position: Int64, _ reader: SegmentReader
    ) throws(DumpFailure) -> ControlRecord? {
        if header.partitionLeaderEpoch < leaderEpoch {
            try damage(
                header, position,
                "leader epoch \(header.partitionLeaderEpoch) after \(leaderEpoch), epochs never fall")
        } else {
            leaderEpoch = header.partitionLeaderEpoch
        }
        if let nextBaseOffset, header.lastOffset >= nextBaseOffset {
            try damage(
                header, position,
                "last offset \(header.lastOffset) passes the next segment's base offset, \(nextBaseOffset)")
        }
        let batch = try DumpFailure.reading { () throws(IOError) in try reader.batch(header, at: position) }
        guard let batch else {
            try damage(header, position, "the file was cut off while it was read")
            return nil
        }
        counts.recordCount += Int64(header.recordCount)
        if let fault = fault(in: batch, header) {
            try damage(header, position, fault)
            return nil
        }
        guard header.attributes.isControl, header.recordCount > 0 else { return nil }
        switch firstControlRecord(of: batch, header) {
        case .success(let control): return control
        case .failure(let fault):
            try damage(header, position, fault.reason)
            return nil
        }
    }

    /// What is wrong with the records of a batch; nil when nothing is.
    private func fault(in batch: BufferSlice, _ header: RecordBatchHeader) -> String? {
        do throws(RecordBatchError) {
            let summary = try RecordBatch.validateRecords(
                batch.bytes, header: header, decompressor: decompressor, requireConsecutiveOffsets: false)
            guard summary.maxTimestamp > header.maxTimestamp else { return nil }
            return "record \(summary.offsetOfMaxTimestamp) has timestamp \(summary.maxTimestamp), but the"
                + " batch says that none is above \(header.maxTimestamp)"
        } catch {
            return error.description
        }
    }

    private struct ControlFault: Error {
        let reason: String
    }

    private func firstControlRecord(
        of batch: BufferSlice, _ header: RecordBatchHeader
    ) -> Result<ControlRecord?, ControlFault> {
        do {
            var cursor = try RecordCursor(batch.bytes, header: header, decompressor: decompressor)
            guard let view = try cursor.next() else { return .success(nil) }
            return .success(try ControlText.decode(Record(view)))
        } catch {
            return .failure(ControlFault(reason: "\(error)"))
        }
    }
}
