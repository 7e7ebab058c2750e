import RecordFormat
import SystemIO

/// Reads a log file in pieces. Memory is one window, and the largest batch that was asked for whole.
final class SegmentReader {
    private static let windowByteCount = 1 << 20

    let path: String
    /// Size of the file when it was opened; what is appended meanwhile is not looked at.
    let byteCount: Int64
    private let file: any File
    private let window: IOBuffer
    private var windowStart: Int64 = 0
    private var windowEnd: Int64 = 0
    /// For batches larger than the window; grows.
    private var large: IOBuffer?

    init(_ path: String, _ fileSystem: any FileSystem) throws(IOError) {
        self.path = path
        file = try fileSystem.open(path, .read)
        byteCount = try file.byteCount()
        window = IOBuffer(byteCount: Int(min(Int64(Self.windowByteCount), max(byteCount, 1))))
    }

    /// Bytes from `position` on, `count` of them unless the file ends before; at most a window.
    func slice(at position: Int64, count: Int) throws(IOError) -> BufferSlice {
        let wanted = Int64(min(count, window.byteCount))
        let end = min(position + wanted, byteCount)
        if position < windowStart || end > windowEnd { try fill(at: position) }
        let start = Int(position - windowStart)
        let available = Int(max(0, min(end, windowEnd) - position))
        return BufferSlice(window, start..<start + available)
    }

    /// What is in memory from `position` on, `limit` bytes at most; read when nothing is. Empty at the end
    /// of the file.
    private func chunk(at position: Int64, limit: Int64) throws(IOError) -> BufferSlice {
        if position < windowStart || position >= windowEnd { try fill(at: position) }
        let start = Int(position - windowStart)
        let count = Int(max(0, min(windowEnd - position, limit)))
        return BufferSlice(window, start..<start + count)
    }

    private func fill(at position: Int64) throws(IOError) {
        let count = Int(max(0, min(Int64(window.byteCount), byteCount - position)))
        windowStart = position
        windowEnd = position
        windowEnd += Int64(try file.read(into: window, 0..<count, at: position))
    }

    /// The header at `position`, of which only the shape has been checked.
    func header(at position: Int64) throws(IOError) -> Result<RecordBatchHeader, RecordBatchError> {
        let slice = try slice(at: position, count: RecordBatchHeader.byteCount)
        do throws(RecordBatchError) {
            return .success(try RecordBatchHeader(parsing: slice.bytes))
        } catch {
            return .failure(error)
        }
    }

    /// The checksum of the batch at `position`, which may be larger than the window; nil when the file ends
    /// within it.
    func checksum(of header: RecordBatchHeader, at position: Int64) throws(IOError) -> UInt32? {
        let end = position + Int64(header.byteCount)
        guard end <= byteCount else { return nil }
        var checksum: UInt32 = 0
        var at = position + Int64(RecordBatchHeader.checksummedFrom)
        while at < end {
            let slice = try chunk(at: at, limit: end - at)
            if slice.byteCount == 0 { return nil }
            checksum = CRC32C.extended(checksum, with: slice.bytes)
            at += Int64(slice.byteCount)
        }
        return checksum
    }

    /// The whole batch at `position`; nil when the file ends within it. Valid until the next call. To be
    /// asked for only when the checksum has shown that the length is meant.
    func batch(_ header: RecordBatchHeader, at position: Int64) throws(IOError) -> BufferSlice? {
        guard position + Int64(header.byteCount) <= byteCount else { return nil }
        if header.byteCount <= window.byteCount {
            let slice = try slice(at: position, count: header.byteCount)
            return slice.byteCount == header.byteCount ? slice : nil
        }
        if large?.byteCount ?? 0 < header.byteCount { large = IOBuffer(byteCount: header.byteCount) }
        guard let large else { return nil }
        let read = try file.read(into: large, 0..<header.byteCount, at: position)
        return read == header.byteCount ? BufferSlice(large, 0..<read) : nil
    }

    /// The position after the last byte that is not zero, at or after `position`; `position` when there is
    /// none.
    func endOfNonZero(from position: Int64) throws(IOError) -> Int64 {
        var result = position
        var at = position
        while at < byteCount {
            let slice = try chunk(at: at, limit: byteCount - at)
            if slice.byteCount == 0 { break }
            if let last = Self.lastNonZero(slice.bytes) { result = at + Int64(last) + 1 }
            at += Int64(slice.byteCount)
        }
        return result
    }

    /// Whether the bytes from `position` on are zero as far as a header reaches.
    func isZeroHeader(at position: Int64) throws(IOError) -> Bool {
        let slice = try slice(at: position, count: RecordBatchHeader.byteCount)
        return Self.lastNonZero(slice.bytes) == nil
    }

    private static func lastNonZero(_ bytes: RawSpan) -> Int? {
        var index = bytes.byteCount
        while index >= 8,
            bytes.unsafeLoadUnaligned(fromByteOffset: index - 8, as: UInt64.self) == 0
        {
            index -= 8
        }
        while index > 0 {
            if bytes.unsafeLoad(fromByteOffset: index - 1, as: UInt8.self) != 0 { return index - 1 }
            index -= 1
        }
        return nil
    }

    /// The first position in `range` where a byte of value 2 stands in the place of a magic; nil when there
    /// is none.
    func nextMagic(in range: Range<Int64>) throws(IOError) -> Int64? {
        let magicPosition = Int64(RecordBatchHeader.magicPosition)
        var at = range.lowerBound
        while at < range.upperBound {
            let slice = try chunk(at: at + magicPosition, limit: range.upperBound - at)
            if slice.byteCount == 0 { return nil }
            if let found = Self.firstMagic(slice.bytes) { return at + Int64(found) }
            at += Int64(slice.byteCount)
        }
        return nil
    }

    private static func firstMagic(_ bytes: RawSpan) -> Int? {
        let magic = UInt8(bitPattern: RecordBatchHeader.currentMagic)
        for index in 0..<bytes.byteCount
        where bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self) == magic {
            return index
        }
        return nil
    }
}
