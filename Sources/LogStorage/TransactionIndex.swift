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
// transactions has no such file. Entries are written one by one, so that the file always ends with the last
// one; a crash may leave a part of an entry, which does not count. There is no checksum: the file can be
// rebuilt by reading the batch headers and markers of the log with the open transactions before it, and is
// when it was not sealed or does not look sane.

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
/// An index for appending keeps its entries in memory too; a sealed one is read through a mapping. Entries
/// appended are in the page cache, synced by `sync` or `seal` only; nothing may overlap.
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
    /// More than a segment of 2 GiB has room for: an aborted transaction takes a batch and a marker, 150
    /// bytes.
    static let maximumByteCount = 1 << 29
    /// How much of a file is read at once.
    private static let readByteCount = entryByteCount * 1024

    private enum State {
        /// Not looked at yet.
        case unopened
        /// Looked at: there is no file.
        case absent
        case appending(Appending)
        case sealed(MappedIndex)
    }

    /// An open file that ends with the last of the entries.
    private struct Appending {
        let file: any File
        /// Size of the file when it was opened: what the checks judge.
        let openedByteCount: Int64
        /// A version other than 0, and where.
        var strangeVersion: (index: Int, version: Int16)?
        var entries: [AbortedTransaction] = []
        /// One entry's bytes on their way to the file.
        let buffer = IOBuffer(byteCount: entryByteCount)
    }

    private var place: FilePlace
    public var path: String { place.path }
    public let baseOffset: Offset
    public private(set) var isSealed: Bool
    private let fileSystem: any FileSystem
    private var state: State
    /// The directory does not yet know the file on stable storage.
    private var directoryNeedsSync = false

    private init(
        _ place: FilePlace, _ baseOffset: Offset, isSealed: Bool, _ state: State,
        _ fileSystem: any FileSystem
    ) {
        self.place = place
        self.baseOffset = baseOffset
        self.isSealed = isSealed
        self.state = state
        self.fileSystem = fileSystem
    }

    /// An empty index for appending; removes what was there, creates nothing yet.
    public static func create(
        at path: String, baseOffset: Offset, _ fileSystem: any FileSystem
    ) throws(IOError) -> TransactionIndex {
        try create(at: .fixed(path), baseOffset: baseOffset, fileSystem)
    }

    static func create(
        at place: FilePlace, baseOffset: Offset, _ fileSystem: any FileSystem
    ) throws(IOError) -> TransactionIndex {
        try SegmentSwap.removeIfPresent(place.path, fileSystem)
        return TransactionIndex(place, baseOffset, isSealed: false, .absent, fileSystem)
    }

    /// Goes on with the entries of an index that was sealed. Opens nothing yet.
    public static func openForAppend(
        at path: String, baseOffset: Offset, _ fileSystem: any FileSystem
    ) -> TransactionIndex {
        openForAppend(at: .fixed(path), baseOffset: baseOffset, fileSystem)
    }

    static func openForAppend(
        at place: FilePlace, baseOffset: Offset, _ fileSystem: any FileSystem
    ) -> TransactionIndex {
        TransactionIndex(place, baseOffset, isSealed: false, .unopened, fileSystem)
    }

    /// A sealed index for reading, or none. Opens nothing yet.
    public static func openSealed(
        at path: String, baseOffset: Offset, _ fileSystem: any FileSystem
    ) -> TransactionIndex {
        openSealed(at: .fixed(path), baseOffset: baseOffset, fileSystem)
    }

    static func openSealed(
        at place: FilePlace, baseOffset: Offset, _ fileSystem: any FileSystem
    ) -> TransactionIndex {
        TransactionIndex(place, baseOffset, isSealed: true, .unopened, fileSystem)
    }

    /// To be called when the file was renamed, for it may not have been opened yet.
    public func wasRenamed(to path: String) { place = .fixed(path) }

    /// Opens the file if that was not done.
    private func load() throws(IOError) {
        guard case .unopened = state else { return }
        do throws(IOError) {
            if isSealed {
                state = .sealed(
                    try MappedIndex.openSealed(at: place, entryByteCount: Self.entryByteCount, fileSystem))
            } else {
                state = .appending(try Self.readAll(try fileSystem.open(path, .readWrite)))
            }
        } catch {
            guard error.errno == .noSuchFile else { throw error }
            state = .absent
        }
    }

    /// All entries of a file. A part of an entry at the end does not count.
    private static func readAll(_ file: any File) throws(IOError) -> Appending {
        let byteCount = try file.byteCount()
        guard byteCount <= Int64(maximumByteCount) else { throw IOError(.read, file.path, .fileTooLarge) }
        var result = Appending(file: file, openedByteCount: byteCount)
        result.entries.reserveCapacity(Int(byteCount) / entryByteCount)
        let buffer = IOBuffer(byteCount: min(readByteCount, max(Int(byteCount), 1)))
        var position: Int64 = 0
        while position + Int64(entryByteCount) <= byteCount {
            let count = try file.read(into: buffer, 0..<buffer.byteCount, at: position)
            let bytes = buffer.bytes(0..<count)
            var start = 0
            while start + entryByteCount <= count {
                let version = version(bytes, start)
                if version != currentVersion, result.strangeVersion == nil {
                    result.strangeVersion = (result.entries.count, version)
                }
                result.entries.append(entry(bytes, start))
                start += entryByteCount
            }
            if start == 0 { break }
            position += Int64(start)
        }
        return result
    }

    /// Number of entries.
    public func entryCount() throws(IOError) -> Int {
        try load()
        switch state {
        case .unopened, .absent: return 0
        case .appending(let open): return open.entries.count
        case .sealed(let core): return core.entryCount
        }
    }

    /// The entry with the largest last offset; nil when there is none.
    public func lastEntry() throws(IOError) -> AbortedTransaction? {
        let count = try entryCount()
        return count == 0 ? nil : entry(count - 1)
    }

    /// One of the entries that `entryCount` has counted.
    private func entry(_ index: Int) -> AbortedTransaction {
        switch state {
        case .unopened, .absent: invariantFailed("entry \(index) of the empty index \(path)")
        case .appending(let open): return open.entries[index]
        case .sealed(let core): return Self.entry(core.bytes, index * Self.entryByteCount)
        }
    }

    private static func entry(_ bytes: borrowing RawSpan, _ start: Int) -> AbortedTransaction {
        AbortedTransaction(
            producerID: ProducerID(number(bytes, start + Field.producerID)),
            firstOffset: Offset(number(bytes, start + Field.firstOffset)),
            lastOffset: Offset(number(bytes, start + Field.lastOffset)),
            lastStableOffset: Offset(number(bytes, start + Field.lastStableOffset)))
    }

    private static func version(_ bytes: borrowing RawSpan, _ start: Int) -> Int16 {
        Int16(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: start + Field.version, as: Int16.self))
    }

    @inline(__always)
    private static func number(_ bytes: borrowing RawSpan, _ position: Int) -> Int64 {
        Int64(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: position, as: Int64.self))
    }

    /// The number of entries with a last offset below `offset`; `entryCount` has loaded them.
    private func countBelow(_ offset: Offset, of entryCount: Int) -> Int {
        var low = 0
        var high = entryCount
        while low < high {
            let middle = (low + high) / 2
            if entry(middle).lastOffset < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Adds an entry behind the last one, creating the file where needed. On return it is in the page cache.
    ///
    /// After an error nothing has changed; with `noSpace` the disk has no room for it. An entry may not be
    /// left out: consumers would be shown what was aborted. Throws `invalidArgument` when its last offset is
    /// not above the last entry's.
    public func append(_ transaction: AbortedTransaction) throws(IOError) {
        invariant(!isSealed, "append to the sealed index \(path)")
        let count = try entryCount()
        if count > 0, transaction.lastOffset <= entry(count - 1).lastOffset {
            throw IOError(.write, path, .invalidArgument)
        }
        if case .absent = state {
            state = .appending(Appending(file: try fileSystem.open(path, .createNew), openedByteCount: 0))
            directoryNeedsSync = true
        }
        guard case .appending(var open) = state else { invariantFailed("\(path) is not open for appending") }
        let position = Int64(count * Self.entryByteCount)
        guard position + Int64(Self.entryByteCount) <= Int64(Self.maximumByteCount) else {
            throw IOError(.write, path, .fileTooLarge)
        }
        Self.store(transaction, open.buffer)
        do throws(IOError) {
            try open.file.write([BufferSlice(open.buffer)], at: position)
        } catch {
            // A part of the entry may be there; where it cannot be cut off either, it does not count.
            try? open.file.truncate(to: position)
            throw error
        }
        // Let go of the one copy there is, so that the array grows in its place.
        state = .absent
        open.entries.append(transaction)
        state = .appending(open)
    }

    private static func store(_ transaction: AbortedTransaction, _ buffer: IOBuffer) {
        var bytes = buffer.mutableBytes(0..<entryByteCount)
        bytes.storeBytes(of: currentVersion.bigEndian, toByteOffset: Field.version, as: Int16.self)
        store(transaction.producerID.rawValue, &bytes, Field.producerID)
        store(transaction.firstOffset.rawValue, &bytes, Field.firstOffset)
        store(transaction.lastOffset.rawValue, &bytes, Field.lastOffset)
        store(transaction.lastStableOffset.rawValue, &bytes, Field.lastStableOffset)
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
        let count = try entryCount()
        for index in countBelow(fetchOffset, of: count)..<count {
            let entry = entry(index)
            if entry.lastOffset >= fetchOffset && entry.firstOffset < upperBound { found.append(entry) }
            if entry.lastStableOffset >= upperBound { return true }
        }
        return false
    }

    /// All entries, oldest first, copied.
    public func entries() throws(IOError) -> [AbortedTransaction] {
        (0..<(try entryCount())).map { entry($0) }
    }

    /// Calls `body` with every entry, oldest first.
    public func forEach(_ body: (AbortedTransaction) -> Void) throws(IOError) {
        for index in 0..<(try entryCount()) { body(entry(index)) }
    }

    /// Removes the entries with a last offset at or above `offset`. Traps when a sealed index has such
    /// entries.
    public func truncate(to offset: Offset) throws(IOError) {
        try keepFirst(countBelow(offset, of: try entryCount()))
    }

    /// Keeps the first `kept` entries. Traps when a sealed index has more.
    func keepFirst(_ kept: Int) throws(IOError) {
        let count = try entryCount()
        guard kept < count else { return }
        guard case .appending(var open) = state else {
            invariantFailed("truncation of the sealed index \(path); open it for appending")
        }
        try open.file.truncate(to: Int64(kept * Self.entryByteCount))
        open.entries.removeLast(count - kept)
        state = .appending(open)
    }

    /// On return the entries, and that there is the file, are on stable storage.
    public func sync() throws(IOError) {
        if case .appending(let open) = state { try open.file.sync(.data) }
        try syncDirectory()
    }

    /// Syncs the file; read-only from here on, its descriptor closed. Creates no file when there are none.
    public func seal() throws(IOError) {
        guard !isSealed else { return }
        try sync()
        isSealed = true
        if case .appending = state { state = .unopened }
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
        let count = try entryCount()
        let openedByteCount: Int64
        switch state {
        case .unopened, .absent: return nil
        case .appending(let open):
            openedByteCount = open.openedByteCount
            if let (index, version) = open.strangeVersion {
                return "entry \(index) has version \(version), not 0"
            }
        case .sealed(let core):
            openedByteCount = core.openedByteCount
            for index in 0..<count {
                let version = Self.version(core.bytes, index * Self.entryByteCount)
                if version != Self.currentVersion { return "entry \(index) has version \(version), not 0" }
            }
        }
        guard openedByteCount % Int64(Self.entryByteCount) == 0 else {
            return "its size, \(openedByteCount) bytes, is not a multiple of \(Self.entryByteCount)"
        }
        var previous: AbortedTransaction?
        for index in 0..<count {
            let entry = entry(index)
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
