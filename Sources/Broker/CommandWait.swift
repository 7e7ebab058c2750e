internal import KafkaProtocol
internal import RaftController
internal import Transport

/// What a client is told of its command.
struct CommandAnswer<Outcome: Sendable>: Sendable {
    let result: Result<Outcome, CommandRefusal>
    /// Set where the request's time-out came first: nothing of `result` that is a success has been confirmed.
    var late: CommandRefusal?
    /// For how long the client is to be paused, in milliseconds.
    var pauseMilliseconds: Int64 = 0
}

/// A command on its way through the controller, which whoever asked waits for so long only. On the lane that
/// asked.
///
/// | the time-out | is answered | with |
/// | --- | --- | --- |
/// | 0 or less | when the command is decided | refusals as they are, REQUEST_TIMED_OUT for the rest |
/// | above 0 | when it is committed, and all lanes know | the outcome |
/// | above 0, over | at once | refusals where they are known, REQUEST_TIMED_OUT for the rest |
/// | nil | when it is committed | the outcome |
final class CommandWait<Outcome: Sendable>: TimerHandler, @unchecked Sendable {
    // @unchecked: carried through other lanes, touched on the one that asked.

    private let lane: Lane
    private let timeoutMilliseconds: Int64?
    private var decided: Result<Outcome, CommandRefusal>?
    private var pauseMilliseconds: Int64 = 0
    private var completion: (@Sendable (CommandAnswer<Outcome>) -> Void)?
    private var timer: TimerID?

    init(
        _ lane: Lane, timeoutMilliseconds: Int64?,
        _ completion: @escaping @Sendable (CommandAnswer<Outcome>) -> Void
    ) {
        self.lane = lane
        self.timeoutMilliseconds = timeoutMilliseconds
        self.completion = completion
        if let timeoutMilliseconds, timeoutMilliseconds > 0 {
            timer = lane.schedule(at: lane.moment(afterMilliseconds: timeoutMilliseconds), self)
        }
    }

    /// What will be, once it is committed.
    func noteDecided(_ result: Result<Outcome, CommandRefusal>, pauseMilliseconds: Int64) {
        decided = result
        self.pauseMilliseconds = pauseMilliseconds
        if let timeoutMilliseconds, timeoutMilliseconds <= 0 { giveUp() }
    }

    func end(_ result: Result<Outcome, CommandRefusal>) { answer(result, late: nil) }

    func timerFired(_ tag: UInt64) {
        timer = nil
        giveUp()
    }

    private func giveUp() {
        let refusal = CommandRefusal.timedOut(timeoutMilliseconds ?? 0)
        answer(decided ?? .failure(refusal), late: refusal)
    }

    private func answer(_ result: Result<Outcome, CommandRefusal>, late: CommandRefusal?) {
        guard let completion else { return }
        self.completion = nil
        if let timer { lane.cancel(timer) }
        completion(CommandAnswer(result: result, late: late, pauseMilliseconds: pauseMilliseconds))
    }
}

extension CommandRefusal {
    static func timedOut(_ milliseconds: Int64) -> CommandRefusal {
        CommandRefusal(
            .requestTimedOut,
            "not confirmed within the request's time-out of \(milliseconds) ms; it may take effect yet")
    }
}
