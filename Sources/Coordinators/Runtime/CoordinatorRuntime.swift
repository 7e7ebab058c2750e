internal import Base
public import KafkaProtocol
public import RecordFormat

/// Runs the state machine of one partition of a coordinator's topic over the partition's log:
///
///     request, timer      the machine decides: records and answers
///     append              the records go to the log as a batch; the machine's state has them from here on
///     commit              the high watermark has passed them
///     release             the answers go out, in the order of the log
///
/// An answer without records waits as well when there is something uncommitted before it, which it may have
/// seen: nobody is told of what a crash could take back.
///
/// Called on the lane that owns the partition. Loses nothing by being thrown away: another one is loaded from
/// the log.
public final class CoordinatorRuntime<Machine: CoordinatorMachine> {
    /// What it is asked.
    public typealias Request = Machine.Request
    /// What it answers.
    public typealias Response = Machine.Request.Response

    /// What it is good for.
    public enum Stage: Hashable, Sendable {
        /// Its log is being replayed.
        case loading
        case active
        /// It does nothing any more; whoever asks is told the code.
        case ended(ErrorCode)
    }

    private struct Waiting {
        let request: Request
        let reply: (Response) -> Void
    }

    private struct Held {
        let endOffset: Offset
        let answers: [(token: ReplyToken, response: Response)]
        let orders: [Machine.Order]
    }

    public let machine: Machine
    public let log: any CoordinatorLog
    public private(set) var stage = Stage.loading
    /// Carries out what the machine has others do, once everything that it rests on is committed.
    public var carryOutOrder: (Machine.Order) -> Void = { _ in }
    /// By token, until they are answered.
    private var waiting: [ReplyToken: Waiting] = [:]
    /// Answers that wait for the log, in its order; those before `firstHeld` have been given.
    private var held: [Held] = []
    private var firstHeld = 0
    /// The end of what has been appended or replayed.
    private var endOffset = Offset.zero
    private var nextToken: UInt64 = 0

    /// More bytes of keys and values than this are not put in one batch where they need not be.
    private let batchByteCount: Int

    public init(machine: Machine, log: any CoordinatorLog, batchByteCount: Int = 512 << 10) {
        self.machine = machine
        self.log = log
        self.batchByteCount = batchByteCount
    }

    /// Requests that are not answered yet.
    public var waitingCount: Int { waiting.count }

    // MARK: Loading

    /// The log has been replayed up to `endOffset`.
    public func activate(endOffset: Offset, _ now: CoordinatorMoment) {
        guard stage == .loading else { return }
        stage = .active
        self.endOffset = endOffset
        var effects = Machine.Effects()
        machine.loaded(now, &effects)
        carryOut(effects, now)
    }

    // MARK: Requests

    /// - Parameters:
    ///   - random: 128 bits that nobody else has got.
    ///   - reply: called once, now or later.
    public func submit(
        _ request: Request, random: UniqueID, _ now: CoordinatorMoment, reply: @escaping (Response) -> Void
    ) {
        switch stage {
        case .loading: return reply(request.refusal(.coordinatorLoadInProgress))
        case .ended(let code): return reply(request.refusal(code))
        case .active: break
        }
        let token = ReplyToken(nextToken)
        nextToken += 1
        waiting[token] = Waiting(request: request, reply: reply)
        var effects = Machine.Effects()
        machine.handle(request, token, random: random, now, &effects)
        carryOut(effects, now)
    }

    // MARK: Time

    /// When `fireTimers` has something to do, in milliseconds of the monotonic clock.
    public var nextDeadline: Int64? { stage == .active ? machine.nextDeadline : nil }

    /// Does everything that is due.
    public func fireTimers(_ now: CoordinatorMoment) {
        while stage == .active {
            var effects = Machine.Effects()
            if !machine.expire(now, &effects) { return }
            carryOut(effects, now)
        }
    }

    // MARK: The log

    private func carryOut(_ effects: Machine.Effects, _ now: CoordinatorMoment) {
        if effects.records.isEmpty { return hold(effects.answers, effects.orders) }
        do throws(CoordinatorLogError) {
            try append(effects, now)
            hold(effects.answers, effects.orders)
        } catch {
            for answer in effects.answers { refuse(answer.token, error.code) }
            guard stage == .active else { return }
            var next = Machine.Effects()
            machine.refused(effects.records, now, &next)
            invariant(next.records.isEmpty, "records that say that records were refused")
            hold(next.answers, next.orders)
        }
    }

    private func append(_ effects: Machine.Effects, _ now: CoordinatorMoment) throws(CoordinatorLogError) {
        let timestamp = Timestamp(now.wallClockMilliseconds)
        var first = 0
        while first < effects.records.count {
            var batch: [CoordinatorRecordBytes] = []
            var byteCount = 0
            let kind = effects.records[first].batchKind
            while first + batch.count < effects.records.count,
                effects.records[first + batch.count].batchKind == kind
            {
                let record: CoordinatorRecordBytes
                do {
                    record = try effects.records[first + batch.count].encoded()
                } catch {
                    throw .tooLarge
                }
                let size = record.key.count + (record.value?.count ?? 0)
                if !effects.isAtomic && !batch.isEmpty && byteCount + size > batchByteCount { break }
                byteCount += size
                batch.append(record)
            }
            endOffset = try log.append(batch, kind, at: timestamp)
            machine.appended(Array(effects.records[first..<(first + batch.count)]), now)
            first += batch.count
        }
    }

    /// The high watermark of the log may have moved.
    public func advance() {
        if stage != .active { return }
        let committed = log.highWatermark
        while firstHeld < held.count, held[firstHeld].endOffset <= committed {
            let next = held[firstHeld]
            firstHeld += 1
            if firstHeld == held.count {
                held.removeAll(keepingCapacity: true)
                firstHeld = 0
            } else if firstHeld >= 64, firstHeld * 2 >= held.count {
                held.removeFirst(firstHeld)
                firstHeld = 0
            }
            release(next.answers, next.orders)
        }
    }

    private func hold(_ answers: [(token: ReplyToken, response: Response)], _ orders: [Machine.Order]) {
        if answers.isEmpty && orders.isEmpty { return }
        if firstHeld == held.count && log.highWatermark >= endOffset { return release(answers, orders) }
        held.append(Held(endOffset: endOffset, answers: answers, orders: orders))
    }

    private func release(_ answers: [(token: ReplyToken, response: Response)], _ orders: [Machine.Order]) {
        for answer in answers {
            // An answer may have had consequences that ended this; then all are answered.
            guard stage == .active else { return }
            guard let one = waiting.removeValue(forKey: answer.token) else {
                invariantFailed("a request that was answered twice, or never made")
            }
            one.reply(answer.response)
        }
        for order in orders where stage == .active { carryOutOrder(order) }
    }

    private func refuse(_ token: ReplyToken, _ code: ErrorCode) {
        // A log that fails may end this before it says no.
        guard stage == .active else { return }
        guard let one = waiting.removeValue(forKey: token) else {
            invariantFailed("a request that was answered twice, or never made")
        }
        one.reply(one.request.refusal(code))
    }

    // MARK: End

    /// The partition is led elsewhere, or what was appended is lost: whoever waits is told `code`, in the
    /// order in which they came, and so is whoever asks from now on.
    public func end(_ code: ErrorCode) {
        if case .ended = stage { return }
        stage = .ended(code)
        held = []
        firstHeld = 0
        let all = waiting.sorted { $0.key.rawValue < $1.key.rawValue }
        waiting = [:]
        for (_, one) in all { one.reply(one.request.refusal(code)) }
    }
}
