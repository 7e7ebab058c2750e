import Base
import SystemIO

/// An index file: entries of equal size, read in pieces. Not mapped: a broker may cut the file meanwhile.
final class EntryFile {
    private static let windowEntryCount = 4096

    let path: String
    let fileByteCount: Int64
    let entryByteCount: Int
    /// Whole entries without the zeros at the end, which are room that a broker has not used yet.
    private(set) var count: Int
    private var endsInZeros = false
    private let file: any File
    private let window: IOBuffer
    private var windowFirst = 0
    private var windowCount = 0

    init(_ path: String, entryByteCount: Int, _ fileSystem: any FileSystem) throws(IOError) {
        self.path = path
        self.entryByteCount = entryByteCount
        file = try fileSystem.open(path, .read)
        fileByteCount = try file.byteCount()
        window = IOBuffer(byteCount: Self.windowEntryCount * entryByteCount)
        count = Int(fileByteCount) / entryByteCount
        try trimZeros()
    }

    /// Bytes behind the last whole entry that are part of one. Blocks allocated ahead need not be a multiple
    /// of an entry: zeros behind zeros are none.
    var partialByteCount: Int64 { endsInZeros ? 0 : fileByteCount % Int64(entryByteCount) }

    /// Bytes of zeros behind the entries.
    var unusedByteCount: Int64 { fileByteCount - partialByteCount - position(of: count) }

    func position(of index: Int) -> Int64 { Int64(index) * Int64(entryByteCount) }

    /// A file of one entry has that entry, even if it is zero: trimmed, as brokers leave them.
    private func trimZeros() throws(IOError) {
        guard count > 1 else { return }
        let whole = count
        var used = 0
        for index in 0..<whole where try !isZero(index) { used = index + 1 }
        count = used
        guard used < whole else { return }
        let rest = Int(fileByteCount) % entryByteCount
        let read = try file.read(into: window, 0..<rest, at: position(of: whole))
        windowCount = 0
        let window = window
        let bytes = window.bytes(0..<read)
        endsInZeros = true
        for place in 0..<read where bytes.unsafeLoad(fromByteOffset: place, as: UInt8.self) != 0 {
            endsInZeros = false
        }
    }

    private func isZero(_ index: Int) throws(IOError) -> Bool {
        let start = try load(index)
        let window = window
        let bytes = window.bytes(start..<start + entryByteCount)
        for place in 0..<bytes.byteCount where bytes.unsafeLoad(fromByteOffset: place, as: UInt8.self) != 0 {
            return false
        }
        return true
    }

    /// Where entry `index` is in the window; zeros when the file was cut meanwhile.
    private func load(_ index: Int) throws(IOError) -> Int {
        invariant(index >= 0 && index < Int(fileByteCount) / entryByteCount, "entry \(index) of \(path)")
        if index < windowFirst || index >= windowFirst + windowCount {
            windowFirst = index
            let read = try file.read(into: window, 0..<window.byteCount, at: position(of: index))
            windowCount = max(1, read / entryByteCount)
        }
        return (index - windowFirst) * entryByteCount
    }

    /// The big-endian number at `place` of entry `index`.
    func number<Value: FixedWidthInteger & BitwiseCopyable>(
        _ index: Int, at place: Int, as type: Value.Type
    ) throws(IOError) -> Value {
        let start = try load(index)
        let window = window
        let bytes = window.bytes
        return Value(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: start + place, as: type))
    }
}

/// The three kinds of index files, entry by entry.
struct OffsetEntries {
    struct Entry {
        /// Relative to the segment's base offset.
        let relativeOffset: Int64
        let position: Int64
    }

    let file: EntryFile

    init(_ path: String, _ fileSystem: any FileSystem) throws(IOError) {
        file = try EntryFile(path, entryByteCount: 8, fileSystem)
    }

    func entry(_ index: Int) throws(IOError) -> Entry {
        Entry(
            relativeOffset: Int64(try file.number(index, at: 0, as: Int32.self)),
            position: Int64(try file.number(index, at: 4, as: Int32.self)))
    }
}

struct TimeEntries {
    struct Entry {
        let timestamp: Int64
        let relativeOffset: Int64
    }

    let file: EntryFile

    init(_ path: String, _ fileSystem: any FileSystem) throws(IOError) {
        file = try EntryFile(path, entryByteCount: 12, fileSystem)
    }

    func entry(_ index: Int) throws(IOError) -> Entry {
        Entry(
            timestamp: try file.number(index, at: 0, as: Int64.self),
            relativeOffset: Int64(try file.number(index, at: 8, as: Int32.self)))
    }
}

struct TransactionEntries {
    struct Entry {
        let version: Int16
        let producerID: Int64
        let firstOffset: Int64
        let lastOffset: Int64
        let lastStableOffset: Int64
    }

    let file: EntryFile

    init(_ path: String, _ fileSystem: any FileSystem) throws(IOError) {
        file = try EntryFile(path, entryByteCount: 34, fileSystem)
    }

    func entry(_ index: Int) throws(IOError) -> Entry {
        Entry(
            version: try file.number(index, at: 0, as: Int16.self),
            producerID: try file.number(index, at: 2, as: Int64.self),
            firstOffset: try file.number(index, at: 10, as: Int64.self),
            lastOffset: try file.number(index, at: 18, as: Int64.self),
            lastStableOffset: try file.number(index, at: 26, as: Int64.self))
    }
}
