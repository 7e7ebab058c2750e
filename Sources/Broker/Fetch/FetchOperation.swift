internal import Base
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication
internal import SystemIO
internal import Transport

/// A fetch request: read on the lanes that own its partitions, parked while there is too little, answered
/// once. On the connection's lane.
///
/// | state | what happens next |
/// | --- | --- |
/// | reading | all lanes have read: answered, or waiting |
/// | waiting | a partition has more, or time is up: reading |
/// | answered | nothing |
final class FetchOperation: TimerHandler, @unchecked Sendable {
    // @unchecked: carried through other lanes, touched on the connection's.

    private enum State { case reading, waiting, answered }

    let context: RequestContext
    private let session: FetchSessionContext
    private let terms: FetchTerms
    private let waitMilliseconds: Int64
    private let parts: [FetchPart]
    private var answers: [FetchAnswer]
    private var groups: [FetchGroup] = []
    /// Those of other lanes that partitions may hold.
    private var awaitedGroups: [FetchGroup] = []
    private var pendingGroupCount = 0
    private var state = State.reading
    private var timer: TimerID?
    private var isTimeUp: Bool
    /// A partition had news while the lanes were reading.
    private var isWoken = false

    /// - Parameter parts: with the answers of those that need not be read.
    init(
        _ context: RequestContext, _ session: FetchSessionContext, _ terms: FetchTerms,
        waitMilliseconds: Int64, parts: [(part: FetchPart, answer: FetchAnswer?)]
    ) {
        self.context = context
        self.session = session
        self.terms = terms
        self.waitMilliseconds = waitMilliseconds
        self.parts = parts.map(\.part)
        answers = parts.map { $0.answer ?? FetchAnswer(.none) }
        isTimeUp = waitMilliseconds <= 0 || parts.isEmpty || parts.contains { $0.answer != nil }
        makeGroups(parts.map { $0.answer == nil })
    }

    private func makeGroups(_ isWanted: [Bool]) {
        let node = context.node
        for owner in node.lanes {
            let numbers = parts.indices.filter {
                isWanted[$0] && node.placement.lane(of: parts[$0].topicPartition) == owner.index
            }
            if numbers.isEmpty { continue }
            groups.append(
                FetchGroup(
                    numbers.map { parts[$0] }, numbers: numbers, terms, operation: self, owner: owner))
        }
    }

    func start() {
        if !isTimeUp {
            let lane = context.broker.lane
            timer = lane.schedule(at: lane.moment(afterMilliseconds: waitMilliseconds), self)
        }
        read()
    }

    // MARK: Reading

    private func read() {
        state = .reading
        isWoken = false
        let mayWait = !isTimeUp
        pendingGroupCount = groups.count + 1
        for group in groups where group.owner !== context.broker {
            let isSent = group.owner.lane.submit(from: context.broker.lane) { [self] in
                let began = group.owner.quotas.beginWork()
                let answers = group.read(mayWait: mayWait)
                group.owner.quotas.endWork(began, context.header.clientID)
                let waits = group.isWaiting
                _ = context.broker.lane.submit(from: group.owner.lane) { [self] in
                    if waits { awaitedGroups.append(group) }
                    take(answers, of: group)
                }
            }
            if !isSent {
                let lost = [FetchAnswer](
                    repeating: FetchAnswer(.notLeaderOrFollower), count: group.numbers.count)
                take(lost, of: group)
            }
        }
        for group in groups where group.owner === context.broker {
            take(group.read(mayWait: mayWait), of: group)
        }
        finishReading()
    }

    private func take(_ some: [FetchAnswer], of group: FetchGroup) {
        for (number, answer) in zip(group.numbers, some) { answers[number] = answer }
        finishReading()
    }

    private func finishReading() {
        pendingGroupCount -= 1
        if pendingGroupCount > 0 || state == .answered { return }
        if context.connection.isClosed { return end() }
        var byteCount = 0
        var isUrgent = isTimeUp
        for answer in answers {
            byteCount += answer.byteCount
            isUrgent = isUrgent || answer.isUrgent
        }
        if isUrgent || byteCount >= terms.minimumByteCount { return answer() }
        state = .waiting
        if isWoken { context.broker.noteWoken(self) }
    }

    /// A partition may have more to read.
    func wake() {
        if isWoken || state == .answered { return }
        isWoken = true
        // While the lanes read, the news may be in what they find or not: they are asked again if it is not
        // enough.
        if state == .waiting { context.broker.noteWoken(self) }
    }

    func readAgain() {
        guard state == .waiting else { return }
        let began = context.broker.quotas.beginWork()
        read()
        context.broker.quotas.endWork(began, context.header.clientID)
    }

    func timerFired(_ tag: UInt64) {
        timer = nil
        isTimeUp = true
        if state == .waiting { read() }
    }

    // MARK: The answer

    private func end() {
        state = .answered
        if let timer { context.broker.lane.cancel(timer) }
        timer = nil
        for group in groups where group.owner === context.broker { group.finish() }
        for group in awaitedGroups { group.owner.perform(from: context.broker) { _ in group.finish() } }
        groups = []
        awaitedGroups = []
    }

    private func answer() {
        end()
        trim()
        if context.broker.quotas.isActive {
            let pause = context.broker.quotas.pause(
                context.header.clientID, fetchedByteCount: answers.reduce(0) { $0 + $1.byteCount },
                now: context.broker.lane.now)
            if pause > 0 { return answerNothing(pausing: pause) }
        }
        var regions: [FileRegion] = []
        var topics: [FetchResponse.FetchableTopicResponse] = []
        for (number, part) in parts.enumerated() {
            let answer = answers[number]
            if answer.error != .none { log(part, answer) }
            guard session.mustTell(part, answer, number) else { continue }
            var token: Int?
            if let slice = answer.slice {
                token = regions.count
                regions.append(
                    FileRegion(slice.file, position: slice.position, byteCount: slice.byteCount))
            }
            let data = answer.response(part, token: token)
            let last = topics.count - 1
            if last >= 0, topics[last].topic == part.topic, topics[last].topicID == part.topicID {
                topics[last].partitions.append(data)
            } else {
                topics.append(
                    FetchResponse.FetchableTopicResponse(
                        topic: part.topic, topicID: part.topicID, partitions: [data]))
            }
        }
        session.finish(context.broker.lane.now)
        context.respond(FetchResponse(sessionID: session.responseID, responses: topics), regions: regions)
    }

    /// The client is over its quota: it gets no records, and asks for them again when its pause is over. A
    /// session that has just begun ends, as the client has not heard of it; an older one stays as it was.
    private func answerNothing(pausing milliseconds: Int64) {
        if !session.isIncremental { context.broker.sessions.remove(session.responseID) }
        let id = session.isIncremental ? session.responseID : 0
        context.respond(FetchResponse(sessionID: id), pausing: milliseconds)
    }

    /// Lanes that read side by side may have found more than was asked for together.
    private func trim() {
        var left = terms.maximumByteCount
        var isFirst = true
        for number in answers.indices {
            let byteCount = answers[number].byteCount
            if byteCount == 0 { continue }
            if byteCount > left && !isFirst {
                answers[number].slice = nil
                if answers[number].abortedTransactions != nil { answers[number].abortedTransactions = [] }
            } else {
                left -= byteCount
                isFirst = false
            }
        }
    }

    private func log(_ part: FetchPart, _ answer: FetchAnswer) {
        context.logRefusal(
            "fetch refused", ErrorMapping.isBrokersFault(answer.error) ? .error : .info,
            [
                LogField(
                    "partition",
                    part.topic.isEmpty ? "\(part.topicID)-\(part.partition)" : "\(part.topicPartition)"),
                LogField("error", answer.error), LogField("reason", answer.reason ?? answer.error.message),
            ])
    }
}
