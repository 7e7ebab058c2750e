internal import Base
internal import LogStorage
internal import Settings
internal import Transport

/// What a lane does for its logs from time to time.
final class LaneMaintenance: TimerHandler, @unchecked Sendable {
    // @unchecked: touched on the lane only.

    private enum Duty: UInt64 { case retention, checkpoint, compaction, snapshot, retry }

    let broker: BrokerLane
    private let compacts: Bool

    /// How often logs are offered for compaction, and the metadata for a snapshot.
    private static let compactionMilliseconds: Int64 = 1_000
    /// How often logs are tried again that want for room or descriptors.
    private static let retryMilliseconds: Int64 = 5_000

    init(_ broker: BrokerLane, compacts: Bool) {
        self.broker = broker
        self.compacts = compacts
    }

    func start() {
        schedule(.retention)
        schedule(.checkpoint)
        schedule(.retry)
        if compacts { schedule(.compaction) }
        if broker.index == 0 { schedule(.snapshot) }
    }

    private func schedule(_ duty: Duty) {
        let milliseconds: Int64 =
            switch duty {
            case .retention: broker.settings[BrokerSettings.retentionCheckMilliseconds]
            case .checkpoint: Int64(broker.settings[BrokerSettings.recoveryPointCheckpointMilliseconds])
            case .compaction, .snapshot: Self.compactionMilliseconds
            case .retry: Self.retryMilliseconds
            }
        _ = broker.lane.schedule(
            at: broker.lane.moment(afterMilliseconds: milliseconds), self, tag: duty.rawValue)
    }

    func timerFired(_ tag: UInt64) {
        guard let duty = Duty(rawValue: tag) else { return }
        switch duty {
        case .retention: broker.logs.maintain()
        case .checkpoint: checkpoint()
        case .compaction: broker.compact()
        case .snapshot: broker.node.controller.maintain()
        case .retry: broker.replicas.retry()
        }
        schedule(duty)
    }

    private func checkpoint() {
        do {
            try broker.logs.checkpoint()
        } catch {
            broker.logger.log(.error, "checkpoint failed", [LogField("reason", error)])
        }
    }
}

extension BrokerLane {
    /// Offers the lane's logs for compaction, and takes over what the threads have compacted.
    func compact() {
        guard let cleaner = node.cleaner?.cleaner, cleaner.isDue(lane: index) else { return }
        guard logs.all.contains(where: { $0.configuration.cleanupPolicy.contains(.compact) }) else {
            return cleaner.pass(lane: index)
        }
        logs.compact(with: cleaner, lane: index)
    }
}
