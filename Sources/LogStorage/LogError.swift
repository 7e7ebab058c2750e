internal import Base
public import RecordFormat
public import SystemIO

/// Why an operation on a log was refused or failed. Each case carries the values that show it; the broker
/// maps each case to one Kafka error code.
public enum LogError: Error, Sendable {
    /// The disk refused. For a write or a sync the log directory is offline from then on.
    case io(IOError)
    /// An earlier failure took the whole log directory offline (KAFKA_STORAGE_ERROR).
    case directoryOffline(path: String, reason: String)
    /// No room, or less than the reserve: appends are refused until there is room again, reads and deletes
    /// work.
    case noSpace(path: String)
    /// The process or the system has no descriptor left (EMFILE, ENFILE): what was asked for was not done,
    /// and goes through once there is one again.
    case tooManyOpenFiles(path: String)
    /// A read, truncation or deletion at an offset that the log does not hold (OFFSET_OUT_OF_RANGE).
    case offsetOutOfRange(requested: Offset, start: Offset, end: Offset)
    /// What was to be appended is not a valid record batch; `index` counts batches within the append.
    case batch(RecordBatchError, index: Int)
    /// A batch above `max.message.bytes` (MESSAGE_TOO_LARGE).
    case batchTooLarge(byteCount: Int, limit: Int)
    /// An append that no segment of this log could hold (RECORD_LIST_TOO_LARGE).
    case appendTooLarge(byteCount: Int, segmentByteCount: Int)
    /// Nothing to append.
    case emptyAppend
    /// A client sends one batch for a partition at a time (INVALID_RECORD).
    case moreThanOneBatch(Int)
    /// A record timestamp outside of what `message.timestamp.before/after.max.ms` allow (INVALID_TIMESTAMP).
    case timestampOutOfRange(timestamp: Timestamp, now: Timestamp, earliest: Timestamp, latest: Timestamp)
    /// A client may not write control batches (INVALID_RECORD).
    case controlBatchFromClient
    /// The producer's epoch or sequence does not fit what the log knows of it.
    case producer(ProducerStateError)
    /// A follower was handed a batch that does not continue its log.
    case unexpectedOffset(found: Offset, expected: Offset)
    /// The log holds bytes that are no valid batch where one must be.
    case corrupt(path: String, position: Int64, reason: String)
    /// A checkpoint, snapshot or index beside the log cannot be understood.
    case stateFile(StateFileError)
    /// The log was closed or deleted.
    case closed(path: String)
}

extension LogError {
    /// The meaning of an error met while reading: the disk's is passed on, a log error stays as it is.
    init(reading error: any Error) {
        switch error {
        case let error as LogError: self = error
        case let error as IOError:
            self = error.errno.meansNoDescriptor ? .tooManyOpenFiles(path: error.subject) : .io(error)
        case StateFileError.io(let cause): self = LogError(reading: cause)
        case let error as StateFileError: self = .stateFile(error)
        default: invariantFailed("an error of an unknown kind: \(error)")
        }
    }
}

extension LogError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .io(let error): return "\(error)"
        case .directoryOffline(let path, let reason):
            return "log directory \(path) is offline: \(reason); repair the disk and restart the broker"
        case .noSpace(let path):
            return "no room for appends in log directory \(path); free space, lower retention or add a disk"
        case .tooManyOpenFiles(let path):
            return
                "no descriptor is left for files in log directory \(path); raise the limit of open files "
                + "(ulimit -n, LimitNOFILE), or have fewer partitions and connections on this broker"
        case .offsetOutOfRange(let requested, let start, let end):
            return "offset \(requested) is not within the log, which holds \(start) up to \(end)"
        case .batch(let error, let index): return "batch \(index) of the append is invalid: \(error)"
        case .batchTooLarge(let byteCount, let limit):
            return "a record batch of \(byteCount) bytes is above max.message.bytes = \(limit)"
        case .appendTooLarge(let byteCount, let segmentByteCount):
            return
                "an append of \(byteCount) bytes does not fit a segment of "
                + "segment.bytes = \(segmentByteCount)"
        case .emptyAppend: return "an append without a record batch"
        case .moreThanOneBatch(let count):
            return "\(count) record batches in one append, a client may send one"
        case .timestampOutOfRange(let timestamp, let now, let earliest, let latest):
            return "record timestamp \(timestamp) is outside of \(earliest) ... \(latest) (now \(now)), see "
                + "message.timestamp.before.max.ms and message.timestamp.after.max.ms"
        case .controlBatchFromClient: return "clients may not append control batches"
        case .producer(let error): return "\(error)"
        case .unexpectedOffset(let found, let expected):
            return "a batch at offset \(found) cannot follow, \(expected) or later was expected"
        case .corrupt(let path, let position, let reason):
            return "\(path) is damaged at byte \(position): \(reason); dmq-dump-log --verify shows the extent"
        case .stateFile(let error): return "\(error)"
        case .closed(let path): return "the log \(path) is closed"
        }
    }
}
