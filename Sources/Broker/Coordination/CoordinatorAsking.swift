internal import Coordinators
internal import RecordFormat

/// Asks the coordinators of other lanes.
extension BrokerLane {
    /// Calls `work` on the lane that owns a partition, and brings the answer back.
    ///
    /// - Parameters:
    ///   - lost: the answer when that lane has ended.
    ///   - work: calls what it is given once, at once or much later, on the owner's lane.
    ///   - done: called once, on this lane.
    func ask<Answer: Sendable>(
        _ partition: TopicPartition, lost: @autoclosure () -> Answer,
        work: @escaping @Sendable (BrokerLane, @escaping (Answer) -> Void) -> Void,
        done: @escaping (Answer) -> Void
    ) {
        let owner = node.lanes[node.placement.lane(of: partition)]
        if owner === self { return work(self, done) }
        let back = WayBack(done)
        let isSent = owner.lane.submit { [self] in
            work(owner) { answer in _ = self.lane.submit { back.done(answer) } }
        }
        if !isSent { done(lost()) }
    }

    /// Asks the coordinators of all partitions of their topic.
    ///
    /// - Parameters:
    ///   - ask: asks one of them, and has its answer taken.
    ///   - done: called once, on this lane, with the answers in the order of the partitions.
    func askAllPartitions<Answer>(
        of topic: String, _ ask: (TopicPartition, @escaping (Answer) -> Void) -> Void,
        done: @escaping ([Answer]) -> Void
    ) {
        let count = metadata.topics[topic]?.partitions.count ?? 0
        let gathering = CoordinatorAnswers(count: count, done)
        for number in 0..<count {
            ask(TopicPartition(topic: topic, partition: Int32(clamping: number))) {
                gathering.take($0, number)
            }
        }
        if count == 0 { gathering.finishIfEmpty() }
    }

    /// The partition of a coordinator's topic that keeps a name; nil while there is no such topic.
    func coordinatorPartition(of name: String, topic: String) -> TopicPartition? {
        guard let known = metadata.topics[topic], !known.partitions.isEmpty else { return nil }
        let count = Int32(clamping: known.partitions.count)
        return TopicPartition(
            topic: topic, partition: GroupPartition.partition(of: name, count: count))
    }
}

/// Carries what is called on one lane through another.
private final class WayBack<Answer>: @unchecked Sendable {
    // @unchecked: called on the lane that made it, carried through the other.
    let done: (Answer) -> Void

    init(_ done: @escaping (Answer) -> Void) { self.done = done }
}

/// Answers to several questions on their way together. On the lane that asked.
final class CoordinatorAnswers<Answer> {
    private var answers: [Answer?]
    private var missingCount: Int
    private let done: ([Answer]) -> Void

    init(count: Int, _ done: @escaping ([Answer]) -> Void) {
        answers = Array(repeating: nil, count: count)
        missingCount = count
        self.done = done
    }

    func take(_ answer: Answer, _ number: Int) {
        answers[number] = answer
        missingCount -= 1
        finishIfEmpty()
    }

    /// Where nothing was asked, nothing answers.
    func finishIfEmpty() {
        if missingCount > 0 { return }
        missingCount = .max
        done(answers.compactMap { $0 })
    }
}
