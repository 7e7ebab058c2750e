internal import Base
internal import ClusterMetadata
internal import LogStorage
internal import RecordFormat
internal import SystemIO

/// The snapshots in the metadata log's directory. ClusterMetadata/MetadataSnapshot.swift says what is in one.
struct SnapshotFiles {
    /// A snapshot that is being written has this after its name; it is removed when the log is opened.
    static let partSuffix = ".part"

    let directory: LogDirectory
    let path: String

    private var fileSystem: any FileSystem { directory.fileSystem }

    /// The snapshots that there are, the newest first; leftovers of unfinished ones are removed.
    func list() throws(IOError) -> [MetadataSnapshotID] {
        var found: [MetadataSnapshotID] = []
        for entry in try fileSystem.contents(ofDirectory: path) where entry.kind == .regular {
            if let id = MetadataSnapshotID(fileName: entry.name) {
                found.append(id)
            } else if entry.name.hasSuffix(Self.partSuffix) {
                try fileSystem.remove(LogLayout.path(path, entry.name))
            }
        }
        return found.sorted(by: >)
    }

    /// Writes a snapshot. On return it is on stable storage under its name; after an error or a crash there
    /// is nothing under it, or all of it.
    func write(
        _ image: MetadataImage, _ id: MetadataSnapshotID, lastTimestamp: Timestamp, now: Timestamp
    ) throws(IOError) {
        let target = LogLayout.path(path, id.fileName)
        let part = target + Self.partSuffix
        let names = try fileSystem.openDirectory(path)
        let file = try fileSystem.open(part, .createOrOpen)
        try file.truncate(to: 0)
        var position: Int64 = 0
        try MetadataSnapshotWriter.write(image, id, lastTimestamp: lastTimestamp, now: now) {
            (batch) throws(IOError) in
            try file.write([BufferSlice(IOBuffer(copying: batch))], at: position)
            position += Int64(batch.count)
        }
        try file.sync(.full)
        try fileSystem.rename(part, to: target)
        try names.sync()
    }

    /// Reads a snapshot whole.
    func read(_ id: MetadataSnapshotID) throws(SnapshotFileError) -> (MetadataImage, Timestamp) {
        do {
            let file = try fileSystem.open(LogLayout.path(path, id.fileName), .read)
            var reader = MetadataSnapshotReader()
            var batches = BatchFile(file: file, endPosition: try file.byteCount())
            while let (buffer, header) = try batches.next() {
                try reader.take(buffer.bytes(0..<header.byteCount), header: header)
            }
            return try reader.finish()
        } catch let error as IOError {
            throw .io(error)
        } catch let error as MetadataSnapshotError {
            throw .malformed(error)
        } catch let error as MetadataBatchError {
            throw .malformed(.batch(error))
        } catch {
            invariantFailed("an error of an unknown kind: \(error)")
        }
    }

    /// Removes snapshots, durably.
    func remove(_ ids: [MetadataSnapshotID]) throws(IOError) {
        guard !ids.isEmpty else { return }
        let names = try fileSystem.openDirectory(path)
        for id in ids { try fileSystem.remove(LogLayout.path(path, id.fileName)) }
        try names.sync()
    }
}

/// Why a snapshot could not be read.
enum SnapshotFileError: Error, CustomStringConvertible {
    case io(IOError)
    case malformed(MetadataSnapshotError)

    var description: String {
        switch self {
        case .io(let error): "\(error)"
        case .malformed(let error): "\(error)"
        }
    }
}

/// Reads the batches of a file one after the other, each into the same memory.
struct BatchFile {
    let file: any File
    let endPosition: Int64
    private(set) var position: Int64 = 0
    private var buffer = IOBuffer(byteCount: 64 << 10)

    init(file: any File, from position: Int64 = 0, endPosition: Int64) {
        self.file = file
        self.position = position
        self.endPosition = endPosition
    }

    /// The next batch at the start of a buffer that the next call overwrites, nil at the end.
    mutating func next() throws -> (IOBuffer, RecordBatchHeader)? {
        guard position < endPosition else { return nil }
        let left = Int(min(endPosition - position, Int64(MetadataBatch.maximumByteCount)))
        let headerByteCount = RecordBatchHeader.byteCount
        guard left >= headerByteCount,
            try file.read(into: buffer, 0..<headerByteCount, at: position) == headerByteCount
        else { throw MetadataBatchError.batch(.truncated(have: left, need: headerByteCount)) }
        let header: RecordBatchHeader
        do {
            header = try RecordBatchHeader(parsing: buffer.bytes(0..<headerByteCount))
        } catch {
            throw MetadataBatchError.batch(error)
        }
        guard header.byteCount <= left else {
            throw MetadataBatchError.batch(.truncated(have: left, need: header.byteCount))
        }
        if header.byteCount > buffer.byteCount { buffer = IOBuffer(byteCount: header.byteCount) }
        guard try file.read(into: buffer, 0..<header.byteCount, at: position) == header.byteCount else {
            throw MetadataBatchError.batch(.truncated(have: left, need: header.byteCount))
        }
        position += Int64(header.byteCount)
        return (buffer, header)
    }
}
