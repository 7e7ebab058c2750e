// The values of control records. Those of KRaft are messages of the flexible kind (KIP-482): arrays and
// strings begin with their count plus one as an unsigned varint, and every structure ends with tagged fields,
// of which none are known here:
//
//   leader change    int16 version (0, 1), int32 leader, [voter] voters, [voter] granting voters
//     voter          int32 id, uuid directory (version 1)
//   snapshot header  int16 version (0), int64 timestamp of the last record contained
//   snapshot footer  int16 version (0)
//   KRaft version    int16 version (0), int16 KRaft version
//   KRaft voters     int16 version (0), [voter]
//     voter          int32 id, uuid directory, [endpoint], supported versions
//     endpoint       string name, string host, uint16 port
//     supported      int16 lowest, int16 highest

extension ControlRecord {
    static func decode(_ type: ControlRecordType, _ value: RawSpan) throws(ControlRecordError)
        -> ControlRecord
    {
        var reader = ByteReader(value)
        let version: Int16
        do { version = try reader.read() } catch { throw .malformedValue(type: type, reason: error) }
        if !versions(type).contains(version) { throw .unsupportedVersion(type: type, version: version) }
        let result: ControlRecord
        do { result = try decodeFields(type, version, &reader) } catch {
            throw .malformedValue(type: type, reason: error)
        }
        if !reader.isAtEnd { throw .trailingBytes(type: type, byteCount: reader.remaining) }
        return result
    }

    /// The versions of the value that can be read.
    private static func versions(_ type: ControlRecordType) -> ClosedRange<Int16> {
        type == .leaderChange ? 0...1 : 0...0
    }

    private static func decodeFields(
        _ type: ControlRecordType, _ version: Int16, _ reader: inout ByteReader
    ) throws(ByteReaderError) -> ControlRecord {
        switch type {
        case .abort, .commit:
            return .endTransaction(isCommit: type == .commit, coordinatorEpoch: try reader.read())
        case .leaderChange:
            let leaderID: Int32 = try reader.read()
            let voters = try readVoters(version, &reader)
            let granting = try readVoters(version, &reader)
            try reader.skipTaggedFields()
            return .leaderChange(LeaderChange(leaderID: leaderID, voters: voters, grantingVoters: granting))
        case .snapshotHeader:
            let timestamp = Timestamp(try reader.read())
            try reader.skipTaggedFields()
            return .snapshotHeader(lastContainedLogTimestamp: timestamp)
        case .snapshotFooter:
            try reader.skipTaggedFields()
            return .snapshotFooter
        case .kraftVersion:
            let kraftVersion: Int16 = try reader.read()
            try reader.skipTaggedFields()
            return .kraftVersion(kraftVersion)
        case .kraftVoters:
            var voters: [KRaftVoter] = []
            for _ in 0..<(try reader.readCompactCount()) { voters.append(try readKRaftVoter(&reader)) }
            try reader.skipTaggedFields()
            return .kraftVoters(voters)
        }
    }

    private static func readVoters(
        _ version: Int16, _ reader: inout ByteReader
    ) throws(ByteReaderError) -> [QuorumVoter] {
        var voters: [QuorumVoter] = []
        for _ in 0..<(try reader.readCompactCount()) {
            let id: Int32 = try reader.read()
            let directoryID = version >= 1 ? try readDirectoryID(&reader) : nil
            try reader.skipTaggedFields()
            voters.append(QuorumVoter(id: id, directoryID: directoryID))
        }
        return voters
    }

    private static func readDirectoryID(_ reader: inout ByteReader) throws(ByteReaderError) -> DirectoryID {
        let high: UInt64 = try reader.read()
        return DirectoryID(UniqueID(high: high, low: try reader.read()))
    }

    private static func readKRaftVoter(_ reader: inout ByteReader) throws(ByteReaderError) -> KRaftVoter {
        let id: Int32 = try reader.read()
        let directoryID = try readDirectoryID(&reader)
        var endpoints: [KRaftVoter.Endpoint] = []
        for _ in 0..<(try reader.readCompactCount()) {
            let name = try reader.readCompactString()
            let host = try reader.readCompactString()
            endpoints.append(KRaftVoter.Endpoint(name: name, host: host, port: try reader.read()))
            try reader.skipTaggedFields()
        }
        let lowest: Int16 = try reader.read()
        let highest: Int16 = try reader.read()
        try reader.skipTaggedFields()
        try reader.skipTaggedFields()
        // A range that is the wrong way round supports nothing; reading it as its lower end alone is the
        // nearest.
        return KRaftVoter(
            id: id, directoryID: directoryID, endpoints: endpoints,
            supportedVersions: lowest...max(lowest, highest))
    }

    // MARK: - Writing

    /// The value's bytes; none for a type that is not known.
    public func encodedValue() -> [UInt8] {
        var writer = ByteWriter(capacity: 32)
        switch self {
        case .endTransaction(_, let coordinatorEpoch):
            writer.write(Self.markerVersion)
            writer.write(coordinatorEpoch)
        case .leaderChange(let change): Self.write(change, &writer)
        case .snapshotHeader(let timestamp):
            writer.write(Int16(0))
            writer.write(timestamp.rawValue)
            writer.writeNoTaggedFields()
        case .snapshotFooter:
            writer.write(Int16(0))
            writer.writeNoTaggedFields()
        case .kraftVersion(let version):
            writer.write(Int16(0))
            writer.write(version)
            writer.writeNoTaggedFields()
        case .kraftVoters(let voters):
            writer.write(Int16(0))
            writer.writeCompactCount(voters.count)
            for voter in voters { Self.write(voter, &writer) }
            writer.writeNoTaggedFields()
        case .unknown: break
        }
        return writer.bytes
    }

    /// In version 1 where any voter has a directory ID, otherwise in version 0.
    private static func write(_ change: LeaderChange, _ writer: inout ByteWriter) {
        let hasDirectories = (change.voters + change.grantingVoters).contains { $0.directoryID != nil }
        writer.write(Int16(hasDirectories ? 1 : 0))
        writer.write(change.leaderID)
        for voters in [change.voters, change.grantingVoters] {
            writer.writeCompactCount(voters.count)
            for voter in voters {
                writer.write(voter.id)
                if hasDirectories { write(voter.directoryID ?? .unassigned, &writer) }
                writer.writeNoTaggedFields()
            }
        }
        writer.writeNoTaggedFields()
    }

    private static func write(_ id: DirectoryID, _ writer: inout ByteWriter) {
        writer.write(id.rawValue.high)
        writer.write(id.rawValue.low)
    }

    private static func write(_ voter: KRaftVoter, _ writer: inout ByteWriter) {
        writer.write(voter.id)
        write(voter.directoryID, &writer)
        writer.writeCompactCount(voter.endpoints.count)
        for endpoint in voter.endpoints {
            writer.writeCompact(endpoint.name)
            writer.writeCompact(endpoint.host)
            writer.write(endpoint.port)
            writer.writeNoTaggedFields()
        }
        writer.write(voter.supportedVersions.lowerBound)
        writer.write(voter.supportedVersions.upperBound)
        writer.writeNoTaggedFields()
        writer.writeNoTaggedFields()
    }
}

// MARK: - The flexible encoding (KIP-482)

extension ByteReader {
    /// The count of an array or the length of a string that may not be null.
    mutating func readCompactCount() throws(ByteReaderError) -> Int {
        let count = Int(try readUnsignedVarint()) - 1
        if count < 0 { throw .negativeLength(position: position, length: count) }
        // Every element takes a byte at least, so a larger count cannot be true.
        if count > remaining { throw .underflow(position: position, have: remaining, need: count) }
        return count
    }

    mutating func readCompactString() throws(ByteReaderError) -> String {
        let bytes = try readBytes(try readCompactCount())
        return bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    /// Passes over the tagged fields that a structure ends with.
    mutating func skipTaggedFields() throws(ByteReaderError) {
        for _ in 0..<(try readUnsignedVarint()) {
            _ = try readUnsignedVarint()
            try skip(Int(try readUnsignedVarint()))
        }
    }
}

extension ByteWriter {
    mutating func writeCompactCount(_ count: Int) { writeUnsignedVarint(UInt32(count + 1)) }

    mutating func writeCompact(_ text: String) {
        writeCompactCount(text.utf8.count)
        write(utf8: text)
    }

    mutating func writeNoTaggedFields() { writeUnsignedVarint(0) }
}
