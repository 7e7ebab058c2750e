import Base
import ClusterMetadata
import KafkaProtocol
import RecordFormat

/// Draws records that may follow those before them.
struct RandomRecords {
    private var generator: SeededGenerator
    private var topics: [(id: TopicID, name: String, partitions: Int32)] = []
    private var brokers: [Int32: Int64] = [:]
    private var count: Int64 = 0

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    private mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &generator) }

    private mutating func id() -> UniqueID { UniqueID(high: generator.next(), low: generator.next()) }

    private mutating func nodes() -> [Int32] {
        Array(Array(Int32(1)...6).shuffled(using: &generator).prefix(1 + below(3)))
    }

    mutating func next() -> MetadataRecord {
        count += 1
        switch below(20) {
        case 0...2: return newTopic()
        case 3...6: return newPartition() ?? newTopic()
        case 7...9: return partitionChange() ?? newTopic()
        case 10: return removedTopic() ?? newTopic()
        case 11: return registration()
        case 12...13: return brokerChange() ?? registration()
        case 14...16: return setting()
        case 17: return quota()
        case 18:
            return .producerIDs(
                ProducerIDsRecord(brokerID: 1, brokerEpoch: 2, nextProducerID: ProducerID(count * 1000)))
        default:
            return .featureLevel(
                FeatureLevelRecord(
                    name: ["metadata.version", "group.version"][below(2)],
                    featureLevel: Int16(17 + below(6))))
        }
    }

    private mutating func newTopic() -> MetadataRecord {
        let topic = (id: TopicID(id()), name: "topic.\(count)", partitions: Int32(0))
        topics.append(topic)
        return .topic(TopicRecord(name: topic.name, topicID: topic.id))
    }

    private mutating func newPartition() -> MetadataRecord? {
        guard !topics.isEmpty else { return nil }
        let index = below(topics.count)
        defer { topics[index].partitions += 1 }
        let replicas = nodes()
        return .partition(
            PartitionRecord(
                partitionID: topics[index].partitions, topicID: topics[index].id, replicas: replicas,
                inSyncReplicas: Array(replicas.prefix(1 + below(replicas.count))),
                removingReplicas: below(4) == 0 ? nodes() : [], addingReplicas: below(4) == 0 ? nodes() : [],
                leader: replicas[0], leaderRecoveryState: Int8(below(2)), leaderEpoch: LeaderEpoch(0),
                partitionEpoch: 0, directories: replicas.map { _ in DirectoryID(id()) }))
    }

    private mutating func partitionChange() -> MetadataRecord? {
        let known = topics.filter { $0.partitions > 0 }
        guard !known.isEmpty else { return nil }
        let topic = known[below(known.count)]
        var record = PartitionChangeRecord(
            partitionID: Int32(below(Int(topic.partitions))), topicID: topic.id)
        if below(2) == 0 { record.inSyncReplicas = nodes() }
        if below(2) == 0 { record.leader = Int32(below(7)) - 1 }
        if below(4) == 0 { record.replicas = nodes() }
        if below(4) == 0 { record.removingReplicas = below(2) == 0 ? [] : nodes() }
        if below(4) == 0 { record.addingReplicas = below(2) == 0 ? [] : nodes() }
        if below(4) == 0 { record.leaderRecoveryState = Int8(below(2)) }
        return .partitionChange(record)
    }

    private mutating func removedTopic() -> MetadataRecord? {
        guard !topics.isEmpty else { return nil }
        return .removeTopic(RemoveTopicRecord(topicID: topics.remove(at: below(topics.count)).id))
    }

    private mutating func registration() -> MetadataRecord {
        let broker = Int32(1 + below(6))
        brokers[broker] = count
        return .registerBroker(
            RegisterBrokerRecord(
                brokerID: broker, incarnationID: id(), brokerEpoch: count,
                endPoints: [.init(name: "PLAINTEXT", host: "host\(broker)", port: 9092)],
                features: [
                    .init(name: "metadata.version", minSupportedVersion: 7, maxSupportedVersion: 25)
                ], rack: below(2) == 0 ? nil : "rack\(below(3))", fenced: below(2) == 0,
                inControlledShutdown: false, logDirs: [DirectoryID(id())]))
    }

    private mutating func brokerChange() -> MetadataRecord? {
        guard let (broker, epoch) = brokers.min(by: { $0.value < $1.value }) else { return nil }
        switch below(5) {
        case 0: return .fenceBroker(FenceBrokerRecord(id: broker, epoch: epoch))
        case 1: return .unfenceBroker(UnfenceBrokerRecord(id: broker, epoch: epoch))
        case 2:
            brokers[broker] = nil
            return .unregisterBroker(UnregisterBrokerRecord(brokerID: broker, brokerEpoch: epoch))
        default:
            return .brokerRegistrationChange(
                BrokerRegistrationChangeRecord(
                    brokerID: broker, brokerEpoch: epoch, fenced: Int8(below(3)) - 1,
                    inControlledShutdown: Int8(below(2)),
                    logDirs: below(2) == 0 ? [] : [DirectoryID(id()), DirectoryID(id())]))
        }
    }

    private mutating func setting() -> MetadataRecord {
        let isTopic = below(3) > 0 && !topics.isEmpty
        return .configuration(
            ConfigRecord(
                resourceType: isTopic ? 2 : 4,
                resourceName: isTopic ? topics[below(topics.count)].name : ["", "1", "2"][below(3)],
                name: "setting.\(below(4))", value: below(4) == 0 ? nil : String(below(100))))
    }

    private mutating func quota() -> MetadataRecord {
        let name = below(3) == 0 ? nil : "user\(below(3))"
        return .clientQuota(
            ClientQuotaEntity([.init(type: "user", name: name)])
                .record("producer_byte_rate", below(3) == 0 ? nil : Double(below(1000))))
    }
}
