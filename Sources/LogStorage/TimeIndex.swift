// `<base offset>.timeindex`: a sparse map from timestamps to offsets. Entries of 12 bytes, big endian,
// without a header:
//
//   offset size field           meaning
//        0    8 timestamp       milliseconds since the Unix epoch
//        8    4 relativeOffset  offset - base offset of the segment, 0 ... 2^31-1
//       12
//
// An entry says: the largest timestamp of the segment up to and including the batch of that offset is
// `timestamp`. So records with a larger timestamp than the entry's come after the entry's offset. Timestamps
// rise strictly from entry to entry, offsets do not fall. The last entry of a sealed segment holds the
// segment's largest timestamp.
//
// An entry is valid when it lies within the trimmed file. There is no checksum: the whole file can be rebuilt
// by reading the batch headers of the log, and is when it is missing, insane, or was not sealed.

internal import Base
public import RecordFormat
public import SystemIO

/// A timestamp, and an offset up to which no record is younger.
public struct TimestampOffset: Hashable, Sendable {
    public let timestamp: Timestamp
    public let offset: Offset

    public init(timestamp: Timestamp, offset: Offset) {
        self.timestamp = timestamp
        self.offset = offset
    }
}

/// The time index of one segment. Owned by one thread.
///
/// Entries appended are in mapped memory, synced by `sync` or `seal` only; nothing may overlap.
public final class TimeIndex {
    enum Field {
        static let timestamp = 0
        static let relativeOffset = timestamp + 8
        static let end = relativeOffset + 4
    }

    /// Size of an entry: 12.
    public static let entryByteCount = Field.end

    public let baseOffset: Offset
    private var core: MappedIndex

    private init(_ core: MappedIndex, _ baseOffset: Offset) {
        self.core = core
        self.baseOffset = baseOffset
    }

    /// An empty index for appending; replaces what was there.
    /// - Parameter maximumByteCount: how large it may grow (`segment.index.bytes`), rounded down to whole
    ///   entries.
    public static func create(
        at path: String, baseOffset: Offset, maximumByteCount: Int, _ fileSystem: any FileSystem
    ) throws(IOError) -> TimeIndex {
        try create(
            at: .fixed(path), baseOffset: baseOffset, maximumByteCount: maximumByteCount, fileSystem)
    }

    static func create(
        at place: FilePlace, baseOffset: Offset, maximumByteCount: Int, _ fileSystem: any FileSystem
    ) throws(IOError) -> TimeIndex {
        let core = try MappedIndex.create(
            at: place, entryByteCount: entryByteCount, maximumByteCount: maximumByteCount, fileSystem)
        return TimeIndex(core, baseOffset)
    }

    /// Goes on with the entries of an index that was sealed.
    public static func openForAppend(
        at path: String, baseOffset: Offset, maximumByteCount: Int, _ fileSystem: any FileSystem
    ) throws(IOError) -> TimeIndex {
        try openForAppend(
            at: .fixed(path), baseOffset: baseOffset, maximumByteCount: maximumByteCount, fileSystem)
    }

    static func openForAppend(
        at place: FilePlace, baseOffset: Offset, maximumByteCount: Int, _ fileSystem: any FileSystem
    ) throws(IOError) -> TimeIndex {
        let core = try MappedIndex.openForAppend(
            at: place, entryByteCount: entryByteCount, maximumByteCount: maximumByteCount, fileSystem)
        return TimeIndex(core, baseOffset)
    }

    /// A sealed index for reading: all of the file is mapped. An empty file is an empty index.
    public static func openSealed(
        at path: String, baseOffset: Offset, _ fileSystem: any FileSystem
    ) throws(IOError) -> TimeIndex {
        let core = try MappedIndex.openSealed(
            at: .fixed(path), entryByteCount: entryByteCount, fileSystem)
        return TimeIndex(core, baseOffset)
    }

    /// The file has another name now.
    func wasRenamed(to place: FilePlace) { core.wasRenamed(to: place) }

    /// The file held nothing when it was opened, not even room allocated ahead.
    var wasEmpty: Bool { core.openedByteCount == 0 }

    /// Opens the file for the seal that follows; see `MappedIndex.holdFile`.
    func holdFile() throws(IOError) { try core.holdFile() }

    func letGoOfFile() { core.letGoOfFile() }

    /// The path of its file.
    public var path: String { core.path }
    public var entryCount: Int { core.entryCount }
    /// Size of the entries; the file is longer until `seal`.
    public var byteCount: Int { core.byteCount }
    /// Whether only the entry is left that is kept for sealing: time for a new segment.
    public var isFull: Bool { core.entryCount >= core.maximumEntryCount - 1 }
    public var isSealed: Bool { core.isSealed }
    /// Why the index could not grow, other than for want of room; `sync` and `seal` throw it.
    public var failure: IOError? { core.failure }

    public var lastEntry: TimestampOffset? { entryCount == 0 ? nil : entry(entryCount - 1) }

    /// Entry `index`, counted from 0. Traps when there is none.
    public func entry(_ index: Int) -> TimestampOffset {
        invariant(index >= 0 && index < entryCount, "entry \(index) of \(entryCount) in \(path)")
        let bytes = core.bytes
        let start = index * Self.entryByteCount
        return TimestampOffset(
            timestamp: Timestamp(Self.timestamp(bytes, start)),
            offset: baseOffset + Int64(Self.relativeOffset(bytes, start)))
    }

    @inline(__always)
    private static func timestamp(_ bytes: borrowing RawSpan, _ start: Int) -> Int64 {
        Int64(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: start + Field.timestamp, as: Int64.self))
    }

    // Read as unsigned, so that the bytes of a damaged index have an order too; `damage` refuses the upper
    // half.
    @inline(__always)
    private static func relativeOffset(_ bytes: borrowing RawSpan, _ start: Int) -> UInt32 {
        UInt32(
            bigEndian: bytes.unsafeLoadUnaligned(
                fromByteOffset: start + Field.relativeOffset, as: UInt32.self))
    }

    /// The last entry with a timestamp at or below `timestamp`. Nil: there is none, read from the start of
    /// the segment.
    public func floor(timestamp: Timestamp) -> TimestampOffset? {
        let target = timestamp.rawValue
        guard
            let index = core.floorIndex(
                stride: Self.entryByteCount, { bytes, start in Self.timestamp(bytes, start) <= target })
        else {
            return nil
        }
        return entry(index)
    }

    /// Notes that the largest timestamp so far is `timestamp`, of the batch that ends with `offset`. On
    /// return the entry is in mapped memory. Nothing is added, and that is fine, when the timestamp is not
    /// above the last entry's or the offset is the last entry's.
    /// - Parameter force: use the entry that is kept for sealing, which has its room on the disk since the
    ///   first one was appended: a full disk does not take a segment's largest timestamp away.
    /// - Returns: false when an entry was due and was skipped: the index is full, the disk has no room for
    ///   the index's next block, or the offset does not fit the field or lies before the last entry's.
    @discardableResult
    public func append(_ timestamp: Timestamp, _ offset: Offset, force: Bool = false) -> Bool {
        let last = lastEntry
        guard timestamp > last?.timestamp ?? .none, offset != last?.offset else { return true }
        guard offset >= baseOffset,
            let relativeOffset = Int32(exactly: offset.rawValue - baseOffset.rawValue),
            offset > last?.offset ?? baseOffset - 1,
            let start = core.reserveEntry(keeping: force ? 0 : 1, force: force)
        else { return false }
        var bytes = core.mutableBytes
        bytes.storeBytes(
            of: timestamp.rawValue.bigEndian, toByteOffset: start + Field.timestamp, as: Int64.self)
        bytes.storeBytes(
            of: relativeOffset.bigEndian, toByteOffset: start + Field.relativeOffset, as: Int32.self)
        core.commitEntry()
        return true
    }

    /// Notes the segment's largest timestamp before sealing. Room for it is kept from the first entry on;
    /// where that one is it, there may be none.
    ///
    /// Throws `noSpace` then: sealed without it, the segment would seem to have no records of any time. To be
    /// followed by `seal`.
    func appendLast(_ largest: TimestampOffset) throws(IOError) {
        try core.holdFile()
        guard !append(largest.timestamp, largest.offset, force: true) else { return }
        throw failure ?? IOError(.allocate, path, .noSpace)
    }

    /// Removes the entries with an offset at or above `offset`. Traps on a sealed index: open it for
    /// appending.
    public func truncate(removingFrom offset: Offset) {
        guard offset > baseOffset else { return core.keepFirst(0) }
        let target = UInt32(clamping: offset.rawValue - 1 - baseOffset.rawValue)
        let last = core.floorIndex(stride: Self.entryByteCount) { bytes, start in
            Self.relativeOffset(bytes, start) <= target
        }
        core.keepFirst(last.map { $0 + 1 } ?? 0)
    }

    /// Keeps the first `count` entries. Traps on a sealed index.
    func keepFirst(_ count: Int) { core.keepFirst(count) }

    /// On return the entries are on stable storage. After an error the index may not be used any more but for
    /// reading.
    public func sync() throws(IOError) { try core.sync() }

    /// Trims the file to its entries and syncs it; read-only from here on. On return it can be opened by
    /// anyone.
    public func seal() throws(IOError) { try core.seal() }

    /// What is wrong with the file as it was opened; nil when it looks sane.
    /// - Parameters:
    ///   - nextOffset: the offset after the segment's last one, where that is known; offsets lie below it.
    ///   - thorough: look at every entry, not only at the size, the first and the last one.
    public func damage(nextOffset: Offset? = nil, thorough: Bool = false) -> String? {
        guard core.openedByteCount % Int64(Self.entryByteCount) == 0 else {
            return "its size, \(core.openedByteCount) bytes, is not a multiple of \(Self.entryByteCount)"
        }
        guard entryCount > 0 else { return nil }
        let step = thorough ? 1 : max(1, entryCount - 1)
        var previous: TimestampOffset?
        for index in stride(from: 0, to: entryCount, by: step) {
            let entry = entry(index)
            guard entry.offset - baseOffset <= Int64(Int32.max) else {
                return "the offset of entry \(index) lies below the base offset \(baseOffset)"
            }
            if let nextOffset, entry.offset >= nextOffset {
                return "entry \(index) has offset \(entry.offset), but the segment ends before \(nextOffset)"
            }
            if let previous, entry.timestamp <= previous.timestamp || entry.offset < previous.offset {
                return "entry \(index), timestamp \(entry.timestamp) at \(entry.offset), does not come after"
                    + " timestamp \(previous.timestamp) at \(previous.offset)"
            }
            previous = entry
        }
        return nil
    }
}
