// `leader-epoch-checkpoint`: where each leader epoch of a partition began (KIP-101). A checkpoint file (see
// CheckpointFile.swift) with entries of two fields:
//
//   field        meaning
//   epoch        0 ... 2^31-1
//   startOffset  of the first record that the epoch's leader appended, 0 or more
//
// Epochs and start offsets both rise strictly from entry to entry. When the file is lost it can be rebuilt
// from the leader epochs in the batch headers of the log.

public import RecordFormat
public import SystemIO

/// A leader epoch and the offset that it began with.
public struct EpochEntry: Hashable, Sendable {
    public let epoch: LeaderEpoch
    public let startOffset: Offset

    public init(_ epoch: LeaderEpoch, _ startOffset: Offset) {
        self.epoch = epoch
        self.startOffset = startOffset
    }
}

/// The leader epochs of a partition and where they began. A value: it touches no file but in `read` and
/// `write`.
public struct LeaderEpochCache: Sendable {
    /// Enough for half a million epochs.
    public static let maximumByteCount = 16 << 20
    /// What `endOffset` answers when it does not know.
    public static let undefinedOffset = Offset(-1)

    /// Oldest first.
    public private(set) var entries: [EpochEntry] = []
    /// Whether the file, if there is one, says something else.
    public private(set) var isDirty = false
    /// Where the first of the epochs began that were assigned since the file was written.
    public private(set) var unwrittenFrom: Offset?

    public init() {}

    public var latest: EpochEntry? { entries.isEmpty ? nil : entries[entries.count - 1] }
    public var earliest: EpochEntry? { entries.first }
    /// The epoch before the latest one.
    public var previousEpoch: LeaderEpoch? { entries.count < 2 ? nil : entries[entries.count - 2].epoch }

    /// The largest epoch below `epoch`.
    public func previousEpoch(before epoch: LeaderEpoch) -> LeaderEpoch? {
        let count = countOfEpochs(below: epoch)
        return count == 0 ? nil : entries[count - 1].epoch
    }

    /// Notes that `epoch` began with `startOffset`. Entries that contradict it, of the same or a later epoch
    /// or with the same or a later start, are dropped: their records were truncated or never got offsets.
    ///
    /// Nothing changes when `epoch` is the latest one and began no later than that. Negative values change
    /// nothing.
    /// - Returns: whether anything changed.
    @discardableResult
    public mutating func assign(_ epoch: LeaderEpoch, _ startOffset: Offset) -> Bool {
        guard epoch.rawValue >= 0, startOffset >= .zero else { return false }
        if let latest, latest.epoch == epoch, startOffset >= latest.startOffset { return false }
        while let last = entries.last, last.epoch >= epoch || last.startOffset >= startOffset {
            entries.removeLast()
        }
        entries.append(EpochEntry(epoch, startOffset))
        isDirty = true
        unwrittenFrom = min(unwrittenFrom ?? startOffset, startOffset)
        return true
    }

    /// The largest epoch that is not above `epoch`, and the offset after its last record (KIP-101, KIP-279).
    /// For an epoch below all known ones it is that epoch itself, ending where the first known one begins.
    /// - Returns: (-1, -1) for epoch -1, and when all known epochs are below `epoch`.
    public func endOffset(for epoch: LeaderEpoch, logEndOffset: Offset) -> (LeaderEpoch, Offset) {
        guard epoch != .none, let latest, epoch <= latest.epoch else { return (.none, Self.undefinedOffset) }
        if epoch == latest.epoch { return (epoch, logEndOffset) }
        let count = countOfEpochs(below: LeaderEpoch(epoch.rawValue + 1))
        return (count == 0 ? epoch : entries[count - 1].epoch, entries[count].startOffset)
    }

    /// The epoch of the record at `offset`; nil below the first known one. Above the log's end it means
    /// nothing.
    public func epoch(for offset: Offset) -> LeaderEpoch? {
        let count = countOfEntries { $0.startOffset <= offset }
        return count == 0 ? nil : entries[count - 1].epoch
    }

    /// Drops the epochs that began at or after `offset`, for the log was cut there.
    /// - Returns: whether anything changed.
    @discardableResult
    public mutating func truncateFromEnd(_ offset: Offset) -> Bool {
        guard offset >= .zero, let latest, latest.startOffset >= offset else { return false }
        while let last = entries.last, last.startOffset >= offset { entries.removeLast() }
        isDirty = true
        return true
    }

    /// Drops the epochs that ended at or before `offset`, for the log starts there now; the one that `offset`
    /// lies in begins there from now on.
    /// - Returns: whether anything changed.
    @discardableResult
    public mutating func truncateFromStart(_ offset: Offset) -> Bool {
        let count = countOfEntries { $0.startOffset <= offset }
        guard count > 0 else { return false }
        let first = EpochEntry(entries[count - 1].epoch, offset)
        guard count > 1 || entries[0] != first else { return false }
        entries.replaceSubrange(0..<count, with: CollectionOfOne(first))
        isDirty = true
        return true
    }

    /// Forgets all epochs, as when the log starts anew somewhere else.
    public mutating func removeAll() {
        if !entries.isEmpty { isDirty = true }
        entries.removeAll()
    }

    private func countOfEpochs(below epoch: LeaderEpoch) -> Int { countOfEntries { $0.epoch < epoch } }

    /// The length of the prefix whose entries satisfy `isInPrefix`.
    private func countOfEntries(_ isInPrefix: (EpochEntry) -> Bool) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if isInPrefix(entries[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Nil when there is no file.
    public static func read(
        _ path: String, _ fileSystem: any FileSystem
    ) throws(StateFileError) -> LeaderEpochCache? {
        guard let bytes = try AtomicFile.read(path, maximumByteCount: maximumByteCount, fileSystem) else {
            return nil
        }
        return try LeaderEpochCache(parsing: bytes, path: path)
    }

    /// Replaces the file, atomically. On return it is on stable storage and the cache is not dirty.
    public mutating func write(to path: String, _ fileSystem: any FileSystem) throws(StateFileError) {
        try AtomicFile.replace(path, with: encoded(), fileSystem)
        isDirty = false
        unwrittenFrom = nil
    }

    /// - Parameter path: for messages.
    public init(parsing bytes: [UInt8], path: String) throws(StateFileError) {
        var entries: [EpochEntry] = []
        var reader = CheckpointReader(
            bytes, path: path, remedy: "restore the file or remove it, then it is rebuilt from the log")
        try reader.readEntries { (reader) throws(StateFileError) in
            let epoch = try reader.integer("epoch", atMost: Int64(Int32.max))
            let startOffset = try reader.integer("start offset", atMost: Int64.max)
            let entry = EpochEntry(LeaderEpoch(Int32(epoch)), Offset(startOffset))
            if let last = entries.last, entry.epoch <= last.epoch || entry.startOffset <= last.startOffset {
                throw reader.malformed(
                    "epoch \(epoch) at \(startOffset) does not come after the entry before it")
            }
            entries.append(entry)
        }
        self.entries = entries
    }

    /// The content of the file.
    public func encoded() -> [UInt8] {
        var text = ByteWriter(capacity: 16 + entries.count * 24)
        text.write(utf8: "\(CheckpointReader.version)\n\(entries.count)\n")
        for entry in entries { text.write(utf8: "\(entry.epoch) \(entry.startOffset)\n") }
        return text.bytes
    }
}
