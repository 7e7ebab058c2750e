// The seam between the storage engine and the disk. `PosixFileSystem` implements it with the kernel,
// `SimulationKit.SimulatedFileSystem` with memory that forgets what was not synced and breaks on demand.
// Everything that LogStorage does to a disk passes through these protocols and `AppendQueue`.

/// How a file is opened.
public enum OpenMode: Sendable {
    /// Must exist; writes are refused.
    case read
    /// Must exist.
    case readWrite
    /// Is created empty when absent, opened as it is when present.
    case createOrOpen
    /// Must not exist.
    case createNew
}

/// What a sync makes durable.
public enum SyncKind: Sendable {
    /// The bytes and what is needed to read them back (fdatasync): also a size that grew.
    case data
    /// The bytes and all of the file's attributes (fsync).
    case full
}

/// What may be done with a mapping.
public enum MapAccess: Sendable {
    case read
    /// Shared with the file: stores reach it at the latest with `MappedRegion.sync`, and may reach it at any
    /// time before.
    case readWrite
}

/// How a range of a file will be used, a hint.
public enum AccessAdvice: Sendable { case sequential, random, willNeed, dontNeed }

/// What stands under a path.
public enum FileKind: Sendable { case regular, directory, other }

/// What the file system knows of a file besides its bytes.
public struct FileAttributes: Sendable {
    public let kind: FileKind
    public let byteCount: Int64
    /// Milliseconds since the Unix epoch.
    public let modifiedMilliseconds: Int64

    public init(kind: FileKind, byteCount: Int64, modifiedMilliseconds: Int64) {
        self.kind = kind
        self.byteCount = byteCount
        self.modifiedMilliseconds = modifiedMilliseconds
    }
}

/// A name in a directory.
public struct DirectoryEntry: Sendable {
    /// The last path component.
    public let name: String
    public let kind: FileKind

    public init(name: String, kind: FileKind) {
        self.name = name
        self.kind = kind
    }
}

/// Room on the volume that holds a path, in bytes.
public struct VolumeSpace: Sendable {
    public let available: Int64
    public let total: Int64

    public init(available: Int64, total: Int64) {
        self.available = available
        self.total = total
    }
}

/// Held for as long as the object lives.
public protocol DirectoryLock: AnyObject, Sendable {}

/// An open file. Closed with the last reference; a removed file stays readable until then.
///
/// Any thread may call; reads may overlap with each other and with writes elsewhere in the file.
public protocol File: AnyObject, Sendable {
    /// The path that the file was opened under; a later rename does not change it.
    var path: String { get }

    func byteCount() throws(IOError) -> Int64

    /// Fills `range` of `buffer` from `position` on; returns fewer bytes than asked only at the end of the
    /// file.
    func read(into buffer: IOBuffer, _ range: Range<Int>, at position: Int64) throws(IOError) -> Int

    /// Writes the slices one after the other from `position` on, extending the file where needed. On return
    /// all is written (in the page cache), not synced. On error any part may have been written.
    func write(_ slices: [BufferSlice], at position: Int64) throws(IOError)

    /// Cuts or extends (with zeros) the file. Durable after a sync.
    func truncate(to byteCount: Int64) throws(IOError)

    /// Makes sure that later writes into `range` find their blocks allocated; extends the file with zeros to
    /// the range's end, existing bytes stay. Throws `noSpace` when there is no room.
    func allocate(_ range: Range<Int64>) throws(IOError)

    /// On return everything written before, stores through mappings included, is on stable storage. After an
    /// error nothing is known about it: never retry as if it had worked.
    func sync(_ kind: SyncKind) throws(IOError)

    /// Maps the first `byteCount` bytes, which may not pass the end of the file. Lives on after the file is
    /// closed.
    func map(byteCount: Int, _ access: MapAccess) throws(IOError) -> MappedRegion

    func advise(_ advice: AccessAdvice, _ range: Range<Int64>)
}

/// An open directory, for making the names in it durable. Closed with the last reference.
///
/// Whoever opens it before the first change of names needs no descriptor for the syncs after it: a process
/// that has none left is told before anything has changed.
public protocol OpenDirectory: AnyObject, Sendable {
    /// The path that it was opened under; it follows the directory to another name.
    var path: String { get }

    /// On return the names created, renamed and removed in the directory before are on stable storage. After
    /// an error nothing is known about them.
    func sync() throws(IOError)
}

/// Files and directories by path. Any thread may call.
///
/// Creating, renaming and removing are durable after `syncDirectory` of the directories concerned (and the
/// content of a created file after a sync of the file).
public protocol FileSystem: AnyObject, Sendable {
    func open(_ path: String, _ mode: OpenMode) throws(IOError) -> any File

    /// Also creates the missing directories above. No error when it exists.
    func createDirectory(_ path: String) throws(IOError)

    /// In no particular order, without `.` and `..`.
    func contents(ofDirectory path: String) throws(IOError) -> [DirectoryEntry]

    /// Nil when there is nothing under `path`.
    func attributes(of path: String) throws(IOError) -> FileAttributes?

    /// Replaces what is under `target`, atomically.
    func rename(_ source: String, to target: String) throws(IOError)

    /// Removes a file; throws `noSuchFile` when there is none.
    func remove(_ path: String) throws(IOError)

    /// Removes an empty directory.
    func removeDirectory(_ path: String) throws(IOError)

    func openDirectory(_ path: String) throws(IOError) -> any OpenDirectory

    func space(at path: String) throws(IOError) -> VolumeSpace

    /// Takes the exclusive lock file at `path` (created when absent); throws `busy` while another process
    /// holds it.
    func lock(_ path: String) throws(IOError) -> any DirectoryLock
}

extension FileSystem {
    /// As `OpenDirectory.sync`. Where no descriptor is left nothing has been synced, and nothing lost.
    public func syncDirectory(_ path: String) throws(IOError) { try openDirectory(path).sync() }
}
