import Foundation
import Testing

@testable import dmq_dump_log

@Suite("dmq-dump-log on the directory of a Kafka broker")
struct DumpLogGoldenTests {
    static let topics = [
        "golden-none", "golden-gzip", "golden-snappy", "golden-lz4", "golden-zstd", "golden-idempotent",
        "golden-txn", "golden-compacted", "golden-logappendtime",
    ]

    @Test("prints every record as a consumer read it", arguments: topics)
    func recordsAreThoseOfAConsumer(topic: String) throws {
        let paths = try FileManager.default.contentsOfDirectory(atPath: "\(DumpGolden.directory)/\(topic)-0")
            .filter { $0.hasSuffix(".log") }.sorted().map { "\(DumpGolden.directory)/\(topic)-0/\($0)" }
        let result = DumpResult(["--print-data-log", "--json", "--format", "base64"] + paths)
        #expect(result.status == 0)
        let found = try result.objects("record").map { record -> NSArray in
            let headers = (record["headers"] as? [[String: Any]] ?? []).map { header -> NSArray in
                [header["key"] ?? NSNull(), header["value"] ?? NSNull()]
            }
            return [
                record["offset"] ?? NSNull(), record["timestamp"] ?? NSNull(), record["key"] ?? NSNull(),
                record["value"] ?? NSNull(), headers,
            ]
        }
        let expected = try #require(try DumpGolden.expected()[topic]).map { row -> NSArray in
            [row[0], row[2], row[3], row[4], row[5]]
        }
        #expect(found == expected)
        #expect(!found.isEmpty)
    }

    @Test("finds nothing wrong with any partition")
    func goldenIsClean() throws {
        for partition in try DumpGolden.partitions() {
            let result = DumpResult(["--verify", "--json", "\(DumpGolden.directory)/\(partition)"])
            #expect(result.status == 0, "\(partition): \(result.text)")
            let summary = try #require(try result.objects("summary").first)
            #expect(summary["clean"] as? Bool == true)
            #expect(summary["batches"] as? Int ?? 0 > 0)
            #expect(try result.objects().count == 1)
        }
    }

    @Test("shows every kind of file of the log directory, each line one JSON object")
    func everyFileIsShown() throws {
        let result = DumpResult(["--json", DumpGolden.directory])
        #expect(result.status == 0)
        let types = Set(try result.objects().compactMap { $0["type"] as? String })
        let expected: Set<String> = [
            "batch", "control", "index", "timeIndex", "abortedTransaction", "producer", "leaderEpoch",
            "checkpoint", "partitionMetadata", "property", "quorumState",
        ]
        #expect(types == expected)
        let files = Set(try result.objects().compactMap { $0["file"] as? String })
        #expect(files.contains { $0.hasSuffix(".log.deleted") })
        #expect(files.contains { $0.hasSuffix("bootstrap.checkpoint") })
    }

    @Test("finds the batch of an offset, with and without the index")
    func offsetIsFound() throws {
        let copy = try DumpCopy(partition: "golden-none-0")
        for removesIndex in [false, true] {
            if removesIndex {
                for name in try FileManager.default.contentsOfDirectory(atPath: copy.path)
                where name.hasSuffix(".index") {
                    try FileManager.default.removeItem(atPath: copy.file(name))
                }
            }
            for offset in [0, 1, 149, 150, 299, 424, 425, 599] {
                let result = DumpResult([
                    "--json", "--print-data-log", "--offset", "\(offset)", "--max-batches", "1", copy.path,
                ])
                #expect(result.status == 0)
                #expect(try result.objects("record").first?["offset"] as? Int == offset)
            }
        }
    }

    @Test("finds the first record of a time, in milliseconds and as ISO 8601")
    func timeIsFound() throws {
        let path = "\(DumpGolden.directory)/golden-none-0"
        // Record n has the time 1,700,000,000,000 + 1000 n.
        for (time, offset) in [
            ("0", 0), ("1700000000001", 1), ("1700000333000", 333), ("2023-11-14T22:13:21Z", 1),
            ("2023-11-14T23:18:47.5+01:00", 328),
        ] {
            let result = DumpResult(["--json", "--print-data-log", "--from-time", time, path])
            #expect(try result.objects("record").first?["offset"] as? Int == offset, "\(time)")
        }
    }

    @Test("prints for people: a heading for each file, dates, no control characters")
    func textForm() throws {
        let path = "\(DumpGolden.directory)/golden-none-0/00000000000000000000.log"
        let result = DumpResult(["--print-data-log", "--max-batches", "1", path])
        #expect(result.lines.first == "== \(path)")
        #expect(result.text.contains("maxTimestamp=170000"))
        #expect(result.text.contains("timestamp=1700000000000(2023-11-14T22:13:20.000Z) key=null value=\""))
        #expect(result.text.utf8.allSatisfy { $0 >= 0x20 || $0 == 0x0A })
    }

    @Test("stops after so many bytes")
    func maximumBytes() throws {
        let path = "\(DumpGolden.directory)/golden-none-0/00000000000000000000.log"
        let all = try DumpResult(["--json", path]).objects("batch").count
        let some = try DumpResult(["--json", "--max-bytes", "4KiB", path]).objects("batch").count
        #expect(some >= 1 && some < all)
    }

    @Test("reads the cluster's metadata, from the log and from a snapshot, with Kafka's option for it too")
    func clusterMetadata() throws {
        let log = "\(DumpGolden.directory)/__cluster_metadata-0/00000000000000000000.log"
        let records = try DumpResult(["--cluster-metadata-decoder", "--json", log]).objects("record")
        #expect(records.count > 100)
        var topics: [String: String] = [:]
        for record in records {
            let value = try #require(record["value"] as? [String: Any])
            #expect(value["notUnderstood"] == nil)
            guard value["type"] as? String == "topic", let data = value["data"] as? [String: Any] else {
                continue
            }
            topics[try #require(data["name"] as? String)] = data["topicId"] as? String
        }
        let metadata = try String(
            contentsOfFile: "\(DumpGolden.directory)/golden-none-0/partition.metadata", encoding: .utf8)
        #expect(metadata.hasSuffix("topic_id: \(topics["golden-none"] ?? "")"))
        let snapshot = try DumpResult([
            "--print-data-log", "--json", "\(DumpGolden.directory)/bootstrap.checkpoint",
        ]).objects("record")
        let data = (snapshot.first?["value"] as? [String: Any])?["data"] as? [String: Any]
        #expect(data?["featureLevel"] as? Int == 21)
    }

    @Test("reads what a broker noted of groups and transactions, and leaves the bytes when asked to")
    func internalTopics() throws {
        let offsets = "\(DumpGolden.directory)/__consumer_offsets-42"
        let records = try DumpResult(["--print-data-log", "--json", offsets]).objects("record")
        #expect(records.count == 3)
        let key = records[1]["key"] as? [String: Any]
        let value = records[1]["value"] as? [String: Any]
        #expect(key?["group"] as? String == "g1")
        #expect(key?["topic"] as? String == "golden-none")
        #expect(value?["offset"] as? Int == 105)
        #expect((records[2]["value"] as? [String: Any])?["generation"] as? Int == 2)
        let raw = try DumpResult(["--print-data-log", "--json", "--raw", offsets]).objects("record")
        #expect(raw.allSatisfy { $0["value"] is String })
        let states = try DumpResult([
            "--print-data-log", "--json", "\(DumpGolden.directory)/__transaction_state-14",
        ]).objects("record").compactMap { ($0["value"] as? [String: Any])?["state"] as? String }
        #expect(states.count == 31)
        #expect(
            Set(states) == [
                "Empty", "Ongoing", "PrepareCommit", "CompleteCommit", "PrepareAbort", "CompleteAbort",
            ])
    }
}
