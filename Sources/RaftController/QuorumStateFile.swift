// `quorum-state`, beside the metadata log: what a voter has promised (KIP-595, KIP-853). JSON in one line:
//
//   field             meaning
//   leaderId          node ID of the leader of the epoch, -1: not known
//   leaderEpoch       the largest epoch that this node has seen
//   votedId           to whom this node gave its vote in that epoch, -1: to nobody
//   votedDirectoryId  that voter's directory, 22 characters of base64url
//   data_version      1; version 0 has clusterId, appliedOffset and currentVoters, and no votedDirectoryId
//
// It has no checksum, and is replaced as a whole. It cannot be rebuilt: a voter without it could vote twice.

internal import Base
public import LogStorage
public import RecordFormat
public import SystemIO

/// What a voter has promised.
public struct QuorumState: Hashable, Sendable {
    /// Nil while no leader is known in the epoch.
    public var leaderID: Int32?
    public var leaderEpoch: LeaderEpoch
    /// Nil while this node has not voted in the epoch.
    public var votedID: Int32?
    public var votedDirectoryID: DirectoryID?
    /// The voters that version 0 lists; nil in version 1, where they are in the log.
    public var voters: [Int32]?

    public init(
        leaderID: Int32? = nil, leaderEpoch: LeaderEpoch, votedID: Int32? = nil,
        votedDirectoryID: DirectoryID? = nil, voters: [Int32]? = nil
    ) {
        self.leaderID = leaderID
        self.leaderEpoch = leaderEpoch
        self.votedID = votedID
        self.votedDirectoryID = votedDirectoryID
        self.voters = voters
    }
}

/// Reads and replaces `quorum-state`.
public struct QuorumStateFile: Sendable {
    public static let name = "quorum-state"
    /// A good file has about 130 bytes, and 20 more for each voter of version 0.
    static let maximumByteCount = 64 << 10
    private static let nobody: Int32 = -1
    private static let remedy =
        "restore the file from a copy; without it this node could vote twice in one epoch"

    public let path: String
    private let fileSystem: any FileSystem

    /// - Parameter directory: the metadata log's.
    public init(directory: String, _ fileSystem: any FileSystem) {
        path = LogLayout.path(directory, Self.name)
        self.fileSystem = fileSystem
    }

    /// Nil when there is no file.
    public func read() throws(StateFileError) -> QuorumState? {
        guard
            let bytes = try AtomicFile.read(path, maximumByteCount: Self.maximumByteCount, fileSystem)
        else { return nil }
        return try Self.parse(bytes, path: path)
    }

    /// Replaces the file, atomically. On return it is on stable storage: only then may anything leave this
    /// node that rests on it.
    public func write(_ state: QuorumState) throws(StateFileError) {
        try AtomicFile.replace(path, with: Self.encode(state), fileSystem)
    }

    /// The content of the file, in version 1.
    public static func encode(_ state: QuorumState) -> [UInt8] {
        var json = JSONText()
        json.object { json in
            json.field("leaderId", state.leaderID ?? nobody)
            json.field("leaderEpoch", state.leaderEpoch.rawValue)
            json.field("votedId", state.votedID ?? nobody)
            json.field("votedDirectoryId", (state.votedDirectoryID ?? .unassigned).description)
            json.field("data_version", 1)
        }
        return json.bytes
    }

    /// Reads the content of the file.
    /// - Parameter path: for messages.
    public static func parse(_ bytes: [UInt8], path: String) throws(StateFileError) -> QuorumState {
        func malformed(_ reason: String) -> StateFileError {
            .malformed(path: path, line: nil, reason: "\(reason); \(remedy)")
        }
        guard let value = JSONValue(parsing: bytes) else { throw malformed("it is not JSON") }
        guard let version = value["data_version"]?.integer, version == 0 || version == 1 else {
            throw malformed("its data_version is neither 0 nor 1")
        }
        guard let epoch = value["leaderEpoch"]?.integer.flatMap({ Int32(exactly: $0) }), epoch >= 0 else {
            throw malformed("it has no leaderEpoch of 0 or more")
        }
        func node(_ key: String) throws(StateFileError) -> Int32? {
            guard let number = value[key]?.integer else { return nil }
            guard let id = Int32(exactly: number), id >= nobody else {
                throw malformed("\(key) is \(number), which is no node ID")
            }
            return id == nobody ? nil : id
        }
        var state = QuorumState(
            leaderID: try node("leaderId"), leaderEpoch: LeaderEpoch(epoch), votedID: try node("votedId"))
        if let text = value["votedDirectoryId"]?.text {
            guard let id = DirectoryID(text) else { throw malformed("votedDirectoryId is no ID") }
            state.votedDirectoryID = id == .unassigned ? nil : id
        }
        if version == 0, let voters = value["currentVoters"]?.array {
            state.voters = voters.compactMap { $0["voterId"]?.integer.flatMap { Int32(exactly: $0) } }
        }
        return state
    }
}
