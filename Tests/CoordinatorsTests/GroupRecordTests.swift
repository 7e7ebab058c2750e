import Foundation
import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

@Suite struct GroupRecordTests {
    func bytes(_ hexadecimal: String) -> [UInt8] {
        let digits = Array(hexadecimal.filter { !$0.isWhitespace })
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(String(digits[$0...($0 + 1)]), radix: 16) ?? 0
        }
    }

    func record(_ key: [UInt8], _ value: [UInt8]?) throws -> GroupRecord? {
        guard let value else { return try GroupRecord(key: key.span.bytes, value: nil) }
        return try GroupRecord(key: key.span.bytes, value: value.span.bytes)
    }

    @Test("an offset is written as Kafka writes it")
    func offset() throws {
        let own = GroupRecord.offset(
            OffsetKey(group: "g", topic: "t", partition: 7),
            CommittedOffset(
                offset: Offset(258), leaderEpoch: LeaderEpoch(3), metadata: "m", commitTimestamp: 1))
        let encoded = try own.encoded()
        #expect(encoded.key == bytes("0001 0001 67 0001 74 00000007"))
        #expect(encoded.value == bytes("0003 0000000000000102 00000003 0001 6d 0000000000000001"))
        #expect(try record(encoded.key, encoded.value) == own)
        let expiring = GroupRecord.offset(
            OffsetKey(group: "g", topic: "t", partition: 7),
            CommittedOffset(offset: Offset(1), commitTimestamp: 2, expireTimestamp: 3))
        let old = try expiring.encoded()
        #expect(old.value == bytes("0001 0000000000000001 0000 0000000000000002 0000000000000003"))
        #expect(try record(old.key, old.value) == expiring)
    }

    @Test("a group is written as Kafka writes it")
    func group() throws {
        let own = GroupRecord.classicGroup(
            "g",
            GroupMetadataValue(
                protocolType: "consumer", generation: 2, protocol: "range", leader: "m",
                currentStateTimestamp: 5,
                members: [
                    GroupMetadataValue.MemberMetadata(
                        memberID: "m", groupInstanceID: "i", clientID: "c", clientHost: "/h",
                        rebalanceTimeout: 9, sessionTimeout: 8, subscription: [1, 2], assignment: [3])
                ]))
        let encoded = try own.encoded()
        #expect(encoded.key == bytes("0002 0001 67"))
        let head = "0003 0008 636f6e73756d6572 00000002 0005 72616e6765 0001 6d 0000000000000005"
        let member =
            "00000001 0001 6d 0001 69 0001 63 0002 2f68 00000009 00000008 00000002 0102 00000001 03"
        #expect(encoded.value == bytes(head + member))
        #expect(try record(encoded.key, encoded.value) == own)
        let empty = try GroupRecord.classicGroup("g", nil).encoded()
        #expect(empty.value == nil)
    }

    @Test("a group from before rebalance time-outs has its session time-outs for both")
    func oldGroup() throws {
        let value =
            "0000 0001 63 00000002 ffff ffff 00000001 0001 6d 0001 63 0001 68 00000008 00000000 00000000"
        guard case .classicGroup("g", let read?) = try record(bytes("0002 0001 67"), bytes(value)) else {
            Issue.record("no group")
            return
        }
        #expect(read.members[0].rebalanceTimeout == 8 && read.members[0].sessionTimeout == 8)
    }

    @Test("records of other protocols are left alone, broken ones are errors")
    func others() throws {
        #expect(try record(bytes("0009 0001 67 0001 6d"), [0, 0]) == nil)
        #expect(throws: ProtocolError.self) { try record(bytes("0001 0001 67"), nil) }
        #expect(throws: ProtocolError.self) { try record(bytes("0002 0001 67"), bytes("0009 0000")) }
        #expect(throws: ProtocolError.self) { try record([0], nil) }
    }

    @Test(
        "a name belongs to the partition that Kafka gives it",
        arguments: [
            ("", Int32(0)), ("a", 47), ("group", 47), ("my-group", 12), ("golden-group", 49),
            // The hash is the smallest number there is.
            ("polygenelubricants", 0),
            // Where Kafka 3.9 put them.
            ("g1", 42), ("g2", 43),
        ])
    func partition(name: String, expected: Int32) {
        #expect(GroupPartition.partition(of: name, count: 50) == expected)
    }

    @Test("what Kafka 3.9 has written is read, and written again byte for byte", arguments: [42, 43])
    func golden(partition: Int) throws {
        let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("FormatTests/Golden/kafka-3.9")
        let file = try Data(
            contentsOf: directory.appendingPathComponent(
                "__consumer_offsets-\(partition)/00000000000000000000.log"))
        let bytes = Array(file)
        let machine = GroupMachine(GroupSettings())
        var position = 0
        var kinds: [String] = []
        while position < bytes.count {
            let rest = bytes.span.bytes.extracting(position..<bytes.count)
            let header = try RecordBatchHeader(parsing: rest)
            for one in try RecordBatch.records(
                of: rest, header: header, decompressor: Decompressor())
            {
                let key = try #require(one.key)
                let read = try #require(try record(key, one.value))
                let written = try read.encoded()
                #expect(written.key == key && written.value == one.value)
                if let value = one.value { try machine.replay(key: key.span.bytes, value: value.span.bytes) }
                switch read {
                case .offset(let key, let committed):
                    kinds.append("offset \(key.group) \(committed?.offset.rawValue ?? -1)")
                case .classicGroup(let id, let value):
                    kinds.append("group \(id) \(value?.generation ?? -1) \(value?.members.count ?? -1)")
                case .pendingOffset, .endOfTransaction: kinds.append("transaction")
                case .consumer(let record): kinds.append("consumer \(record.group)")
                }
            }
            position += header.byteCount
        }
        let name = "g\(partition - 41)"
        #expect(kinds == ["group \(name) 1 1", "offset \(name) 105", "group \(name) 2 0"])
        #expect(machine.groups[name]?.state == .empty && machine.groups[name]?.generation == 2)
        #expect(machine.offsets[name, "golden-none", 0]?.offset == Offset(105))
    }
}
