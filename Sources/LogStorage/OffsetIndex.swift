// `<base offset>.index`: a sparse map from offsets to positions in the segment's log. Entries of 8 bytes, big
// endian, without a header:
//
//   offset size field           meaning
//        0    4 relativeOffset  offset - base offset of the segment, 0 ... 2^31-1
//        4    4 position        of a batch in the log file, in bytes, 0 ... 2^31-1
//        8
//
// Offsets and positions both rise strictly from entry to entry. The batch at `position` begins at or before
// the entry's offset, and every batch after the entry's offset lies behind `position` (Kafka writes the last
// offset of what it appended at `position`). About one entry for every `index.interval.bytes` of log.
//
// An entry is valid when it lies within the trimmed file. There is no checksum: the whole file can be rebuilt
// by reading the batch headers of the log, and is when it is missing, insane, or was not sealed.

internal import Base
public import RecordFormat
public import SystemIO

/// A batch of the log at or before an offset.
public struct OffsetPosition: Hashable, Sendable {
    public let offset: Offset
    /// In bytes from the beginning of the segment's log file.
    public let position: Int64

    public init(offset: Offset, position: Int64) {
        self.offset = offset
        self.position = position
    }
}

/// The offset index of one segment. Owned by one thread.
///
/// Entries appended are in mapped memory, synced by `sync` or `seal` only; nothing may overlap.
public final class OffsetIndex {
    enum Field {
        static let relativeOffset = 0
        static let position = relativeOffset + 4
        static let end = position + 4
    }

    /// Size of an entry: 8.
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
    ) throws(IOError) -> OffsetIndex {
        try create(
            at: .fixed(path), baseOffset: baseOffset, maximumByteCount: maximumByteCount, fileSystem)
    }

    static func create(
        at place: FilePlace, baseOffset: Offset, maximumByteCount: Int, _ fileSystem: any FileSystem
    ) throws(IOError) -> OffsetIndex {
        let core = try MappedIndex.create(
            at: place, entryByteCount: entryByteCount, maximumByteCount: maximumByteCount, fileSystem)
        return OffsetIndex(core, baseOffset)
    }

    /// Goes on with the entries of an index that was sealed.
    public static func openForAppend(
        at path: String, baseOffset: Offset, maximumByteCount: Int, _ fileSystem: any FileSystem
    ) throws(IOError) -> OffsetIndex {
        try openForAppend(
            at: .fixed(path), baseOffset: baseOffset, maximumByteCount: maximumByteCount, fileSystem)
    }

    static func openForAppend(
        at place: FilePlace, baseOffset: Offset, maximumByteCount: Int, _ fileSystem: any FileSystem
    ) throws(IOError) -> OffsetIndex {
        let core = try MappedIndex.openForAppend(
            at: place, entryByteCount: entryByteCount, maximumByteCount: maximumByteCount, fileSystem)
        return OffsetIndex(core, baseOffset)
    }

    /// A sealed index for reading: all of the file is mapped. An empty file is an empty index.
    public static func openSealed(
        at path: String, baseOffset: Offset, _ fileSystem: any FileSystem
    ) throws(IOError) -> OffsetIndex {
        let core = try MappedIndex.openSealed(
            at: .fixed(path), entryByteCount: entryByteCount, fileSystem)
        return OffsetIndex(core, baseOffset)
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
    /// Whether `maximumByteCount` is used up: time for a new segment.
    public var isFull: Bool { core.isFull }
    public var isSealed: Bool { core.isSealed }
    /// Why the index could not grow, other than for want of room; `sync` and `seal` throw it.
    public var failure: IOError? { core.failure }

    public var lastEntry: OffsetPosition? { entryCount == 0 ? nil : entry(entryCount - 1) }

    /// Entry `index`, counted from 0. Traps when there is none.
    public func entry(_ index: Int) -> OffsetPosition {
        invariant(index >= 0 && index < entryCount, "entry \(index) of \(entryCount) in \(path)")
        let bytes = core.bytes
        let start = index * Self.entryByteCount
        return OffsetPosition(
            offset: baseOffset + Int64(Self.relativeOffset(bytes, start)),
            position: Int64(Self.position(bytes, start)))
    }

    // Read as unsigned, so that the bytes of a damaged index have an order too; `damage` refuses the upper
    // half.
    @inline(__always)
    private static func relativeOffset(_ bytes: borrowing RawSpan, _ start: Int) -> UInt32 {
        UInt32(
            bigEndian: bytes.unsafeLoadUnaligned(
                fromByteOffset: start + Field.relativeOffset, as: UInt32.self))
    }

    @inline(__always)
    private static func position(_ bytes: borrowing RawSpan, _ start: Int) -> UInt32 {
        UInt32(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: start + Field.position, as: UInt32.self))
    }

    /// The last entry with an offset at or below `offset`. Nil: there is none, read from the start of the
    /// log.
    public func floor(offset: Offset) -> OffsetPosition? {
        guard let index = floorIndex(offset: offset) else { return nil }
        return entry(index)
    }

    /// The last entry with a position at or below `position`.
    public func floor(position: Int64) -> OffsetPosition? {
        guard let index = floorIndex(position: position) else { return nil }
        return entry(index)
    }

    private func floorIndex(offset: Offset) -> Int? {
        guard offset >= baseOffset else { return nil }
        let target = UInt32(clamping: offset.rawValue - baseOffset.rawValue)
        return core.floorIndex(stride: Self.entryByteCount) { bytes, start in
            Self.relativeOffset(bytes, start) <= target
        }
    }

    private func floorIndex(position: Int64) -> Int? {
        guard position >= 0 else { return nil }
        let target = UInt32(clamping: position)
        return core.floorIndex(stride: Self.entryByteCount) { bytes, start in
            Self.position(bytes, start) <= target
        }
    }

    /// Adds an entry behind the last one. On return it is in mapped memory.
    /// - Returns: false when the entry was skipped: the index is full, the disk has no room for the index's
    ///   next block, the fields do not hold the values, or the entry does not come after the last one. An
    ///   index is sparse: a skipped entry only lengthens the scan after a lookup.
    @discardableResult
    public func append(_ offset: Offset, at position: Int64) -> Bool {
        guard offset >= baseOffset,
            let relativeOffset = Int32(exactly: offset.rawValue - baseOffset.rawValue),
            let position = Int32(exactly: position), position >= 0
        else { return false }
        if let last = lastEntry, offset <= last.offset || Int64(position) <= last.position { return false }
        guard let start = core.reserveEntry() else { return false }
        var bytes = core.mutableBytes
        bytes.storeBytes(
            of: relativeOffset.bigEndian, toByteOffset: start + Field.relativeOffset, as: Int32.self)
        bytes.storeBytes(of: position.bigEndian, toByteOffset: start + Field.position, as: Int32.self)
        core.commitEntry()
        return true
    }

    /// Removes the entries with an offset at or above `offset`. Traps on a sealed index: open it for
    /// appending.
    public func truncate(removingFrom offset: Offset) {
        core.keepFirst(offset <= baseOffset ? 0 : floorIndex(offset: offset - 1).map { $0 + 1 } ?? 0)
    }

    /// Removes the entries with a position at or above `position`. Traps on a sealed index.
    public func truncate(removingFromPosition position: Int64) {
        core.keepFirst(position <= 0 ? 0 : floorIndex(position: position - 1).map { $0 + 1 } ?? 0)
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
    ///   - logByteCount: size of the segment's log; positions lie below it.
    ///   - thorough: look at every entry, not only at the size, the first and the last one.
    public func damage(logByteCount: Int64, thorough: Bool = false) -> String? {
        guard core.openedByteCount % Int64(Self.entryByteCount) == 0 else {
            return "its size, \(core.openedByteCount) bytes, is not a multiple of \(Self.entryByteCount)"
        }
        guard entryCount > 0 else { return nil }
        let step = thorough ? 1 : max(1, entryCount - 1)
        var previous: OffsetPosition?
        for index in stride(from: 0, to: entryCount, by: step) {
            let entry = entry(index)
            guard entry.offset - baseOffset <= Int64(Int32.max) else {
                return "the offset of entry \(index) lies below the base offset \(baseOffset)"
            }
            guard entry.position < logByteCount else {
                return "entry \(index) has position \(entry.position), but the log has \(logByteCount) bytes"
            }
            if let previous, entry.offset <= previous.offset || entry.position <= previous.position {
                return "entry \(index), offset \(entry.offset) at \(entry.position), does not come after"
                    + " offset \(previous.offset) at \(previous.position)"
            }
            previous = entry
        }
        return nil
    }
}
