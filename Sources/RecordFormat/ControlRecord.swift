// Control records stand in batches with the control bit and are never given to consumers. Big endian:
//
//   key    offset size field     meaning
//               0    2 version   0
//               2    2 type      0 abort, 1 commit (KIP-98); 2 leader change (KIP-595); 3 snapshot header,
//                                4 snapshot footer (KIP-630); 5 KRaft version, 6 KRaft voters (KIP-853)
//
//   value of 0 and 1      int16 version (0), int32 coordinator epoch
//   value of 2 to 6       a message of the flexible kind, version first (ControlRecord+Values.swift)

/// Why a control record could not be read.
public enum ControlRecordError: Error, Hashable, Sendable, CustomStringConvertible {
    case missingKey
    case missingValue
    /// The key ends early, or its version is negative.
    case malformedKey
    /// The value of a type that is known ends early or breaks a rule of its encoding.
    case malformedValue(type: ControlRecordType, reason: ByteReaderError)
    /// Bytes of the value that the message does not have.
    case trailingBytes(type: ControlRecordType, byteCount: Int)
    /// A version of the value that cannot be read.
    case unsupportedVersion(type: ControlRecordType, version: Int16)

    public var description: String {
        switch self {
        case .missingKey: "the control record has no key"
        case .missingValue: "the control record has no value"
        case .malformedKey: "the key of the control record is not a version and a type of 2 bytes each"
        case .malformedValue(let type, let reason): "the value of the \(type) record is damaged: \(reason)"
        case .trailingBytes(let type, let count): "\(count) bytes follow the value of the \(type) record"
        case .unsupportedVersion(let type, let version):
            "version \(version) of the \(type) record is not known"
        }
    }
}

/// What a control record is.
public enum ControlRecordType: Int16, Sendable, CaseIterable {
    case abort = 0, commit, leaderChange, snapshotHeader, snapshotFooter, kraftVersion, kraftVoters
}

/// A control record, decoded.
public enum ControlRecord: Hashable, Sendable {
    /// The end of a transaction of the batch's producer. A coordinator of a lower epoch is out of date.
    case endTransaction(isCommit: Bool, coordinatorEpoch: Int32)
    case leaderChange(LeaderChange)
    /// The first record of a metadata snapshot.
    case snapshotHeader(lastContainedLogTimestamp: Timestamp)
    /// The last record of a metadata snapshot.
    case snapshotFooter
    case kraftVersion(Int16)
    case kraftVoters([KRaftVoter])
    /// A type that came after this program. Kafka passes over such records, and so should whoever reads them.
    case unknown(type: Int16)

    static let keyVersion: Int16 = 0
    static let markerVersion: Int16 = 0

    /// The type in the key.
    public var typeNumber: Int16 {
        switch self {
        case .endTransaction(let isCommit, _):
            (isCommit ? ControlRecordType.commit : ControlRecordType.abort).rawValue
        case .leaderChange: ControlRecordType.leaderChange.rawValue
        case .snapshotHeader: ControlRecordType.snapshotHeader.rawValue
        case .snapshotFooter: ControlRecordType.snapshotFooter.rawValue
        case .kraftVersion: ControlRecordType.kraftVersion.rawValue
        case .kraftVoters: ControlRecordType.kraftVoters.rawValue
        case .unknown(let type): type
        }
    }

    /// Reads the type from the key of a control record; nil for a type that is not known. Allocates nothing.
    public static func type(ofKey key: RawSpan?) throws(ControlRecordError) -> ControlRecordType? {
        ControlRecordType(rawValue: try number(ofKey: key))
    }

    /// Reads a control record. A key of a later version is read as far as this version goes, as Kafka does.
    public init(key: RawSpan?, value: RawSpan?) throws(ControlRecordError) {
        let number = try Self.number(ofKey: key)
        guard let type = ControlRecordType(rawValue: number) else {
            self = .unknown(type: number)
            return
        }
        guard let value else { throw .missingValue }
        self = try Self.decode(type, value)
    }

    /// Reads the control record that `record` is.
    public init(_ record: borrowing RecordView) throws(ControlRecordError) {
        try self.init(key: record.key, value: record.value)
    }

    private static func number(ofKey key: RawSpan?) throws(ControlRecordError) -> Int16 {
        guard let key else { throw .missingKey }
        if key.byteCount < 4 { throw .malformedKey }
        let version: Int16 = key.bigEndianInteger(at: 0)
        if version < 0 { throw .malformedKey }
        return key.bigEndianInteger(at: 2)
    }

    /// The key's bytes.
    public func encodedKey() -> [UInt8] {
        var writer = ByteWriter(capacity: 4)
        writer.write(Self.keyVersion)
        writer.write(typeNumber)
        return writer.bytes
    }
}

/// A leader of a KRaft quorum wrote this at the start of its epoch (KIP-595).
public struct LeaderChange: Hashable, Sendable {
    public var leaderID: Int32
    public var voters: [QuorumVoter]
    /// Those whose votes made it leader.
    public var grantingVoters: [QuorumVoter]

    public init(leaderID: Int32, voters: [QuorumVoter], grantingVoters: [QuorumVoter]) {
        self.leaderID = leaderID
        self.voters = voters
        self.grantingVoters = grantingVoters
    }
}

/// A node that has a vote, in a leader change.
public struct QuorumVoter: Hashable, Sendable {
    public var id: Int32
    /// Nil in version 0 of the message, which came before directory IDs (KIP-853).
    public var directoryID: DirectoryID?

    public init(id: Int32, directoryID: DirectoryID? = nil) {
        self.id = id
        self.directoryID = directoryID
    }
}

/// A voter of a dynamic KRaft quorum (KIP-853).
public struct KRaftVoter: Hashable, Sendable {
    /// Where the voter listens.
    public struct Endpoint: Hashable, Sendable {
        public var name: String
        public var host: String
        public var port: UInt16

        public init(name: String, host: String, port: UInt16) {
            self.name = name
            self.host = host
            self.port = port
        }
    }

    public var id: Int32
    public var directoryID: DirectoryID
    public var endpoints: [Endpoint]
    /// The KRaft versions that the voter supports.
    public var supportedVersions: ClosedRange<Int16>

    public init(
        id: Int32, directoryID: DirectoryID, endpoints: [Endpoint], supportedVersions: ClosedRange<Int16>
    ) {
        self.id = id
        self.directoryID = directoryID
        self.endpoints = endpoints
        self.supportedVersions = supportedVersions
    }
}
