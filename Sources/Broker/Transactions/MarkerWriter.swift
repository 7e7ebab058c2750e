internal import Base
internal import Coordinators
internal import KafkaProtocol
internal import RecordFormat
internal import Transport

/// Has the markers of one transaction written to all of its partitions, trying again where that fails, and
/// tells the coordinator. Ends with the life of the coordinator that gave the order: the next one, which
/// finds the transaction undone in the log, gives it again.
///
/// All partitions are led by this broker. Where there are others, theirs get a WriteTxnMarkers request in the
/// place of `BrokerLane.writeMarker`.
final class MarkerWriter {
    private let order: MarkerOrder
    private let shard: CoordinatorShard<TransactionMachine>
    private unowned let broker: BrokerLane
    private let life: Int
    private var left: [TopicPartition]
    private var attempts = 0

    init(_ order: MarkerOrder, _ shard: CoordinatorShard<TransactionMachine>, _ broker: BrokerLane) {
        self.order = order
        self.shard = shard
        self.broker = broker
        life = shard.life
        left = order.partitions
    }

    private var isWanted: Bool { shard.life == life && shard.isActive }

    private static let firstDelay: Int64 = 20
    private static let longestDelay: Int64 = 1_000
    /// So many attempts are made before a line in the log says what stands against them, and between two.
    private static let attemptsPerLine = 30

    func start() {
        guard isWanted, let epoch = shard.leaderEpoch else { return }
        let end = TransactionEnd(
            producer: order.producer, isCommit: order.isCommit, coordinatorEpoch: epoch.rawValue,
            transactionVersion: order.transactionVersion)
        let asked = left
        attempts += 1
        let answers = CoordinatorAnswers<ErrorCode>(count: asked.count) { [self] codes in take(codes, asked) }
        for (number, partition) in asked.enumerated() {
            broker.ask(
                partition, lost: .notLeaderOrFollower,
                work: { owner, reply in owner.writeMarker(end, to: partition, reply: reply) },
                done: { answers.take($0, number) })
        }
    }

    private func take(_ codes: [ErrorCode], _ asked: [TopicPartition]) {
        guard isWanted else { return }
        var failed: [(partition: TopicPartition, code: ErrorCode)] = []
        for (partition, code) in zip(asked, codes) where !isDone(partition, code) {
            failed.append((partition, code))
        }
        left = failed.map(\.partition)
        let undone = Set(left)
        let done = asked.filter { !undone.contains($0) }
        if !done.isEmpty {
            shard.submit(
                .marked(transactionalID: order.transactionalID, order.producer, done)
            ) { _ in }
        }
        guard let first = failed.first else { return }
        if attempts % Self.attemptsPerLine == 0 {
            broker.logger.log(
                .warn, "markers cannot be written",
                [
                    LogField("transactionalID", order.transactionalID),
                    LogField("partition", first.partition), LogField("error", first.code),
                    LogField("partitions", failed.count), LogField("attempts", attempts),
                ])
        }
        let delay = min(Self.longestDelay, Self.firstDelay << Int64(min(attempts - 1, 10)))
        broker.lane.schedule(afterMilliseconds: delay) { [self] in start() }
    }

    private func isDone(_ partition: TopicPartition, _ code: ErrorCode) -> Bool {
        switch code {
        case .none: return true
        case .unknownTopicOrPartition:
            // Nobody reads what was deleted.
            let count = broker.metadata.topics[partition.topic]?.partitions.count ?? 0
            return Int(partition.partition) >= count
        case .invalidProducerEpoch:
            // The partition has heard of a later epoch, which is given out after all markers: it has this
            // one.
            broker.logger.log(
                .warn, "a partition knows a later epoch than the marker of a transaction",
                [
                    LogField("transactionalID", order.transactionalID), LogField("partition", partition),
                    LogField("producerID", order.producer.id),
                    LogField("producerEpoch", order.producer.epoch),
                ])
            return true
        default: return false
        }
    }
}
