// `<base offset>.txnindex`: the transactions that were aborted by a marker in the segment. Entries of 34
// bytes, big endian, without a header:
//
//   offset size field             meaning
//        0    2 version           0
//        2    8 producerID        whose transaction it was
//       10    8 firstOffset       of its first record, often in an earlier segment
//       18    8 lastOffset        of its abort marker; within the segment
//       26    8 lastStableOffset  of the partition once the marker was written
//       34
//
// Last offsets rise strictly from entry to entry, last stable offsets do not fall. A segment without aborted
// transactions has no such file. While entries are appended the file ends in zeros (see MappedIndex.swift); a
// valid entry lies within the trimmed file. There is no checksum: the file can be rebuilt by reading the
// batch headers and markers of the log with the open transactions before it, and is when it was not sealed or
// does not look sane.

internal import Base
public import RecordFormat
public import SystemIO

/// A transaction that ended with an abort marker.
public struct AbortedTransaction: Hashable, Sendable {
    public let producerID: ProducerID
    public let firstOffset: Offset
    /// Of the marker.
    public let lastOffset: Offset
    /// Of the partition once the marker was written.
    public let lastStableOffset: Offset

    public init(producerID: ProducerID, firstOffset: Offset, lastOffset: Offset, lastStableOffset: Offset) {
        self.producerID = producerID
        self.firstOffset = firstOffset
        self.lastOffset = lastOffset
        self.lastStableOffset = lastStableOffset
    }
}

/// The transaction index of one segment. Owned by one thread. The file is opened when it is first asked for
/// anything, and created with the first entry.
///
/// Entries appended are in mapped memory, synced by `sync` or `seal` only; nothing may overlap.
public final class TransactionIndex {
    enum Field {
        static let version = 0
        static let producerID = version + 2
        static let firstOffset = producerID + 8
        static let lastOffset = firstOffset + 8
        static let lastStableOffset = lastOffset + 8
        static let end = lastStableOffset + 8
    }

    /// Size of an entry: 34.
    public static let entryByteCount = Field.end
    static let currentVersion: Int16 = 0
    /// More than a segment of 2 GiB has room for: an aborted transaction takes a batch and a marker.
    static let maximumByteCount = 1 << 30

    private enum State {
        /// Not looked at yet.
        case unopened
        /// Looked at: there is no file.
        case absent
        case open(MappedIndex)
    }

    public private(set) var path: String
    public let baseOffset: Offset
    public private(set) var isSealed: Bool
    private let fileSystem: any FileSystem
    private var state: State
    /// The directory does not yet know the file on stable storage.
    private var directoryNeedsSync = false

    private init(
        _ path: String, _ baseOffset: Offset, isSealed: Bool, _ state: State, _ fileSystem: any FileSystem
    ) {
        self.path = path
        self.baseOffset = baseOffset
        self.isSealed = isSealed
        self.state = state
        self.fileSystem = fileSystem
    }

    /// An empty index for appending; removes what was there, creates nothing yet.
    public static func create(
        at path: String, baseOffset: Offset, _ fileSystem: any FileSystem
    ) throws(IOError) -> TransactionIndex {
        do {
            try fileSystem.remove(path)
        } catch  where error.errno == .noSuchFile {
            // Nothing to replace.
        }
        return TransactionIndex(path, baseOffset, isSealed: false, .absent, fileSystem)
    }

    /// Goes on with the entries of an index that was sealed. Opens nothing yet.
    public static func openForAppend(
        at path: String, baseOffset: Offset, _ fileSystem: any FileSystem
    ) -> TransactionIndex {
        TransactionIndex(path, baseOffset, isSealed: false, .unopened, fileSystem)
    }

    /// A sealed index for reading, or none. Opens nothing yet.
    public static func openSealed(
        at path: String, baseOffset: Offset, _ fileSystem: any FileSystem
    ) -> TransactionIndex {
        TransactionIndex(path, baseOffset, isSealed: true, .unopened, fileSystem)
    }

    /// To be called when the file was renamed, for it may not have been opened yet.
    public func wasRenamed(to path: String) { self.path = path }

    /// The entries, opening the file if that was not done; nil when there is no file.
    private func load() throws(IOError) -> MappedIndex? {
        switch state {
        case .absent: return nil
        case .open(let core): return core
        case .unopened: break
        }
        do throws(IOError) {
            let core =
                isSealed
                ? try MappedIndex.openSealed(at: path, entryByteCount: Self.entryByteCount, fileSystem)
                : try MappedIndex.openForAppend(
                    at: path, entryByteCount: Self.entryByteCount, maximumByteCount: Self.maximumByteCount,
                    fileSystem)
            state = .open(core)
            return core
        } catch {
            guard error.errno == .noSuchFile else { throw error }
            state = .absent
            return nil
        }
    }

    /// How many aborted transactions the segment holds.
    public func entryCount() throws(IOError) -> Int { try load()?.entryCount ?? 0 }

    /// The last one, nil when there is none.
    public func lastEntry() throws(IOError) -> AbortedTransaction? {
        guard let core = try load(), core.entryCount > 0 else { return nil }
        return Self.entry(core, core.entryCount - 1)
    }

    private static func entry(_ core: borrowing MappedIndex, _ index: Int) -> AbortedTransaction {
        let bytes = core.bytes
        let start = index * entryByteCount
        return AbortedTransaction(
            producerID: ProducerID(number(bytes, start + Field.producerID)),
            firstOffset: Offset(number(bytes, start + Field.firstOffset)),
            lastOffset: Offset(number(bytes, start + Field.lastOffset)),
            lastStableOffset: Offset(number(bytes, start + Field.lastStableOffset)))
    }

    @inline(__always)
    private static func number(_ bytes: borrowing RawSpan, _ position: Int) -> Int64 {
        Int64(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: position, as: Int64.self))
    }

    /// The number of entries with a last offset below `offset`.
    private static func countBelow(_ offset: Offset, _ core: borrowing MappedIndex) -> Int {
        let target = offset.rawValue
        let last = core.floorIndex { bytes, start in number(bytes, start + Field.lastOffset) < target }
        return last.map { $0 + 1 } ?? 0
    }

    /// Adds an entry behind the last one, creating the file where needed. On return it is in mapped memory.
    ///
    /// Throws `noSpace` when the disk has no room for it, with nothing changed. An entry may not be left out:
    /// consumers would be shown what was aborted. Throws `invalidArgument` when its last offset is not above
    /// the last entry's.
    public func append(_ transaction: AbortedTransaction) throws(IOError) {
        invariant(!isSealed, "append to the sealed index \(path)")
        var core: MappedIndex
        if let loaded = try load() {
            core = loaded
        } else {
            core = try MappedIndex.create(
                at: path, entryByteCount: Self.entryByteCount, maximumByteCount: Self.maximumByteCount,
                fileSystem)
            directoryNeedsSync = true
            state = .open(core)
        }
        if core.entryCount > 0, transaction.lastOffset <= Self.entry(core, core.entryCount - 1).lastOffset {
            throw IOError(.write, path, .invalidArgument)
        }
        guard let start = core.reserveEntry() else {
            if let failure = core.failure { throw failure }
            throw IOError(.allocate, path, core.isFull ? .fileTooLarge : .noSpace)
        }
        var bytes = core.mutableBytes
        bytes.storeBytes(
            of: Self.currentVersion.bigEndian, toByteOffset: start + Field.version, as: Int16.self)
        Self.store(transaction.producerID.rawValue, &bytes, start + Field.producerID)
        Self.store(transaction.firstOffset.rawValue, &bytes, start + Field.firstOffset)
        Self.store(transaction.lastOffset.rawValue, &bytes, start + Field.lastOffset)
        Self.store(transaction.lastStableOffset.rawValue, &bytes, start + Field.lastStableOffset)
        core.commitEntry()
        state = .open(core)
    }

    private static func store(_ value: Int64, _ bytes: inout MutableRawSpan, _ position: Int) {
        bytes.storeBytes(of: value.bigEndian, toByteOffset: position, as: Int64.self)
    }

    /// Adds to `found` the aborted transactions that have records or their marker in `fetchOffset ..<
    /// upperBound`.
    /// - Returns: true when no later segment can have more of them: the search is complete.
    public func collect(
        from fetchOffset: Offset, upTo upperBound: Offset, into found: inout [AbortedTransaction]
    ) throws(IOError) -> Bool {
        guard let core = try load() else { return false }
        for index in Self.countBelow(fetchOffset, core)..<core.entryCount {
            let entry = Self.entry(core, index)
            if entry.lastOffset >= fetchOffset && entry.firstOffset < upperBound { found.append(entry) }
            if entry.lastStableOffset >= upperBound { return true }
        }
        return false
    }

    /// Calls `body` with every entry, oldest first.
    public func forEach(_ body: (AbortedTransaction) -> Void) throws(IOError) {
        guard let core = try load() else { return }
        for index in 0..<core.entryCount { body(Self.entry(core, index)) }
    }

    /// Removes the entries with a last offset at or above `offset`. Traps when a sealed index has such
    /// entries.
    public func truncate(to offset: Offset) throws(IOError) {
        guard var core = try load() else { return }
        let kept = Self.countBelow(offset, core)
        guard kept < core.entryCount else { return }
        core.keepFirst(kept)
        state = .open(core)
    }

    /// Keeps the first `count` entries.
    func keepFirst(_ count: Int) throws(IOError) {
        guard var core = try load() else { return }
        core.keepFirst(count)
        state = .open(core)
    }

    /// On return the entries, and that there is the file, are on stable storage.
    public func sync() throws(IOError) {
        guard case .open(var core) = state else { return }
        defer { state = .open(core) }
        try core.sync()
        try syncDirectory()
    }

    /// Trims the file to its entries and syncs it; read-only from here on. Creates no file when there are
    /// none.
    public func seal() throws(IOError) {
        if case .open(var core) = state {
            defer { state = .open(core) }
            try core.seal()
            try syncDirectory()
        }
        isSealed = true
    }

    /// A missing transaction index means "nothing aborted", so that a new one must not get lost with the
    /// directory.
    private func syncDirectory() throws(IOError) {
        guard directoryNeedsSync else { return }
        try fileSystem.syncDirectory(LogLayout.parent(of: path))
        directoryNeedsSync = false
    }

    /// What is wrong with the file as it was opened; nil when it looks sane or there is none. Looks at every
    /// entry.
    /// - Parameter nextOffset: the offset after the segment's last one, where that is known.
    public func damage(nextOffset: Offset? = nil) throws(IOError) -> String? {
        guard let core = try load() else { return nil }
        guard core.openedByteCount % Int64(Self.entryByteCount) == 0 else {
            return "its size, \(core.openedByteCount) bytes, is not a multiple of \(Self.entryByteCount)"
        }
        var previous: AbortedTransaction?
        for index in 0..<core.entryCount {
            let position = index * Self.entryByteCount + Field.version
            let version = Int16(
                bigEndian: core.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: Int16.self))
            guard version == Self.currentVersion else {
                return "entry \(index) has version \(version), not 0"
            }
            let entry = Self.entry(core, index)
            guard entry.firstOffset <= entry.lastOffset, entry.firstOffset >= .zero else {
                return "entry \(index) goes from offset \(entry.firstOffset) to \(entry.lastOffset)"
            }
            guard entry.lastOffset >= baseOffset else {
                return "entry \(index) ends at \(entry.lastOffset), below the base offset \(baseOffset)"
            }
            if let nextOffset, entry.lastOffset >= nextOffset {
                return "entry \(index) ends at \(entry.lastOffset), but the segment ends before \(nextOffset)"
            }
            if let previous, entry.lastOffset <= previous.lastOffset {
                return "entry \(index) ends at \(entry.lastOffset), not after \(previous.lastOffset)"
            }
            previous = entry
        }
        return nil
    }
}
