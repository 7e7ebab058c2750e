internal import KafkaProtocol
internal import RecordFormat

/// What a broker that does not lead a partition any more says of who does, in its refusal (KIP-951): the
/// client goes there without asking for the metadata first.
struct LeaderHint {
    let partition: TopicPartition
    let leader: Int32
    let leaderEpoch: LeaderEpoch
    /// Nil where the refusal names the leader, but not where it listens.
    let endpoint: BrokerEndpoint?

    /// - Returns: nil when the answer says nothing of a leader.
    init?(
        _ answer: ProduceResponse.PartitionProduceResponse, _ partition: TopicPartition,
        _ endpoints: [ProduceResponse.NodeEndpoint]
    ) {
        let told = answer.currentLeader
        let endpoint = endpoints.first { $0.nodeID == told.leaderID }
        self.init(partition, told.leaderID, told.leaderEpoch, endpoint.map { ($0.host, $0.port) })
    }

    /// - Returns: nil when the answer says nothing of a leader.
    init?(
        _ answer: FetchResponse.PartitionData, _ partition: TopicPartition,
        _ endpoints: [FetchResponse.NodeEndpoint]
    ) {
        let told = answer.currentLeader
        let endpoint = endpoints.first { $0.nodeID == told.leaderID }
        self.init(partition, told.leaderID, told.leaderEpoch, endpoint.map { ($0.host, $0.port) })
    }

    private init?(
        _ partition: TopicPartition, _ leader: Int32, _ epoch: LeaderEpoch, _ address: (String, Int32)?
    ) {
        if leader < 0 || epoch.rawValue < 0 { return nil }
        self.partition = partition
        self.leader = leader
        leaderEpoch = epoch
        endpoint = address.flatMap { host, port in
            UInt16(exactly: port).map { BrokerEndpoint(host: host, port: $0) }
        }
    }
}

extension MetadataCache {
    /// Takes a hint over. One that is not newer than what is known changes nothing, so that two brokers that
    /// point at each other are not asked in turns without end.
    /// - Returns: whether the leader is another one now, and can be asked.
    func take(_ hint: LeaderHint) -> Bool {
        guard let known = leader(of: hint.partition),
            known.leaderEpoch.rawValue < hint.leaderEpoch.rawValue,
            brokers[hint.leader] != nil || hint.endpoint != nil
        else { return false }
        if let endpoint = hint.endpoint { learn(endpoint, of: hint.leader) }
        replace(
            PartitionDescription(
                partition: known.partition, leader: hint.leader, leaderEpoch: hint.leaderEpoch,
                replicas: known.replicas, inSyncReplicas: known.inSyncReplicas,
                offlineReplicas: known.offlineReplicas), of: hint.partition.topic)
        return true
    }
}
