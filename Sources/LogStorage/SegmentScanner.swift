internal import RecordFormat
internal import SystemIO

/// Reads a segment from a position on, checking every batch whole: lengths, checksum, rising offsets.
///
/// Reads in large pieces, for recovery; memory stays at one piece, also for a length field that lies, because
/// no more is read than the file has.
struct SegmentScanner {
    private let file: any File
    private let buffer: IOBuffer
    private let fileByteCount: Int64
    /// Where the batch that `next` looks at begins; where the scan stopped, when it did.
    private(set) var position: Int64
    /// The smallest base offset that may come next.
    private(set) var expectedOffset: Offset
    /// Index entries hold offsets relative to the segment's base in 32 bits; a base offset is not covered by
    /// the checksum, so a damaged one shows only here.
    private let largestOffset: Offset
    private var windowStart: Int64
    private var windowByteCount = 0

    static let windowByteCount = 1 << 20

    init(
        file: any File, from position: Int64, segmentBaseOffset: Offset, expectedOffset: Offset,
        buffer: IOBuffer
    ) throws(IOError) {
        self.file = file
        largestOffset = segmentBaseOffset + Int64(Int32.max)
        self.buffer = buffer
        self.position = position
        self.expectedOffset = expectedOffset
        windowStart = position
        fileByteCount = try file.byteCount()
    }

    enum Step {
        case batch(RecordBatchHeader, position: Int64)
        case end(TailRecovery.End, reason: String)
    }

    mutating func next() throws(IOError) -> Step {
        let left = fileByteCount - position
        if left == 0 { return .end(.endOfFile, reason: "end of file") }
        try fill(atLeast: min(left, Int64(RecordBatchHeader.byteCount)))
        let header: RecordBatchHeader
        do {
            header = try RecordBatchHeader(parsing: window)
        } catch {
            return try endsInZeros() ? .end(.zeros, reason: "zeros") : .end(.invalid, reason: "\(error)")
        }
        // An old batch first: it is whole and sound, and what its other fields say does not matter.
        if header.baseOffset < expectedOffset {
            return .end(
                .oldBatch, reason: "offset \(header.baseOffset) where \(expectedOffset) or later is due")
        }
        guard Int64(header.byteCount) <= left else {
            return .end(.invalid, reason: "a batch of \(header.byteCount) bytes, of which \(left) are there")
        }
        guard header.lastOffsetDelta >= 0, header.recordCount >= 0, header.baseOffset <= largestOffset else {
            return .end(
                .invalid,
                reason: "offset \(header.baseOffset), last offset delta \(header.lastOffsetDelta), "
                    + "\(header.recordCount) records")
        }
        if let reason = try defect(of: header) { return .end(.invalid, reason: reason) }
        let start = position
        position += Int64(header.byteCount)
        expectedOffset = header.nextOffset
        return .batch(header, position: start)
    }

    private var window: RawSpan {
        @_lifetime(borrow self)
        get {
            unsafe _overrideLifetime(
                buffer.bytes(Int(position - windowStart)..<windowByteCount), borrowing: self)
        }
    }

    /// Makes sure that the window holds `byteCount` bytes from `position` on.
    private mutating func fill(atLeast byteCount: Int64) throws(IOError) {
        let have = windowStart + Int64(windowByteCount) - position
        if position >= windowStart, have >= byteCount { return }
        windowStart = position
        windowByteCount = try file.read(
            into: buffer, 0..<Int(min(Int64(buffer.byteCount), fileByteCount - position)), at: position)
    }

    /// What is wrong with the batch at `position`; nil when its checksum holds.
    private mutating func defect(of header: RecordBatchHeader) throws(IOError) -> String? {
        let checksumStart = Int64(RecordBatchHeader.checksummedFrom)
        var checksum: UInt32 = 0
        var at = position + checksumStart
        let end = position + Int64(header.byteCount)
        let batchStart = position
        while at < end {
            // The window is moved over batches larger than it.
            if at >= windowStart + Int64(windowByteCount) || at < windowStart {
                windowStart = at
                windowByteCount = try file.read(
                    into: buffer, 0..<Int(min(Int64(buffer.byteCount), fileByteCount - at)), at: at)
                if windowByteCount == 0 { return "the file ends within the batch" }
            }
            let from = Int(at - windowStart)
            let to = Int(min(end - windowStart, Int64(windowByteCount)))
            checksum = CRC32C.extended(checksum, with: buffer.bytes(from..<to))
            at = windowStart + Int64(to)
        }
        position = batchStart
        guard checksum == header.crc else {
            return "checksum \(hexadecimal(header.crc)) stored, \(hexadecimal(checksum)) computed"
        }
        return nil
    }

    private func hexadecimal(_ value: UInt32) -> String { "0x" + String(value, radix: 16) }

    /// Whether only zeros follow, as far as a header reaches: a torn batch that begins with zeros is no more
    /// than that.
    private mutating func endsInZeros() throws(IOError) -> Bool {
        let end = min(windowByteCount, Int(position - windowStart) + RecordBatchHeader.byteCount)
        let bytes = buffer.bytes(Int(position - windowStart)..<end)
        for index in 0..<bytes.byteCount where bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self) != 0 {
            return false
        }
        return true
    }
}
