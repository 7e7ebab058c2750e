internal import Base
public import RecordFormat
internal import SystemIO

/// The offset checkpoints of one log directory: what a restart may rely on. Any thread.
///
/// Each file is replaced whole and durably; what changes in between is kept in memory until the next `write`,
/// but for a recovery point that has to fall, which is written at once.
public final class DirectoryCheckpoints: @unchecked Sendable {
    // @unchecked: mutable state is behind `state`, a lock.
    /// What the checkpoints say of one log; nil: nothing.
    public struct Offsets: Sendable, Equatable {
        public var recoveryPoint: Offset?
        public var logStartOffset: Offset?
        public var highWatermark: Offset?
        public var firstDirtyOffset: Offset?

        public init() {}
    }

    private let directory: LogDirectory
    private let state: Locked<State>

    private struct State: Sendable {
        var offsets: [TopicPartition: Offsets]
        /// Forgotten, but still named by files on disk.
        var unwrittenRemovals: Set<TopicPartition> = []
        /// Recovery points that fell, counted, and how many of them are on disk. A full disk leaves the two
        /// apart.
        var lowered = 0
        var writtenLowered = 0
        /// Changes, counted, and how many of them all files have.
        var version = 0
        var writtenVersion = 0
    }

    /// One writer of the files at a time.
    private let writing = Locked(())

    /// Reads what is there; a file that cannot be understood counts as absent, with a warning: logs are then
    /// recovered from their beginning.
    init(directory: LogDirectory) throws(LogError) {
        self.directory = directory
        var all: [TopicPartition: Offsets] = [:]
        for kind in Self.kinds {
            let path = LogLayout.path(directory.path, kind.name)
            do throws(StateFileError) {
                guard let file = try OffsetCheckpoint.read(path, directory.fileSystem) else { continue }
                for entry in file.entries {
                    all[entry.partition, default: Offsets()][keyPath: kind.field] = entry.offset
                }
            } catch {
                if case .io(let cause) = error { throw .io(cause) }
                directory.logger.log(.warn, "checkpoint unreadable, ignored", [LogField("reason", error)])
            }
        }
        state = Locked(State(offsets: all))
    }

    private struct Kind: @unchecked Sendable {
        // @unchecked: a key path without captures.
        let name: String
        let field: WritableKeyPath<Offsets, Offset?>
    }

    private static let logStarts = Kind(name: LogLayout.logStartOffsetCheckpoint, field: \.logStartOffset)
    private static let recoveryPoints = Kind(name: LogLayout.recoveryPointCheckpoint, field: \.recoveryPoint)
    private static let cleanerOffsets = Kind(
        name: LogLayout.cleanerOffsetCheckpoint, field: \.firstDirtyOffset)
    /// In the order in which they are written: what lies below a recovery point is not read again, and may
    /// have been derived without what lies below the log start of the same time.
    private static let kinds = [
        logStarts, recoveryPoints,
        Kind(name: LogLayout.highWatermarkCheckpoint, field: \.highWatermark),
        cleanerOffsets,
    ]

    public subscript(partition: TopicPartition) -> Offsets {
        state.withLock { $0.offsets[partition] ?? Offsets() }
    }

    /// Notes offsets for the next `write`.
    public func update(_ partition: TopicPartition, _ change: (inout Offsets) -> Void) {
        state.withLock { state in
            var offsets = state.offsets[partition] ?? Offsets()
            change(&offsets)
            guard offsets != state.offsets[partition] else { return }
            state.offsets[partition] = offsets
            state.version += 1
        }
    }

    /// Forgets a partition that was deleted or has moved away. The files do with the next `write`.
    public func remove(_ partition: TopicPartition) {
        state.withLock { state in
            guard state.offsets.removeValue(forKey: partition) != nil else { return }
            state.unwrittenRemovals.insert(partition)
            state.version += 1
        }
    }

    /// Forgets what is known of a partition of that name. On return no file names it: offsets of another log,
    /// which had the name before, must not be believed by the next start.
    func removeDurably(_ partition: TopicPartition) throws(LogError) {
        remove(partition)
        let mustWrite = state.withLock { $0.unwrittenRemovals.contains(partition) }
        if mustWrite { try write() }
    }

    /// Writes all files, if anything has changed. On return what was noted is durable.
    public func write() throws(LogError) {
        let (removals, version, written) = state.withLock {
            ($0.unwrittenRemovals, $0.version, $0.writtenVersion)
        }
        guard version != written else { return }
        try write(Self.kinds)
        state.withLock { state in
            state.unwrittenRemovals.subtract(removals)
            state.writtenVersion = max(state.writtenVersion, version)
        }
    }

    /// Makes sure that neither a recovery point nor a cleaner offset of `partition` above `offset` is on
    /// disk, at once: offsets from there on are given again, to records that neither recovery nor compaction
    /// has seen.
    public func lowerRecoveryPoint(of partition: TopicPartition, to offset: Offset) throws(LogError) {
        let (lowered, mustWrite) = state.withLock { state in
            if let known = state.offsets[partition]?.firstDirtyOffset, known > offset {
                state.offsets[partition]?.firstDirtyOffset = offset
                state.lowered += 1
                state.version += 1
            }
            if let known = state.offsets[partition]?.recoveryPoint, known > offset {
                state.offsets[partition]?.recoveryPoint = offset
                state.lowered += 1
                state.version += 1
            }
            return (state.lowered, state.lowered > state.writtenLowered)
        }
        guard mustWrite else { return }
        try write([Self.cleanerOffsets, Self.recoveryPoints])
        state.withLock { $0.writtenLowered = max($0.writtenLowered, lowered) }
    }

    /// Writes down at once that the log of `partition` starts at `offset`.
    func writeLogStart(of partition: TopicPartition, at offset: Offset) throws(LogError) {
        update(partition) { $0.logStartOffset = offset }
        try write([Self.logStarts])
    }

    private func write(_ kinds: [Kind]) throws(LogError) {
        let failure: StateFileError? = writing.withLock { _ in
            let all = state.withLock { $0.offsets }
            do throws(StateFileError) {
                for kind in kinds {
                    let entries = all.compactMap { partition, offsets in
                        offsets[keyPath: kind.field].map { OffsetCheckpoint.Entry(partition, $0) }
                    }
                    let path = LogLayout.path(directory.path, kind.name)
                    try OffsetCheckpoint(entries.sorted(by: Self.byName)).write(
                        to: path, directory.fileSystem)
                }
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw directory.writeFailed(failure) }
    }

    private static func byName(_ left: OffsetCheckpoint.Entry, _ right: OffsetCheckpoint.Entry) -> Bool {
        (left.partition.topic, left.partition.partition) < (right.partition.topic, right.partition.partition)
    }
}
