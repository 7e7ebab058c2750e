import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

/// Bytes from an encoder that goes by Kafka's schema files and by nothing of ours.
extension GroupRecordTests {
    private static let topic = TopicID(UniqueID(high: 0x0011_2233_4455_6677, low: 0x8899_aabb_ccdd_eeff))
    private static let topicText = "00112233445566778899aabbccddeeff"

    /// Both ways, and without a value.
    private func check(_ own: ConsumerGroupRecord, _ key: String, _ value: String) throws {
        let encoded = try GroupRecord.consumer(own).encoded()
        #expect(encoded.key == bytes(key))
        #expect(encoded.value == bytes(value))
        #expect(try record(bytes(key), bytes(value)) == .consumer(own))
        let tombstone = try #require(try record(bytes(key), nil))
        #expect(try tombstone.encoded() == CoordinatorRecordBytes(key: bytes(key), value: nil))
        guard case .consumer(let without) = tombstone else {
            Issue.record("another kind")
            return
        }
        #expect(without.group == "g" && without != own)
    }

    @Test("epochs of consumer groups are written as Kafka writes them")
    func epochs() throws {
        try check(.group("g", .init(epoch: 258)), "0003 0001 67", "0000 00000102 00")
        try check(.targetEpoch("g", .init(assignmentEpoch: 257)), "0006 0001 67", "0000 00000101 00")
        // Kafka 4.1 adds a hash of the topics.
        let newer = "0000 00000102 01 00 08 0102030405060708"
        guard case .consumer(.group("g", let value?)) = try record(bytes("0003 0001 67"), bytes(newer)) else {
            Issue.record("no group")
            return
        }
        #expect(value.epoch == 258)
    }

    @Test("topics and regular expressions of consumer groups are written as Kafka writes them")
    func topics() throws {
        try check(
            .topics("g", .init(topics: [.init(topicID: Self.topic, topicName: "t", numPartitions: 3)])),
            "0004 0001 67", "0000 02 \(Self.topicText) 02 74 00000003 01 00 00")
        try check(
            .pattern(group: "g", pattern: "t.*", .init(topics: ["ta", "tb"], version: 5, timestamp: 258)),
            "0010 0001 67 0003 742e2a",
            "0000 03 03 7461 03 7462 0000000000000005 0000000000000102 00")
    }

    @Test("members of consumer groups are written as Kafka writes them, classic ones among them")
    func members() throws {
        try check(
            .member(
                group: "g", member: "m",
                .init(
                    instanceID: "i", rackID: nil, clientID: "c", clientHost: "/h",
                    subscribedTopicNames: ["s", "t"],
                    subscribedTopicRegex: "", serverAssignor: nil)),
            "0005 0001 67 0001 6d", "0000 02 69 00 02 63 03 2f68 03 02 73 02 74 01 ffffffff 00 00")
        let classic = "01 00 0d 01 0000afc8 02 02 70 03 0001 00 00"
        try check(
            .member(
                group: "g", member: "m",
                .init(
                    instanceID: nil, rackID: "r", clientID: "c", clientHost: "/h",
                    subscribedTopicRegex: "t.*", rebalanceTimeoutMilliseconds: 60_000,
                    serverAssignor: "range",
                    classicMemberMetadata: .init(
                        sessionTimeoutMilliseconds: 45_000,
                        supportedProtocols: [.init(name: "p", metadata: [0, 1])]))),
            "0005 0001 67 0001 6d",
            "0000 00 02 72 02 63 03 2f68 01 04 742e2a 0000ea60 06 72616e6765 \(classic)")
    }

    @Test("what members have and are to have is written as Kafka writes it")
    func assignments() throws {
        try check(
            .target(
                group: "g", member: "m",
                .init(topicPartitions: [.init(topicID: Self.topic, partitions: [0, 300])])),
            "0007 0001 67 0001 6d", "0000 02 \(Self.topicText) 03 00000000 0000012c 00 00")
        try check(
            .current(
                group: "g", member: "m",
                .init(
                    memberEpoch: 9, previousMemberEpoch: -1, state: 1,
                    assignedPartitions: [.init(topicID: Self.topic, partitions: [1])],
                    partitionsPendingRevocation: [.init(topicID: Self.topic, partitions: [2])])),
            "0008 0001 67 0001 6d",
            "0000 00000009 ffffffff 01 02 \(Self.topicText) 02 00000001 00"
                + "02 \(Self.topicText) 02 00000002 00 00")
    }
}
