internal import SystemIO

/// What the recovery of a log has changed, or found as a killed process left it, and not brought to stable
/// storage: to be done before the log is used.
///
/// Nothing of it has to come before anything else of it. A crash in between leaves a log that the next start
/// recovers from the same recovery point: what lies above that is read again, and indexes of segments above
/// it are made anew, whatever there is of them. So many logs are synced side by side.
struct RecoverySyncs {
    private var files: [any File] = []
    private var indexed: LogSegment?
    /// The log's directory.
    var names: (any OpenDirectory)?

    var isEmpty: Bool { files.isEmpty && indexed == nil && names == nil }

    /// A file of records that was cut or read again.
    mutating func add(_ file: any File) { files.append(file) }

    /// The active segment, whose indexes have entries that were found or made.
    mutating func addIndexes(of segment: LogSegment) { indexed = segment }

    /// On return all is on stable storage.
    mutating func perform() throws(IOError) {
        for file in files { try file.sync(.full) }
        try indexed?.syncIndexes()
        try names?.sync()
        self = RecoverySyncs()
    }
}
