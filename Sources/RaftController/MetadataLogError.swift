public import ClusterMetadata
public import LogStorage
public import RecordFormat

/// Why the metadata log cannot be used.
public enum MetadataLogError: Error, Sendable, CustomStringConvertible {
    case log(LogError)
    case stateFile(StateFileError)
    /// A record or a batch that cannot be understood.
    case unreadable(path: String, MetadataBatchError)
    /// The log begins behind the newest snapshot that can be read.
    case gap(path: String, logStartOffset: Offset, snapshot: MetadataSnapshotID?)
    /// The log is that of a quorum with other voters.
    case otherVoters(path: String, found: [Int32], expected: Int32)

    public var description: String {
        switch self {
        case .log(let error): "\(error)"
        case .stateFile(let error): "\(error)"
        case .unreadable(let path, let error): "the metadata log \(path) cannot be read: \(error)"
        case .gap(let path, let start, let snapshot):
            "the metadata log \(path) begins at offset \(start) and "
                + (snapshot.map { "its newest sound snapshot ends at \($0.endOffset)" }
                    ?? "has no sound snapshot") + "; restore a snapshot from a copy"
        case .otherVoters(let path, let found, let expected):
            "the metadata log \(path) belongs to a quorum of the voters "
                + found.map(String.init).joined(separator: ", ")
                + ", not to node \(expected) alone; choose another directory"
        }
    }
}
