internal import Base
internal import CLiburing
internal import CShims
internal import Glibc

/// The kernel's files and directories. Files are made with mode 0644, directories with 0755, less the
/// process's umask.
public final class PosixFileSystem: FileSystem {
    public init() {}

    public func open(_ path: String, _ mode: OpenMode) throws(IOError) -> any File {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .createOrOpen: O_RDWR | O_CREAT
            case .createNew: O_RDWR | O_CREAT | O_EXCL
            }
        let descriptor = try Self.openDescriptor(.open, path, flags)
        return PosixFile(path: path, descriptor: descriptor, isWritable: mode != .read)
    }

    /// Every descriptor is closed in a process that this one becomes (O_CLOEXEC).
    static func openDescriptor(
        _ operation: IOOperation, _ path: String, _ flags: Int32
    ) throws(IOError) -> OwnedDescriptor {
        OwnedDescriptor(
            taking: try SystemCall.run(operation, path) { dmq_open(path, flags | O_CLOEXEC, 0o644) })
    }

    public func createDirectory(_ path: String) throws(IOError) {
        do {
            _ = try SystemCall.run(.createDirectory, path) { mkdir(path, 0o755) }
        } catch {
            switch error.errno {
            case .alreadyExists:
                if try attributes(of: path)?.kind != .directory {
                    throw IOError(.createDirectory, path, .notADirectory)
                }
            case .noSuchFile:
                guard let parent = Self.parent(of: path) else { throw error }
                try createDirectory(parent)
                // Somebody may create it at the same time, which is as good.
                do {
                    _ = try SystemCall.run(.createDirectory, path) { mkdir(path, 0o755) }
                } catch  where error.errno == .alreadyExists {}
            default:
                throw error
            }
        }
    }

    /// The directory that holds `path`; nil for a name without one and for the root.
    private static func parent(of path: String) -> String? {
        var bytes = path.utf8[...]
        while bytes.last == UInt8(ascii: "/") { bytes = bytes.dropLast() }
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")), slash != bytes.startIndex else {
            return nil
        }
        return String(path[..<slash])
    }

    public func contents(ofDirectory path: String) throws(IOError) -> [DirectoryEntry] {
        guard let directory = try SystemCall.pointer(.list, path, { opendir(path) }) else { return [] }
        defer { _ = SystemCall.once { closedir(directory) } }
        var entries: [DirectoryEntry] = []
        while let entry = try SystemCall.pointer(.list, path, { readdir(directory) }) {
            let name = Self.name(of: entry)
            if name == "." || name == ".." { continue }
            var kind = FileKind.other
            switch Int32(entry.pointee.d_type) {
            case Int32(DT_REG): kind = .regular
            case Int32(DT_DIR): kind = .directory
            case Int32(DT_UNKNOWN), Int32(DT_LNK):
                // The file system does not say, or a link leads elsewhere; gone in between means not there.
                guard let found = try attributes(of: path + "/" + name) else { continue }
                kind = found.kind
            default: break
            }
            entries.append(DirectoryEntry(name: name, kind: kind))
        }
        return entries
    }

    private static func name(of entry: UnsafeMutablePointer<dirent>) -> String {
        // The name ends with a zero byte and may be longer than the struct's array says, so it is read in
        // place.
        let offset = MemoryLayout<dirent>.offset(of: \dirent.d_name) ?? 0
        let start = UnsafeRawPointer(entry) + offset
        return String(cString: start.assumingMemoryBound(to: CChar.self))
    }

    public func attributes(of path: String) throws(IOError) -> FileAttributes? {
        var status = stat()
        do {
            _ = try SystemCall.run(.stat, path) { stat(path, &status) }
        } catch  where error.errno == .noSuchFile || error.errno == .notADirectory {
            return nil
        }
        let kind: FileKind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            default: .other
            }
        let modified = Int64(status.st_mtim.tv_sec) * 1000 + Int64(status.st_mtim.tv_nsec) / 1_000_000
        return FileAttributes(kind: kind, byteCount: Int64(status.st_size), modifiedMilliseconds: modified)
    }

    public func rename(_ source: String, to target: String) throws(IOError) {
        _ = try SystemCall.run(.rename, "\(source) to \(target)") { Glibc.rename(source, target) }
    }

    public func remove(_ path: String) throws(IOError) {
        _ = try SystemCall.run(.remove, path) { unlink(path) }
    }

    public func removeDirectory(_ path: String) throws(IOError) {
        _ = try SystemCall.run(.removeDirectory, path) { rmdir(path) }
    }

    public func openDirectory(_ path: String) throws(IOError) -> any OpenDirectory {
        PosixDirectory(path: path, try Self.openDescriptor(.open, path, O_RDONLY | O_DIRECTORY))
    }

    public func space(at path: String) throws(IOError) -> VolumeSpace {
        var status = statvfs()
        _ = try SystemCall.run(.space, path) { statvfs(path, &status) }
        let unit = Int64(status.f_frsize)
        return VolumeSpace(available: Int64(status.f_bavail) * unit, total: Int64(status.f_blocks) * unit)
    }

    public func lock(_ path: String) throws(IOError) -> any DirectoryLock { try PosixDirectoryLock(path) }
}
