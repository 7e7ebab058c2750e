import LogStorage
import RecordFormat
import SystemIO

/// The time index against the log, while that is read: an entry holds the largest timestamp up to and
/// including the batch of its offset.
struct TimeIndexCheck {
    let entries: TimeEntries
    private let segment: SegmentFiles
    private let output: DumpOutput
    private var rising: RisingEntries<TimeEntries.Entry>
    /// The next entry that the log has to bear out.
    private var due: (index: Int, entry: TimeEntries.Entry)?
    private var hasBegun = false
    private var largestTimestamp = Timestamp.none

    init(_ entries: TimeEntries, _ segment: SegmentFiles, _ output: DumpOutput) {
        self.entries = entries
        self.segment = segment
        self.output = output
        rising = RisingEntries(entries.file.count, entries.entry) {
            $1.timestamp > $0.timestamp && $1.relativeOffset >= $0.relativeOffset
        }
    }

    private func offset(_ entry: TimeEntries.Entry) -> Int64 {
        segment.baseOffset.rawValue &+ entry.relativeOffset
    }

    private mutating func advance() throws(DumpFailure) {
        due = nil
        while due == nil, let step = try rising.next() {
            switch step {
            case .sound(let index, let entry): due = (index, entry)
            case .wrong(let index, let entry, let neighbour):
                try entries.file.report(
                    index,
                    "timestamp \(entry.timestamp) at offset \(offset(entry)) does not rise beside timestamp"
                        + " \(neighbour.timestamp) at offset \(offset(neighbour))", to: output)
            }
        }
    }

    /// - Parameter logIsWhole: whether all of the log could be read so far; otherwise entries may speak of
    ///   what was lost.
    mutating func follow(_ header: RecordBatchHeader, logIsWhole: Bool) throws(DumpFailure) {
        if !hasBegun {
            hasBegun = true
            try advance()
        }
        // An entry of an offset that lies in no batch was passed by: what the log says up to there is known.
        while let (index, entry) = due, offset(entry) < header.baseOffset.rawValue {
            try compare(index, entry, logIsWhole)
            try advance()
        }
        largestTimestamp = max(largestTimestamp, header.maxTimestamp)
        while let (index, entry) = due, offset(entry) <= header.lastOffset.rawValue {
            try compare(index, entry, logIsWhole)
            try advance()
        }
    }

    private func compare(
        _ index: Int, _ entry: TimeEntries.Entry, _ logIsWhole: Bool
    ) throws(DumpFailure) {
        let largest = largestTimestamp.rawValue
        guard entry.timestamp < largest || (logIsWhole && entry.timestamp > largest) else { return }
        try entries.file.report(
            index,
            "timestamp \(entry.timestamp) at offset \(offset(entry)), but the largest up to there is"
                + " \(largestTimestamp)", to: output)
    }

    /// - Parameter logIsWhole: whether all of the log could be read; otherwise entries may speak of what
    /// was lost.
    mutating func finish(logIsWhole: Bool) throws(DumpFailure) {
        if !hasBegun { try advance() }
        while let (index, entry) = due {
            // An empty log has an index with an entry that says so.
            let isEmpty = entry.timestamp <= 0 && entry.relativeOffset == 0
            if logIsWhole && !isEmpty {
                try entries.file.report(
                    index, "offset \(offset(entry)) lies behind the end of the log", to: output)
            }
            try advance()
        }
    }
}
