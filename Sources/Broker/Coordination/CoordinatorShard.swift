internal import Base
internal import Coordinators
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication
internal import SystemIO
internal import Transport

/// The coordinator of one partition of its topic on the lane that owns the partition: loads what the log has,
/// then serves, with the lane's timers.
final class CoordinatorShard<Machine: CoordinatorMachine>: TimerHandler, FetchWaiter, @unchecked Sendable {
    // @unchecked: touched on its lane only.

    let partition: TopicPartition
    private unowned let broker: BrokerLane
    private let log: ReplicatedCoordinatorLog
    private let make: () -> Machine
    /// Carries out what the machine has others do.
    private let carryOut: (Machine.Order, CoordinatorShard) -> Void
    private var runtime: CoordinatorRuntime<Machine>
    private var replay = CoordinatorReplay()
    private var armed: (deadline: UInt64, timer: TimerID)?
    private var began: UInt64
    private var isOver = false
    /// Counts the lives of the state, so that what was begun in one is not taken for another's.
    private(set) var life = 0

    /// - Parameter make: a machine that knows nothing yet.
    init(
        _ partition: TopicPartition, codec: CompressionCodec, broker: BrokerLane,
        make: @escaping () -> Machine,
        carryOut: @escaping (Machine.Order, CoordinatorShard) -> Void = { _, _ in }
    ) {
        self.partition = partition
        self.broker = broker
        self.make = make
        self.carryOut = carryOut
        log = ReplicatedCoordinatorLog(partition, codec: codec, broker: broker)
        runtime = CoordinatorRuntime(machine: make(), log: log)
        began = broker.lane.timeSource.monotonicNanoseconds()
        // The replica may tell of lost appends when this has been let go of.
        log.finished = { [weak self] error in self?.appendFinished(error) }
        begin()
    }

    private func begin() {
        runtime.carryOutOrder = { [weak self] order in
            if let self { carryOut(order, self) }
        }
        loadSoon()
    }

    var isActive: Bool { runtime.stage == .active }
    var machine: Machine { runtime.machine }

    private var now: CoordinatorMoment {
        CoordinatorMoment(
            monotonicMilliseconds: Int64(clamping: broker.lane.now / 1_000_000),
            wallClockMilliseconds: broker.lane.timeSource.wallClockMilliseconds())
    }

    /// Of the leader, nil where the partition is not led here.
    var leaderEpoch: LeaderEpoch? { try? broker.replicas.leader(of: partition).leaderEpoch }

    // MARK: Loading

    private func loadSoon() {
        _ = broker.lane.submit { [self] in load() }
    }

    private func load() {
        guard !isOver, runtime.stage == .loading else { return }
        do throws(CoordinatorReplayError) {
            guard try readOn() else { return }
        } catch {
            broker.logger.log(
                .error, "coordinator cannot be loaded",
                [LogField("partition", partition), LogField("reason", error)])
            return runtime.end(.notCoordinator)
        }
        if replay.recordCount > 0 {
            // The lane's own time is that of the turn's beginning, and what was read in this turn counts.
            let end = broker.lane.timeSource.monotonicNanoseconds()
            broker.logger.log(
                .info, "coordinator loaded",
                [
                    LogField("partition", partition), LogField("records", replay.recordCount),
                    LogField("milliseconds", (end - began) / 1_000_000),
                ])
        }
        runtime.activate(endOffset: replay.nextOffset ?? .zero, now)
        arm()
    }

    /// - Returns: whether all is read and committed; otherwise `load` is called again.
    private func readOn() throws(CoordinatorReplayError) -> Bool {
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
        life += 1
        runtime = CoordinatorRuntime(machine: make(), log: log)
        replay = CoordinatorReplay()
        began = broker.lane.timeSource.monotonicNanoseconds()
        begin()
    }

    /// The partition is led here again, or still; what could not be loaded before is tried again.
    func leadershipConfirmed() {
        if !isOver, case .ended = runtime.stage { reload() }
    }

    // MARK: Requests

    /// - Parameters:
    ///   - needsName: whether the request may make a name that nobody else may have.
    ///   - reply: called once, on this lane.
    func submit(
        _ request: Machine.Request, needsName: Bool = false,
        reply: @escaping (Machine.Request.Response) -> Void
    ) {
        var random = UniqueID.zero
        if needsName {
            let (high, low) = SystemRandom.identifier()
            random = UniqueID(high: high, low: low)
        }
        runtime.submit(request, random: random, now, reply: reply)
        arm()
    }

    /// As `submit`, for a request that adds to a transaction, which the coordinator has confirmed.
    func submit(
        _ request: Machine.Request, verifiedBy verification: TransactionVerification.Requirement,
        reply: @escaping (Machine.Request.Response) -> Void
    ) {
        log.verification = verification
        submit(request, reply: reply)
        log.verification = .none
    }

    private func appendFinished(_ error: ReplicaError?) {
        guard let error else { return runtime.advance() }
        guard runtime.stage == .active, !isOver else { return }
        broker.logger.log(
            .error, "records of a coordinator lost, it is loaded again",
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
