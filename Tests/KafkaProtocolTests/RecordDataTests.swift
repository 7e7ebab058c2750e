import KafkaProtocol
import RecordFormat
import Testing

/// Records of internal topics, against bytes written by hand from their description.
@Suite("Record data")
struct RecordDataTests {
    @Test("a key and a value begin with their version in two bytes")
    func versioned() throws {
        let key = OffsetCommitKey(group: "g", topic: "t", partition: 3)
        let keyBytes: [UInt8] = [0, 1, 0, 1, 0x67, 0, 1, 0x74, 0, 0, 0, 3]
        #expect(try key.encodedVersioned(1) == keyBytes)
        #expect(try OffsetCommitKey(decodingVersioned: keyBytes.span.bytes) == key)
        #expect(try MessageReader.leadingVersion(of: keyBytes.span.bytes) == 1)
        let groupBytes: [UInt8] = [0, 2, 0, 1, 0x67]
        let group = try GroupMetadataKey(decodingVersioned: groupBytes.span.bytes)
        #expect(group.group == "g")
        #expect(throws: ProtocolError.self) { try GroupMetadataKey(decodingVersioned: keyBytes.span.bytes) }
        let short: [UInt8] = [0]
        #expect(throws: ProtocolError.self) { try MessageReader.leadingVersion(of: short.span.bytes) }
    }

    @Test("a metadata record begins with frame version, key and version")
    func metadata() throws {
        let record = FeatureLevelRecord(name: "f", featureLevel: 7)
        let bytes: [UInt8] = [1, 12, 0, 2, 0x66, 0, 7, 0]
        #expect(try record.metadataRecord(version: 0) == bytes)
        let frame = try MetadataRecordFrame(parsing: bytes.span.bytes)
        #expect(frame.recordKey == 12 && frame.version == 0 && frame.bodyPosition == 3)
        #expect(try frame.decode(FeatureLevelRecord.self, from: bytes.span.bytes) == record)
        #expect(throws: ProtocolError.self) { try frame.decode(TopicRecord.self, from: bytes.span.bytes) }
        for bad in [[2, 12, 0], [1, 0xFF, 0xFF, 0x7F, 0], [1, 12]] as [[UInt8]] {
            #expect(throws: ProtocolError.self) { try MetadataRecordFrame(parsing: bad.span.bytes) }
        }
    }

    @Test("metadata records have keys of their own")
    func keys() {
        let keys = MessageCatalog.metadataRecords.map { $0.recordKey }
        #expect(keys == keys.sorted() && Set(keys).count == keys.count && keys.count == 26)
    }
}
