internal import RecordFormat
internal import SystemIO

/// Walks the headers of the batches in a segment file, reading as little as it can: a window of the file at a
/// time, and nothing of the records of batches larger than it.
///
/// Not escaping its lane: the window lies in the lane's scratch memory. Allocates nothing.
struct BatchScanner {
    private let file: any File
    private let buffer: IOBuffer
    /// Where the next header is read.
    private(set) var position: Int64
    /// Bytes from here on are not looked at.
    let endPosition: Int64
    private var windowStart: Int64 = 0
    private var windowByteCount = 0
    /// Size of the batch before `position`.
    private var lastBatchByteCount = 0

    init(file: any File, from position: Int64, to endPosition: Int64, buffer: IOBuffer) {
        self.file = file
        self.position = position
        self.endPosition = endPosition
        self.buffer = buffer
    }

    /// The header at `position`, which then moves behind its batch; nil at the end.
    ///
    /// Throws `corrupt` when there is no whole batch: the caller asks only for what has been written whole.
    mutating func next() throws(LogError) -> RecordBatchHeader? {
        guard position < endPosition else { return nil }
        let header = try header()
        guard position + Int64(header.byteCount) <= endPosition else {
            throw .corrupt(
                path: file.path, position: position,
                reason:
                    "a batch of \(header.byteCount) bytes, of which only \(endPosition - position) are there")
        }
        position += Int64(header.byteCount)
        lastBatchByteCount = header.byteCount
        return header
    }

    private mutating func header() throws(LogError) -> RecordBatchHeader {
        let needed = Int64(RecordBatchHeader.byteCount)
        if position < windowStart || position + needed > windowStart + Int64(windowByteCount) {
            try fillWindow()
        }
        let start = Int(position - windowStart)
        guard start + Int(needed) <= windowByteCount else {
            throw .corrupt(
                path: file.path, position: position,
                reason: "\(windowByteCount - start) bytes are left, a batch header has \(needed)")
        }
        do {
            return try RecordBatchHeader(parsing: buffer.bytes(start..<windowByteCount))
        } catch {
            throw .corrupt(path: file.path, position: position, reason: "\(error)")
        }
    }

    private mutating func fillWindow() throws(LogError) {
        // Behind a batch that the window did not hold comes likely another: only its header is worth reading.
        let wanted = lastBatchByteCount < buffer.byteCount ? buffer.byteCount : RecordBatchHeader.byteCount
        let byteCount = Int(min(Int64(min(wanted, buffer.byteCount)), endPosition - position))
        do {
            windowByteCount = try file.read(into: buffer, 0..<byteCount, at: position)
        } catch {
            throw LogError(reading: error)
        }
        windowStart = position
    }
}
