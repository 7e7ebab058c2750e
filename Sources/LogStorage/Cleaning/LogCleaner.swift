public import Base
internal import RecordFormat
internal import SystemIO

/// Compacts logs, the dirtiest first, without their lanes waiting for it.
///
///     lane     maintain   commits what the worker has finished for this lane, and offers its dirtiest log
///     worker   runNext    takes the dirtiest offer, or goes on with a round whose group was committed: a
///     step lane     maintain   ...
///
/// A lane has one round at a time, so that at most one group of segments per lane is on the disk twice. What
/// is shared by the threads is values and rounds, each owned by one of them at a time. Also driven by a
/// single thread, as tests do.
public final class LogCleaner: Sendable {
    private struct Offer: @unchecked Sendable {
        // @unchecked: a round belongs to whoever took the offer out of the state.
        let round: CleaningRound
        let lane: Int
    }

    private struct Outcome: @unchecked Sendable {
        // @unchecked: as above.
        let round: CleaningRound
        let result: Result<CleaningRound.Step, CleaningError>
    }

    private struct State: Sendable {
        /// Rounds that no step was made of, or whose last group was committed.
        var waiting: [Offer] = []
        /// Of the step that is being made.
        var running: [CleaningCancellation] = []
        var outcomes: [Int: Outcome] = [:]
        /// Lanes that have a round.
        var busyLanes: Set<Int> = []
        /// When a lane looks for a log again, in monotonic nanoseconds.
        var nextLook: [Int: UInt64] = [:]
        var isStopped = false
        var configuration: CleanerConfiguration
    }

    private let throttle: DiskThrottle
    private let timeSource: any TimeSource
    private let logger: Logger
    private let secret: @Sendable () -> (UInt64, UInt64)
    private let hasWork: @Sendable (LogCleaner) -> Void
    private let hasOutcome: @Sendable (_ lane: Int) -> Void
    private let state: Locked<State>

    /// - Parameters:
    ///   - secret: 128 new random bits, for the hashes of a round's keys.
    ///   - hasWork: `runNext` has something to do; called on a lane.
    ///   - hasOutcome: `maintain` of the lane has something to do; called by whoever runs `runNext`.
    public init(
        configuration: CleanerConfiguration = CleanerConfiguration(), throttle: DiskThrottle,
        timeSource: any TimeSource, logger: Logger = .silent,
        secret: @escaping @Sendable () -> (UInt64, UInt64),
        hasWork: @escaping @Sendable (LogCleaner) -> Void = { _ in },
        hasOutcome: @escaping @Sendable (_ lane: Int) -> Void = { _ in }
    ) {
        state = Locked(State(configuration: configuration))
        self.throttle = throttle
        self.timeSource = timeSource
        self.logger = logger.named("cleaner")
        self.secret = secret
        self.hasWork = hasWork
        self.hasOutcome = hasOutcome
    }

    /// What holds for the rounds that begin now.
    public var configuration: CleanerConfiguration { state.withLock { $0.configuration } }

    /// Takes other settings for the rounds to come; the rate, and how long lanes wait before they look again,
    /// hold at once.
    public func reconfigure(_ configuration: CleanerConfiguration) {
        state.withLock { state in
            if configuration.backoffMilliseconds < state.configuration.backoffMilliseconds {
                state.nextLook.removeAll()
            }
            state.configuration = configuration
        }
        throttle.setRate(configuration.bytesPerSecond)
    }

    // MARK: The lanes' side

    /// Whether `maintain` has anything to do for the lane; costs nothing, however many logs there are.
    public func isDue(lane: Int) -> Bool {
        let now = timeSource.monotonicNanoseconds()
        return state.withLock { state in
            if state.outcomes[lane] != nil { return true }
            return !state.isStopped && !state.busyLanes.contains(lane) && state.nextLook[lane] ?? 0 <= now
        }
    }

    /// The lane has no log that is compacted: it looks again after `log.cleaner.backoff.ms`.
    public func pass(lane: Int) {
        let now = timeSource.monotonicNanoseconds()
        state.withLock { state in
            let pause = UInt64(max(0, state.configuration.backoffMilliseconds)) * 1_000_000
            state.nextLook[lane] = now + pause
        }
    }

    /// Commits what was finished for the lane, and offers its dirtiest log when it has no round. Called on
    /// the lane, about once a second and after `hasOutcome`.
    ///
    /// - Parameters:
    ///   - logs: all logs of the lane.
    ///   - lane: names the lane among those that share this cleaner.
    public func maintain(_ logs: [PartitionLog], lane: Int) {
        if let outcome = state.withLock({ $0.outcomes.removeValue(forKey: lane) }) {
            settle(outcome, logs, lane: lane)
        }
        let now = timeSource.monotonicNanoseconds()
        let isFree = state.withLock { state in
            !state.isStopped && !state.busyLanes.contains(lane) && state.nextLook[lane] ?? 0 <= now
        }
        guard isFree else { return }
        guard let round = planDirtiest(of: logs) else {
            let pause = UInt64(max(0, configuration.backoffMilliseconds)) * 1_000_000
            return state.withLock { $0.nextLook[lane] = now + pause }
        }
        let isTaken = state.withLock { state in
            guard !state.isStopped else { return false }
            state.busyLanes.insert(lane)
            state.waiting.append(Offer(round: round, lane: lane))
            return true
        }
        if isTaken { hasWork(self) } else { give(up: round, .cancelled, logs, lane: lane) }
    }

    /// Begins a round of the log that needs it most: an overdue one first, then the one with the largest
    /// share of dirty bytes. Nil when none is due.
    private func planDirtiest(of logs: [PartitionLog]) -> CleaningRound? {
        var best: (log: PartitionLog, cleanability: Cleanability)?
        for log in logs {
            do throws(LogError) {
                guard let candidate = try log.cleanability(), candidate.isDue(log.configuration) else {
                    continue
                }
                if let best, !candidate.isMoreUrgent(than: best.cleanability) { continue }
                best = (log, candidate)
            } catch {
                note(error, of: log)
            }
        }
        guard let best else { return nil }
        do throws(LogError) {
            return CleaningRound(
                try best.log.planCleaning(best.cleanability), configuration: configuration,
                throttle: throttle,
                secret: secret())
        } catch {
            note(error, of: best.log)
            return nil
        }
    }

    /// A log whose directory is offline, or that is closed, is nobody's business here.
    private func note(_ error: LogError, of log: PartitionLog) {
        switch error {
        case .directoryOffline, .closed: return
        default:
            logger.log(
                .warn, "log passed over by compaction",
                [LogField("partition", log.partition), LogField("reason", error)])
        }
    }

    /// Does the lane's part of what a step ended with.
    private func settle(_ outcome: Outcome, _ logs: [PartitionLog], lane: Int) {
        let round = outcome.round
        guard let log = logs.first(where: { $0.cleaning.cancellation === round.plan.cancellation }) else {
            if case .success(.group(let group)) = outcome.result {
                CleanedSegmentWriter.discard(group.baseOffset, round.plan)
            }
            return give(up: round, .cancelled, logs, lane: lane)
        }
        switch outcome.result {
        case .failure(let error): give(up: round, error, logs, lane: lane)
        case .success(.finished(let summary)):
            log.finishCleaning(round.plan, summary)
            release(lane)
        case .success(.group(let group)):
            do throws(LogError) {
                guard try log.commit(group, of: round.plan) else {
                    return give(up: round, .cancelled, logs, lane: lane)
                }
            } catch {
                return give(up: round, .log(error), logs, lane: lane)
            }
            state.withLock { $0.waiting.append(Offer(round: round, lane: lane)) }
            hasWork(self)
        }
    }

    private func give(up round: CleaningRound, _ error: CleaningError, _ logs: [PartitionLog], lane: Int) {
        logs.first { $0.cleaning.cancellation === round.plan.cancellation }?.endCleaning(
            round.plan, because: error)
        release(lane)
        // What passes has to be given time to pass.
        if case .cancelled = error { return }
        let pause = UInt64(max(0, configuration.backoffMilliseconds)) * 1_000_000
        let next = timeSource.monotonicNanoseconds() + (error.isPassing ? pause : 0)
        state.withLock { $0.nextLook[lane] = next }
    }

    private func release(_ lane: Int) {
        state.withLock { state in
            state.busyLanes.remove(lane)
            state.nextLook[lane] = 0
        }
    }

    // MARK: The worker's side

    /// Makes one step of the most urgent round that waits. May be called by several threads.
    /// - Returns: false when none waits.
    @discardableResult
    public func runNext() -> Bool {
        let offer: Offer? = state.withLock { state in
            guard !state.isStopped, let index = Self.mostUrgent(of: state.waiting) else { return nil }
            let offer = state.waiting.remove(at: index)
            state.running.append(offer.round.plan.cancellation)
            return offer
        }
        guard let offer else { return false }
        let result: Result<CleaningRound.Step, CleaningError>
        do throws(CleaningError) {
            result = .success(try offer.round.next())
        } catch {
            result = .failure(error)
        }
        state.withLock { state in
            state.running.removeAll { $0 === offer.round.plan.cancellation }
            state.outcomes[offer.lane] = Outcome(round: offer.round, result: result)
        }
        hasOutcome(offer.lane)
        return true
    }

    private static func mostUrgent(of offers: [Offer]) -> Int? {
        var best: Int?
        for index in offers.indices {
            let candidate = offers[index].round.plan.cleanability
            if let best, !candidate.isMoreUrgent(than: offers[best].round.plan.cleanability) { continue }
            best = index
        }
        return best
    }

    /// Ends all compaction: the step that is being made stops soon, no other begins.
    public func stop() {
        state.withLock { state in
            state.isStopped = true
            for cancellation in state.running { cancellation.cancel() }
            for offer in state.waiting { offer.round.plan.cancellation.cancel() }
            state.waiting.removeAll()
        }
    }
}
