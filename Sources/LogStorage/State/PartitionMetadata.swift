// `partition.metadata`: which topic a directory belongs to (KIP-516). ASCII text of two lines, the second one
// not ended:
//
//   line  content
//   1     version: 0
//   2     topic_id: <22 characters of base64url>
//
// It has no checksum, and is replaced as a whole. When it is lost it is written anew once the topic's ID is
// known; until then the directory could be taken for that of an older topic of the same name.

internal import Base
public import RecordFormat
public import SystemIO

/// Which topic a partition's directory belongs to.
public struct PartitionMetadata: Hashable, Sendable {
    /// A good file has 43 bytes.
    public static let maximumByteCount = 4096
    static let versionKey = "version: "
    static let topicIDKey = "topic_id: "
    private static let remedy =
        "restore the file, or remove it if the directory is surely that of the present topic"

    /// Not `TopicID.none`.
    public let topicID: TopicID

    public init(topicID: TopicID) { self.topicID = topicID }

    /// Nil when there is no file.
    public static func read(
        _ path: String, _ fileSystem: any FileSystem
    ) throws(StateFileError) -> PartitionMetadata? {
        guard let bytes = try AtomicFile.read(path, maximumByteCount: maximumByteCount, fileSystem) else {
            return nil
        }
        return try PartitionMetadata(parsing: bytes, path: path)
    }

    /// Replaces the file, atomically. On return it is on stable storage.
    public func write(to path: String, _ fileSystem: any FileSystem) throws(StateFileError) {
        try AtomicFile.replace(path, with: encoded(), fileSystem)
    }

    /// - Parameter path: for messages.
    public init(parsing bytes: [UInt8], path: String) throws(StateFileError) {
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if lines.count == 3, lines[2].isEmpty { lines.removeLast() }
        guard lines.count == 2 else {
            throw .malformed(path: path, line: nil, reason: "it does not have two lines; \(Self.remedy)")
        }
        guard lines[0].starts(with: Self.versionKey.utf8) else {
            throw .malformed(
                path: path, line: 1, reason: "it does not begin with `version: `; \(Self.remedy)")
        }
        let version = lines[0].dropFirst(Self.versionKey.utf8.count)
        guard decimal(version) == 0 else {
            throw .malformed(
                path: path, line: 1,
                reason: "version \(quotedText(version)) is not known, only 0 is; \(Self.remedy)")
        }
        guard lines[1].starts(with: Self.topicIDKey.utf8) else {
            throw .malformed(
                path: path, line: 2, reason: "it does not begin with `topic_id: `; \(Self.remedy)")
        }
        let text = lines[1].dropFirst(Self.topicIDKey.utf8.count)
        guard let value = UniqueID(base64: text), value != .zero else {
            throw .malformed(
                path: path, line: 2, reason: "\(quotedText(text)) is not the ID of a topic; \(Self.remedy)")
        }
        topicID = TopicID(value)
    }

    /// The content of the file.
    public func encoded() -> [UInt8] { Array("\(Self.versionKey)0\n\(Self.topicIDKey)\(topicID)".utf8) }
}
