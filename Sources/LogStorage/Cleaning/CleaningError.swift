internal import Base
public import RecordFormat

/// Why a round of compaction ended before its end. Nothing of the log is lost by it: what was swapped in
/// before is right, what was not is as it was.
public enum CleaningError: Error, Sendable {
    /// The log was truncated, closed or deleted meanwhile, or the cleaner is stopping.
    case cancelled
    case log(LogError)
    /// A batch that was written anew could not be compressed.
    case compression(path: String, position: Int64, reason: CompressionError)
    /// What is left of segments that were to be joined is too large for one; the indexes could not name its
    /// positions.
    case outputTooLarge(path: String, byteCount: Int64)
}

extension CleaningError {
    /// Whether trying again can help without anybody doing something about this log.
    var isPassing: Bool {
        switch self {
        case .cancelled: true
        case .log(.noSpace), .log(.tooManyOpenFiles), .log(.directoryOffline), .log(.closed): true
        default: false
        }
    }
}

extension CleaningError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .cancelled: "the log was truncated, closed or deleted meanwhile"
        case .log(let error): "\(error)"
        case .compression(let path, let position, let reason):
            "the batch at byte \(position) of \(path) cannot be written anew: \(reason)"
        case .outputTooLarge(let path, let byteCount):
            "\(path) would have \(byteCount) bytes, more than an index can name; lower segment.bytes"
        }
    }
}
