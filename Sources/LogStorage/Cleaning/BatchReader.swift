internal import Base
internal import RecordFormat
internal import SystemIO

/// Reads the batches of a sealed segment one after the other, whole, and checks each.
struct BatchReader: ~Copyable {
    let file: any File
    let path: String
    /// Where the next batch begins.
    private(set) var position: Int64 = 0
    /// Where the last batch begins that `next` returned.
    private(set) var batchPosition: Int64 = 0
    let byteCount: Int64
    private let gate: CleaningGate
    /// Grows to hold the largest batch.
    private var buffer: IOBuffer
    private var windowStart: Int64 = 0
    private var windowByteCount = 0
    private var batchRange = 0..<0

    /// - Parameter bufferByteCount: how much is read at once (`log.cleaner.io.buffer.size`).
    init(
        _ path: String, byteCount: Int64, bufferByteCount: Int, gate: CleaningGate,
        _ fileSystem: any FileSystem
    ) throws(CleaningError) {
        self.path = path
        self.byteCount = byteCount
        self.gate = gate
        do {
            file = try fileSystem.open(path, .read)
        } catch {
            throw Self.failure(error, gate)
        }
        buffer = IOBuffer(byteCount: max(bufferByteCount, RecordBatchHeader.byteCount))
    }

    /// A file that is gone is no failure when the log was deleted meanwhile.
    static func failure(_ error: IOError, _ gate: CleaningGate) -> CleaningError {
        gate.cancellation.isCancelled ? .cancelled : .log(LogError(reading: error))
    }

    /// The header of the next batch; nil at the end of the segment.
    mutating func next() throws(CleaningError) -> RecordBatchHeader? {
        guard position < byteCount else { return nil }
        try fill(RecordBatchHeader.byteCount)
        let header: RecordBatchHeader
        do throws(RecordBatchError) {
            header = try RecordBatchHeader(
                parsing: buffer.bytes(Int(position - windowStart)..<windowByteCount))
        } catch {
            throw corrupt(error)
        }
        try fill(header.byteCount)
        let start = Int(position - windowStart)
        do throws(RecordBatchError) {
            let end = min(start + header.byteCount, windowByteCount)
            try RecordBatch.validate(buffer.bytes(start..<end), header: header)
        } catch {
            throw corrupt(error)
        }
        batchRange = start..<start + header.byteCount
        batchPosition = position
        position += Int64(header.byteCount)
        return header
    }

    /// The batch that `next` returned the header of.
    var batch: RawSpan {
        @_lifetime(borrow self)
        get { unsafe _overrideLifetime(buffer.bytes(batchRange), borrowing: self) }
    }

    func corrupt(_ error: RecordBatchError) -> CleaningError {
        .log(
            .corrupt(path: path, position: batchRange.isEmpty ? position : batchPosition, reason: "\(error)"))
    }

    /// Makes the window hold `wanted` bytes from `position` on, or all there are.
    private mutating func fill(_ wanted: Int) throws(CleaningError) {
        batchRange = 0..<0
        let needed = Int(min(Int64(wanted), byteCount - position))
        if position >= windowStart, windowStart + Int64(windowByteCount) - position >= Int64(needed) {
            return
        }
        if needed > buffer.byteCount { buffer = IOBuffer(byteCount: needed) }
        let count = Int(min(Int64(buffer.byteCount), byteCount - position))
        try gate.admit(count)
        do {
            windowByteCount = try file.read(into: buffer, 0..<count, at: position)
        } catch {
            throw Self.failure(error, gate)
        }
        windowStart = position
    }
}
