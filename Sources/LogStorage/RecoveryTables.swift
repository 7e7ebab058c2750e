internal import RecordFormat

// Recovery, written as three tables that the code runs. A test walks every combination of facts and shows
// that exactly one row answers it.
//
// What a crash can leave, and why the rows are safe:
//
// - An append reaches the log file, its index entries reach the mapped index files, and the producer snapshot
//   is written, in any order, whole or torn by sectors, or not at all: everything at or above the recovery
//   point is suspect and looked at again, everything below was synced before the recovery point was written
//   down.
// - Blocks are allocated ahead of the log's end (zeros), and a new segment may be a recycled file (old
//   batches, all with offsets below the segment's base offset): both end the log, neither is damage.
// - Compaction writes `.cleaned` files, makes them durable, renames them to `.swap`, removes what they
//   replace and renames them to their final names. A `.cleaned` file is unfinished work. A `.swap` log is
//   finished and takes the place of its sources; those that are left are still right, only not compacted, and
//   are removed when the swap covers them.
// - Deletion renames files to `.deleted` (the log file first) before it removes them; a segment whose log
//   file is gone is deleted, whatever else is left of it.

/// What is done with a file found in a partition's directory.
enum FileAction: Equatable, Sendable {
    case keep
    /// Unfinished or superseded: removed.
    case remove
    /// Renamed to its final name; a log then takes the place of the segments that it covers.
    case completeSwap
}

/// Table 1: files by name.
enum FileRecovery {
    struct Facts: Hashable, Sendable {
        let kind: LogFileKind
        let suffix: LogFileSuffix?
        /// A log file with the same base offset (and the same suffix, for `.swap`) is there.
        let hasLog: Bool
    }

    struct Row: Sendable {
        let name: String
        let applies: @Sendable (Facts) -> Bool
        let action: FileAction
    }

    static let table: [Row] = [
        Row(name: "deleted: the removal is finished", applies: { $0.suffix == .deleted }, action: .remove),
        Row(
            name: "cleaned: a compaction that did not finish", applies: { $0.suffix == .cleaned },
            action: .remove),
        Row(
            name: "swap with its log: a compaction that finished",
            applies: { $0.suffix == .swap && ($0.hasLog || $0.kind == .log) }, action: .completeSwap),
        Row(
            name: "swap without its log: the log was renamed already, or never",
            applies: { $0.suffix == .swap && !$0.hasLog && $0.kind != .log }, action: .remove),
        Row(
            name: "a log, or a snapshot (which belongs to an offset, not to a segment)",
            applies: { $0.suffix == nil && ($0.kind == .log || $0.kind == .producerSnapshot) },
            action: .keep),
        Row(
            name: "an index with its log", applies: { $0.suffix == nil && $0.kind.isIndex && $0.hasLog },
            action: .keep),
        Row(
            name: "an index without its log: a deletion that did not finish",
            applies: { $0.suffix == nil && $0.kind.isIndex && !$0.hasLog }, action: .remove),
    ]

    static func action(for facts: Facts) -> FileAction? { table.first { $0.applies(facts) }?.action }
}

extension LogFileKind {
    var isIndex: Bool { self == .offsetIndex || self == .timeIndex || self == .transactionIndex }
}

/// What is done with a segment before the log is opened.
enum SegmentAction: Equatable, Sendable {
    /// Nothing is read.
    case trust
    /// Only the end of its last batch is looked for, what the file has beyond is cut off, and its size made
    /// durable.
    case trim
    /// Index entries below the recovery point are kept, batches from there on are read.
    case scanFromRecoveryPoint
    /// The whole segment is read and its indexes are made anew.
    case rebuild
}

/// Table 2: segments by what is known of them.
enum SegmentRecovery {
    enum Extent: CaseIterable, Hashable, Sendable {
        /// Ends below the recovery point.
        case below
        /// Ends at the recovery point, which may have been written down before the segment was rolled.
        case ending
        /// Begins below the recovery point and may end above it.
        case across
        /// Begins at or above the recovery point.
        case above
    }

    enum IndexState: CaseIterable, Hashable, Sendable {
        /// Present, of a right size, its last entry within the log.
        case sane
        case missingOrDamaged
    }

    struct Facts: Hashable, Sendable {
        /// The broker was stopped in order, and nothing was appended since.
        let wasShutDownCleanly: Bool
        let extent: Extent
        let indexes: IndexState
    }

    struct Row: Sendable {
        let name: String
        let applies: @Sendable (Facts) -> Bool
        let action: SegmentAction
    }

    static let table: [Row] = [
        Row(
            name: "indexes lost or damaged: made anew from the batches",
            applies: { $0.indexes == .missingOrDamaged }, action: .rebuild),
        Row(
            name: "stopped in order: everything was synced",
            applies: { $0.indexes == .sane && $0.wasShutDownCleanly }, action: .trust),
        Row(
            name: "crash, but below the recovery point: synced with its indexes",
            applies: { $0.indexes == .sane && !$0.wasShutDownCleanly && $0.extent == .below },
            action: .trust),
        Row(
            name: "crash, ends at the recovery point: synced, but what was allocated ahead may be back",
            applies: { $0.indexes == .sane && !$0.wasShutDownCleanly && $0.extent == .ending },
            action: .trim),
        Row(
            name: "crash, recovery point inside: the part behind it is suspect",
            applies: { $0.indexes == .sane && !$0.wasShutDownCleanly && $0.extent == .across },
            action: .scanFromRecoveryPoint),
        Row(
            name: "crash, above the recovery point: all of it is suspect",
            applies: { $0.indexes == .sane && !$0.wasShutDownCleanly && $0.extent == .above },
            action: .rebuild),
    ]

    static func action(for facts: Facts) -> SegmentAction? { table.first { $0.applies(facts) }?.action }
}

/// What is done where a scan stopped.
enum TailAction: Equatable, Sendable {
    /// The segment ends here, as it should; what the file has beyond is cut off.
    case accept
    /// The file is cut here and later segments are dropped: what follows was never promised to anybody.
    case cut
    /// The bytes stay where they are and are reported; the log goes on in a later segment.
    case reportDamage
}

/// Table 3: how a scan ended.
enum TailRecovery {
    enum End: CaseIterable, Hashable, Sendable {
        /// At the end of the file.
        case endOfFile
        /// At zeros: allocated ahead.
        case zeros
        /// At a batch whose offsets lie below those before it: what a recycled file held.
        case oldBatch
        /// At something that is no whole, sound batch.
        case invalid
    }

    enum Reach: CaseIterable, Hashable, Sendable {
        /// No segment follows.
        case last
        /// The next segment goes on with exactly the offset that is due.
        case complete
        /// The next segment begins later, this one has gaps, and they may come from compaction: the scan
        /// stopped below the recovery point, or the next segment begins at or below the cleaner offset, or
        /// neither of the two is known. Compaction here never leaves a gap before the next segment: this is
        /// a log that Kafka wrote.
        case compacted
        /// The next segment begins later, and compaction has nothing to do with it: the tail is missing. Gaps
        /// do not count here, because a follower copies those of its leader.
        case short
    }

    struct Facts: Hashable, Sendable {
        let end: End
        let reach: Reach
        /// Batches below the recovery point are still missing where the scan stopped.
        let isBelowRecoveryPoint: Bool
    }

    struct Row: Sendable {
        let name: String
        let applies: @Sendable (Facts) -> Bool
        let action: TailAction
    }

    static let table: [Row] = [
        Row(
            name:
                "up to the next segment: what follows in the file was allocated ahead and not yet given back",
            applies: { $0.reach == .complete }, action: .accept),
        Row(
            name: "end of the last segment",
            applies: { $0.reach == .last && $0.end == .endOfFile && !$0.isBelowRecoveryPoint },
            action: .accept),
        Row(
            name: "end of a compacted segment", applies: { $0.reach == .compacted && $0.end == .endOfFile },
            action: .accept),
        Row(
            name:
                "a hole behind the recovery point: later segments reached the disk first",
            applies: { $0.reach == .short && $0.end == .endOfFile && !$0.isBelowRecoveryPoint },
            action: .cut),
        Row(
            name: "end of the file where synced batches must be: they are lost, and that is said",
            applies: {
                ($0.reach == .last || $0.reach == .short) && $0.end == .endOfFile && $0.isBelowRecoveryPoint
            }, action: .reportDamage),
        Row(
            name: "behind the recovery point: a torn or unwritten tail",
            applies: { $0.reach != .complete && $0.end != .endOfFile && !$0.isBelowRecoveryPoint },
            action: .cut),
        Row(
            name: "below the recovery point: synced bytes are damaged, never dropped",
            applies: { $0.reach != .complete && $0.end != .endOfFile && $0.isBelowRecoveryPoint },
            action: .reportDamage),
    ]

    static func action(for facts: Facts) -> TailAction? { table.first { $0.applies(facts) }?.action }
}
