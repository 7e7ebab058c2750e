internal import Base
internal import RecordFormat

/// The segments of a log in the order of their base offsets; never empty once the log is open. The last is
/// the active one.
struct SegmentList {
    private(set) var all: [LogSegment] = []

    var count: Int { all.count }
    var first: LogSegment? { all.first }

    var active: LogSegment {
        // Not `last`, which allocates in a debug build: tests hold appends to allocating nothing there too.
        invariant(!all.isEmpty, "a log without a segment")
        return all[all.count - 1]
    }

    /// The index of the segment that would hold `offset`: the last with a base offset at most it. Nil before
    /// the first.
    func floorIndex(_ offset: Offset) -> Int? {
        var low = 0
        var high = all.count
        while low < high {
            let middle = (low + high) / 2
            if all[middle].baseOffset <= offset { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : low - 1
    }

    subscript(index: Int) -> LogSegment { all[index] }

    mutating func append(_ segment: LogSegment) {
        invariant(
            all.last.map { $0.baseOffset < segment.baseOffset } ?? true,
            "segment \(segment.baseOffset) behind \(all.last.map { "\($0.baseOffset)" } ?? "none")")
        all.append(segment)
    }

    /// Takes out the first `count` segments.
    mutating func removeFirst(_ count: Int) -> [LogSegment] {
        defer { all.removeFirst(count) }
        return Array(all.prefix(count))
    }

    /// Takes out the segments from `index` on.
    mutating func removeFrom(_ index: Int) -> [LogSegment] {
        defer { all.removeSubrange(index...) }
        return Array(all[index...])
    }

    /// Puts `replacement` in the place of the segments in `range`.
    mutating func replace(_ range: Range<Int>, with replacement: LogSegment) -> [LogSegment] {
        let replaced = Array(all[range])
        all.replaceSubrange(range, with: [replacement])
        return replaced
    }

    /// Bytes of valid batches in all segments.
    var byteCount: Int64 { all.reduce(0) { $0 + $1.byteCount } }
}
