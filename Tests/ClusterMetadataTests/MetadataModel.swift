import ClusterMetadata
import KafkaProtocol
import RecordFormat

/// What records add up to, in the most obvious way: one table of text by text. Nothing here is shared with
/// the image but the records.
struct MetadataModel {
    private(set) var facts: [String: String] = [:]

    private mutating func remove(prefix: String) {
        for key in facts.keys where key.hasPrefix(prefix) { facts[key] = nil }
    }

    mutating func apply(_ record: MetadataRecord) {
        switch record {
        case .topic(let record): facts["topic/\(record.topicID)/name"] = record.name
        case .partition(let record):
            let key = "topic/\(record.topicID)/\(record.partitionID)"
            facts["\(key)/replicas"] = "\(record.replicas)"
            facts["\(key)/isr"] = "\(record.inSyncReplicas)"
            facts["\(key)/removing"] = "\(record.removingReplicas)"
            facts["\(key)/adding"] = "\(record.addingReplicas)"
            facts["\(key)/leader"] = "\(record.leader)"
            facts["\(key)/state"] = "\(record.leaderRecoveryState)"
            facts["\(key)/epoch"] = "\(record.leaderEpoch)"
            facts["\(key)/version"] = "\(record.partitionEpoch)"
        case .partitionChange(let record): apply(record)
        case .removeTopic(let record):
            if let name = facts["topic/\(record.topicID)/name"] { remove(prefix: "setting/2/\(name)/") }
            remove(prefix: "topic/\(record.topicID)/")
        case .configuration(let record):
            facts["setting/\(record.resourceType)/\(record.resourceName)/\(record.name)"] = record.value
        case .clientQuota(let record):
            let entity = record.entity.map { "\($0.entityType)=\($0.entityName ?? "*")" }.joined(
                separator: ",")
            facts["quota/\(entity)/\(record.key)"] = record.remove ? nil : "\(record.value)"
        case .featureLevel(let record): facts["feature/\(record.name)"] = "\(record.featureLevel)"
        case .producerIDs(let record): facts["producerIDs"] = "\(record.nextProducerID)"
        case .registerBroker(let record):
            let key = "broker/\(record.brokerID)"
            facts["\(key)/incarnation"] = "\(record.incarnationID)"
            facts["\(key)/epoch"] = "\(record.brokerEpoch)"
            facts["\(key)/fenced"] = "\(record.fenced)"
            facts["\(key)/stopping"] = "\(record.inControlledShutdown)"
            facts["\(key)/rack"] = record.rack
            facts["\(key)/port"] = "\(record.endPoints[0].port)"
            facts["\(key)/directories"] = "\(record.logDirs)"
        case .unregisterBroker(let record): remove(prefix: "broker/\(record.brokerID)/")
        case .fenceBroker(let record): facts["broker/\(record.id)/fenced"] = "true"
        case .unfenceBroker(let record): facts["broker/\(record.id)/fenced"] = "false"
        case .brokerRegistrationChange(let record):
            let key = "broker/\(record.brokerID)"
            if record.fenced == -1 { facts["\(key)/fenced"] = "false" }
            if record.fenced == 1 { facts["\(key)/fenced"] = "true" }
            if record.inControlledShutdown == 1 { facts["\(key)/stopping"] = "true" }
            if !record.logDirs.isEmpty { facts["\(key)/directories"] = "\(record.logDirs)" }
        default: break
        }
    }

    private mutating func apply(_ record: PartitionChangeRecord) {
        let key = "topic/\(record.topicID)/\(record.partitionID)"
        if let list = record.replicas { facts["\(key)/replicas"] = "\(list)" }
        if let list = record.inSyncReplicas { facts["\(key)/isr"] = "\(list)" }
        if let list = record.removingReplicas { facts["\(key)/removing"] = "\(list)" }
        if let list = record.addingReplicas { facts["\(key)/adding"] = "\(list)" }
        if record.leaderRecoveryState != -1 { facts["\(key)/state"] = "\(record.leaderRecoveryState)" }
        if record.leader != -2 {
            facts["\(key)/leader"] = "\(record.leader)"
            facts["\(key)/epoch"] = String((Int(facts["\(key)/epoch"] ?? "") ?? 0) + 1)
        }
        facts["\(key)/version"] = String((Int(facts["\(key)/version"] ?? "") ?? 0) + 1)
    }
}

extension MetadataImage {
    /// The image as the model's table.
    var facts: [String: String] {
        var facts: [String: String] = [:]
        for topic in topics.all {
            facts["topic/\(topic.id)/name"] = topic.name
            for (number, partition) in topic.partitions.enumerated() {
                let key = "topic/\(topic.id)/\(number)"
                facts["\(key)/replicas"] = "\(partition.replicas)"
                facts["\(key)/isr"] = "\(partition.inSyncReplicas)"
                facts["\(key)/removing"] = "\(partition.removingReplicas)"
                facts["\(key)/adding"] = "\(partition.addingReplicas)"
                facts["\(key)/leader"] = "\(partition.leader)"
                facts["\(key)/state"] = "\(partition.leaderRecoveryState.rawValue)"
                facts["\(key)/epoch"] = "\(partition.leaderEpoch)"
                facts["\(key)/version"] = "\(partition.partitionEpoch)"
            }
        }
        for resource in configurations.resources {
            for (name, value) in configurations[resource] {
                facts["setting/\(resource.type.rawValue)/\(resource.name)/\(name)"] = value
            }
        }
        for (entity, values) in clientQuotas.all {
            let text = entity.parts.map { "\($0.type)=\($0.name ?? "*")" }.joined(separator: ",")
            for (key, value) in values { facts["quota/\(text)/\(key)"] = "\(value)" }
        }
        for (name, level) in features { facts["feature/\(name)"] = "\(level)" }
        if nextProducerID != ProducerID(0) { facts["producerIDs"] = "\(nextProducerID)" }
        for broker in brokers.sorted {
            let key = "broker/\(broker.id)"
            facts["\(key)/incarnation"] = "\(broker.incarnationID)"
            facts["\(key)/epoch"] = "\(broker.epoch)"
            facts["\(key)/fenced"] = "\(broker.isFenced)"
            facts["\(key)/stopping"] = "\(broker.isInControlledShutdown)"
            facts["\(key)/rack"] = broker.rack
            facts["\(key)/port"] = "\(broker.endpoints[0].port)"
            facts["\(key)/directories"] = "\(broker.directories)"
        }
        return facts
    }
}
