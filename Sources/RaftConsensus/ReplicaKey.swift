/// The identity of a metadata directory: whoever comes back with another one has lost its disk (KIP-853).
public struct RaftDirectoryID: Hashable, Sendable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public var description: String { String(high, radix: 16) + "-" + String(low, radix: 16) }
}

/// A replica of the log: a node and its disk.
public struct ReplicaKey: Hashable, Sendable, CustomStringConvertible {
    public var id: Int32
    /// Nil where it is not known: quorums of kraft.version 0 know their voters by number only.
    public var directoryID: RaftDirectoryID?

    public init(id: Int32, directoryID: RaftDirectoryID? = nil) {
        self.id = id
        self.directoryID = directoryID
    }

    public var description: String { directoryID.map { "\(id)/\($0)" } ?? String(id) }
}

/// Where a voter can be reached.
public struct VoterEndpoint: Hashable, Sendable {
    public var name: String
    public var host: String
    public var port: UInt16

    public init(name: String, host: String, port: UInt16) {
        self.name = name
        self.host = host
        self.port = port
    }
}

/// A replica that votes, as the log tells it.
public struct Voter: Hashable, Sendable {
    public var key: ReplicaKey
    public var endpoints: [VoterEndpoint]
    /// The versions of kraft.version that it can take part in.
    public var supportedVersions: ClosedRange<Int16>

    public init(
        key: ReplicaKey, endpoints: [VoterEndpoint] = [], supportedVersions: ClosedRange<Int16> = 0...1
    ) {
        self.key = key
        self.endpoints = endpoints
        self.supportedVersions = supportedVersions
    }

    /// Whether a replica is this voter: the same node with the same disk, where the disk is known.
    public func matches(_ replica: ReplicaKey) -> Bool {
        key.id == replica.id && (key.directoryID == nil || key.directoryID == replica.directoryID)
    }
}
