public import RecordFormat
public import SystemIO

/// Whole record batches as they lie in one segment file: what a fetch answers with. Keeps the file readable,
/// also when the segment is deleted meanwhile.
public struct LogSlice: Sendable {
    public let file: any File
    /// First byte in the file.
    public let position: Int64
    public let byteCount: Int
    /// Base offset of the first batch; at most the offset that was asked for.
    public let firstOffset: Offset
    /// The offset after the last batch: where the next read goes on.
    public let nextOffset: Offset
}

/// How far a reader may see.
public enum ReadLimit: Sendable {
    /// All that is written: followers, recovery, tools.
    case logEnd
    /// What all in-sync replicas have: consumers.
    case highWatermark
    /// What is also decided: consumers with `read_committed`.
    case lastStableOffset
}

/// The answer to a read.
public struct LogReadResult: Sendable {
    /// Nil when there is nothing to see yet from the asked offset on.
    public let slice: LogSlice?
    public let logStartOffset: Offset
    public let highWatermark: Offset
    public let lastStableOffset: Offset
    public let logEndOffset: Offset
}
