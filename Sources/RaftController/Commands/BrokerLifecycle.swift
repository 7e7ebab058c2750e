public import ClusterMetadata
internal import KafkaProtocol

/// What a broker that calls wants; the controller's answer to its heartbeats (KIP-631).
public struct BrokerHeartbeat: ControllerCommand {
    /// What the broker is told.
    public struct Outcome: Hashable, Sendable {
        public let isFenced: Bool
        /// Nothing is left that another broker could take over.
        public let mayShutDown: Bool
    }

    public var brokerID: Int32
    public var brokerEpoch: Int64
    /// It does not want to be counted on.
    public var wantsFence: Bool
    /// It wants to stop, and asks for its leaderships to be taken over.
    public var wantsShutDown: Bool

    public init(brokerID: Int32, brokerEpoch: Int64, wantsFence: Bool = false, wantsShutDown: Bool = false) {
        self.brokerID = brokerID
        self.brokerEpoch = brokerEpoch
        self.wantsFence = wantsFence
        self.wantsShutDown = wantsShutDown
    }

    public func decide(
        _ image: MetadataImage, _ context: inout DecisionContext
    ) throws(CommandRefusal) -> Decision<Outcome> {
        let broker = try RegisteredBroker.find(brokerID, epoch: brokerEpoch, image)
        if wantsShutDown { return shutDown(broker, image, context) }
        if wantsFence, !broker.isFenced {
            return try FenceBroker(brokerID: brokerID).decide(image, &context)
        }
        if !wantsFence, broker.isFenced, !broker.isInControlledShutdown { return unfence(image) }
        return Decision(Outcome(isFenced: broker.isFenced, mayShutDown: false))
    }

    private func unfence(_ image: MetadataImage) -> Decision<Outcome> {
        let id = brokerID
        let record = BrokerRegistrationChangeRecord(brokerID: id, brokerEpoch: brokerEpoch, fenced: -1)
        let changes = PartitionChanges.find(image, about: id) { partition, topicID, number in
            LeaderElector.change(
                partition, topicID: topicID, number: number,
                isEligible: { $0 == id || image.brokers[$0]?.isActive ?? false })
        }
        return Decision(
            Outcome(isFenced: false, mayShutDown: false),
            records: [.brokerRegistrationChange(record)] + changes, isAtomic: false)
    }

    /// What others can take over they take over. The rest it leads to its end: nobody would be helped by a
    /// partition without a leader.
    private func shutDown(
        _ broker: BrokerImage, _ image: MetadataImage, _ context: DecisionContext
    ) -> Decision<Outcome> {
        var records: [MetadataRecord] = []
        if !broker.isInControlledShutdown {
            records.append(
                .brokerRegistrationChange(
                    BrokerRegistrationChangeRecord(
                        brokerID: broker.id, brokerEpoch: broker.epoch, inControlledShutdown: 1)))
        }
        let changes = PartitionChanges.removing(broker.id, image, context, keepsLeader: true)
        return Decision(
            Outcome(isFenced: broker.isFenced, mayShutDown: changes.isEmpty), records: records + changes,
            isAtomic: false)
    }
}

/// Takes a broker off that is not heard of any more: it leads nothing and is in sync with nothing.
public struct FenceBroker: ControllerCommand {
    public var brokerID: Int32

    public init(brokerID: Int32) { self.brokerID = brokerID }

    public func decide(
        _ image: MetadataImage, _ context: inout DecisionContext
    ) throws(CommandRefusal) -> Decision<BrokerHeartbeat.Outcome> {
        guard let broker = image.brokers[brokerID] else {
            throw CommandRefusal(.brokerIDNotRegistered, "broker \(brokerID) is not registered")
        }
        let outcome = BrokerHeartbeat.Outcome(isFenced: true, mayShutDown: broker.isInControlledShutdown)
        if broker.isFenced { return Decision(outcome) }
        let record = BrokerRegistrationChangeRecord(
            brokerID: brokerID, brokerEpoch: broker.epoch, fenced: 1)
        let changes = PartitionChanges.removing(brokerID, image, context, keepsLeader: false)
        return Decision(
            outcome, records: [.brokerRegistrationChange(record)] + changes, isAtomic: false)
    }
}

/// Forgets a broker that will not come back (KIP-185).
public struct UnregisterBroker: ControllerCommand {
    public var brokerID: Int32

    public init(brokerID: Int32) { self.brokerID = brokerID }

    public func decide(
        _ image: MetadataImage, _ context: inout DecisionContext
    ) throws(CommandRefusal) -> Decision<Bool> {
        guard let broker = image.brokers[brokerID] else {
            throw CommandRefusal(.brokerIDNotRegistered, "broker \(brokerID) is not registered")
        }
        let changes = PartitionChanges.removing(brokerID, image, context, keepsLeader: false)
        let record = UnregisterBrokerRecord(brokerID: brokerID, brokerEpoch: broker.epoch)
        return Decision(true, records: changes + [.unregisterBroker(record)], isAtomic: false)
    }
}
