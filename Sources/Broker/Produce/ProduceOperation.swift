internal import Base
internal import KafkaProtocol
internal import RecordFormat
internal import Replication
internal import SystemIO
internal import Transport

/// A produce request: split by the lanes that own its partitions, and answered when all of them have. On the
/// connection's lane.
final class ProduceOperation: TimerHandler, @unchecked Sendable {
    // @unchecked: carried through other lanes, touched on the connection's.

    let context: RequestContext
    private let acks: RequiredAcks
    private let timeoutMilliseconds: Int64
    private let topics: [ProduceRequest.TopicProduceData]
    /// By part; nil while it is not known.
    private var answers: [ProduceAnswer?]
    private var groups: [ProduceGroup] = []
    private var pendingGroupCount = 0
    private var timer: TimerID?
    private var isAnswered = false

    init(_ request: ProduceRequest, _ context: RequestContext, acks: RequiredAcks) {
        self.context = context
        self.acks = acks
        timeoutMilliseconds = Int64(request.timeoutMilliseconds)
        topics = request.topicData
        answers = Array(repeating: nil, count: topics.reduce(0) { $0 + $1.partitionData.count })
    }

    /// - Parameter frame: holds the batches, which are handed on without a copy.
    func start(_ frame: BufferSlice) {
        let home = context.broker
        let laneCount = home.node.lanes.count
        if laneCount == 1 {
            add(parts(frame), owner: home)
        } else {
            let all = parts(frame)
            for owner in home.node.lanes {
                let own = all.filter { home.node.placement.lane(of: $0.partition) == owner.index }
                if !own.isEmpty { add(own, owner: owner) }
            }
        }
        pendingGroupCount = groups.count
        // From the last, as groups of this lane may be done at once.
        for (group, owner) in zip(groups, owners) {
            if !owner.perform({ _ in group.run() }) { lose(group) }
        }
        if pendingGroupCount == 0 { answer() }
        if !isAnswered && acks == .all {
            timer = home.lane.schedule(
                at: home.lane.moment(afterMilliseconds: timeoutMilliseconds), self)
        }
    }

    private var owners: [BrokerLane] = []

    private func add(_ parts: [ProducePart], owner: BrokerLane) {
        if parts.isEmpty { return }
        groups.append(ProduceGroup(parts, acks: acks, operation: self, owner: owner))
        owners.append(owner)
    }

    /// The parts whose topics are known. Those of unknown topic IDs are answered here.
    private func parts(_ frame: BufferSlice) -> [ProducePart] {
        var parts: [ProducePart] = []
        parts.reserveCapacity(answers.count)
        var number = 0
        for topic in topics {
            var name = topic.name
            if context.version >= 13 { name = context.broker.metadata.topics[topic.topicID]?.name ?? "" }
            for data in topic.partitionData {
                if name.isEmpty {
                    answers[number] = ProduceAnswer(
                        context.version >= 13 ? .unknownTopicID : .invalidTopicException)
                } else {
                    parts.append(
                        ProducePart(
                            number: number, partition: TopicPartition(topic: name, partition: data.index),
                            topicID: topic.topicID, records: slice(data.records, of: frame)))
                }
                number += 1
            }
        }
        return parts
    }

    private func slice(_ records: RecordBytes?, of frame: BufferSlice) -> BufferSlice? {
        guard let range = records?.range else { return nil }
        let start = frame.range.lowerBound + range.lowerBound
        return BufferSlice(frame.buffer, start..<(start + range.count))
    }

    // MARK: Answers of the lanes

    func take(_ answers: [ProduceAnswer], of group: ProduceGroup) {
        if isAnswered { return }
        for (number, answer) in zip(group.numbers, answers) { self.answers[number] = answer }
        finishGroup()
    }

    /// The lane has ended: the node stops.
    private func lose(_ group: ProduceGroup) {
        for number in group.numbers { answers[number] = ProduceAnswer(.notLeaderOrFollower) }
        finishGroup()
    }

    private func finishGroup() {
        pendingGroupCount -= 1
        if pendingGroupCount == 0 { answer() }
    }

    /// Time is up: what is not acknowledged is answered so, and stays in the log.
    func timerFired(_ tag: UInt64) {
        timer = nil
        if isAnswered { return }
        for (group, owner) in zip(groups, owners) { owner.perform { _ in group.cancel() } }
        answer()
    }

    private func answer() {
        if isAnswered { return }
        isAnswered = true
        if let timer { context.broker.lane.cancel(timer) }
        groups = []
        owners = []
        let failed = answers.firstIndex { ($0?.error ?? .requestTimedOut) != .none }
        if let failed { log(failed) }
        if acks == .none {
            // There is no other way to say so: the client asks for metadata again when it connects.
            if failed != nil { context.connection.close(because: "a produce request without answer failed") }
            return context.completeWithoutResponse()
        }
        var number = 0
        let responses = topics.map { topic in
            ProduceResponse.TopicProduceResponse(
                name: topic.name, topicID: topic.topicID,
                partitionResponses: topic.partitionData.map { data in
                    defer { number += 1 }
                    let answer = answers[number] ?? ProduceAnswer(.requestTimedOut)
                    return answer.response(partition: data.index)
                })
        }
        context.respond(ProduceResponse(responses: responses))
    }

    private func log(_ number: Int) {
        let answer = answers[number] ?? ProduceAnswer(.requestTimedOut)
        context.logRefusal(
            "append refused", ErrorMapping.isBrokersFault(answer.error) ? .error : .info,
            [
                LogField("partition", name(of: number)), LogField("error", answer.error),
                LogField("reason", answer.message ?? answer.error.message),
            ])
    }

    private func name(of number: Int) -> String {
        var left = number
        for topic in topics {
            if left < topic.partitionData.count {
                let name = topic.name.isEmpty ? "\(topic.topicID)" : topic.name
                return "\(name)-\(topic.partitionData[left].index)"
            }
            left -= topic.partitionData.count
        }
        return ""
    }
}
