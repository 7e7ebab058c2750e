import ClusterMetadata
import KafkaProtocol
import RecordFormat

// Records of the metadata log as their fields, with the names that Kafka gives them.

extension InternalTopic {
    /// What a record of the metadata log says, nil where it is not understood: then its bytes are shown.
    static func metadataFields(of record: Record) -> [DumpField]? {
        guard let value = record.value else { return nil }
        let metadata: MetadataRecord
        do {
            metadata = try MetadataRecord(decoding: value.span.bytes)
        } catch {
            return [
                DumpField("key", .null),
                DumpField("value", .object([DumpField("notUnderstood", "\(error)")])),
            ]
        }
        return [
            DumpField("key", .null),
            DumpField(
                "value",
                .object([
                    DumpField("type", "\(metadata.type)"), DumpField("data", fields(of: metadata.message)),
                ])),
        ]
    }

    static func fields(of message: Any) -> DumpValue {
        var fields: [DumpField] = []
        for child in Mirror(reflecting: message).children {
            guard let label = child.label, label != "unknownTaggedFields" else { continue }
            fields.append(DumpField(kafkaName(label), value(child.value)))
        }
        return .object(fields)
    }

    /// `topicID` is `topicId` in Kafka's schemas.
    private static func kafkaName(_ name: String) -> String {
        switch name {
        case "inSyncReplicas": return "isr"
        case "lastKnownEligibleLeaderReplicas": return "lastKnownElr"
        default: break
        }
        for (ours, theirs) in [("IDs", "Ids"), ("ID", "Id"), ("Milliseconds", "Ms")]
        where name.hasSuffix(ours) {
            return String(name.dropLast(ours.count)) + theirs
        }
        return name
    }

    private static func value(_ value: Any) -> DumpValue {
        switch value {
        case let flag as Bool: return .flag(flag)
        case let number as any BinaryInteger: return .integer(Int64(truncatingIfNeeded: number))
        case let text as String: return .text(text)
        // Any empty list could be taken for bytes.
        case let bytes as [UInt8] where type(of: value) == [UInt8].self: return ByteFormat.base64.value(bytes)
        case let id as ProducerID: return .integer(id.rawValue)
        case let epoch as LeaderEpoch: return .integer(Int64(epoch.rawValue))
        case let described as any CustomStringConvertible & RawRepresentable:
            return .text(described.description)
        case let id as UniqueID: return .text(id.description)
        case let number as Double: return .json(number.isFinite ? number.description : "null")
        default: return structure(value)
        }
    }

    private static func structure(_ any: Any) -> DumpValue {
        let mirror = Mirror(reflecting: any)
        switch mirror.displayStyle {
        case .optional: return mirror.children.first.map { value($0.value) } ?? .null
        case .collection: return .list(mirror.children.map { value($0.value) })
        default: return fields(of: any)
        }
    }
}
