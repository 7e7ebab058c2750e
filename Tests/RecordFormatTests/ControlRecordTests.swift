import RecordFormat
import Testing

@Suite("Control records")
struct ControlRecordTests {
    static let examples: [ControlRecord] = [
        .endTransaction(isCommit: true, coordinatorEpoch: 3),
        .endTransaction(isCommit: false, coordinatorEpoch: -1),
        .leaderChange(
            LeaderChange(leaderID: 1, voters: [QuorumVoter(id: 1), QuorumVoter(id: 2)], grantingVoters: [])),
        .leaderChange(
            LeaderChange(
                leaderID: 9,
                voters: [QuorumVoter(id: 9, directoryID: DirectoryID(UniqueID(high: 5, low: 6)))],
                grantingVoters: [
                    QuorumVoter(id: 9, directoryID: DirectoryID(UniqueID(high: .max, low: 7)))
                ])),
        .snapshotHeader(lastContainedLogTimestamp: Timestamp(1_700_000_000_000)), .snapshotFooter,
        .kraftVersion(1),
        .kraftVoters([]),
        .kraftVoters([
            KRaftVoter(
                id: 4, directoryID: DirectoryID(UniqueID(high: 1, low: 2)),
                endpoints: [
                    KRaftVoter.Endpoint(name: "CONTROLLER", host: "localhost", port: 65535),
                    KRaftVoter.Endpoint(name: "", host: "é", port: 0),
                ], supportedVersions: 0...1)
        ]),
    ]

    static func decode(_ key: [UInt8]?, _ value: [UInt8]?) throws(ControlRecordError) -> ControlRecord {
        switch (key, value) {
        case (let key?, let value?): try ControlRecord(key: key.span.bytes, value: value.span.bytes)
        case (let key?, nil): try ControlRecord(key: key.span.bytes, value: nil)
        case (nil, let value?): try ControlRecord(key: nil, value: value.span.bytes)
        case (nil, nil): try ControlRecord(key: nil, value: nil)
        }
    }

    @Test("every control record of the golden logs is decoded, and encoded again byte for byte")
    func golden() throws {
        let decompressor = Decompressor()
        var types: [ControlRecordType: Int] = [:]
        for batch in try Golden.allBatches() {
            let header = try RecordBatchHeader(parsing: batch.bytes.span.bytes)
            guard header.attributes.isControl else { continue }
            for record in try RecordBatch.records(
                of: batch.bytes.span.bytes, header: header, decompressor: decompressor)
            {
                let control = try Self.decode(record.key, record.value)
                #expect(control.encodedKey() == record.key, "\(batch)")
                #expect(control.encodedValue() == record.value, "\(batch)")
                types[try #require(ControlRecordType(rawValue: control.typeNumber)), default: 0] += 1
            }
        }
        for type in [ControlRecordType.commit, .abort, .leaderChange, .snapshotHeader, .snapshotFooter] {
            #expect(types[type, default: 0] > 0, "\(type)")
        }
    }

    @Test("the leader change of the golden metadata log says what its one voter did")
    func goldenLeaderChange() throws {
        let batch = try #require(
            try Golden.batches(of: "__cluster_metadata-0/00000000000000000000.log").first
        ).bytes
        let header = try RecordBatchHeader(parsing: batch.span.bytes)
        var cursor = try RecordCursor(batch.span.bytes, header: header, decompressor: Decompressor())
        var found: [ControlRecord] = []
        while let record = try cursor.next() { found.append(try ControlRecord(record)) }
        let voter = QuorumVoter(id: 1)
        #expect(found == [.leaderChange(LeaderChange(leaderID: 1, voters: [voter], grantingVoters: [voter]))])
    }

    @Test("what is encoded decodes to the same, for every type")
    func roundTrip() throws {
        for record in Self.examples {
            let (key, value) = (record.encodedKey(), record.encodedValue())
            #expect(try Self.decode(key, value) == record)
            #expect(try ControlRecord.type(ofKey: key.span.bytes)?.rawValue == record.typeNumber)
        }
        #expect(Set(Self.examples.map(\.typeNumber)).count == ControlRecordType.allCases.count)
    }

    @Test("cut off anywhere, a value is refused; so are bytes after it, and versions that are not known")
    func damaged() throws {
        for record in Self.examples {
            let (key, value) = (record.encodedKey(), record.encodedValue())
            let type = try #require(ControlRecordType(rawValue: record.typeNumber))
            for length in 0..<value.count {
                #expect(throws: ControlRecordError.self, "\(record) of \(length) bytes") {
                    try Self.decode(key, Array(value[..<length]))
                }
            }
            #expect(throws: ControlRecordError.trailingBytes(type: type, byteCount: 1)) {
                try Self.decode(key, value + [0])
            }
            #expect(throws: ControlRecordError.unsupportedVersion(type: type, version: 0x7F01)) {
                try Self.decode(key, [0x7F, 0x01] + value[2...])
            }
            #expect(throws: ControlRecordError.missingValue) { try Self.decode(key, nil) }
            #expect(throws: ControlRecordError.missingKey) { try Self.decode(nil, value) }
            for length in 0..<4 {
                #expect(throws: ControlRecordError.malformedKey) {
                    try Self.decode(Array(key[..<length]), value)
                }
            }
        }
    }

    @Test("tagged fields of a later version are passed over, a type of a later version is reported as such")
    func later() throws {
        // Two tagged fields: 5 with three bytes, 9 with none.
        let tagged: [UInt8] = [0, 0, 2, 5, 3, 1, 2, 3, 9, 0]
        #expect(try Self.decode(ControlRecord.snapshotFooter.encodedKey(), tagged) == .snapshotFooter)
        #expect(try Self.decode([0, 0, 0, 77], nil) == .unknown(type: 77))
        let key: [UInt8] = [0, 0, 0, 77]
        #expect(try ControlRecord.type(ofKey: key.span.bytes) == nil)
    }
}
