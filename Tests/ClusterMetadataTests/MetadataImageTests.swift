import Base
import KafkaProtocol
import RecordFormat
import Testing

@testable import ClusterMetadata

@Suite("The image of the metadata")
struct MetadataImageTests {
    @Test("random records add up to what a table of facts says, after each of them", arguments: 1...20)
    func model(seed: UInt64) throws {
        var records = RandomRecords(seed: seed)
        var image = MetadataImage()
        var model = MetadataModel()
        for step in 0..<400 {
            let record = records.next()
            try image.apply(record)
            model.apply(record)
            try #require(image.facts == model.facts, "seed \(seed), step \(step), \(record)")
        }
        #expect(image.topics.partitionCount == image.topics.all.reduce(0) { $0 + $1.partitions.count })
    }

    @Test("an image is made again by its records, and by its snapshot", arguments: 1...20)
    func records(seed: UInt64) throws {
        var records = RandomRecords(seed: seed)
        var image = MetadataImage()
        try image.apply(.featureLevel(FeatureLevelRecord(name: "metadata.version", featureLevel: 21)))
        for _ in 0..<300 { try image.apply(records.next()) }
        var again = MetadataImage()
        for record in image.records() { try again.apply(record) }
        #expect(again == image)
        let (read, time) = try snapshot(bytes(of: image))
        #expect(read == image)
        #expect(time == Timestamp(77))
    }

    @Test("the delta names exactly what differs", arguments: 1...20)
    func delta(seed: UInt64) throws {
        var records = RandomRecords(seed: seed)
        var image = MetadataImage()
        for _ in 0..<100 { try image.apply(records.next()) }
        for _ in 0..<20 {
            let before = image
            var delta = MetadataDelta()
            for _ in 0..<10 { try image.apply(records.next(), noting: &delta) }
            let old = Set(before.topics.all.map(\.id))
            let new = Set(image.topics.all.map(\.id))
            #expect(Set(delta.deletedTopics.keys) == old.subtracting(new))
            #expect(Set(delta.topics.filter(\.value.isNew).keys) == new.subtracting(old))
            for id in old.union(new) {
                let was = before.topics[id]?.partitions ?? []
                let isNow = image.topics[id]?.partitions ?? []
                for number in isNow.indices where number >= was.count || was[number] != isNow[number] {
                    #expect(delta.topics[id]?.partitions.contains(Int32(number)) ?? false)
                }
            }
            for broker in Int32(1)...6 where before.brokers[broker] != image.brokers[broker] {
                #expect(delta.changedBrokers.contains(broker))
            }
        }
    }

    @Test("records that do not fit are refused and change nothing")
    func refused() throws {
        var image = MetadataImage()
        let id = TopicID(UniqueID(high: 5, low: 5))
        try image.apply(.topic(TopicRecord(name: "a", topicID: id)))
        let before = image
        let other = TopicID(UniqueID(high: 6, low: 6))
        let bad: [MetadataRecord] = [
            .topic(TopicRecord(name: "a", topicID: other)), .topic(TopicRecord(name: "b", topicID: id)),
            .removeTopic(RemoveTopicRecord(topicID: other)),
            .partition(PartitionRecord(partitionID: 1, topicID: id, replicas: [1], inSyncReplicas: [1])),
            .partitionChange(PartitionChangeRecord(partitionID: 0, topicID: id)),
            .fenceBroker(FenceBrokerRecord(id: 3, epoch: 1)),
            .unregisterBroker(UnregisterBrokerRecord(brokerID: 3, brokerEpoch: 1)),
            .featureLevel(FeatureLevelRecord(name: "metadata.version", featureLevel: 99)),
        ]
        for record in bad {
            #expect(throws: MetadataImageError.self) { try image.apply(record) }
        }
        #expect(image == before)
    }

    @Test("names that metrics cannot tell apart are found")
    func lookalikes() throws {
        var image = MetadataImage()
        try image.apply(.topic(TopicRecord(name: "a.b", topicID: TopicID(UniqueID(high: 1, low: 9)))))
        #expect(image.topics.lookalike(of: "a_b") == "a.b")
        #expect(image.topics.lookalike(of: "a.b") == nil)
        #expect(image.topics.lookalike(of: "ab") == nil)
        try image.apply(.removeTopic(RemoveTopicRecord(topicID: TopicID(UniqueID(high: 1, low: 9)))))
        #expect(image.topics.lookalike(of: "a_b") == nil)
        #expect(image == MetadataImage())
    }

    @Test("a transaction is applied at its end, or not at all")
    func transactions() {
        var transaction = MetadataTransaction()
        let record = MetadataRecord.noOperation(NoOpRecord())
        #expect(transaction.take(record) == [record])
        #expect(transaction.take(.beginTransaction(BeginTransactionRecord(name: "x"))).isEmpty)
        #expect(transaction.isOpen)
        #expect(transaction.take(record).isEmpty)
        #expect(transaction.take(record).isEmpty)
        #expect(transaction.take(.endTransaction(EndTransactionRecord())) == [record, record])
        #expect(!transaction.isOpen)
        _ = transaction.take(.beginTransaction(BeginTransactionRecord()))
        _ = transaction.take(record)
        #expect(transaction.take(.abortTransaction(AbortTransactionRecord())).isEmpty)
        #expect(transaction.take(record) == [record])
    }

    @Test("quotas are found by filters as KIP-546 has them")
    func quotas() throws {
        var image = MetadataImage()
        for (user, client) in [("u", "c"), ("u", nil), (nil, "c")] as [(String?, String?)] {
            let entity = ClientQuotaEntity(user: user, clientID: client)
            try image.apply(.clientQuota(entity.record("producer_byte_rate", 5)))
        }
        let alone = ClientQuotaEntity([.init(type: "user", name: "u")])
        try image.apply(.clientQuota(alone.record("producer_byte_rate", 7)))
        func count(_ components: [ClientQuotaFilter.Component], strict: Bool = false) -> Int {
            image.clientQuotas.matching(ClientQuotaFilter(components: components, isStrict: strict)).count
        }
        #expect(count([]) == 4)
        #expect(count([], strict: true) == 0)
        #expect(count([.init(type: "user", match: .exactly("u"))]) == 3)
        #expect(count([.init(type: "user", match: .exactly("u"))], strict: true) == 1)
        #expect(count([.init(type: "user", match: .defaultName)]) == 1)
        #expect(count([.init(type: "client-id", match: .any)]) == 3)
        #expect(count([.init(type: "ip", match: .any)]) == 0)
    }
}

/// The bytes of a snapshot of `image`.
func bytes(of image: MetadataImage) -> [UInt8] {
    var bytes: [UInt8] = []
    let id = MetadataSnapshotID(endOffset: Offset(100), epoch: LeaderEpoch(3))
    MetadataSnapshotWriter.write(image, id, lastTimestamp: Timestamp(77), now: Timestamp(88)) {
        bytes += $0
    }
    return bytes
}

/// What a snapshot's bytes hold.
func snapshot(_ bytes: [UInt8]) throws -> (MetadataImage, Timestamp) {
    var reader = MetadataSnapshotReader()
    var position = 0
    while position < bytes.count {
        let rest = bytes.span.bytes.extracting(position..<bytes.count)
        let header = try RecordBatchHeader(parsing: rest)
        guard header.byteCount <= rest.byteCount else { throw MetadataSnapshotError.missingFooter }
        try reader.take(rest.extracting(0..<header.byteCount), header: header)
        position += header.byteCount
    }
    return try reader.finish()
}
