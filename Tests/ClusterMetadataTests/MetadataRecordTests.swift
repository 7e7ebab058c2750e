import Base
import Foundation
import KafkaProtocol
import RecordFormat
import Testing

@testable import ClusterMetadata

@Suite("Records of the metadata log as bytes")
struct MetadataRecordTests {
    private func decoded(_ bytes: [UInt8]) throws(MetadataRecordError) -> MetadataRecord {
        try MetadataRecord(decoding: bytes.span.bytes)
    }

    @Test("what is written is read back", arguments: 1...10)
    func roundTrip(seed: UInt64) throws {
        var records = RandomRecords(seed: seed)
        for _ in 0..<300 {
            let record = records.next()
            #expect(try decoded(record.encoded(.standard)) == record)
        }
    }

    @Test("Kafka's own feature record is understood, and written byte for byte")
    func featureLevel() throws {
        // As bootstrap.checkpoint of Kafka 3.9 has it.
        let bytes: [UInt8] = [1, 0x0C, 0, 0x11] + Array("metadata.version".utf8) + [0, 0x15, 0]
        let record = MetadataRecord.featureLevel(
            FeatureLevelRecord(name: "metadata.version", featureLevel: 21))
        #expect(try decoded(bytes) == record)
        #expect(try record.encoded(.standard) == bytes)
    }

    @Test("frames that are not known are refused with what is wrong")
    func unknown() throws {
        #expect(throws: MetadataRecordError.missingValue) { try MetadataRecord(decoding: nil) }
        #expect(throws: MetadataRecordError.unknownFrameVersion(2)) { try decoded([2, 0, 0]) }
        #expect(throws: MetadataRecordError.unknownType(99)) { try decoded([1, 99, 0]) }
        #expect(throws: MetadataRecordError.unknownType(6)) { try decoded([1, 6, 0]) }
        #expect(throws: MetadataRecordError.unknownVersion(.topic, version: 9)) { try decoded([1, 2, 9]) }
        #expect(throws: MetadataRecordError.self) { try decoded([1, 2]) }
        #expect(throws: MetadataRecordError.self) { try decoded([1, 2, 0, 5]) }
        let newer = MetadataRecordError.unknownType(99).description
        #expect(newer.contains("newer release"))
    }

    @Test("every type has its number and its name in the enumeration")
    func types() {
        var records = RandomRecords(seed: 1)
        for _ in 0..<200 {
            let record = records.next()
            #expect(MetadataRecordType(rawValue: record.type.rawValue) == record.type)
        }
        #expect(MetadataRecordType.allCases.count == 25)
    }

    @Test("a snapshot that lacks its end, or has a byte changed, is refused", arguments: 1...5)
    func damagedSnapshot(seed: UInt64) throws {
        var records = RandomRecords(seed: seed)
        var image = MetadataImage()
        for _ in 0..<50 { try image.apply(records.next()) }
        let good = bytes(of: image)
        #expect(try snapshot(good).0 == image)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let cut = Array(good.prefix(Int.random(in: 0..<good.count, using: &generator)))
            #expect(throws: (any Error).self) { try snapshot(cut) }
            var changed = good
            // Base offset and epoch are not covered by the CRC, and mean nothing here.
            let position = Int.random(in: 17..<good.count, using: &generator)
            changed[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            guard let read = try? snapshot(changed) else { continue }
            #expect(read.0 == image)
        }
        #expect(throws: MetadataSnapshotError.self) { try snapshot(good + good) }
    }

    @Test("the names of snapshots are Kafka's")
    func names() {
        let id = MetadataSnapshotID(endOffset: Offset(4321), epoch: LeaderEpoch(7))
        #expect(id.fileName == "00000000000000004321-0000000007.checkpoint")
        #expect(MetadataSnapshotID(fileName: id.fileName) == id)
        for name in [
            "bootstrap.checkpoint", "00000000000000004321-0000000007.checkpoint.part", "1-2.checkpoint",
            "leader-epoch-checkpoint", "0000000000000000432x-0000000007.checkpoint",
        ] {
            #expect(MetadataSnapshotID(fileName: name) == nil)
        }
    }
}

/// Kafka 3.9's own metadata log, from Tests/FormatTests/Golden.
@Suite("Metadata that Kafka 3.9 wrote")
struct GoldenMetadataTests {
    private static var directory: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("FormatTests/Golden/kafka-3.9")
    }

    /// All entries of a file of batches, and the batches.
    private func entries(
        _ name: String
    ) throws -> (entries: [(MetadataEntry, Offset)], batches: [(header: RecordBatchHeader, bytes: [UInt8])]) {
        let bytes = [UInt8](try Data(contentsOf: Self.directory.appendingPathComponent(name)))
        var entries: [(MetadataEntry, Offset)] = []
        var batches: [(RecordBatchHeader, [UInt8])] = []
        var position = 0
        while position < bytes.count {
            let rest = bytes.span.bytes.extracting(position..<bytes.count)
            let header = try RecordBatchHeader(parsing: rest)
            let batch = rest.extracting(0..<header.byteCount)
            try MetadataBatch.forEach(in: batch, header: header, decompressor: Decompressor()) {
                entries.append(($0, $1))
            }
            batches.append((header, batch.withUnsafeBytes { Array($0) }))
            position += header.byteCount
        }
        return (entries, batches)
    }

    private func replayed() throws -> MetadataImage {
        var image = MetadataImage()
        var transaction = MetadataTransaction()
        for (entry, _) in try entries("__cluster_metadata-0/00000000000000000000.log").entries {
            guard case .record(let record) = entry else { continue }
            for record in transaction.take(record) { try image.apply(record) }
        }
        return image
    }

    @Test("its log replays into the topics, IDs and settings that the directory shows")
    func replay() throws {
        let image = try replayed()
        #expect(image.metadataVersion == MetadataVersion(21))
        #expect(image.brokers.count == 1)
        let broker = try #require(image.brokers.sorted.first)
        let properties = try String(
            contentsOf: Self.directory.appendingPathComponent("meta.properties"), encoding: .utf8)
        #expect(properties.contains("node.id=\(broker.id)"))
        #expect(properties.contains("directory.id=\(try #require(broker.directories.first))"))
        var checked = 0
        let manager = FileManager.default
        for name in try manager.contentsOfDirectory(atPath: Self.directory.path) {
            let metadata = Self.directory.appendingPathComponent("\(name)/partition.metadata")
            guard let text = try? String(contentsOf: metadata, encoding: .utf8),
                let dash = name.lastIndex(of: "-"), !name.hasPrefix("__cluster")
            else { continue }
            let topic = try #require(image.topics[String(name[..<dash])], "\(name)")
            #expect(text.contains("topic_id: \(topic.id)"))
            let number = try #require(Int(name[dash...].dropFirst()))
            let partition = try #require(
                topic.partitions.indices.contains(number) ? topic.partitions[number] : nil)
            #expect(partition.replicas == [broker.id])
            #expect(partition.inSyncReplicas == [broker.id])
            checked += 1
        }
        #expect(checked >= 10)
        #expect(image.configurations[.topic("golden-compacted")]["cleanup.policy"] == "compact")
        #expect(
            image.configurations[.topic("golden-logappendtime")]["message.timestamp.type"] == "LogAppendTime")
        #expect(image.topics["__consumer_offsets"]?.partitions.count == 50)
    }

    @Test("each of its records is written byte for byte as Kafka did")
    func rewritten() throws {
        let (_, batches) = try entries("__cluster_metadata-0/00000000000000000000.log")
        var compared = 0
        for (header, bytes) in batches where !header.attributes.isControl {
            for record in try RecordBatch.records(
                of: bytes.span.bytes, header: header, decompressor: Decompressor())
            {
                let value = try #require(record.value)
                let decoded = try MetadataRecord(decoding: value.span.bytes)
                #expect(try decoded.encoded(MetadataVersion(21)) == value, "\(decoded) \(value)")
                compared += 1
            }
        }
        #expect(compared > 100)
    }

    @Test("its bootstrap checkpoint is a snapshot")
    func bootstrap() throws {
        let bytes = [UInt8](
            try Data(contentsOf: Self.directory.appendingPathComponent("bootstrap.checkpoint")))
        let (image, _) = try snapshot(bytes)
        #expect(image.features == ["metadata.version": 21])
    }

    @Test("its image comes back from our snapshot")
    func snapshotted() throws {
        let image = try replayed()
        #expect(try snapshot(ClusterMetadataTests.bytes(of: image)).0 == image)
    }
}
