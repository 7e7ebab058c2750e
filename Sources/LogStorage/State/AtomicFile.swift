internal import RecordFormat
public import SystemIO

/// Small files that are read and replaced as a whole.
public enum AtomicFile {
    /// Replaces the file under `path`. On return the new content is on stable storage under that name; after
    /// an error or a crash at any moment there is the old content or the new one, never a mixture, and
    /// perhaps a file `.tmp`.
    ///
    /// It may be tried again after an error, unless a sync failed: then nothing more is known about the
    /// directory.
    ///
    /// Writes to one path may not overlap.
    public static func replace(
        _ path: String, with bytes: [UInt8], _ fileSystem: any FileSystem
    ) throws(StateFileError) {
        do throws(IOError) {
            let temporary = path + LogLayout.temporarySuffix
            let names = try fileSystem.openDirectory(LogLayout.parent(of: path))
            let file = try createAnew(temporary, fileSystem)
            if !bytes.isEmpty { try file.write([BufferSlice(IOBuffer(copying: bytes))], at: 0) }
            try file.sync(.full)
            try fileSystem.rename(temporary, to: path)
            try names.sync()
        } catch {
            throw .io(error)
        }
    }

    /// A new file even where a replacement that did not finish left one: it may have failed to sync, and what
    /// the kernel thinks of its pages is not known.
    private static func createAnew(_ path: String, _ fileSystem: any FileSystem) throws(IOError) -> any File {
        do throws(IOError) {
            return try fileSystem.open(path, .createNew)
        } catch {
            guard error.errno == .alreadyExists else { throw error }
            try fileSystem.remove(path)
            return try fileSystem.open(path, .createNew)
        }
    }

    /// All of a file, nil when there is none.
    /// - Parameter maximumByteCount: a larger file is refused before it is read.
    public static func read(
        _ path: String, maximumByteCount: Int, _ fileSystem: any FileSystem
    ) throws(StateFileError) -> [UInt8]? {
        do throws(IOError) {
            let file = try fileSystem.open(path, .read)
            let byteCount = try file.byteCount()
            if byteCount <= Int64(maximumByteCount) { return try contents(of: file, Int(byteCount)) }
        } catch {
            if error.errno == .noSuchFile { return nil }
            throw .io(error)
        }
        throw .malformed(
            path: path, line: nil,
            reason:
                "it is larger than \(maximumByteCount) bytes, so it is not what its name says; move it away"
        )
    }

    private static func contents(of file: any File, _ byteCount: Int) throws(IOError) -> [UInt8] {
        guard byteCount > 0 else { return [] }
        let buffer = IOBuffer(byteCount: byteCount)
        let count = try file.read(into: buffer, 0..<byteCount, at: 0)
        return Array(copying: buffer.bytes(0..<count))
    }
}
