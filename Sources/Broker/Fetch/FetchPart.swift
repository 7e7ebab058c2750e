internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication

/// What a client wants to read of a partition.
struct FetchPart: Sendable {
    let topic: String
    let topicID: TopicID
    let partition: Int32
    var fetchOffset: Offset
    var byteLimit: Int
    /// That the client believes in; none asks nothing.
    var leaderEpoch: LeaderEpoch
    /// Of the last record that it has; none asks nothing (KIP-595).
    var lastFetchedEpoch: LeaderEpoch

    init(_ asked: FetchRequest.FetchPartition, topic: String, topicID: TopicID) {
        self.topic = topic
        self.topicID = topicID
        partition = asked.partition
        fetchOffset = asked.fetchOffset
        byteLimit = Int(asked.partitionMaxBytes)
        leaderEpoch = asked.currentLeaderEpoch
        lastFetchedEpoch = asked.lastFetchedEpoch
    }

    /// The same of a topic whose name is known now.
    func named(_ name: String) -> FetchPart {
        FetchPart(self, topic: name)
    }

    private init(_ other: FetchPart, topic: String) {
        self.topic = topic
        topicID = other.topicID
        partition = other.partition
        fetchOffset = other.fetchOffset
        byteLimit = other.byteLimit
        leaderEpoch = other.leaderEpoch
        lastFetchedEpoch = other.lastFetchedEpoch
    }

    var topicPartition: TopicPartition { TopicPartition(topic: topic, partition: partition) }
}

/// What there is to read of it.
struct FetchAnswer: Sendable {
    var error = ErrorCode.none
    var reason: String?
    var highWatermark = Offset(-1)
    var lastStableOffset = Offset(-1)
    var logStartOffset = Offset(-1)
    var slice: LogSlice?
    /// Nil with `read_uncommitted`.
    var abortedTransactions: [FetchResponse.AbortedTransaction]?
    /// Where the client's log and this one part ways.
    var divergingEpoch = FetchResponse.EpochEndOffset()

    init(_ error: ErrorCode, _ reason: String? = nil) {
        self.error = error
        self.reason = reason
    }

    init(_ read: LogReadResult) {
        highWatermark = read.highWatermark
        lastStableOffset = read.lastStableOffset
        logStartOffset = read.logStartOffset
        slice = read.slice
    }

    var byteCount: Int { slice?.byteCount ?? 0 }
    var isDiverging: Bool { divergingEpoch.epoch >= 0 }

    /// Has to be told now, whatever the client would wait for.
    var isUrgent: Bool { error != .none || isDiverging }

    /// - Parameter token: by which the sender finds the slice; nil where there are no records.
    func response(_ part: FetchPart, token: Int?) -> FetchResponse.PartitionData {
        FetchResponse.PartitionData(
            partitionIndex: part.partition, errorCode: error, highWatermark: highWatermark,
            lastStableOffset: lastStableOffset, logStartOffset: logStartOffset,
            divergingEpoch: divergingEpoch, abortedTransactions: abortedTransactions,
            records: token.map { .external(position: $0, byteCount: byteCount) } ?? .empty)
    }
}

/// How a fetch reads, whatever the partition.
struct FetchTerms: Sendable {
    let isolation: ReadLimit
    let minimumByteCount: Int
    let maximumByteCount: Int

    var wantsAborted: Bool {
        if case .lastStableOffset = isolation { true } else { false }
    }
}

/// The parts of a fetch that belong to one lane: read there, and waiting there for more.
final class FetchGroup: FetchWaiter, @unchecked Sendable {
    // @unchecked: touched on the owner's lane only, but for what never changes.

    let numbers: [Int]
    private let parts: [FetchPart]
    private let terms: FetchTerms
    private let operation: FetchOperation
    let owner: BrokerLane
    private var isRegistered: [Bool]
    private(set) var isFinished = false

    init(
        _ parts: [FetchPart], numbers: [Int], _ terms: FetchTerms, operation: FetchOperation,
        owner: BrokerLane
    ) {
        self.parts = parts
        self.numbers = numbers
        self.terms = terms
        self.operation = operation
        self.owner = owner
        isRegistered = Array(repeating: false, count: parts.count)
    }

    /// Finds what there is to read. Where that is too little, the fetch is woken when there is more.
    /// - Parameter mayWait: whether there will be another look.
    func read(mayWait: Bool) -> [FetchAnswer] {
        var answers: [FetchAnswer] = []
        answers.reserveCapacity(parts.count)
        var byteCount = 0
        var isUrgent = false
        for part in parts {
            let answer = read(part, left: terms.maximumByteCount - byteCount, isFirst: byteCount == 0)
            byteCount += answer.byteCount
            isUrgent = isUrgent || answer.isUrgent
            answers.append(answer)
        }
        if mayWait && !isUrgent && byteCount < terms.minimumByteCount { register() }
        return answers
    }

    private func read(_ part: FetchPart, left: Int, isFirst: Bool) -> FetchAnswer {
        do throws(ReplicaError) {
            let leader = try owner.replicas.leader(of: part.topicPartition, leaderEpoch: part.leaderEpoch)
            if part.topicID != .none && leader.topicID != part.topicID {
                return FetchAnswer(.inconsistentTopicID)
            }
            if let diverging = divergence(part, leader) { return diverging }
            let limit = max(0, min(part.byteLimit, left))
            let read = try leader.read(
                from: part.fetchOffset, maximumByteCount: limit, limit: terms.isolation)
            var answer = FetchAnswer(read)
            // A batch is sent whole, but only the first of an answer may be larger than what was allowed.
            if !isFirst && answer.byteCount > limit { answer.slice = nil }
            if terms.wantsAborted { answer.abortedTransactions = try aborted(part, answer, leader) }
            return answer
        } catch {
            var answer = FetchAnswer(ErrorMapping.code(error), "\(error)")
            if case .log(_, .offsetOutOfRange(_, let start, _)) = error { answer.logStartOffset = start }
            return answer
        }
    }

    /// Non-nil when the client's log has records that this one never had.
    private func divergence(_ part: FetchPart, _ leader: LeaderReplica) -> FetchAnswer? {
        if part.lastFetchedEpoch == .none { return nil }
        guard let known = leader.log.endOffset(forLeaderEpoch: part.lastFetchedEpoch) else { return nil }
        if known.epoch == part.lastFetchedEpoch && known.endOffset >= part.fetchOffset { return nil }
        var answer = FetchAnswer(.none)
        answer.highWatermark = leader.log.highWatermark
        answer.lastStableOffset = leader.log.lastStableOffset
        answer.logStartOffset = leader.log.logStartOffset
        answer.divergingEpoch = FetchResponse.EpochEndOffset(
            epoch: known.epoch.rawValue, endOffset: known.endOffset)
        return answer
    }

    private func aborted(
        _ part: FetchPart, _ answer: FetchAnswer, _ leader: LeaderReplica
    ) throws(ReplicaError) -> [FetchResponse.AbortedTransaction] {
        guard let slice = answer.slice else { return [] }
        do throws(LogError) {
            return try leader.log.abortedTransactions(from: part.fetchOffset, upTo: slice.nextOffset).map {
                FetchResponse.AbortedTransaction(producerID: $0.producerID, firstOffset: $0.firstOffset)
            }
        } catch {
            throw .log(part.topicPartition, error)
        }
    }

    private func register() {
        for (index, part) in parts.enumerated() where !isRegistered[index] {
            guard let leader = try? owner.replicas.leader(of: part.topicPartition) else { continue }
            isRegistered[index] = true
            leader.wait(self, part: index)
        }
    }

    func partitionAdvanced(part: Int) {
        isRegistered[part] = false
        if isFinished { return }
        let home = operation.context.broker
        if home === owner { return operation.wake() }
        _ = home.lane.submit(from: owner.lane) { [self] in operation.wake() }
    }

    /// The fetch was answered. On the owner's lane.
    func finish() { isFinished = true }

    /// Whether any partition holds this.
    var isWaiting: Bool { isRegistered.contains(true) }
}
