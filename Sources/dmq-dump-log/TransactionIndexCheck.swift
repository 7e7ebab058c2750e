import LogStorage
import RecordFormat
import SystemIO

/// The index of aborted transactions against the abort markers of the log, while that is read.
struct TransactionIndexCheck {
    let entries: TransactionEntries?
    private let segment: SegmentFiles
    private let output: DumpOutput
    private var nextIndex = 0
    private var previousLastOffset = Int64.min
    /// First offsets of the transactions that began in this segment and are open.
    private var open: [ProducerID: Offset] = [:]

    /// - Parameter entries: nil when there is no file, as in a segment without aborted transactions.
    init(_ entries: TransactionEntries?, _ segment: SegmentFiles, _ output: DumpOutput) {
        self.entries = entries
        self.segment = segment
        self.output = output
    }

    mutating func follow(
        _ header: RecordBatchHeader, _ position: Int64, _ control: ControlRecord?, logIsWhole: Bool
    ) throws(DumpFailure) {
        try passEntries(below: header.baseOffset.rawValue, logIsWhole: logIsWhole)
        guard header.attributes.isTransactional else { return }
        guard header.attributes.isControl else {
            if open[header.producerID] == nil { open[header.producerID] = header.baseOffset }
            return
        }
        guard case .endTransaction(let isCommit, _) = control else { return }
        let first = open.removeValue(forKey: header.producerID)
        let found = try entryOf(header.baseOffset)
        if isCommit {
            if let (index, _) = found {
                try report(index, "offset \(header.baseOffset) is a commit marker, of no aborted transaction")
            }
            return
        }
        guard let (index, entry) = found else {
            if first != nil && logIsWhole { try missing(header, position) }
            return
        }
        if entry.producerID != header.producerID.rawValue {
            try report(
                index,
                "producer \(entry.producerID), but the marker \(header.baseOffset) is of producer"
                    + " \(header.producerID)")
        } else if let first, logIsWhole, entry.firstOffset != first.rawValue {
            try report(index, "first offset \(entry.firstOffset), but the transaction begins with \(first)")
        } else if entry.firstOffset >= entry.lastOffset || entry.firstOffset < 0 {
            try report(index, "first offset \(entry.firstOffset) of a marker at \(entry.lastOffset)")
        }
    }

    mutating func finish(logIsWhole: Bool) throws(DumpFailure) {
        try passEntries(below: Int64.max, logIsWhole: logIsWhole)
    }

    private func report(_ index: Int, _ reason: String) throws(DumpFailure) {
        try entries?.file.report(index, reason, to: output)
    }

    private func missing(_ header: RecordBatchHeader, _ position: Int64) throws(DumpFailure) {
        try DumpFailure.writing { () throws(IOError) in
            try output.damage(
                segment.path(.transactionIndex), position: entries?.file.position(of: nextIndex) ?? 0,
                byteCount: 0,
                "no entry for the abort marker \(header.baseOffset) of producer \(header.producerID), at"
                    + " position \(position) of the log")
        }
    }

    private func entry(_ index: Int) throws(DumpFailure) -> TransactionEntries.Entry? {
        guard let entries, index < entries.file.count else { return nil }
        return try DumpFailure.reading { () throws(IOError) in try entries.entry(index) }
    }

    /// The entry of the marker at `offset`, which is the next one if it is there.
    private mutating func entryOf(_ offset: Offset) throws(DumpFailure) -> (Int, TransactionEntries.Entry)? {
        guard let entry = try entry(nextIndex), entry.lastOffset == offset.rawValue else { return nil }
        let index = nextIndex
        nextIndex += 1
        try checkAlone(index, entry)
        return (index, entry)
    }

    /// Entries that no marker was found for.
    private mutating func passEntries(below offset: Int64, logIsWhole: Bool) throws(DumpFailure) {
        while let entry = try entry(nextIndex) {
            // One that points far ahead does not keep those behind it from being looked at.
            let following = try self.entry(nextIndex + 1)
            let isAhead =
                following.map { $0.lastOffset <= entry.lastOffset && $0.lastOffset < offset } ?? false
            guard entry.lastOffset < offset || isAhead else { return }
            let index = nextIndex
            nextIndex += 1
            try checkAlone(index, entry)
            if logIsWhole { try report(index, "offset \(entry.lastOffset) is no abort marker in the log") }
        }
    }

    private mutating func checkAlone(_ index: Int, _ entry: TransactionEntries.Entry) throws(DumpFailure) {
        if entry.version != 0 { try report(index, "version \(entry.version), only 0 is known") }
        if entry.lastOffset <= previousLastOffset {
            try report(index, "last offset \(entry.lastOffset) after \(previousLastOffset) does not rise")
        }
        previousLastOffset = max(previousLastOffset, entry.lastOffset)
    }
}
