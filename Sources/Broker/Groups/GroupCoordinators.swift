internal import Base
internal import ClusterMetadata
internal import Coordinators
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Settings

/// The group coordinators of one lane: those of the partitions of `__consumer_offsets` that it owns and
/// leads.
final class GroupCoordinators: @unchecked Sendable {
    // @unchecked: touched on its lane only.

    private unowned let broker: BrokerLane
    private var shards: [Int32: CoordinatorShard<GroupMachine>] = [:]
    /// Shared by all shards.
    let surroundings: LaneSurroundings

    init(_ broker: BrokerLane) {
        self.broker = broker
        surroundings = LaneSurroundings(broker)
    }

    var all: [CoordinatorShard<GroupMachine>] { shards.sorted { $0.key < $1.key }.map(\.value) }

    /// This lane leads a partition, of any topic.
    func lead(_ partition: TopicPartition) {
        guard partition.topic == GroupPartition.offsetsTopic else { return }
        if let shard = shards[partition.partition] { return shard.leadershipConfirmed() }
        let codec = CompressionCodec(
            rawValue: UInt8(clamping: broker.settings[BrokerSettings.offsetsCompressionCodec]))
        shards[partition.partition] = CoordinatorShard(
            partition, codec: codec ?? .none, broker: broker,
            make: { [unowned broker, surroundings] in
                GroupMachine(broker.settings.groups, surroundings: surroundings)
            })
    }

    func remove(_ partition: TopicPartition) {
        guard partition.topic == GroupPartition.offsetsTopic else { return }
        shards.removeValue(forKey: partition.partition)?.end()
    }

    func settingsChanged() {
        let settings = broker.settings.groups
        for shard in shards.values { shard.machine.settings = settings }
    }

    /// Topics have come, gone or grown.
    func topicsChanged(_ names: Set<String>) {
        surroundings.noteChange()
        for shard in shards.values { shard.machine.topicsChanged(names) }
    }

    /// Whoever waits is told that groups are kept elsewhere.
    func end() {
        for shard in all { shard.end() }
        shards = [:]
    }

    /// As the next, for what adds to a transaction, which its coordinator has confirmed.
    func submit(
        _ request: GroupRequest, partition: Int32,
        verifiedBy verification: TransactionVerification.Requirement,
        reply: @escaping (GroupResponse) -> Void
    ) {
        guard let shard = shards[partition] else { return reply(request.refusal(.notCoordinator)) }
        shard.submit(request, verifiedBy: verification, reply: reply)
    }

    /// - Parameter reply: called once, on this lane.
    func submit(_ request: GroupRequest, partition: Int32, reply: @escaping (GroupResponse) -> Void) {
        guard let shard = shards[partition] else { return reply(request.refusal(.notCoordinator)) }
        shard.submit(request, needsName: request.needsName, reply: reply)
    }
}

extension SettingValues {
    /// What group coordinators go by.
    var groups: GroupSettings {
        var result = GroupSettings()
        result.minimumSession = Int64(self[BrokerSettings.groupMinimumSessionMilliseconds])
        result.maximumSession = Int64(self[BrokerSettings.groupMaximumSessionMilliseconds])
        result.initialRebalanceDelay = Int64(self[BrokerSettings.groupInitialRebalanceMilliseconds])
        result.maximumSize = self[BrokerSettings.groupMaximumSize]
        result.offsetMetadataByteCount = self[BrokerSettings.offsetMetadataBytes]
        result.offsetsRetention = Int64(self[BrokerSettings.offsetsRetentionMinutes]) * 60_000
        result.offsetsRetentionCheck = self[BrokerSettings.offsetsRetentionCheckMilliseconds]
        result.servesConsumerGroups = self[BrokerSettings.groupProtocols].contains(.consumer)
        result.consumerSession = Int64(self[BrokerSettings.consumerGroupSessionMilliseconds])
        result.consumerHeartbeat = Int64(self[BrokerSettings.consumerGroupHeartbeatMilliseconds])
        result.consumerMaximumSize = self[BrokerSettings.consumerGroupMaximumSize]
        let assignors = self[BrokerSettings.consumerGroupAssignors].compactMap(ConsumerAssignor.init)
        if !assignors.isEmpty { result.consumerAssignors = assignors }
        let migration = self[BrokerSettings.consumerGroupMigration]
        result.mayUpgrade = migration == .upgrade || migration == .bidirectional
        result.mayDowngrade = migration == .downgrade || migration == .bidirectional
        return result
    }
}

// MARK: - Asking

extension BrokerLane {
    /// The partition of `__consumer_offsets` that keeps a group; nil while there is no such topic.
    func offsetsPartition(of group: String) -> TopicPartition? {
        coordinatorPartition(of: group, topic: GroupPartition.offsetsTopic)
    }

    /// Asks the coordinator of a group, on whichever lane it is.
    ///
    /// - Parameter done: called once, on this lane; at once, or much later.
    func askGroup(_ group: String, _ request: GroupRequest, done: @escaping (GroupResponse) -> Void) {
        guard let partition = offsetsPartition(of: group) else {
            return done(request.refusal(.notCoordinator))
        }
        ask(partition, request, done: done)
    }

    private func ask(
        _ partition: TopicPartition, _ request: GroupRequest, done: @escaping (GroupResponse) -> Void
    ) {
        ask(
            partition, lost: request.refusal(.notCoordinator),
            work: { owner, reply in
                owner.groups.submit(request, partition: partition.partition, reply: reply)
            }, done: done)
    }

    /// Asks the coordinators of all partitions.
    func askAllGroups(_ request: GroupRequest, done: @escaping ([GroupResponse]) -> Void) {
        let count = metadata.topics[GroupPartition.offsetsTopic]?.partitions.count ?? 0
        let gathering = CoordinatorAnswers(count: count, done)
        for number in 0..<count {
            ask(
                TopicPartition(topic: GroupPartition.offsetsTopic, partition: Int32(clamping: number)),
                request
            ) { gathering.take($0, number) }
        }
        if count == 0 { gathering.finishIfEmpty() }
    }

    /// Asks about several groups, and gives the answers in the order of the questions.
    func askGroups(
        _ questions: [(group: String, request: GroupRequest)], done: @escaping ([GroupResponse]) -> Void
    ) {
        let gathering = CoordinatorAnswers(count: questions.count, done)
        for (number, question) in questions.enumerated() {
            askGroup(question.group, question.request) { gathering.take($0, number) }
        }
        if questions.isEmpty { gathering.finishIfEmpty() }
    }
}
