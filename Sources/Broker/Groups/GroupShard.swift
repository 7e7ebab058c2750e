internal import Base
internal import Coordinators
internal import KafkaProtocol
internal import RecordFormat
internal import Replication
internal import SystemIO
internal import Transport

/// The coordinator of one partition of `__consumer_offsets` on the lane that owns the partition: loads what
/// the log has, then serves, with the lane's timers.
final class GroupShard: TimerHandler, FetchWaiter, @unchecked Sendable {
    // @unchecked: touched on its lane only.

    let partition: TopicPartition
    private unowned let broker: BrokerLane
    private let log: OffsetsLog
    private var runtime: CoordinatorRuntime<GroupMachine>
    private var replay = OffsetsReplay()
    private var armed: (deadline: UInt64, timer: TimerID)?
    private var began: UInt64
    private var isOver = false

    init(_ partition: TopicPartition, settings: GroupSettings, codec: CompressionCodec, broker: BrokerLane) {
        self.partition = partition
        self.broker = broker
        log = OffsetsLog(partition, codec: codec, broker: broker)
        runtime = CoordinatorRuntime(machine: GroupMachine(settings), log: log)
        began = broker.lane.now
        // The replica may tell of lost appends when this has been let go of.
        log.finished = { [weak self] error in self?.appendFinished(error) }
        loadSoon()
    }

    var isActive: Bool { runtime.stage == .active }
    var groupCount: Int { runtime.machine.groupCount }

    func update(_ settings: GroupSettings) { runtime.machine.settings = settings }

    private var now: CoordinatorMoment {
        CoordinatorMoment(
            monotonicMilliseconds: Int64(clamping: broker.lane.now / 1_000_000),
            wallClockMilliseconds: broker.lane.timeSource.wallClockMilliseconds())
    }

    // MARK: Loading

    private func loadSoon() {
        _ = broker.lane.submit { [self] in load() }
    }

    private func load() {
        guard !isOver, runtime.stage == .loading else { return }
        do throws(OffsetsReplayError) {
            guard try readOn() else { return }
        } catch {
            broker.logger.log(
                .error, "groups cannot be loaded",
                [LogField("partition", partition), LogField("reason", error)])
            return runtime.end(.notCoordinator)
        }
        if replay.recordCount > 0 {
            let milliseconds = (broker.lane.now - began) / 1_000_000
            broker.logger.log(
                .info, "groups loaded",
                [
                    LogField("partition", partition), LogField("groups", groupCount),
                    LogField("records", replay.recordCount), LogField("milliseconds", milliseconds),
                ])
        }
        runtime.activate(endOffset: replay.nextOffset ?? .zero, now)
        arm()
    }

    /// - Returns: whether all is read and committed; otherwise `load` is called again.
    private func readOn() throws(OffsetsReplayError) -> Bool {
        let leader: LeaderReplica
        do {
            leader = try broker.replicas.leader(of: partition)
        } catch {
            throw .replica(error)
        }
        guard try replay.read(leader, into: runtime.machine) else {
            loadSoon()
            return false
        }
        // Nobody is told of what a crash could still take back.
        if leader.log.highWatermark >= replay.nextOffset ?? .zero { return true }
        leader.wait(self, part: 0)
        return false
    }

    // MARK: FetchWaiter

    var isFinished: Bool { isOver || runtime.stage != .loading }

    /// The high watermark has moved while the log was read.
    func partitionAdvanced(part: Int) { loadSoon() }

    /// Nobody knows what of the log is left: it is read again.
    private func reload() {
        runtime.end(.notCoordinator)
        let settings = runtime.machine.settings
        runtime = CoordinatorRuntime(machine: GroupMachine(settings), log: log)
        replay = OffsetsReplay()
        began = broker.lane.now
        loadSoon()
    }

    /// The partition is led here again, or still; what could not be loaded before is tried again.
    func leadershipConfirmed() {
        if !isOver, case .ended = runtime.stage { reload() }
    }

    // MARK: Requests

    /// - Parameter reply: called once, on this lane.
    func submit(_ request: GroupRequest, reply: @escaping (GroupResponse) -> Void) {
        var random = UniqueID.zero
        if case .join = request {
            let (high, low) = SystemRandom.identifier()
            random = UniqueID(high: high, low: low)
        }
        runtime.submit(request, random: random, now, reply: reply)
        arm()
    }

    private func appendFinished(_ error: ReplicaError?) {
        guard let error else { return runtime.advance() }
        guard runtime.stage == .active, !isOver else { return }
        broker.logger.log(
            .error, "group records lost, groups are loaded again",
            [LogField("partition", partition), LogField("reason", error)])
        reload()
    }

    /// The partition is not led here any more, or the node stops.
    func end() {
        if isOver { return }
        isOver = true
        runtime.end(.notCoordinator)
        if let armed { broker.lane.cancel(armed.timer) }
        armed = nil
    }

    // MARK: Time

    private func arm() {
        guard !isOver, let next = runtime.nextDeadline else { return }
        let deadline = UInt64(clamping: next).multipliedReportingOverflow(by: 1_000_000)
        let moment = deadline.overflow ? UInt64.max : deadline.partialValue
        if let armed {
            if armed.deadline <= moment { return }
            broker.lane.cancel(armed.timer)
        }
        armed = (moment, broker.lane.schedule(at: moment, self))
    }

    func timerFired(_ tag: UInt64) {
        armed = nil
        if isOver { return }
        runtime.fireTimers(now)
        arm()
    }
}
