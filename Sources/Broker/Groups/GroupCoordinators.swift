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
    let shards: CoordinatorShards<GroupMachine>
    /// Shared by all shards.
    private let surroundings: LaneSurroundings

    init(_ broker: BrokerLane) {
        self.broker = broker
        let surroundings = LaneSurroundings(broker)
        self.surroundings = surroundings
        shards = CoordinatorShards(of: GroupPartition.offsetsTopic) { [unowned broker] partition in
            let codec = CompressionCodec(
                rawValue: UInt8(clamping: broker.settings[BrokerSettings.offsetsCompressionCodec]))
            return CoordinatorShard(
                partition, codec: codec ?? .none, broker: broker,
                make: { [unowned broker] in
                    GroupMachine(broker.settings.groups, surroundings: surroundings)
                })
        }
    }

    func settingsChanged() {
        let settings = broker.settings.groups
        for machine in shards.machines { machine.settings = settings }
    }

    /// Topics have come, gone or grown.
    func topicsChanged(_ names: Set<String>) {
        surroundings.noteChange()
        for machine in shards.machines { machine.topicsChanged(names) }
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
                owner.groups.shards.submit(
                    request, partition: partition.partition, needsName: request.needsName, reply: reply)
            }, done: done)
    }

    /// Asks the coordinators of all partitions.
    func askAllGroups(_ request: GroupRequest, done: @escaping ([GroupResponse]) -> Void) {
        askAllPartitions(
            of: GroupPartition.offsetsTopic, { partition, take in self.ask(partition, request, done: take) },
            done: done)
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
