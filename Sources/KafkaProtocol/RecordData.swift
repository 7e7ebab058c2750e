// How the records of Kafka's own topics carry messages. Big endian.
//
// __consumer_offsets, __transaction_state, __share_group_state: key and value of a record
//   0  int16    version; that of a key says which kind of record it is
//   2  fields   in that version
//
// __cluster_metadata: the value of a record; there is no key
//   0  varint   version of this frame, always 1
//      varint   which record it is: KeyedRecord.recordKey
//      varint   version
//      fields   in that version
//
// These numbers are unsigned, seven bits a byte, the lowest first.

internal import RecordFormat

/// A record of the metadata log.
public protocol KeyedRecord: Message {
    /// The number that it is known by in the log.
    static var recordKey: Int16 { get }
}

extension Message {
    /// Reads a message after its version in two bytes.
    ///
    /// - Throws: when it is malformed, of a version that is not known, or followed by anything.
    public init(decodingVersioned bytes: RawSpan) throws(ProtocolError) {
        let version = try MessageReader.leadingVersion(of: bytes)
        try self.init(decoding: bytes, version: version, from: MemoryLayout<Int16>.size)
    }

    /// The message after its version in two bytes.
    ///
    /// - Throws: when the version is unknown or cannot carry a field.
    public func encodedVersioned(_ version: Int16) throws(ProtocolError) -> [UInt8] {
        var head = ByteWriter(capacity: 64)
        head.write(version)
        head.write(try encoded(version: version))
        return head.bytes
    }
}

extension MessageReader {
    /// The version that stands before the data of a record, which for keys says which kind of record it is.
    public static func leadingVersion(of bytes: RawSpan) throws(ProtocolError) -> Int16 {
        var reader = try MessageReader(header: "RecordData", bytes, version: 0)
        return try reader.int16("version")
    }
}

extension KeyedRecord {
    /// The value of a record of the metadata log.
    ///
    /// - Throws: when the version is unknown or cannot carry a field.
    public func metadataRecord(version: Int16) throws(ProtocolError) -> [UInt8] {
        var head = ByteWriter(capacity: 64)
        head.writeUnsignedVarint(UInt32(MetadataRecordFrame.frameVersion))
        head.writeUnsignedVarint(UInt32(Self.recordKey))
        head.writeUnsignedVarint(UInt32(version))
        head.write(try encoded(version: version))
        return head.bytes
    }
}

/// What precedes the fields in the value of a record of the metadata log.
public struct MetadataRecordFrame: Hashable, Sendable {
    /// The only version of the frame that there is.
    public static let frameVersion: Int16 = 1

    /// Which record it is, known or not.
    public let recordKey: Int16
    public let version: Int16
    /// Where the fields begin, in bytes.
    public let bodyPosition: Int

    /// Reads what precedes the fields, and leaves those as they are.
    ///
    /// - Throws: when it is malformed or its version is not 1.
    public init(parsing value: RawSpan) throws(ProtocolError) {
        var reader = try MessageReader(header: "MetadataRecord", value, version: Self.frameVersion)
        let frameVersion = try reader.unsignedVarint("frameVersion")
        guard frameVersion == UInt32(Self.frameVersion) else {
            throw reader.failure(
                "frameVersion", .unsupportedVersion(known: Self.frameVersion...Self.frameVersion))
        }
        recordKey = try Self.number(&reader, "recordKey")
        version = try Self.number(&reader, "version")
        bodyPosition = reader.position
    }

    private static func number(
        _ reader: inout MessageReader, _ field: StaticString
    ) throws(ProtocolError) -> Int16 {
        let value = try reader.unsignedVarint(field)
        guard let number = Int16(exactly: value) else {
            throw reader.failure(field, .tooLarge(Int(value)))
        }
        return number
    }

    /// Reads the fields.
    ///
    /// - Parameters:
    ///   - type: the record that `recordKey` stands for.
    ///   - value: the bytes that this was read from.
    public func decode<Record: KeyedRecord>(
        _ type: Record.Type, from value: RawSpan
    ) throws(ProtocolError) -> Record {
        if Record.recordKey != recordKey {
            throw ProtocolError(
                message: Record.name, version: version, field: "", position: bodyPosition,
                reason: .otherAPI(key: recordKey))
        }
        return try Record(decoding: value, version: version, from: bodyPosition)
    }
}
