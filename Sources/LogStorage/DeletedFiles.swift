internal import Base
internal import RecordFormat
internal import SystemIO

/// Files of deleted segments, renamed to `.deleted`, that wait for `file.delete.delay.ms`.
struct DeletedFiles {
    struct Entry {
        let segment: LogSegment
        let lastOffset: Offset
        let dueMilliseconds: UInt64
    }

    private(set) var entries: [Entry] = []

    mutating func add(_ entry: Entry) { entries.append(entry) }

    /// Takes out what is due.
    mutating func takeDue(at milliseconds: UInt64) -> [Entry] {
        let due = entries.filter { $0.dueMilliseconds <= milliseconds }
        if !due.isEmpty { entries.removeAll { $0.dueMilliseconds <= milliseconds } }
        return due
    }
}
