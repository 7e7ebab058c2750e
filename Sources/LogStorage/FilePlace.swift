internal import RecordFormat

/// Where a file is that is not kept open: of a log's files in the log's directory, whatever that is called by
/// now.
enum FilePlace {
    case fixed(String)
    case log(LogPlace, LogFileKind, Offset)
    /// The offset index that waits for its name; see `LogSegment.createIndexes`.
    case provisional(LogPlace, Offset)

    var path: String {
        switch self {
        case .fixed(let path): path
        case .log(let place, let kind, let baseOffset): place.filePath(kind, baseOffset)
        case .provisional(let place, let baseOffset):
            // Not the name that compaction, which may be at this segment, uses.
            place.filePath(.offsetIndex, baseOffset) + LogLayout.temporarySuffix
        }
    }
}
