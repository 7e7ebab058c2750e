internal import Base
internal import KafkaProtocol
internal import RecordFormat
internal import Replication
internal import SystemIO
internal import Transport

/// A produce request: split by the lanes that own its partitions, and answered when all of them have. On the
/// connection's lane.
///
/// Small producers send one batch a request, so this is made for one partition, with few allocations, and
/// serves any number.
final class ProduceOperation: TimerHandler, @unchecked Sendable {
    // @unchecked: carried through other lanes, touched on the connection's.

    let context: RequestContext
    let acks: RequiredAcks
    private let timeoutMilliseconds: Int64
    private let topics: [ProduceRequest.TopicProduceData]
    /// Of a producer with transactions; empty otherwise.
    let transactionalID: String
    private var groups: [ProduceGroup] = []
    private var pendingGroupCount = 0
    private var timer: TimerID?
    private var isAnswered = false

    init(_ request: ProduceRequest, _ context: RequestContext, acks: RequiredAcks) {
        self.context = context
        self.acks = acks
        timeoutMilliseconds = Int64(request.timeoutMilliseconds)
        topics = request.topicData
        transactionalID = request.transactionalID ?? ""
    }

    /// - Parameter frame: holds the batches, which are handed on without a copy.
    func start(_ frame: BufferSlice) {
        split(frame)
        pendingGroupCount = groups.count
        if groups.isEmpty { return answer() }
        // Groups of this lane may be done at once, the last of them with an answer.
        for group in groups where !group.start() { finish(group) }
        if !isAnswered && acks == .all {
            let lane = context.broker.lane
            timer = lane.schedule(at: lane.moment(afterMilliseconds: timeoutMilliseconds), self)
        }
    }

    /// Gives each batch to the group of its partition's lane.
    private func split(_ frame: BufferSlice) {
        let isByID = context.version >= 13
        let count = topics.reduce(0) { $0 + $1.partitionData.count }
        var number = 0
        for topic in topics {
            let name =
                isByID ? context.broker.metadata.topics[topic.topicID]?.name ?? "" : topic.name
            let refusal = Self.refusal(of: name, isByID: isByID)
            for data in topic.partitionData {
                var part = ProducePart(
                    number: number, partition: TopicPartition(topic: name, partition: data.index),
                    topicID: topic.topicID, records: slice(data.records, of: frame))
                if let refusal { part.take(refusal) }
                add(part, expecting: count - number)
                number += 1
            }
        }
    }

    /// Why nothing goes to a topic of this name.
    private static func refusal(of name: String, isByID: Bool) -> ProduceAnswer? {
        if name.isEmpty { return ProduceAnswer(isByID ? .unknownTopicID : .invalidTopicException) }
        guard InternalTopics.contains(name) else { return nil }
        return ProduceAnswer(.invalidTopicException, "the topic is written by the broker only")
    }

    private func add(_ part: ProducePart, expecting count: Int) {
        let node = context.node
        let owner = node.lanes[node.placement.lane(of: part.partition)]
        for group in groups where group.owner === owner { return group.add(part) }
        let group = ProduceGroup(operation: self, owner: owner, expecting: count)
        group.add(part)
        groups.append(group)
    }

    private func slice(_ records: RecordBytes?, of frame: BufferSlice) -> BufferSlice? {
        guard let range = records?.range else { return nil }
        let start = frame.range.lowerBound + range.lowerBound
        return BufferSlice(frame.buffer, start..<(start + range.count))
    }

    // MARK: Answers of the lanes

    /// The group has an answer for each of its parts, or its lane has ended.
    func finish(_ group: ProduceGroup) {
        if isAnswered { return }
        group.isFinished = true
        pendingGroupCount -= 1
        if pendingGroupCount == 0 { answer() }
    }

    /// Time is up: what is not acknowledged is answered so, and stays in the log.
    func timerFired(_ tag: UInt64) {
        timer = nil
        if isAnswered { return }
        for group in groups where !group.isFinished { group.abandon() }
        answer()
    }

    private func answer() {
        if isAnswered { return }
        isAnswered = true
        if let timer { context.broker.lane.cancel(timer) }
        var firstFailure: (name: String, answer: ProduceAnswer)?
        var number = 0
        let responses = topics.map { topic in
            ProduceResponse.TopicProduceResponse(
                name: topic.name, topicID: topic.topicID,
                partitionResponses: topic.partitionData.map { data in
                    let answer = self.answer(of: number)
                    number += 1
                    if answer.error != .none && firstFailure == nil {
                        firstFailure = (Self.name(of: topic, data.index), answer)
                    }
                    return answer.response(partition: data.index)
                })
        }
        groups = []
        if let firstFailure { log(firstFailure.name, firstFailure.answer) }
        if acks == .none {
            // There is no other way to say so: the client asks for metadata again when it connects.
            if firstFailure != nil {
                context.connection.close(because: "a produce request without answer failed")
            }
            return context.completeWithoutResponse()
        }
        context.respond(ProduceResponse(responses: responses))
    }

    /// Asked for in the order of the parts.
    private func answer(of number: Int) -> ProduceAnswer {
        for group in groups where group.isFinished {
            if let answer = group.takeAnswer(of: number) { return answer }
        }
        return ProduceAnswer(.requestTimedOut)
    }

    private func log(_ name: String, _ answer: ProduceAnswer) {
        context.logRefusal(
            "append refused", ErrorMapping.isBrokersFault(answer.error) ? .error : .info,
            [
                LogField("partition", name), LogField("error", answer.error),
                LogField("reason", answer.message ?? answer.error.message),
            ])
    }

    private static func name(of topic: ProduceRequest.TopicProduceData, _ partition: Int32) -> String {
        "\(topic.name.isEmpty ? "\(topic.topicID)" : topic.name)-\(partition)"
    }
}
