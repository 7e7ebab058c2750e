import KafkaProtocol
import RecordFormat

// Records of consumer groups (KIP-848) as their fields, with the names that Kafka gives them. Keys have the
// versions 3 to 8 and 16, by which they say what they are about.

extension InternalTopic {
    /// What a record of a consumer group says, nil where it is not understood: then its bytes are shown.
    ///
    /// - Parameter version: of the key.
    static func consumerGroupFields(of record: Record, _ version: Int16) -> [DumpField]? {
        guard let key = record.key else { return nil }
        return switch version {
        case 3: fields(ConsumerGroupMetadataKey.self, key, ConsumerGroupMetadataValue.self, record.value)
        case 4:
            fields(
                ConsumerGroupPartitionMetadataKey.self, key, ConsumerGroupPartitionMetadataValue.self,
                record.value)
        case 5:
            fields(
                ConsumerGroupMemberMetadataKey.self, key, ConsumerGroupMemberMetadataValue.self,
                record.value)
        case 6:
            fields(
                ConsumerGroupTargetAssignmentMetadataKey.self, key,
                ConsumerGroupTargetAssignmentMetadataValue.self, record.value)
        case 7:
            fields(
                ConsumerGroupTargetAssignmentMemberKey.self, key,
                ConsumerGroupTargetAssignmentMemberValue.self, record.value)
        case 8:
            fields(
                ConsumerGroupCurrentMemberAssignmentKey.self, key,
                ConsumerGroupCurrentMemberAssignmentValue.self, record.value)
        case 16:
            fields(
                ConsumerGroupRegularExpressionKey.self, key, ConsumerGroupRegularExpressionValue.self,
                record.value)
        default: nil
        }
    }

    private static func fields<Key: Message, Value: Message>(
        _ keyType: Key.Type, _ key: [UInt8], _ valueType: Value.Type, _ value: [UInt8]?
    ) -> [DumpField]? {
        guard let key = try? Key(decodingVersioned: key.span.bytes) else { return nil }
        let name = "\(Key.name)".dropLast("Key".utf8.count)
        let shownKey = DumpField(
            "key", .object([DumpField("type", String(name)), DumpField("data", fields(of: key))]))
        guard let value else { return [shownKey, DumpField("value", .null)] }
        guard let value = try? Value(decodingVersioned: value.span.bytes) else { return nil }
        return [shownKey, DumpField("value", fields(of: value))]
    }
}
