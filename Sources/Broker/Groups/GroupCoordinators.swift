internal import Base
internal import ClusterMetadata
internal import Coordinators
internal import KafkaProtocol
internal import RecordFormat
internal import Settings

/// The group coordinators of one lane: those of the partitions of `__consumer_offsets` that it owns and
/// leads.
final class GroupCoordinators: @unchecked Sendable {
    // @unchecked: touched on its lane only.

    private unowned let broker: BrokerLane
    private var shards: [Int32: GroupShard] = [:]

    init(_ broker: BrokerLane) { self.broker = broker }

    var all: [GroupShard] { shards.sorted { $0.key < $1.key }.map(\.value) }

    /// This lane leads a partition, of any topic.
    func lead(_ partition: TopicPartition) {
        guard partition.topic == GroupPartition.offsetsTopic else { return }
        if let shard = shards[partition.partition] { return shard.leadershipConfirmed() }
        let codec = CompressionCodec(
            rawValue: UInt8(clamping: broker.settings[BrokerSettings.offsetsCompressionCodec]))
        shards[partition.partition] = GroupShard(
            partition, settings: broker.settings.groups, codec: codec ?? .none, broker: broker)
    }

    func remove(_ partition: TopicPartition) {
        guard partition.topic == GroupPartition.offsetsTopic else { return }
        shards.removeValue(forKey: partition.partition)?.end()
    }

    func settingsChanged() {
        let settings = broker.settings.groups
        for shard in shards.values { shard.update(settings) }
    }

    /// Whoever waits is told that groups are kept elsewhere.
    func end() {
        for shard in all { shard.end() }
        shards = [:]
    }

    /// - Parameter reply: called once, on this lane.
    func submit(_ request: GroupRequest, partition: Int32, reply: @escaping (GroupResponse) -> Void) {
        guard let shard = shards[partition] else { return reply(request.refusal(.notCoordinator)) }
        shard.submit(request, reply: reply)
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
        return result
    }
}

// MARK: - Asking

extension BrokerLane {
    /// The partition of `__consumer_offsets` that keeps a group; nil while there is no such topic.
    func offsetsPartition(of group: String) -> TopicPartition? {
        guard let topic = metadata.topics[GroupPartition.offsetsTopic], !topic.partitions.isEmpty else {
            return nil
        }
        let count = Int32(clamping: topic.partitions.count)
        return TopicPartition(
            topic: GroupPartition.offsetsTopic,
            partition: GroupPartition.partition(of: group, count: count))
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
        let owner = node.lanes[node.placement.lane(of: partition)]
        if owner === self { return groups.submit(request, partition: partition.partition, reply: done) }
        let back = WayBack(done)
        let isSent = owner.lane.submit { [self] in
            owner.groups.submit(request, partition: partition.partition) { response in
                _ = self.lane.submit { back.done(response) }
            }
        }
        if !isSent { done(request.refusal(.notCoordinator)) }
    }

    /// Asks the coordinators of all partitions.
    func askAllGroups(_ request: GroupRequest, done: @escaping ([GroupResponse]) -> Void) {
        let count = metadata.topics[GroupPartition.offsetsTopic]?.partitions.count ?? 0
        let gathering = GroupAnswers(count: count, done)
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
        let gathering = GroupAnswers(count: questions.count, done)
        for (number, question) in questions.enumerated() {
            askGroup(question.group, question.request) { gathering.take($0, number) }
        }
        if questions.isEmpty { gathering.finishIfEmpty() }
    }
}

/// Carries what is called on one lane through another.
private final class WayBack: @unchecked Sendable {
    // @unchecked: called on the lane that made it, carried through the other.
    let done: (GroupResponse) -> Void

    init(_ done: @escaping (GroupResponse) -> Void) { self.done = done }
}

/// Answers about several groups on their way together. On the lane that asked.
final class GroupAnswers {
    private var answers: [GroupResponse?]
    private var missingCount: Int
    private let done: ([GroupResponse]) -> Void

    init(count: Int, _ done: @escaping ([GroupResponse]) -> Void) {
        answers = Array(repeating: nil, count: count)
        missingCount = count
        self.done = done
    }

    func take(_ answer: GroupResponse, _ number: Int) {
        answers[number] = answer
        missingCount -= 1
        finishIfEmpty()
    }

    /// Where nothing was asked, nothing answers.
    func finishIfEmpty() {
        if missingCount > 0 { return }
        missingCount = .max
        done(answers.compactMap { $0 })
    }
}
