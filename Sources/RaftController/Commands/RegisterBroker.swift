public import ClusterMetadata
internal import KafkaProtocol
public import RecordFormat

/// The broker that a request says it comes from.
enum RegisteredBroker {
    /// - Throws: when it is not registered, or by now with another epoch.
    static func find(
        _ id: Int32, epoch: Int64, _ image: MetadataImage
    ) throws(CommandRefusal) -> BrokerImage {
        guard let broker = image.brokers[id] else {
            throw CommandRefusal(.brokerIDNotRegistered, "broker \(id) is not registered")
        }
        guard broker.epoch == epoch else {
            throw CommandRefusal(
                .staleBrokerEpoch,
                "broker \(id) has epoch \(broker.epoch) by now, the request is of epoch \(epoch)")
        }
        return broker
    }
}

/// Makes a broker known, or known again after its start.
public struct RegisterBroker: ControllerCommand {
    /// What a broker gets when it is registered.
    public struct Registration: Hashable, Sendable {
        /// To be sent along with all that the broker asks for.
        public let epoch: Int64
    }

    public var brokerID: Int32
    /// Drawn at each start of the broker's process.
    public var incarnationID: UniqueID
    public var endpoints: [NodeEndpoint]
    public var features: [String: ClosedRange<Int16>]
    public var rack: String?
    /// Its log directories that work.
    public var directories: [DirectoryID]
    /// It is part of the controller's process, so that it is there: it is not fenced until it calls.
    public var isAlive: Bool
    /// It lost nothing when it was stopped, so that what it leads it may go on to lead in the same epoch.
    public var wasShutDownCleanly: Bool

    public init(
        brokerID: Int32, incarnationID: UniqueID, endpoints: [NodeEndpoint],
        features: [String: ClosedRange<Int16>] = [
            MetadataVersion.featureName: MetadataVersion.oldest.rawValue...MetadataVersion.newest.rawValue
        ], rack: String? = nil, directories: [DirectoryID], isAlive: Bool, wasShutDownCleanly: Bool
    ) {
        self.brokerID = brokerID
        self.incarnationID = incarnationID
        self.endpoints = endpoints
        self.features = features
        self.rack = rack
        self.directories = directories
        self.isAlive = isAlive
        self.wasShutDownCleanly = wasShutDownCleanly
    }

    public func decide(
        _ image: MetadataImage, _ context: inout DecisionContext
    ) throws(CommandRefusal) -> Decision<Registration> {
        guard brokerID >= 0 else {
            throw CommandRefusal(.invalidRequest, "a broker's node ID is 0 or more, not \(brokerID)")
        }
        let version = image.metadataVersion
        if let supported = features[MetadataVersion.featureName], !supported.contains(version.rawValue) {
            throw CommandRefusal(
                .unsupportedVersion,
                "broker \(brokerID) supports metadata.version \(supported.lowerBound) to "
                    + "\(supported.upperBound), the cluster is at \(version); run a release that fits")
        }
        if let known = image.brokers[brokerID] {
            // Asked again, because the answer was lost.
            if known.incarnationID == incarnationID { return Decision(Registration(epoch: known.epoch)) }
            // A process of this very node has ended before this one began; any other may still be there.
            if !known.isFenced, !known.isInControlledShutdown, !isAlive {
                throw CommandRefusal(
                    .duplicateBrokerRegistration,
                    "another broker \(brokerID) is there; give each broker a node.id of its own")
            }
        }
        let epoch = context.nextOffset.rawValue
        let record = RegisterBrokerRecord(
            brokerID: brokerID, incarnationID: incarnationID, brokerEpoch: epoch,
            endPoints: endpoints.map {
                RegisterBrokerRecord.BrokerEndpoint(
                    name: $0.name, host: $0.host, port: $0.port, securityProtocol: $0.securityProtocol)
            },
            features: features.sorted { $0.key < $1.key }.map {
                RegisterBrokerRecord.BrokerFeature(
                    name: $0.key, minSupportedVersion: $0.value.lowerBound,
                    maxSupportedVersion: $0.value.upperBound)
            },
            rack: rack, fenced: !isAlive, logDirs: version.hasDirectories ? directories : [])
        var records: [MetadataRecord] = [.registerBroker(record)]
        records += partitionChanges(image, context)
        return Decision(Registration(epoch: epoch), records: records, isAtomic: false)
    }

    /// A broker that is there leads again what it led or has the last replica in sync of, in a new epoch if
    /// it may have lost something: offsets that are given again must not look like the ones that were lost.
    private func partitionChanges(
        _ image: MetadataImage, _ context: DecisionContext
    ) -> [MetadataRecord] {
        let isHere = isAlive
        let id = brokerID
        return PartitionChanges.find(image, about: id) { partition, topicID, number in
            LeaderElector.change(
                partition, topicID: topicID, number: number,
                isEligible: { $0 == id ? isHere : image.brokers[$0]?.isActive ?? false },
                bumpsEpoch: isHere && partition.leader == id && !wasShutDownCleanly)
        }
    }
}

/// Changes of all partitions that a broker has to do with.
enum PartitionChanges {
    /// Calls `change` for each partition that has a replica on the broker, in a fixed order.
    static func find(
        _ image: MetadataImage, about brokerID: Int32,
        _ change: (PartitionImage, TopicID, Int32) -> PartitionChangeRecord?
    ) -> [MetadataRecord] {
        var records: [MetadataRecord] = []
        for topic in image.topics.all.sorted(by: { $0.id < $1.id }) {
            for (number, partition) in topic.partitions.enumerated()
            where partition.replicas.contains(brokerID) {
                if let record = change(partition, topic.id, Int32(number)) {
                    records.append(.partitionChange(record))
                }
            }
        }
        return records
    }

    /// What a broker's going takes with it: its leaderships, and its places in sync where others are.
    static func removing(
        _ brokerID: Int32, _ image: MetadataImage, _ context: DecisionContext, keepsLeader: Bool
    ) -> [MetadataRecord] {
        find(image, about: brokerID) { partition, topicID, number in
            var inSync = partition.inSyncReplicas.filter { $0 != brokerID }
            if inSync.isEmpty { inSync = partition.inSyncReplicas }
            let name = image.topics[topicID]?.name ?? ""
            let setting = image.configurations[.topic(name)]["unclean.leader.election.enable"]
            return LeaderElector.change(
                partition, topicID: topicID, number: number, inSync: inSync,
                isEligible: { $0 != brokerID && image.brokers[$0]?.isActive ?? false },
                allowsUnclean: !keepsLeader
                    && (setting.map { $0 == "true" } ?? context.policy.allowsUncleanLeaders),
                keepsLeader: keepsLeader)
        }
    }
}
