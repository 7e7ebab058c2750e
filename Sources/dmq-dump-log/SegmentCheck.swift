import LogStorage
import RecordFormat
import SystemIO

/// Checks a segment: its batches, and its indexes against them.
struct SegmentCheck {
    private let segment: SegmentFiles
    private let fileSystem: any FileSystem
    private let output: DumpOutput
    private let counts: VerifiedCounts

    init(
        _ segment: SegmentFiles, _ fileSystem: any FileSystem, _ output: DumpOutput, _ counts: VerifiedCounts
    ) {
        self.segment = segment
        self.fileSystem = fileSystem
        self.output = output
        self.counts = counts
    }

    func run(_ progress: inout DumpProgress) throws(DumpFailure) {
        guard segment.present.contains(.log) else { return try withoutLog() }
        // What waits to be removed, or was being written by compaction, may have lost files already.
        if segment.suffix == nil {
            for kind in [LogFileKind.offsetIndex, .timeIndex] where !segment.present.contains(kind) {
                try damage(
                    segment.path(kind), 0, 0, "the file is missing; a broker makes it anew from the log")
            }
        }
        let check = BatchFileCheck(
            segment.path(.log), segment.extent, nextBaseOffset: segment.nextBaseOffset, fileSystem, output,
            counts)
        var times = try open(.timeIndex) { (path) throws(IOError) in
            TimeIndexCheck(try TimeEntries(path, fileSystem), segment, output)
        }
        var transactions = TransactionIndexCheck(
            try open(.transactionIndex) { (path) throws(IOError) in try TransactionEntries(path, fileSystem)
            },
            segment, output)
        let reader = try check.run(&progress) { (header, position, control) throws(DumpFailure) in
            try times?.follow(header, logIsWhole: check.damaged.isEmpty)
            try transactions.follow(header, position, control, logIsWhole: check.damaged.isEmpty)
        }
        try times?.finish(logIsWhole: check.damaged.isEmpty)
        try transactions.finish(logIsWhole: check.damaged.isEmpty)
        let offsets = try open(.offsetIndex) { (path) throws(IOError) in try OffsetEntries(path, fileSystem) }
        if let offsets { try OffsetIndexCheck(offsets, segment, output).run(reader, check.damaged) }
        for file in [offsets?.file, times?.entries.file, transactions.entries?.file] {
            guard let file else { continue }
            counts.fileCount += 1
            counts.entryCount += file.count
            counts.byteCount += file.fileByteCount
            try DumpFailure.writing { () throws(IOError) in try IndexDump.noteRest(of: file, segment, output)
            }
        }
    }

    private func open<Entries>(
        _ kind: LogFileKind, _ body: (String) throws(IOError) -> Entries
    ) throws(DumpFailure) -> Entries? {
        guard segment.present.contains(kind) else { return nil }
        return try DumpFailure.reading { () throws(IOError) in try body(segment.path(kind)) }
    }

    private func withoutLog() throws(DumpFailure) {
        for kind in segment.asked {
            let path = segment.path(kind)
            let byteCount = try DumpFailure.reading { () throws(IOError) in
                try fileSystem.attributes(of: path)?.byteCount ?? 0
            }
            counts.fileCount += 1
            if segment.suffix == nil {
                try damage(path, 0, byteCount, "an index without its log; a broker removes it")
            } else {
                try DumpFailure.writing { () throws(IOError) in
                    try output.information(
                        path, position: 0, byteCount: byteCount, "an index without its log")
                }
            }
        }
    }

    private func damage(
        _ path: String, _ position: Int64, _ byteCount: Int64, _ reason: String
    ) throws(DumpFailure) {
        try DumpFailure.writing { () throws(IOError) in
            try output.damage(path, position: position, byteCount: byteCount, reason)
        }
    }
}

extension EntryFile {
    /// Reports entry `index` as damaged.
    func report(_ index: Int, _ reason: String, to output: DumpOutput) throws(DumpFailure) {
        try DumpFailure.writing { () throws(IOError) in
            try output.damage(
                path, position: position(of: index), byteCount: Int64(entryByteCount),
                "entry \(index): \(reason)")
        }
    }
}

/// Walks entries that must rise and tells which of them do not. Where two neighbours do not go together,
/// the one that fits its other neighbour is believed.
struct RisingEntries<Value> {
    private let count: Int
    private let entry: (Int) throws(IOError) -> Value
    /// Whether the second may come after the first.
    private let rises: (Value, Value) -> Bool
    private var nextIndex = 0
    private var previous: Value?

    init(
        _ count: Int, _ entry: @escaping (Int) throws(IOError) -> Value,
        rises: @escaping (Value, Value) -> Bool
    ) {
        self.count = count
        self.entry = entry
        self.rises = rises
    }

    enum Step {
        case sound(Int, Value)
        case wrong(Int, Value, neighbour: Value)
    }

    mutating func next() throws(DumpFailure) -> Step? {
        guard nextIndex < count else { return nil }
        let index = nextIndex
        nextIndex += 1
        let value = try DumpFailure.reading { () throws(IOError) in try entry(index) }
        if let previous, !rises(previous, value) { return .wrong(index, value, neighbour: previous) }
        if index + 1 < count {
            let following = try DumpFailure.reading { () throws(IOError) in try entry(index + 1) }
            if !rises(value, following), try isSound(following, after: index + 1) {
                return .wrong(index, value, neighbour: following)
            }
        }
        previous = value
        return .sound(index, value)
    }

    /// Whether `value`, at `index`, comes after what was believed last and before what follows it.
    private func isSound(_ value: Value, after index: Int) throws(DumpFailure) -> Bool {
        if let previous, !rises(previous, value) { return false }
        guard index + 1 < count else { return previous != nil }
        let following = try DumpFailure.reading { () throws(IOError) in try entry(index + 1) }
        return rises(value, following)
    }
}

/// The offset index against the log: where each entry points, a batch must begin, and its offset must end a
/// batch.
struct OffsetIndexCheck {
    /// Batches that were appended at once have one entry; further than this nobody appends at once.
    private static let maximumGroup = 100_000

    private let entries: OffsetEntries
    private let segment: SegmentFiles
    private let output: DumpOutput

    init(_ entries: OffsetEntries, _ segment: SegmentFiles, _ output: DumpOutput) {
        self.entries = entries
        self.segment = segment
        self.output = output
    }

    func run(_ reader: SegmentReader, _ damaged: DamagedRanges) throws(DumpFailure) {
        var rising = RisingEntries(entries.file.count, entries.entry) {
            $1.relativeOffset > $0.relativeOffset && $1.position > $0.position
        }
        while let step = try rising.next() {
            switch step {
            case .sound(let index, let entry):
                if damaged.contains(entry.position) { continue }
                let reason = try DumpFailure.reading { () throws(IOError) in
                    try fault(in: entry, reader, damaged)
                }
                if let reason { try entries.file.report(index, reason, to: output) }
            case .wrong(let index, let entry, let neighbour):
                try entries.file.report(
                    index,
                    "offset \(offset(entry)) at \(entry.position) does not rise beside offset"
                        + " \(offset(neighbour)) at \(neighbour.position)", to: output)
            }
        }
    }

    private func offset(_ entry: OffsetEntries.Entry) -> Int64 {
        segment.baseOffset.rawValue &+ entry.relativeOffset
    }

    private func fault(
        in entry: OffsetEntries.Entry, _ reader: SegmentReader, _ damaged: DamagedRanges
    ) throws(IOError) -> String? {
        guard entry.relativeOffset >= 0, entry.position >= 0, entry.position < reader.byteCount else {
            return "offset \(offset(entry)) at \(entry.position), in a log of \(reader.byteCount) bytes"
        }
        guard case .success(let first) = try reader.header(at: entry.position),
            try reader.checksum(of: first, at: entry.position) == first.crc
        else { return "no batch begins at position \(entry.position)" }
        guard first.baseOffset.rawValue <= offset(entry) else {
            return "the batch at position \(entry.position) begins with offset \(first.baseOffset),"
                + " behind the entry's \(offset(entry))"
        }
        var header = first
        var position = entry.position
        for _ in 0..<Self.maximumGroup where header.lastOffset.rawValue < offset(entry) {
            position += Int64(header.byteCount)
            if damaged.contains(position) { return nil }
            guard position < reader.byteCount, case .success(let next) = try reader.header(at: position)
            else {
                return "offset \(offset(entry)) lies behind the end of the log"
            }
            header = next
        }
        guard header.lastOffset.rawValue == offset(entry) else {
            return "no batch ends with offset \(offset(entry)), as that of an entry for position"
                + " \(entry.position) must"
        }
        return nil
    }
}
