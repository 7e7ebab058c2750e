// Records of consumer groups (KIP-848) in `__consumer_offsets`. Key and value begin with their version, big
// endian; the key's version says what the value is about. Values have version 0.
//
//   key version   of
//   3             a group: its epoch
//   4             the topics that its members read, with their partitions
//   5             a member: who it is and what it has subscribed to
//   6             the epoch of the assignment that the group is to come to
//   7             a member's part of it
//   8             what a member has now
//   16            the topics that a regular expression stands for

public import KafkaProtocol
internal import RecordFormat

/// A record of a consumer group. Without a value it is a tombstone.
public enum ConsumerGroupRecord: Equatable, Sendable {
    case group(String, ConsumerGroupMetadataValue?)
    case topics(String, ConsumerGroupPartitionMetadataValue?)
    case member(group: String, member: String, ConsumerGroupMemberMetadataValue?)
    case targetEpoch(String, ConsumerGroupTargetAssignmentMetadataValue?)
    case target(group: String, member: String, ConsumerGroupTargetAssignmentMemberValue?)
    case current(group: String, member: String, ConsumerGroupCurrentMemberAssignmentValue?)
    case pattern(group: String, pattern: String, ConsumerGroupRegularExpressionValue?)

    /// The group that it is of.
    public var group: String {
        switch self {
        case .group(let group, _), .topics(let group, _), .member(let group, _, _),
            .targetEpoch(let group, _), .target(let group, _, _), .current(let group, _, _),
            .pattern(let group, _, _):
            group
        }
    }

    private static let valueVersion: Int16 = 0

    func encoded() throws(ProtocolError) -> CoordinatorRecordBytes {
        switch self {
        case .group(let group, let value):
            try Self.bytes(ConsumerGroupMetadataKey(groupID: group), 3, value)
        case .topics(let group, let value):
            try Self.bytes(ConsumerGroupPartitionMetadataKey(groupID: group), 4, value)
        case .member(let group, let member, let value):
            try Self.bytes(ConsumerGroupMemberMetadataKey(groupID: group, memberID: member), 5, value)
        case .targetEpoch(let group, let value):
            try Self.bytes(ConsumerGroupTargetAssignmentMetadataKey(groupID: group), 6, value)
        case .target(let group, let member, let value):
            try Self.bytes(
                ConsumerGroupTargetAssignmentMemberKey(groupID: group, memberID: member), 7, value)
        case .current(let group, let member, let value):
            try Self.bytes(
                ConsumerGroupCurrentMemberAssignmentKey(groupID: group, memberID: member), 8, value)
        case .pattern(let group, let pattern, let value):
            try Self.bytes(
                ConsumerGroupRegularExpressionKey(groupID: group, regularExpression: pattern), 16, value)
        }
    }

    private static func bytes(
        _ key: some Message, _ version: Int16, _ value: (some Message)?
    ) throws(ProtocolError) -> CoordinatorRecordBytes {
        CoordinatorRecordBytes(
            key: try key.encodedVersioned(version), value: try value?.encodedVersioned(valueVersion))
    }

    /// Nil for a kind that is not known.
    ///
    /// - Parameter version: of the key.
    init?(version: Int16, key: RawSpan, value: RawSpan?) throws(ProtocolError) {
        switch version {
        case 3:
            self = .group(
                try ConsumerGroupMetadataKey(decodingVersioned: key).groupID, try Self.decoded(value))
        case 4:
            self = .topics(
                try ConsumerGroupPartitionMetadataKey(decodingVersioned: key).groupID,
                try Self.decoded(value))
        case 5:
            let key = try ConsumerGroupMemberMetadataKey(decodingVersioned: key)
            self = .member(group: key.groupID, member: key.memberID, try Self.decoded(value))
        case 6:
            self = .targetEpoch(
                try ConsumerGroupTargetAssignmentMetadataKey(decodingVersioned: key).groupID,
                try Self.decoded(value))
        case 7:
            let key = try ConsumerGroupTargetAssignmentMemberKey(decodingVersioned: key)
            self = .target(group: key.groupID, member: key.memberID, try Self.decoded(value))
        case 8:
            let key = try ConsumerGroupCurrentMemberAssignmentKey(decodingVersioned: key)
            self = .current(group: key.groupID, member: key.memberID, try Self.decoded(value))
        case 16:
            let key = try ConsumerGroupRegularExpressionKey(decodingVersioned: key)
            self = .pattern(
                group: key.groupID, pattern: key.regularExpression, try Self.decoded(value))
        default:
            return nil
        }
    }

    private static func decoded<Value: Message>(_ value: RawSpan?) throws(ProtocolError) -> Value? {
        guard let value else { return nil }
        return try Value(decodingVersioned: value)
    }
}
