internal import Base
internal import CLiburing
internal import CLinux
internal import Glibc

/// A file of the kernel's.
public final class PosixFile: File {
    public let path: String
    private let owned: OwnedDescriptor
    /// Whether the descriptor may be written. The kernel answers EBADF to a write on a read-only descriptor,
    /// which the gate takes for a bug; so the question is answered here, before it.
    let isWritable: Bool

    init(path: String, descriptor: consuming OwnedDescriptor, isWritable: Bool) {
        self.path = path
        owned = descriptor
        self.isWritable = isWritable
    }

    /// The kernel's number for the file, valid for as long as this object lives; for sendfile and for rings.
    public var descriptor: Int32 { owned.rawValue }

    public func byteCount() throws(IOError) -> Int64 { Int64(try status().st_size) }

    private func status() throws(IOError) -> stat {
        var result = stat()
        _ = try SystemCall.run(.stat, path) { fstat(descriptor, &result) }
        return result
    }

    public func read(into buffer: IOBuffer, _ range: Range<Int>, at position: Int64) throws(IOError) -> Int {
        invariant(
            range.lowerBound >= 0 && range.upperBound <= buffer.byteCount,
            "read into \(range) of a buffer of \(buffer.byteCount) bytes")
        var count = 0
        while count < range.count {
            let start = buffer.base + (range.lowerBound + count)
            let got = try SystemCall.run(.read, path) {
                pread(descriptor, start, range.count - count, off_t(position) + count)
            }
            if got == 0 { break }
            count += got
        }
        return count
    }

    public func write(_ slices: [BufferSlice], at position: Int64) throws(IOError) {
        try checkWritable(.write)
        var cursor = WriteCursor(slices)
        var place = position
        while cursor.remaining > 0 {
            let written = try SystemCall.run(.write, path) {
                withUnsafeTemporaryAllocation(of: iovec.self, capacity: WriteCursor.vectorsPerCall) {
                    vectors in
                    let count = cursor.fill(vectors, from: slices)
                    return pwritev(descriptor, vectors.baseAddress, Int32(count), off_t(place))
                }
            }
            // A regular file never takes zero bytes without an error; going round for ever would hide that it
            // did.
            if written == 0 { throw IOError(.write, path, .inputOutput) }
            cursor.advance(by: written, in: slices)
            place += Int64(written)
        }
    }

    func checkWritable(_ operation: IOOperation) throws(IOError) {
        if !isWritable { throw IOError(operation, path, .badDescriptor) }
    }

    public func truncate(to byteCount: Int64) throws(IOError) {
        _ = try SystemCall.run(.truncate, path) { ftruncate(descriptor, off_t(byteCount)) }
    }

    public func allocate(_ range: Range<Int64>) throws(IOError) {
        try checkWritable(.allocate)
        if range.isEmpty { return }
        do {
            _ = try SystemCall.run(.allocate, path) {
                fallocate(descriptor, 0, off_t(range.lowerBound), range.count)
            }
        } catch  where error.errno == .notSupported {
            // A file system without fallocate: the C library writes a zero into every block that is not
            // there.
            try SystemCall.status(.allocate, path) {
                posix_fallocate(descriptor, off_t(range.lowerBound), range.count)
            }
        }
    }

    public func sync(_ kind: SyncKind) throws(IOError) {
        _ = try SystemCall.run(.sync, path) {
            switch kind {
            case .data: fdatasync(descriptor)
            case .full: fsync(descriptor)
            }
        }
    }

    public func map(byteCount: Int, _ access: MapAccess) throws(IOError) -> MappedRegion {
        // Touching a mapped page past the end of the file kills the process with SIGBUS: refuse it here.
        let fileByteCount = try self.byteCount()
        if byteCount < 0 || Int64(byteCount) > fileByteCount {
            throw IOError(.map, path, .invalidArgument)
        }
        return try PosixMapping.region(descriptor: descriptor, path: path, byteCount: byteCount, access)
    }

    public func advise(_ advice: AccessAdvice, _ range: Range<Int64>) {
        let number =
            switch advice {
            case .sequential: POSIX_FADV_SEQUENTIAL
            case .random: POSIX_FADV_RANDOM
            case .willNeed: POSIX_FADV_WILLNEED
            case .dontNeed: POSIX_FADV_DONTNEED
            }
        // A hint that is not taken changes nothing that the caller relies on.
        _ = posix_fadvise(descriptor, off_t(range.lowerBound), range.count, number)
    }
}
