// What the offset index and the time index share: a file of equally sized, sorted entries, seen through a
// mapping.
//
// While entries are appended the file is longer than its entries: blocks are allocated ahead, because a store
// into a hole of a sparse file traps when the disk has no room for it. Unused room holds zeros. `seal` trims
// the file to its entries; only then does its length say how many there are. Kafka does the same with one 10
// MiB block.
//
// No descriptor is kept: a broker has an active segment, and with it two such files, for each of its
// partitions. The file is opened again to grow and to be sealed, and a sync goes through the mapping.
//
// Nothing here is synced before `sync` or `seal`, and a crash may keep any part of what was stored. No
// checksum: an index can be rebuilt from its log, and is, whenever it was not sealed or does not look sane.

internal import Base
internal import SystemIO

/// The file, the mapping and the number of entries; knows the size of an entry but not what is in it.
struct MappedIndex {
    /// First size of a growing index, a page; then it doubles.
    static let firstBlockByteCount = 4096
    /// The most that an index grows at once, so that many half-full indexes do not hoard the disk.
    static let maximumGrowthByteCount = 1 << 20
    /// Lookups of recent entries touch only these last bytes, which tail readers keep in memory (as Kafka's
    /// indexes do): older pages then stay cold without being faulted in by every binary search.
    static let warmByteCount = 8192

    private var place: FilePlace
    private let fileSystem: any FileSystem
    let entryByteCount: Int
    /// Entries beyond it are refused.
    let maximumEntryCount: Int
    /// Size of the file when it was opened: what the checks judge.
    let openedByteCount: Int64
    private(set) var entryCount: Int
    /// Why the index could not grow or be trimmed, other than for want of room. Thrown by the next `sync` or
    /// `seal`.
    private(set) var failure: IOError?

    /// Entries that the mapping has room for.
    private var mappedEntryCount = 0
    private var region: MappedRegion?
    private(set) var isSealed: Bool
    /// Whether the file may hold what is not on stable storage.
    private var isDirty: Bool
    /// Only between `holdFile` and what follows it.
    private var heldFile: (any File)?

    /// The path that the file has by now.
    var path: String { place.path }
    var byteCount: Int { entryCount * entryByteCount }
    var isFull: Bool { entryCount >= maximumEntryCount }

    private init(
        at place: FilePlace, entryByteCount: Int, maximumByteCount: Int, openedByteCount: Int64,
        isSealed: Bool, _ fileSystem: any FileSystem
    ) {
        self.place = place
        self.fileSystem = fileSystem
        self.entryByteCount = entryByteCount
        maximumEntryCount = maximumByteCount / entryByteCount
        self.openedByteCount = openedByteCount
        entryCount = 0
        self.isSealed = isSealed
        // What was found may have been written by a process that was killed.
        isDirty = openedByteCount > 0 && !isSealed
    }

    /// An empty index; what was under `path` is removed first, so that a mapping of it stays whole.
    static func create(
        at place: FilePlace, entryByteCount: Int, maximumByteCount: Int, _ fileSystem: any FileSystem
    ) throws(IOError) -> MappedIndex {
        let path = place.path
        try SegmentSwap.removeIfPresent(path, fileSystem)
        _ = try fileSystem.open(path, .createNew)
        return MappedIndex(
            at: place, entryByteCount: entryByteCount, maximumByteCount: maximumByteCount,
            openedByteCount: 0, isSealed: false, fileSystem)
    }

    /// Goes on with the entries of a trimmed file. A partial entry at the end does not count.
    static func openForAppend(
        at place: FilePlace, entryByteCount: Int, maximumByteCount: Int, _ fileSystem: any FileSystem
    ) throws(IOError) -> MappedIndex {
        let file = try fileSystem.open(place.path, .readWrite)
        let byteCount = try file.byteCount()
        var index = MappedIndex(
            at: place, entryByteCount: entryByteCount, maximumByteCount: maximumByteCount,
            openedByteCount: byteCount, isSealed: false, fileSystem)
        try index.mapEntries(of: file, byteCount, .readWrite)
        return index
    }

    /// All of a trimmed file, for reading.
    static func openSealed(
        at place: FilePlace, entryByteCount: Int, _ fileSystem: any FileSystem
    ) throws(IOError) -> MappedIndex {
        let file = try fileSystem.open(place.path, .read)
        let byteCount = try file.byteCount()
        var index = MappedIndex(
            at: place, entryByteCount: entryByteCount, maximumByteCount: 0, openedByteCount: byteCount,
            isSealed: true, fileSystem)
        try index.mapEntries(of: file, byteCount, .read)
        return index
    }

    /// The file has another name now.
    mutating func wasRenamed(to place: FilePlace) { self.place = place }

    /// Opens the file for what follows, so that it does not fail half way for want of a descriptor; until
    /// `seal` or `letGoOfFile`. Nothing has changed when it throws.
    mutating func holdFile() throws(IOError) {
        if heldFile == nil, !isSealed { heldFile = try fileSystem.open(path, .readWrite) }
    }

    mutating func letGoOfFile() { heldFile = nil }

    private func fileToChange() throws(IOError) -> any File {
        if let heldFile { return heldFile }
        return try fileSystem.open(path, .readWrite)
    }

    private mutating func mapEntries(
        of file: any File, _ fileByteCount: Int64, _ access: MapAccess
    ) throws(IOError) {
        entryCount = Int(fileByteCount) / entryByteCount
        mappedEntryCount = entryCount
        region = entryCount == 0 ? nil : try file.map(byteCount: byteCount, access)
    }

    /// The mapped bytes; entries come first. Traps when there are none.
    var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            guard let region else { invariantFailed("bytes of the empty index \(path)") }
            return unsafe _overrideLifetime(region.bytes, borrowing: self)
        }
    }

    /// The last entry that satisfies `isAtMost`, which holds for a prefix of the entries. Nil: none does.
    /// - Parameters:
    ///   - stride: the size of an entry, once more, for the compiler to see that it is a constant.
    ///   - isAtMost: gets the mapped bytes and the position of an entry in them.
    @inline(__always)
    func floorIndex(stride: Int, _ isAtMost: (borrowing RawSpan, Int) -> Bool) -> Int? {
        guard entryCount > 0 else { return nil }
        let bytes = self.bytes
        var low = 0
        var count = entryCount
        let warmEntryCount = Self.warmByteCount / stride
        if count > warmEntryCount {
            let firstWarm = count - warmEntryCount
            if isAtMost(bytes, firstWarm &* stride) {
                low = firstWarm
                count = warmEntryCount
            } else {
                count = firstWarm
            }
        }
        // The entry sought is before `low + count`, and not before `low` unless there is none. Nothing
        // overflows: all entries lie in the mapping, which is what the loads check.
        while count > 1 {
            let half = count / 2
            let middle = low &+ half
            low = isAtMost(bytes, middle &* stride) ? middle : low
            count &-= half
        }
        return isAtMost(bytes, low &* stride) ? low : nil
    }

    /// Makes room for one more entry.
    /// - Parameters:
    ///   - spare: room for so many more must be left after it.
    ///   - force: pass the maximum if need be.
    /// - Returns: the position of its bytes, nil when the index is full, broken, or the disk is.
    @inline(__always)
    mutating func reserveEntry(keeping spare: Int = 0, force: Bool = false) -> Int? {
        guard entryCount + spare < maximumEntryCount || force else { return nil }
        if entryCount + spare >= mappedEntryCount && !grow() { return nil }
        return entryCount * entryByteCount
    }

    /// The mapped bytes, for storing the entry just reserved.
    var mutableBytes: MutableRawSpan {
        @_lifetime(borrow self)
        get {
            guard let region, !isSealed else {
                invariantFailed("store into the sealed or empty index \(path)")
            }
            return unsafe _overrideLifetime(region.mutableBytes, borrowing: self)
        }
    }

    /// Counts the entry that was reserved and stored.
    mutating func commitEntry() {
        entryCount += 1
        isDirty = true
    }

    /// Allocates the next block and maps it with all before it. False, with nothing changed, when that is
    /// refused.
    private mutating func grow() -> Bool {
        invariant(!isSealed, "append to the sealed index \(path)")
        guard failure == nil else { return false }
        let used = region?.byteCount ?? 0
        let step = min(max(used, Self.firstBlockByteCount), Self.maximumGrowthByteCount)
        let page = Self.firstBlockByteCount
        let blocks = (used + step + page - 1) / page * page
        // A forced entry may pass the maximum.
        let wanted = min(blocks, max(maximumEntryCount, mappedEntryCount + 1) * entryByteCount)
        do throws(IOError) {
            let file = try fileToChange()
            try file.allocate(Int64(used)..<Int64(wanted))
            region = try file.map(byteCount: wanted, .readWrite)
            mappedEntryCount = wanted / entryByteCount
            return true
        } catch {
            if !error.errno.meansNoSpace, !error.errno.meansNoDescriptor { failure = error }
            return false
        }
    }

    /// Forgets the entries from `count` on. Their bytes become zeros, which with the next sync are durable:
    /// recovery must not find entries of offsets that were given anew since.
    mutating func keepFirst(_ count: Int) {
        invariant(!isSealed, "truncation of the sealed index \(path); open it for appending")
        guard count < entryCount, let region else { return }
        let kept = max(count, 0)
        var bytes = region.mutableBytes
        for position in kept * entryByteCount..<entryCount * entryByteCount {
            bytes.storeBytes(of: 0, toByteOffset: position, as: UInt8.self)
        }
        entryCount = kept
        isDirty = true
    }

    /// On return the entries are on stable storage, though the file may be longer than them.
    mutating func sync() throws(IOError) {
        if let failure { throw failure }
        guard !isSealed, isDirty, let region else { return }
        do throws(IOError) {
            // With the pages goes the size that `grow` has given the file.
            try region.sync(0..<region.byteCount)
            isDirty = false
        } catch {
            failure = error
            throw error
        }
    }

    /// Trims the file to its entries, syncs it and maps it for reading. Where there is no descriptor for
    /// that, nothing has changed.
    mutating func seal() throws(IOError) {
        if let failure { throw failure }
        guard !isSealed else { return }
        let file = try fileToChange()
        heldFile = nil
        do throws(IOError) {
            // No mapping may reach past the end of a file: touching it there would trap.
            region = nil
            mappedEntryCount = 0
            try file.truncate(to: Int64(byteCount))
            try file.sync(.data)
            try mapEntries(of: file, Int64(byteCount), .read)
            isSealed = true
        } catch {
            if region == nil { entryCount = 0 }
            failure = error
            throw error
        }
    }
}
