internal import RecordFormat

/// Asks the lanes that own partitions, and gathers what they answer on the lane that asked.
extension BrokerLane {
    /// Calls `work` for each part on the lane that owns its partition, then `done` here, with the answers in
    /// the order of the parts. Without a hop, and before this returns, where all partitions are of this lane.
    ///
    /// - Parameters:
    ///   - partition: of a part; nil leaves the part to this lane.
    ///   - lost: the answer for a part whose lane has ended.
    func gather<Part: Sendable, Answer: Sendable>(
        _ parts: [Part], partition: (Part) -> TopicPartition?, lost: Answer,
        work: @escaping @Sendable (BrokerLane, Part) -> Answer, done: @escaping ([Answer]) -> Void
    ) {
        var byLane = [[Int]](repeating: [], count: node.lanes.count)
        for (number, part) in parts.enumerated() {
            byLane[partition(part).map { node.placement.lane(of: $0) } ?? index].append(number)
        }
        let gathering = Gathering(count: parts.count, lost: lost, done)
        for (lane, numbers) in byLane.enumerated() where lane != index && !numbers.isEmpty {
            gathering.pendingCount += 1
            let wanted = numbers.map { parts[$0] }
            let isSent = node.lanes[lane].lane.submit(from: self.lane) { [self] in
                let owner = node.lanes[lane]
                let answers = wanted.map { work(owner, $0) }
                // Nobody waits any more when this lane has ended.
                _ = self.lane.submit(from: owner.lane) { gathering.take(answers, for: numbers) }
            }
            if !isSent { gathering.pendingCount -= 1 }
        }
        gathering.take(byLane[index].map { work(self, parts[$0]) }, for: byLane[index])
    }

    /// Calls `work` on every lane, then `done` here with what each answered.
    func gatherFromAll<Answer: Sendable>(
        work: @escaping @Sendable (BrokerLane) -> Answer, done: @escaping ([Answer]) -> Void
    ) {
        let gathering = Gathering<Answer?>(count: node.lanes.count, lost: nil) { done($0.compactMap { $0 }) }
        for other in node.lanes where other !== self {
            gathering.pendingCount += 1
            let isSent = other.lane.submit(from: lane) { [self] in
                let answer = work(other)
                _ = lane.submit(from: other.lane) { gathering.take([answer], for: [other.index]) }
            }
            if !isSent { gathering.pendingCount -= 1 }
        }
        gathering.take([work(self)], for: [index])
    }
}

/// Answers of several lanes on their way together. On the lane that asked.
private final class Gathering<Answer>: @unchecked Sendable {
    // @unchecked: carried through other lanes, touched on the one that asked.
    var pendingCount = 1
    private var answers: [Answer]
    private let done: ([Answer]) -> Void

    init(count: Int, lost: Answer, _ done: @escaping ([Answer]) -> Void) {
        answers = Array(repeating: lost, count: count)
        self.done = done
    }

    func take(_ some: [Answer], for numbers: [Int]) {
        for (number, answer) in zip(numbers, some) { answers[number] = answer }
        pendingCount -= 1
        if pendingCount == 0 { done(answers) }
    }
}
