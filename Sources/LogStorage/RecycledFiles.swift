internal import Base
internal import RecordFormat
internal import SystemIO

/// Files of deleted segments, kept to become the files of new ones.
///
/// Their blocks are allocated and written and their pages often still cached, which halves the cost of a sync
/// and doubles the rate of appends. Their old bytes are still in them, and must never be taken for records: a
/// file is only given to a segment whose base offset is above every offset that the file ever held. Behind
/// the end of the new records an old batch then shows an offset that is too small, which recovery and every
/// reader refuse.
///
/// One thing could get past that: a power cut that keeps the sector with the first bytes of a new batch's
/// header, its base offset among them, and loses the sector behind it, where an old batch of the same size
/// goes on. The base offset is not covered by the checksum, so the mixture would look sound. It takes a
/// sector boundary within the bytes before those that the checksum covers; the old batches that lie so are
/// made unsound before a file is given away.
///
/// Files wait in the log directory itself under `recycled-<number>`, and what a crash leaves of them is
/// removed at start.
public final class RecycledFiles: @unchecked Sendable {
    // @unchecked: mutable state is behind `state`, a lock.
    struct Entry: Sendable {
        let path: String
        let byteCount: Int64
        /// The largest offset that the file ever held.
        let lastOffset: Offset
    }

    private struct State: Sendable {
        var entries: [Entry] = []
        var byteCount: Int64 = 0
        var nextNumber = 0
    }

    static let namePrefix = "recycled-"
    private let directoryPath: String
    private let fileSystem: any FileSystem
    private let limitByteCount: Int64
    private let state = Locked(State())

    init(directoryPath: String, fileSystem: any FileSystem, limitByteCount: Int64) {
        self.directoryPath = directoryPath
        self.fileSystem = fileSystem
        self.limitByteCount = limitByteCount
    }

    /// Bytes held for reuse.
    public var byteCount: Int64 { state.withLock { $0.byteCount } }

    /// Takes over the file at `path`, by renaming it, when there is room in the pool. Nobody may still read
    /// it.
    /// - Returns: false when the pool is full; the file is then where it was.
    func accept(_ path: String, lastOffset: Offset) -> Bool {
        guard limitByteCount > 0, let byteCount = try? fileSystem.attributes(of: path)?.byteCount else {
            return false
        }
        let target: String? = state.withLock { state in
            guard byteCount > 0, state.byteCount + byteCount <= limitByteCount else { return nil }
            state.byteCount += byteCount
            state.nextNumber += 1
            return "\(directoryPath)/\(Self.namePrefix)\(state.nextNumber)"
        }
        guard let target else { return false }
        do {
            try disarm(path, byteCount: byteCount)
            try fileSystem.rename(path, to: target)
        } catch {
            state.withLock { $0.byteCount -= byteCount }
            return false
        }
        state.withLock {
            $0.entries.append(Entry(path: target, byteCount: byteCount, lastOffset: lastOffset))
        }
        return true
    }

    /// The smallest unit that a disk writes whole.
    private static let sectorByteCount: Int64 = 512

    /// Makes the batches unsound whose header has a sector boundary before the bytes that the checksum
    /// covers, durably: magic and checksum, which lie behind the boundary or on it, become zero.
    private func disarm(_ path: String, byteCount: Int64) throws {
        let file = try fileSystem.open(path, .readWrite)
        let buffer = IOBuffer(byteCount: ScanContext.bufferByteCount)
        let covered = Int64(RecordBatchHeader.checksummedFrom)
        let zeros = BufferSlice(IOBuffer(byteCount: Int(covered) - RecordBatchHeader.magicPosition))
        var scanner = BatchScanner(file: file, from: 0, to: byteCount, buffer: buffer)
        while true {
            let position = scanner.position
            guard try scanner.next() != nil else { break }
            let untilBoundary = Self.sectorByteCount - position % Self.sectorByteCount
            guard untilBoundary < covered else { continue }
            try file.write([zeros], at: position + Int64(RecordBatchHeader.magicPosition))
        }
        try file.sync(.data)
    }

    /// Gives a file to the segment at `path` with base offset `baseOffset`, if one fits: not larger than a
    /// segment may be, and never the home of an offset from `baseOffset` on.
    /// - Returns: true when the file now stands at `path`, full of old bytes.
    func give(to path: String, baseOffset: Offset, segmentByteCount: Int) -> Bool {
        let entry: Entry? = state.withLock { state in
            let fit = state.entries.firstIndex { entry in
                entry.lastOffset < baseOffset && entry.byteCount <= Int64(segmentByteCount)
            }
            guard let fit else { return nil }
            state.byteCount -= state.entries[fit].byteCount
            return state.entries.remove(at: fit)
        }
        guard let entry else { return false }
        do {
            try fileSystem.rename(entry.path, to: path)
            return true
        } catch {
            try? fileSystem.remove(entry.path)
            return false
        }
    }

    /// Frees the room that the pool holds.
    func removeAll() {
        let entries = state.withLock { state in
            defer { state = State(entries: [], byteCount: 0, nextNumber: state.nextNumber) }
            return state.entries
        }
        for entry in entries { try? fileSystem.remove(entry.path) }
    }

    /// Removes what an earlier process left: what offsets those files held is not known any more.
    func removeLeftovers() {
        guard let names = try? fileSystem.contents(ofDirectory: directoryPath) else { return }
        for entry in names where entry.kind == .regular && entry.name.hasPrefix(Self.namePrefix) {
            try? fileSystem.remove("\(directoryPath)/\(entry.name)")
        }
    }
}
