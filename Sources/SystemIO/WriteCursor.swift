internal import Base
internal import CLiburing
internal import CLinux
internal import Glibc

/// How far the writing of a list of slices has come; turns what is left into the kernel's vectors.
struct WriteCursor {
    /// Vectors a call. The kernel takes 1024; 64 of them (1 KiB) are sure to be put on the stack, and the
    /// cost of a call is long spread by then.
    static let vectorsPerCall = 64

    /// Bytes not written yet.
    private(set) var remaining: Int
    private var index = 0
    private var offset = 0

    init(_ slices: [BufferSlice]) {
        var total = 0
        // Not a `for` loop here and where requests are worked on: its iterator is on the heap in a debug
        // build, and then tests could not hold the hot paths to allocating nothing.
        var index = 0
        while index < slices.count {
            total += slices[index].byteCount
            index += 1
        }
        remaining = total
    }

    /// Fills `vectors` from its start with what comes next.
    /// - Returns: the number of vectors filled; zero only when nothing is left.
    func fill(_ vectors: UnsafeMutableBufferPointer<iovec>, from slices: [BufferSlice]) -> Int {
        var count = 0
        var skip = offset
        var next = index
        while next < slices.count && count < vectors.count {
            let slice = slices[next]
            let length = slice.byteCount - skip
            if length > 0 {
                let start = slice.buffer.base + (slice.range.lowerBound + skip)
                vectors.initializeElement(at: count, to: iovec(iov_base: start, iov_len: length))
                count += 1
            }
            skip = 0
            next += 1
        }
        return count
    }

    /// Notes that the next `byteCount` bytes are written.
    mutating func advance(by byteCount: Int, in slices: [BufferSlice]) {
        invariant(byteCount <= remaining, "\(byteCount) bytes written where \(remaining) were left")
        remaining -= byteCount
        var left = byteCount
        while left > 0 {
            let rest = slices[index].byteCount - offset
            if left < rest {
                offset += left
                return
            }
            left -= rest
            index += 1
            offset = 0
        }
    }
}
