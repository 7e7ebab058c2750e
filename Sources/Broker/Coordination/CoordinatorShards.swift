internal import Coordinators
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat

/// The coordinators of one kind that a lane has: one for each partition of their topic that it owns and
/// leads.
final class CoordinatorShards<Machine: CoordinatorMachine>: @unchecked Sendable {
    // @unchecked: touched on its lane only.

    private let topic: String
    private let make: (TopicPartition) -> CoordinatorShard<Machine>
    private var shards: [Int32: CoordinatorShard<Machine>] = [:]

    /// - Parameter make: called when a partition of the topic comes to be led here.
    init(of topic: String, make: @escaping (TopicPartition) -> CoordinatorShard<Machine>) {
        self.topic = topic
        self.make = make
    }

    /// In any order.
    var machines: [Machine] { shards.values.map(\.machine) }

    /// This lane leads a partition, of any topic.
    func lead(_ partition: TopicPartition) {
        guard partition.topic == topic else { return }
        if let shard = shards[partition.partition] { return shard.leadershipConfirmed() }
        shards[partition.partition] = make(partition)
    }

    /// And no more.
    func remove(_ partition: TopicPartition) {
        guard partition.topic == topic else { return }
        shards.removeValue(forKey: partition.partition)?.end()
    }

    /// Whoever waits is told that what it asks about is kept elsewhere.
    func end() {
        for (_, shard) in shards.sorted(by: { $0.key < $1.key }) { shard.end() }
        shards = [:]
    }

    /// - Parameters:
    ///   - partition: of the topic, by its number.
    ///   - needsName: whether the request may make a name that nobody else may have.
    ///   - reply: called once, on this lane.
    func submit(
        _ request: Machine.Request, partition: Int32, needsName: Bool = false,
        reply: @escaping (Machine.Request.Response) -> Void
    ) {
        guard let shard = shards[partition] else { return reply(request.refusal(.notCoordinator)) }
        shard.submit(request, needsName: needsName, reply: reply)
    }

    /// As `submit`, for what adds to a transaction, which its coordinator has confirmed.
    func submit(
        _ request: Machine.Request, partition: Int32,
        verifiedBy verification: TransactionVerification.Requirement,
        reply: @escaping (Machine.Request.Response) -> Void
    ) {
        guard let shard = shards[partition] else { return reply(request.refusal(.notCoordinator)) }
        shard.submit(request, verifiedBy: verification, reply: reply)
    }
}
