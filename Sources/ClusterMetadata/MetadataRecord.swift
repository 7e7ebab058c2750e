public import KafkaProtocol

/// One record of the metadata log (KIP-631): a change of the cluster's metadata.
public enum MetadataRecord: Equatable, Sendable {
    case registerBroker(RegisterBrokerRecord)
    case unregisterBroker(UnregisterBrokerRecord)
    case topic(TopicRecord)
    case partition(PartitionRecord)
    case configuration(ConfigRecord)
    case partitionChange(PartitionChangeRecord)
    case fenceBroker(FenceBrokerRecord)
    case unfenceBroker(UnfenceBrokerRecord)
    case removeTopic(RemoveTopicRecord)
    case delegationToken(DelegationTokenRecord)
    case userScramCredential(UserScramCredentialRecord)
    case featureLevel(FeatureLevelRecord)
    case clientQuota(ClientQuotaRecord)
    case producerIDs(ProducerIDsRecord)
    case brokerRegistrationChange(BrokerRegistrationChangeRecord)
    case accessControlEntry(AccessControlEntryRecord)
    case removeAccessControlEntry(RemoveAccessControlEntryRecord)
    case noOperation(NoOpRecord)
    case zooKeeperMigration(ZkMigrationRecord)
    case removeUserScramCredential(RemoveUserScramCredentialRecord)
    case beginTransaction(BeginTransactionRecord)
    case endTransaction(EndTransactionRecord)
    case abortTransaction(AbortTransactionRecord)
    case removeDelegationToken(RemoveDelegationTokenRecord)
    case registerController(RegisterControllerRecord)
}

/// What a record is, by the number that stands before it.
public enum MetadataRecordType: Int16, Hashable, Sendable, CaseIterable {
    case registerBroker = 0
    case unregisterBroker = 1
    case topic = 2
    case partition = 3
    case configuration = 4
    case partitionChange = 5
    case fenceBroker = 7
    case unfenceBroker = 8
    case removeTopic = 9
    case delegationToken = 10
    case userScramCredential = 11
    case featureLevel = 12
    case clientQuota = 14
    case producerIDs = 15
    case brokerRegistrationChange = 17
    case accessControlEntry = 18
    case removeAccessControlEntry = 19
    case noOperation = 20
    case zooKeeperMigration = 21
    case removeUserScramCredential = 22
    case beginTransaction = 23
    case endTransaction = 24
    case abortTransaction = 25
    case removeDelegationToken = 26
    case registerController = 27
}

extension MetadataRecord {
    public var type: MetadataRecordType {
        switch self {
        case .registerBroker: .registerBroker
        case .unregisterBroker: .unregisterBroker
        case .topic: .topic
        case .partition: .partition
        case .configuration: .configuration
        case .partitionChange: .partitionChange
        case .fenceBroker: .fenceBroker
        case .unfenceBroker: .unfenceBroker
        case .removeTopic: .removeTopic
        case .delegationToken: .delegationToken
        case .userScramCredential: .userScramCredential
        case .featureLevel: .featureLevel
        case .clientQuota: .clientQuota
        case .producerIDs: .producerIDs
        case .brokerRegistrationChange: .brokerRegistrationChange
        case .accessControlEntry: .accessControlEntry
        case .removeAccessControlEntry: .removeAccessControlEntry
        case .noOperation: .noOperation
        case .zooKeeperMigration: .zooKeeperMigration
        case .removeUserScramCredential: .removeUserScramCredential
        case .beginTransaction: .beginTransaction
        case .endTransaction: .endTransaction
        case .abortTransaction: .abortTransaction
        case .removeDelegationToken: .removeDelegationToken
        case .registerController: .registerController
        }
    }

    /// The record's own message.
    public var message: any Message {
        switch self {
        case .registerBroker(let message): message
        case .unregisterBroker(let message): message
        case .topic(let message): message
        case .partition(let message): message
        case .configuration(let message): message
        case .partitionChange(let message): message
        case .fenceBroker(let message): message
        case .unfenceBroker(let message): message
        case .removeTopic(let message): message
        case .delegationToken(let message): message
        case .userScramCredential(let message): message
        case .featureLevel(let message): message
        case .clientQuota(let message): message
        case .producerIDs(let message): message
        case .brokerRegistrationChange(let message): message
        case .accessControlEntry(let message): message
        case .removeAccessControlEntry(let message): message
        case .noOperation(let message): message
        case .zooKeeperMigration(let message): message
        case .removeUserScramCredential(let message): message
        case .beginTransaction(let message): message
        case .endTransaction(let message): message
        case .abortTransaction(let message): message
        case .removeDelegationToken(let message): message
        case .registerController(let message): message
        }
    }
}
