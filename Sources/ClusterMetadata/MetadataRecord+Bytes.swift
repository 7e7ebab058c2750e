// The value of a record of the metadata log (the key is null), as Kafka frames it:
//
//   field          meaning
//   frameVersion   unsigned varint, 1
//   type           unsigned varint: which message follows (MetadataRecordType)
//   version        unsigned varint: the version of that message
//   message        flexible encoding, to the end of the value
//
// The CRC of the batch covers it. It is valid when the frame version, the type and the version are known and
// the message ends where the value does. Control records, which have a key, are no such records.

internal import Base
public import KafkaProtocol
public import RecordFormat

/// Why the value of a record of the metadata log cannot be understood, or a record not be written.
public enum MetadataRecordError: Error, Hashable, Sendable, CustomStringConvertible {
    case missingValue
    /// The numbers before the message end early or are no numbers.
    case malformedFrame(ByteReaderError)
    case unknownFrameVersion(UInt32)
    /// A record that a newer release wrote; passing over it could lose metadata.
    case unknownType(UInt32)
    case unknownVersion(MetadataRecordType, version: UInt32)
    case malformedMessage(MetadataRecordType, ProtocolError)

    public var description: String {
        switch self {
        case .missingValue: "the metadata record has no value"
        case .malformedFrame(let error): "the start of the metadata record is damaged: \(error)"
        case .unknownFrameVersion(let version):
            "frame version \(version) of a metadata record is not known, only 1 is; "
                + "a newer release wrote it: run that release"
        case .unknownType(let number):
            "metadata records of type \(number) are not known; a newer release wrote it: run that release"
        case .unknownVersion(let type, let version):
            "version \(version) of the \(type) record is not known; a newer release wrote it: "
                + "run that release"
        case .malformedMessage(let type, let error): "the \(type) record cannot be used: \(error)"
        }
    }
}

extension MetadataRecord {
    static let frameVersion: UInt32 = 1

    /// Reads the value of a record of the metadata log that is no control record.
    public init(decoding value: RawSpan?) throws(MetadataRecordError) {
        guard let value else { throw .missingValue }
        var reader = ByteReader(value)
        let number: UInt32
        let version: UInt32
        do {
            let frameVersion = try reader.readUnsignedVarint()
            if frameVersion != Self.frameVersion {
                throw MetadataRecordError.unknownFrameVersion(frameVersion)
            }
            number = try reader.readUnsignedVarint()
            version = try reader.readUnsignedVarint()
        } catch let error as ByteReaderError {
            throw .malformedFrame(error)
        } catch let error as MetadataRecordError {
            throw error
        } catch {
            invariantFailed("an error of an unknown kind: \(error)")
        }
        guard let known = Int16(exactly: number), let type = MetadataRecordType(rawValue: known) else {
            throw .unknownType(number)
        }
        guard let messageVersion = Int16(exactly: version) else {
            throw .unknownVersion(type, version: version)
        }
        do {
            self = try Self.message(type, value, version: messageVersion, from: reader.position)
        } catch {
            if case .unsupportedVersion = error.reason { throw .unknownVersion(type, version: version) }
            throw .malformedMessage(type, error)
        }
    }

    private static func message(
        _ type: MetadataRecordType, _ bytes: RawSpan, version: Int16, from start: Int
    ) throws(ProtocolError) -> MetadataRecord {
        switch type {
        case .registerBroker: .registerBroker(try read(bytes, version, start))
        case .unregisterBroker: .unregisterBroker(try read(bytes, version, start))
        case .topic: .topic(try read(bytes, version, start))
        case .partition: .partition(try read(bytes, version, start))
        case .configuration: .configuration(try read(bytes, version, start))
        case .partitionChange: .partitionChange(try read(bytes, version, start))
        case .fenceBroker: .fenceBroker(try read(bytes, version, start))
        case .unfenceBroker: .unfenceBroker(try read(bytes, version, start))
        case .removeTopic: .removeTopic(try read(bytes, version, start))
        case .delegationToken: .delegationToken(try read(bytes, version, start))
        case .userScramCredential: .userScramCredential(try read(bytes, version, start))
        case .featureLevel: .featureLevel(try read(bytes, version, start))
        case .clientQuota: .clientQuota(try read(bytes, version, start))
        case .producerIDs: .producerIDs(try read(bytes, version, start))
        case .brokerRegistrationChange: .brokerRegistrationChange(try read(bytes, version, start))
        case .accessControlEntry: .accessControlEntry(try read(bytes, version, start))
        case .removeAccessControlEntry: .removeAccessControlEntry(try read(bytes, version, start))
        case .noOperation: .noOperation(try read(bytes, version, start))
        case .zooKeeperMigration: .zooKeeperMigration(try read(bytes, version, start))
        case .removeUserScramCredential: .removeUserScramCredential(try read(bytes, version, start))
        case .beginTransaction: .beginTransaction(try read(bytes, version, start))
        case .endTransaction: .endTransaction(try read(bytes, version, start))
        case .abortTransaction: .abortTransaction(try read(bytes, version, start))
        case .removeDelegationToken: .removeDelegationToken(try read(bytes, version, start))
        case .registerController: .registerController(try read(bytes, version, start))
        }
    }

    private static func read<Body: Message>(
        _ bytes: RawSpan, _ version: Int16, _ start: Int
    ) throws(ProtocolError) -> Body {
        try Body(decoding: bytes, version: version, from: start)
    }

    /// The value's bytes, with the version of the message that `metadataVersion` has.
    ///
    /// - Throws: when that version cannot carry a field of the record.
    public func encoded(_ metadataVersion: MetadataVersion) throws(MetadataRecordError) -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        let version = metadataVersion.version(of: self)
        writer.writeUnsignedVarint(Self.frameVersion)
        writer.writeUnsignedVarint(UInt32(type.rawValue))
        writer.writeUnsignedVarint(UInt32(version))
        do {
            writer.write(try message.encoded(version: version))
        } catch {
            throw .malformedMessage(type, error)
        }
        return writer.bytes
    }
}
