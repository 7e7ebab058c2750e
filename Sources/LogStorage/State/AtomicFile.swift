public import SystemIO

/// Small files that are read and replaced as a whole.
public enum AtomicFile {
    /// Replaces the file under `path`. On return the new content is on stable storage under that name; after
    /// an error or a crash at any moment there is the old content or the new one, never a mixture, and
    /// perhaps a file `.tmp`.
    ///
    /// Writes to one path may not overlap.
    public static func replace(
        _ path: String, with bytes: [UInt8], _ fileSystem: any FileSystem
    ) throws(StateFileError) {
        do throws(IOError) {
            let temporary = path + LogLayout.temporarySuffix
            let file = try fileSystem.open(temporary, .createOrOpen)
            // A write that did not finish may have left more than we are about to write.
            try file.truncate(to: 0)
            if !bytes.isEmpty { try file.write([BufferSlice(IOBuffer(copying: bytes))], at: 0) }
            try file.sync(.full)
            try fileSystem.rename(temporary, to: path)
            try fileSystem.syncDirectory(LogLayout.parent(of: path))
        } catch {
            throw .io(error)
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
        return buffer.bytes(0..<count).withUnsafeBytes { Array($0) }
    }
}
