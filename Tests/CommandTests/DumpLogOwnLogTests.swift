import Base
import Foundation
import LogStorage
import RecordFormat
import SystemIO
import Testing

@testable import dmq_dump_log

@Suite("dmq-dump-log on logs of dmq")
struct DumpLogOwnLogTests {
    @Test("a log that is open is clean, its blocks allocated ahead; closed it is clean and shows its records")
    func ownLog() throws {
        let root = NSTemporaryDirectory() + "dmq-dump-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: root) }
        var configuration = LogConfiguration()
        configuration.segmentByteCount = 1 << 20
        configuration.indexIntervalByteCount = 512
        configuration.preallocatesSegments = true
        configuration.durability = .pageCache
        let directory = LogDirectory(path: root, fileSystem: PosixFileSystem())
        let lane = LogLane(
            queue: try AppendQueues.make(.auto, log: .silent), timeSource: SystemClock(), road: .direct)
        let path = "\(root)/events-0"
        let log = try PartitionLog.open(
            LogOpening(
                partition: TopicPartition(topic: "events", partition: 0), path: path,
                configuration: configuration, wasShutDownCleanly: false), in: directory, lane: lane)
        for number in 0..<200 {
            if number == 120 { try log.roll() }
            let batch = try DumpBatches.batch(
                baseOffset: 0, timestamp: lane.timeSource.wallClockMilliseconds(),
                value: Array("{\"number\": \(number)}".utf8))
            _ = try log.appendAsLeader(
                BufferSlice(IOBuffer(copying: batch)), leaderEpoch: LeaderEpoch(0), durably: false)
            lane.flush()
        }
        let open = DumpResult(["--verify", "--json", path])
        #expect(open.status == 0, "\(open.text)")
        let ahead = try open.objects("information").filter {
            ($0["file"] as? String)?.hasSuffix(".log") == true
        }
        #expect(ahead.count == 1)
        #expect(ahead.first?["byteCount"] as? Int ?? 0 > 0)
        _ = try log.close()
        let closed = DumpResult(["--verify", "--json", path])
        #expect(closed.status == 0, "\(closed.text)")
        #expect(try closed.objects("information").isEmpty)
        #expect(try closed.objects("summary").first?["records"] as? Int == 200)
        let shown = try DumpResult(["--print-data-log", "--json", "--format", "json", root]).objects("record")
        let numbers = shown.compactMap { ($0["value"] as? [String: Any])?["number"] as? Int }
        #expect(numbers == Array(0..<200))
    }

    /// Key, value and what is shown of them. The bytes are from an encoder that goes by Kafka's schema files.
    private static let consumerGroup: [(key: String, value: String, type: String, shown: String)] = {
        let topic = "00112233445566778899aabbccddeeff"
        let id = "ABEiM0RVZneImaq7zN3u_w"
        return [
            ("0003000167", "00000000010200", "ConsumerGroupMetadata", #"{"epoch":258}"#),
            (
                "0004000167", "000002\(topic)027400000003010000", "ConsumerGroupPartitionMetadata",
                #"{"topics":[{"topicId":"\#(id)","topicName":"t","numPartitions":3,"partitionMetadata":[]}]}"#
            ),
            (
                "000500016700016d", "0000026900026303 2f68030273027401ffffffff0000",
                "ConsumerGroupMemberMetadata",
                #"{"instanceId":"i","rackId":null,"clientId":"c","clientHost":"/h","#
                    + #""subscribedTopicNames":["s","t"],"subscribedTopicRegex":"","#
                    + #""rebalanceTimeoutMs":-1,"serverAssignor":null,"classicMemberMetadata":null}"#
            ),
            (
                "0006000167", "00000000010100", "ConsumerGroupTargetAssignmentMetadata",
                #"{"assignmentEpoch":257}"#
            ),
            (
                "000700016700016d", "000002\(topic)03000000000000012c0000",
                "ConsumerGroupTargetAssignmentMember",
                #"{"topicPartitions":[{"topicId":"\#(id)","partitions":[0,300]}]}"#
            ),
            (
                "000800016700016d",
                "000000000009ffffffff0102\(topic)02000000010002\(topic)02000000020000",
                "ConsumerGroupCurrentMemberAssignment",
                #"{"memberEpoch":9,"previousMemberEpoch":-1,"state":1,"#
                    + #""assignedPartitions":[{"topicId":"\#(id)","partitions":[1]}],"#
                    + #""partitionsPendingRevocation":[{"topicId":"\#(id)","partitions":[2]}]}"#
            ),
            (
                "001000016700 03742e2a", "00000303746103746200000000000000050000000000000102 00",
                "ConsumerGroupRegularExpression",
                #"{"topics":["ta","tb"],"version":5,"timestamp":258}"#
            ),
        ]
    }()

    private static func bytes(_ hexadecimal: String) -> [UInt8] {
        let digits = Array(hexadecimal.filter { $0 != " " })
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(String(digits[$0...($0 + 1)]), radix: 16) ?? 0
        }
    }

    @Test("records of consumer groups are shown with Kafka's names, and tombstones as what they are of")
    func consumerGroups() throws {
        let copy = try DumpCopy(partition: "__consumer_offsets-42")
        var builder = RecordBatchBuilder(baseOffset: Offset(0), partitionLeaderEpoch: LeaderEpoch(0))
        for one in Self.consumerGroup {
            let (key, value) = (Self.bytes(one.key), Self.bytes(one.value))
            builder.append(timestamp: Timestamp(1), key: key.span.bytes, value: value.span.bytes)
            builder.append(timestamp: Timestamp(1), key: key.span.bytes, value: nil)
        }
        // Of a kind that is not known.
        let foreign = Self.bytes("0011000167")
        builder.append(timestamp: Timestamp(1), key: foreign.span.bytes, value: foreign.span.bytes)
        try copy.write(try builder.finish(compressor: Compressor()), "00000000000000000000.log")
        let path = copy.file("00000000000000000000.log")
        let records = try DumpResult(["--print-data-log", "--json", path]).objects("record")
        try #require(records.count == 2 * Self.consumerGroup.count + 1)
        for (number, one) in Self.consumerGroup.enumerated() {
            let shown = records[2 * number]
            let key = try #require(shown["key"] as? [String: Any])
            #expect(key["type"] as? String == one.type)
            let data = try #require(key["data"] as? [String: Any])
            #expect(data["groupId"] as? String == "g")
            let other = data["memberId"] ?? data["regularExpression"]
            #expect(
                other as? String == (data.count == 1 ? nil : one.type.hasSuffix("Expression") ? "t.*" : "m"))
            let expected = try JSONSerialization.jsonObject(with: Data(one.shown.utf8))
            #expect(shown["value"] as? NSDictionary == expected as? NSDictionary)
            let tombstone = records[2 * number + 1]
            #expect(
                tombstone["value"] is NSNull
                    && tombstone["key"] as? NSDictionary == NSDictionary(dictionary: key))
        }
        #expect(records.last?["value"] is String)
    }

    @Test("JSON of records stays JSON, in one line; other bytes become text")
    func compactJSON() {
        for (text, expected) in [
            ("{ \"a\" : [1, 2.5e-3, -0, \"x\\n\\u00e9\"] }\n", "{\"a\":[1,2.5e-3,-0,\"x\\n\\u00e9\"]}"),
            ("true", "true"), (" [ ] ", "[]"), ("{}", "{}"),
        ] {
            #expect(CompactJSON.text(Array(text.utf8)) == expected)
        }
        for text in [
            "", "{", "[1,]", "{\"a\"}", "01", "1.", "+1", "\"\n\"", "nul", "1 2", "\"\\x\"", "{1:2}",
        ] {
            #expect(CompactJSON.text(Array(text.utf8)) == nil, "\(text)")
        }
        #expect(CompactJSON.text([0x22, 0xFF, 0x22]) == nil)
        #expect(CompactJSON.text([UInt8](repeating: UInt8(ascii: "["), count: 100_000)) == nil)
    }

    @Test("base64 and hexadecimal are those of Foundation, for every length")
    func byteFormats() {
        var random = SeededGenerator(seed: 3)
        for count in 0..<70 {
            let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            guard case .text(let base64) = ByteFormat.base64.value(bytes),
                case .text(let hexadecimal) = ByteFormat.hex.value(bytes)
            else {
                Issue.record("no text")
                return
            }
            #expect(base64 == Data(bytes).base64EncodedString())
            #expect(hexadecimal == bytes.map { String(format: "%02x", $0) }.joined())
        }
    }

    @Test("times are those of Foundation, there and back")
    func calendarTimes() throws {
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        var random = SeededGenerator(seed: 4)
        for _ in 0..<2000 {
            let milliseconds = Int64(random.next() % 8_000_000_000_000) - 2_000_000_000_000
            let text = try #require(CalendarTime.text(ofMilliseconds: milliseconds))
            #expect(CalendarTime.milliseconds(text) == milliseconds)
            let date = try #require(formatter.date(from: text))
            #expect(Int64((date.timeIntervalSince1970 * 1000).rounded()) == milliseconds)
        }
        #expect(CalendarTime.milliseconds("2024-02-29") == 1_709_164_800_000)
        for text in [
            "2023-02-29", "2024-13-01", "2024-01-01T24:00", "2024-01-01T00:00:00.Z", "2024-1-1", "x", "",
        ] {
            #expect(CalendarTime.milliseconds(text) == nil, "\(text)")
        }
    }
}
