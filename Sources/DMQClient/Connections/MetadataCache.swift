internal import Base
internal import KafkaProtocol
public import RecordFormat
internal import Transport

/// A partition as the cluster describes it.
public struct PartitionDescription: Hashable, Sendable {
    public let partition: Int32
    /// Nil while there is none.
    public let leader: Int32?
    public let leaderEpoch: LeaderEpoch
    public let replicas: [Int32]
    public let inSyncReplicas: [Int32]
    public let offlineReplicas: [Int32]
}

/// A topic as the cluster describes it.
public struct TopicDescription: Hashable, Sendable {
    public let name: String
    /// `none` where the broker does not tell it.
    public let id: TopicID
    public let isInternal: Bool
    /// By rising numbers.
    public let partitions: [PartitionDescription]
}

/// What is known of brokers and topics: asked for when it is wanted, when it is old, and after errors that
/// show it to be wrong. One question at a time. On the client's lane.
final class MetadataCache {
    typealias TopicWaiter = (Result<TopicDescription, ClientError>) -> Void

    weak var core: ClientCore?
    private(set) var brokers: [Int32: BrokerEndpoint] = [:]
    private(set) var racks: [Int32: String] = [:]
    private(set) var controllerID: Int32?
    private(set) var clusterID: String?
    private(set) var topics: [String: TopicDescription] = [:]
    private(set) var isKnown = false
    /// Told when leaders may have changed.
    private var listeners: [ObjectIdentifier: () -> Void] = [:]

    /// Topics that are asked for again when the metadata is old.
    private var used: Set<String> = []
    /// Those that a broker may make on demand.
    private var creatable: Set<String> = []
    private var topicWaiters: [String: [(deadline: UInt64, waiter: TopicWaiter)]] = [:]
    private var waiters: [(Result<Void, ClientError>) -> Void] = []
    private var isAsking = false
    private var isScheduled = false
    private var isStale = false
    private var ageTimer: TimerID?
    private var backoff: Backoff?
    /// Refusals of single topics in the last answer.
    private var refusals: [String: ClientError] = [:]

    func listen(_ owner: AnyObject, _ call: @escaping () -> Void) {
        listeners[ObjectIdentifier(owner)] = call
    }
    func stopListening(_ owner: AnyObject) { listeners[ObjectIdentifier(owner)] = nil }

    /// What is known of a topic, asked for if need be, until there is an answer or the time is over.
    /// - Parameter mayCreate: whether a broker that is set to make topics on demand may make this one.
    func topic(_ name: String, milliseconds: Int64, mayCreate: Bool, _ waiter: @escaping TopicWaiter) {
        guard let core, !core.isClosed else { return waiter(.failure(.closed)) }
        used.insert(name)
        if mayCreate { creatable.insert(name) }
        if let known = topics[name] { return waiter(.success(known)) }
        let deadline = core.lane.moment(afterMilliseconds: milliseconds)
        topicWaiters[name, default: []].append((deadline, waiter))
        ask()
    }

    /// Asks now, and tells when the answer is there.
    func refresh(_ waiter: @escaping (Result<Void, ClientError>) -> Void) {
        guard let core, !core.isClosed else { return waiter(.failure(.closed)) }
        waiters.append(waiter)
        ask()
    }

    /// What is known may be wrong: it is asked for again soon.
    func markStale() {
        isStale = true
        schedule()
    }

    func brokerLost() { if isKnown { markStale() } }

    func leader(of partition: TopicPartition) -> PartitionDescription? {
        guard let topic = topics[partition.topic],
            let index = topic.partitions.firstIndex(where: { $0.partition == partition.partition })
        else { return nil }
        return topic.partitions[index]
    }

    // MARK: What is learned between two questions

    /// A broker listens there now.
    func learn(_ endpoint: BrokerEndpoint, of nodeID: Int32) {
        guard let known = brokers.updateValue(endpoint, forKey: nodeID), known != endpoint else { return }
        // Not at once: the connection to where it was ends with that, which its users hear of, and they may
        // be in the middle of an answer.
        core?.lane.schedule(afterMilliseconds: 0) { [weak core] in core?.brokersChanged() }
    }

    /// A partition of a topic that is known is as described now.
    func replace(_ partition: PartitionDescription, of topic: String) {
        topics[topic] = topics[topic]?.replacing(partition)
    }

    // MARK: Asking

    private func schedule() {
        guard let core, !isAsking, !isScheduled, !core.isClosed else { return }
        isScheduled = true
        var backoff = self.backoff ?? core.makeBackoff()
        let pause = core.pause(&backoff)
        self.backoff = backoff
        core.lane.schedule(afterMilliseconds: pause) { [weak self] in
            guard let self else { return }
            isScheduled = false
            ask()
        }
    }

    private func ask() {
        guard let core, !isAsking, !core.isClosed else { return }
        guard let connection = core.anyConnection() else { return schedule() }
        isAsking = true
        isStale = false
        let names = used.union(topicWaiters.keys).sorted()
        // The permission holds for a whole request: it is given when it is wanted for all that is missing.
        let isMaking = names.allSatisfy { topics[$0] != nil || creatable.contains($0) }
        let request = MetadataRequest(
            topics: names.map { MetadataRequest.MetadataRequestTopic(name: $0) },
            allowAutoTopicCreation: isMaking)
        // Version 0 took no topics for all of them; before 4 every question was a permission.
        let versions = (isMaking ? 1 : 4)...MetadataRequest.versions.upperBound
        core.send(request, to: connection, versions: versions) {
            [weak self] result in
            guard let self else { return }
            isAsking = false
            switch result {
            case .success(let answer): learn(answer.body, asked: names, answer.broker)
            case .failure(let error): failed(error)
            }
        }
    }

    private func learn(_ response: MetadataResponse, asked: [String], _ broker: String) {
        guard let core else { return }
        isKnown = true
        brokers = [:]
        racks = [:]
        for broker in response.brokers {
            guard let port = UInt16(exactly: broker.port) else { continue }
            brokers[broker.nodeID] = BrokerEndpoint(host: broker.host, port: port)
            racks[broker.nodeID] = broker.rack
        }
        controllerID = response.controllerID >= 0 ? response.controllerID : nil
        clusterID = response.clusterID
        var hasGaps = false
        for topic in response.topics {
            guard let name = topic.name else { continue }
            if topic.errorCode == .none {
                topics[name] = TopicDescription(topic, name: name).replacing(topics[name])
                refusals[name] = nil
                hasGaps = hasGaps || topic.partitions.contains { $0.leaderID < 0 }
            } else {
                topics[name] = nil
                refusals[name] = .refused(
                    broker: broker, api: .metadata, subject: "topic \(name)", code: topic.errorCode,
                    message: nil)
            }
        }
        core.brokersChanged()
        let told = waiters
        waiters = []
        for waiter in told { waiter(.success(())) }
        settleTopicWaiters()
        for call in listeners.values { call() }
        if topicWaiters.isEmpty && !hasGaps && !isStale { backoff?.reset() } else { schedule() }
        rearm()
    }

    /// Answers those whose topic is known now, those for whom there is no hope, and those whose time is over.
    private func settleTopicWaiters() {
        guard let core else { return }
        let waiting = topicWaiters
        topicWaiters = [:]
        for (name, list) in waiting {
            for entry in list {
                if let known = topics[name] {
                    entry.waiter(.success(known))
                } else if let refusal = refusals[name], !refusal.isRetriable {
                    used.remove(name)
                    entry.waiter(.failure(refusal))
                } else if core.lane.now >= entry.deadline {
                    used.remove(name)
                    entry.waiter(
                        .failure(
                            refusals[name]
                                ?? .unknownPartition(
                                    topic: name, partition: nil, reason: "no broker knows it")))
                } else {
                    topicWaiters[name, default: []].append(entry)
                }
            }
        }
    }

    private func failed(_ error: ClientError) {
        guard let core else { return }
        let told = waiters
        waiters = []
        for waiter in told { waiter(.failure(error)) }
        let waiting = topicWaiters
        topicWaiters = [:]
        for (name, list) in waiting {
            for entry in list {
                if !error.isRetriable || core.lane.now >= entry.deadline {
                    entry.waiter(.failure(core.isClosed ? .closed : error))
                } else {
                    topicWaiters[name, default: []].append(entry)
                }
            }
        }
        if !core.isClosed && (isKnown || !topicWaiters.isEmpty) { schedule() }
    }

    private func rearm() {
        guard let core else { return }
        if let ageTimer { core.lane.cancel(ageTimer) }
        ageTimer = core.lane.schedule(afterMilliseconds: core.configuration.metadataAgeMilliseconds) {
            [weak self] in self?.ask()
        }
    }

    func close() {
        failed(.closed)
        listeners = [:]
    }
}

extension TopicDescription {
    init(_ topic: MetadataResponse.MetadataResponseTopic, name: String) {
        self.name = name
        id = topic.topicID
        isInternal = topic.isInternal
        partitions = topic.partitions.sorted { $0.partitionIndex < $1.partitionIndex }.map {
            PartitionDescription(
                partition: $0.partitionIndex, leader: $0.leaderID < 0 ? nil : $0.leaderID,
                leaderEpoch: $0.leaderEpoch, replicas: $0.replicaNodes,
                inSyncReplicas: $0.inSyncReplicasNodes, offlineReplicas: $0.offlineReplicas)
        }
    }

    private init(_ newer: TopicDescription, partitions: [PartitionDescription]) {
        name = newer.name
        id = newer.id
        isInternal = newer.isInternal
        self.partitions = partitions
    }

    /// The topic with another description of one partition.
    func replacing(_ partition: PartitionDescription) -> TopicDescription {
        TopicDescription(
            self, partitions: partitions.map { $0.partition == partition.partition ? partition : $0 })
    }

    /// What is known when `known` was known before: a broker that lags behind may name a leader that is none
    /// any more, which its lower epoch shows (KIP-320).
    func replacing(_ known: TopicDescription?) -> TopicDescription {
        guard let known, known.id == id else { return self }
        let epochs = Dictionary(
            known.partitions.map { ($0.partition, $0) }, uniquingKeysWith: { first, _ in first })
        let merged = partitions.map { told in
            guard let old = epochs[told.partition], told.leaderEpoch.rawValue >= 0,
                old.leaderEpoch.rawValue > told.leaderEpoch.rawValue
            else { return told }
            return old
        }
        return TopicDescription(self, partitions: merged)
    }
}
