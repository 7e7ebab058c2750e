// `meta.properties`: whose log directory this is. A Java properties file (see JavaProperties.swift):
//
//   key           meaning
//   version       1
//   cluster.id    of the cluster that the directory was formatted for
//   node.id       of the node that it belongs to, 0 ... 2^31-1
//   directory.id  of the directory itself (KIP-858), 22 characters of base64url; older directories have none
//
// Comments, unknown keys and the order of the lines are kept. It has no checksum, and is replaced as a whole.
// It cannot be rebuilt: without it a directory is not taken for one of ours.

internal import Base
public import RecordFormat
public import SystemIO

/// Whose log directory this is.
public struct MetaProperties: Hashable, Sendable {
    /// A good file has about 130 bytes.
    public static let maximumByteCount = 64 << 10
    static let supportedVersion = "1"
    private static let remedy = "restore the file from a copy, or format the directory if it holds nothing"

    private enum Key {
        static let version = "version"
        static let clusterID = "cluster.id"
        static let nodeID = "node.id"
        static let directoryID = "directory.id"
    }

    private var properties: JavaProperties
    public let clusterID: String
    public let nodeID: Int32
    public private(set) var directoryID: DirectoryID?

    /// - Parameters:
    ///   - clusterID: not empty.
    ///   - nodeID: 0 or more.
    ///   - directoryID: not a reserved one.
    ///   - comment: ASCII text for the first line, such as the date.
    public init(clusterID: String, nodeID: Int32, directoryID: DirectoryID?, comment: String? = nil) {
        properties = JavaProperties()
        self.clusterID = clusterID
        self.nodeID = nodeID
        if let comment { properties.addComment(comment) }
        properties[Key.nodeID] = String(nodeID)
        setDirectoryID(directoryID)
        properties[Key.version] = Self.supportedVersion
        properties[Key.clusterID] = clusterID
    }

    /// Gives the directory an ID, as an upgrade does.
    public mutating func setDirectoryID(_ directoryID: DirectoryID?) {
        self.directoryID = directoryID
        properties[Key.directoryID] = directoryID?.description
    }

    /// Any property, also those that mean nothing to us.
    public subscript(key: String) -> String? { properties[key] }
    /// The keys in the order of the file.
    public var keys: [String] { properties.keys }

    /// Nil when there is no file.
    public static func read(
        _ path: String, _ fileSystem: any FileSystem
    ) throws(StateFileError) -> MetaProperties? {
        guard let bytes = try AtomicFile.read(path, maximumByteCount: maximumByteCount, fileSystem) else {
            return nil
        }
        return try MetaProperties(parsing: bytes, path: path)
    }

    /// Replaces the file, atomically. On return it is on stable storage.
    public func write(to path: String, _ fileSystem: any FileSystem) throws(StateFileError) {
        try AtomicFile.replace(path, with: encoded(), fileSystem)
    }

    /// - Parameter path: for messages.
    public init(parsing bytes: [UInt8], path: String) throws(StateFileError) {
        func malformed(_ reason: String) -> StateFileError {
            .malformed(path: path, line: nil, reason: "\(reason); \(Self.remedy)")
        }
        func quoted(_ text: String) -> String { quotedText(Array(text.utf8)[...]) }

        let properties: JavaProperties
        do {
            properties = try JavaProperties(parsing: bytes)
        } catch {
            throw .malformed(path: path, line: error.line, reason: "\(error.reason); \(Self.remedy)")
        }
        guard let version = properties[Key.version] else { throw malformed("version is missing") }
        guard version == Self.supportedVersion else {
            throw .malformed(
                path: path, line: nil,
                reason: version == "0"
                    ? "version 0 belongs to a ZooKeeper cluster; migrate the cluster to KRaft first"
                    : "version \(quoted(version)) is not known, only 1 is; \(Self.remedy)")
        }
        guard let clusterID = properties[Key.clusterID], !clusterID.isEmpty else {
            throw malformed("cluster.id is missing")
        }
        guard let nodeText = properties[Key.nodeID] else { throw malformed("node.id is missing") }
        guard let nodeID = decimal(Array(nodeText.utf8)[...]).flatMap({ Int32(exactly: $0) }) else {
            throw malformed("node.id \(quoted(nodeText)) is not a number of 0 ... \(Int32.max)")
        }
        if let text = properties[Key.directoryID] {
            guard let directoryID = DirectoryID(text), !directoryID.isReserved else {
                throw malformed("directory.id \(quoted(text)) is not the ID of a directory")
            }
            self.directoryID = directoryID
        }
        self.properties = properties
        self.clusterID = clusterID
        self.nodeID = nodeID
    }

    /// The content of the file.
    public func encoded() -> [UInt8] { properties.encoded() }
}
