internal import Base
internal import KafkaProtocol
internal import RecordFormat
internal import SystemIO
internal import Transport

/// Fetches what a consumer is assigned, ahead of it, one request to each broker at a time. On the client's
/// lane.
final class Fetcher: ClientMember, @unchecked Sendable {
    // @unchecked: what changes is touched on the client's lane only.

    private struct Assigned {
        /// Nil until it is resolved.
        var position: Offset?
        var start: StartPosition
        var isResolving = false
        var retryAt: UInt64 = 0
        /// Grows with every failure until an answer is good.
        var backoff: Backoff?
        /// Not fetched: its last answer was a failure that nothing helps against.
        var isBroken = false
    }

    /// What is known of a broker that is fetched from.
    private struct Source {
        var session = FetchSession()
        /// A request is under way.
        var isBusy = false
        var retryAt: UInt64 = 0
        var backoff: Backoff?
        /// Answers without a record, in a row, that came before the time that the broker was to wait.
        var hastyAnswers = 0
    }

    /// A broker that waits as it is told to answers early and empty now and then: when a session is new, or a
    /// partition has moved. One that does it over and over would keep us and itself busy with nothing.
    private static let hastyAnswerLimit = 4

    let core: ClientCore
    private let configuration: ConsumerConfiguration
    private let queue: FetchQueue
    private var assigned: [TopicPartition: Assigned] = [:]
    /// Counts assignments: answers to requests of an earlier one are dropped.
    private var assignment: UInt64 = 0
    private var sources: [Int32: Source] = [:]
    private var wakeTimer: TimerID?
    private var wakeAt = UInt64.max
    private var waitTimer: TimerID?
    private var isClosed = false

    init(_ core: ClientCore, _ configuration: ConsumerConfiguration, _ queue: FetchQueue) {
        self.core = core
        self.configuration = configuration
        self.queue = queue
    }

    func start() {
        core.join(self)
        core.metadata.listen(self) { [weak self] in self?.pump() }
    }

    // MARK: Assignment

    /// Fetches these partitions from now on, and no others.
    func assign(_ partitions: [TopicPartition: StartPosition]) {
        assignment += 1
        queue.begin(assignment)
        assigned = partitions.mapValues { start in
            if case .offset(let offset) = start { return Assigned(position: offset, start: start) }
            return Assigned(position: nil, start: start)
        }
        for topic in Set(partitions.keys.map(\.topic)) {
            let number = assignment
            core.metadata.topic(topic, milliseconds: configuration.topicMilliseconds, mayCreate: false) {
                [weak self] result in
                guard let self, number == assignment else { return }
                switch result {
                case .success(let description): check(description)
                case .failure(let error): queue.put(.failure(error), assignment)
                }
            }
        }
        pump()
    }

    private func check(_ description: TopicDescription) {
        for partition in assigned.keys where partition.topic == description.name {
            if !description.partitions.contains(where: { $0.partition == partition.partition }) {
                assigned[partition]?.isBroken = true
                queue.put(
                    .failure(
                        .unknownPartition(
                            topic: partition.topic, partition: partition.partition,
                            reason: "it has \(description.partitions.count) partitions")),
                    assignment)
            }
        }
        pump()
    }

    /// What has been handed over or lies ready ends here.
    func positions(_ completion: ([TopicPartition: Offset]) -> Void) {
        completion(assigned.compactMapValues(\.position))
    }

    // MARK: Fetching

    /// Asks every broker that leads something and is not busy.
    func pump() {
        if isClosed || assigned.isEmpty { return }
        let now = core.lane.now
        var wanted: [Int32: [TopicPartition: FetchSession.Entry]] = [:]
        var next = UInt64.max
        var isLeaderMissing = false
        var unresolved: [Int32: [TopicPartition]] = [:]
        for (partition, state) in assigned where !state.isBroken && !state.isResolving {
            guard let described = core.metadata.leader(of: partition), let leader = described.leader else {
                isLeaderMissing = isLeaderMissing || core.metadata.topics[partition.topic] != nil
                continue
            }
            if state.retryAt > now {
                next = min(next, state.retryAt)
                continue
            }
            guard let position = state.position else {
                unresolved[leader, default: []].append(partition)
                continue
            }
            wanted[leader, default: [:]][partition] = FetchSession.Entry(
                offset: position, leaderEpoch: described.leaderEpoch,
                topicID: core.metadata.topics[partition.topic]?.id ?? .none)
        }
        for (node, partitions) in unresolved { resolve(partitions, at: node) }
        if queue.hasRoom {
            for (node, entries) in wanted {
                let source = sources[node]
                if source?.isBusy == true { continue }
                let moment = max(source?.retryAt ?? 0, core.connection(node)?.throttleEnd ?? 0)
                if moment > now {
                    next = min(next, moment)
                } else {
                    fetch(entries, from: node)
                }
            }
        }
        if isLeaderMissing { core.metadata.markStale() }
        if next != .max { arm(next) }
    }

    private func arm(_ moment: UInt64) {
        if let wakeTimer {
            if wakeAt <= moment { return }
            core.lane.cancel(wakeTimer)
        }
        wakeAt = moment
        let pause = moment > core.lane.now ? (moment - core.lane.now + 999_999) / 1_000_000 : 1
        wakeTimer = core.lane.schedule(afterMilliseconds: Int64(clamping: pause)) { [weak self] in
            self?.wakeTimer = nil
            self?.pump()
        }
    }

    private func fetch(_ entries: [TopicPartition: FetchSession.Entry], from node: Int32) {
        guard let connection = core.connection(node) else { return core.metadata.markStale() }
        let request = sources[node, default: Source()].session.request(entries, configuration)
        sources[node]?.isBusy = true
        let number = assignment
        let asked = core.lane.now
        let hasIDs = !entries.values.contains { $0.topicID == .none }
        let newest: Int16 = hasIDs ? FetchRequest.versions.upperBound : 12
        let milliseconds = core.configuration.requestMilliseconds + configuration.waitMilliseconds
        core.send(request, to: connection, versions: 4...newest, milliseconds: milliseconds) {
            [weak self] result in
            guard let self else { return }
            sources[node]?.isBusy = false
            switch result {
            case .success(let answer):
                let isEmpty = !take(answer, from: node, entries, number)
                pace(node, isHasty: isEmpty && !hasWaited(since: asked))
            case .failure(let error):
                sources[node]?.session.reset()
                if error.isRetriable {
                    core.metadata.markStale()
                    for partition in entries.keys { pause(partition) }
                } else {
                    for partition in entries.keys { fail(partition, error) }
                }
            }
            pump()
        }
    }

    /// Whether a broker has waited for records about as long as it was told to.
    private func hasWaited(since asked: UInt64) -> Bool {
        core.lane.now - asked >= UInt64(max(configuration.waitMilliseconds, 0)) * 500_000
    }

    /// Has a broker that answers with nothing, and at once, asked ever more rarely.
    private func pace(_ node: Int32, isHasty: Bool) {
        if !isHasty {
            sources[node]?.hastyAnswers = 0
            sources[node]?.backoff = nil
            return
        }
        sources[node]?.hastyAnswers += 1
        if sources[node]?.hastyAnswers ?? 0 <= Self.hastyAnswerLimit { return }
        var backoff = sources[node]?.backoff ?? core.makeBackoff()
        sources[node]?.retryAt = core.lane.moment(afterMilliseconds: core.pause(&backoff))
        sources[node]?.backoff = backoff
    }

    /// - Returns: whether the answer brought anything.
    private func take(
        _ answer: Answer<FetchResponse>, from node: Int32,
        _ entries: [TopicPartition: FetchSession.Entry], _ number: UInt64
    ) -> Bool {
        let body = answer.body
        guard body.errorCode == .none else {
            sources[node]?.session.reset()
            let isForgotten = [
                .fetchSessionIDNotFound, .invalidFetchSessionEpoch, .fetchSessionTopicIDError,
            ].contains(body.errorCode)
            if isForgotten { return false }
            let error = refusal(answer.broker, "the partitions of a broker", body.errorCode)
            for partition in entries.keys { error.isRetriable ? pause(partition) : fail(partition, error) }
            core.metadata.markStale()
            return true
        }
        sources[node]?.session.answered(sessionID: body.sessionID)
        if number != assignment { return true }
        var brought = false
        for topic in body.responses {
            let name =
                answer.version >= 13
                ? core.metadata.topics.values.first { $0.id == topic.topicID }?.name : topic.topic
            guard let name else { continue }
            for data in topic.partitions {
                let partition = TopicPartition(topic: name, partition: data.partitionIndex)
                guard let entry = entries[partition], assigned[partition]?.position == entry.offset else {
                    continue
                }
                if take(data, partition, entry, answer) { brought = true }
            }
        }
        return brought
    }

    /// - Returns: whether there was anything but the news that there is nothing.
    private func take(
        _ data: FetchResponse.PartitionData, _ partition: TopicPartition, _ entry: FetchSession.Entry,
        _ answer: Answer<FetchResponse>
    ) -> Bool {
        if data.errorCode == .none {
            assigned[partition]?.backoff = nil
            guard let range = data.records?.range, !range.isEmpty else { return false }
            take(data, records: range, partition, entry, answer)
        } else if data.errorCode == .offsetOutOfRange {
            reset(partition, entry.offset)
        } else {
            let error = refusal(answer.broker, "\(partition)", data.errorCode)
            if error.isRetriable || data.errorCode == .fencedLeaderEpoch {
                core.metadata.markStale()
                let hint = LeaderHint(data, partition, answer.body.nodeEndpoints)
                // Who leads now is asked at once.
                if hint.map({ core.metadata.take($0) }) != true { pause(partition) }
            } else {
                fail(partition, error)
            }
        }
        return true
    }

    private func take(
        _ data: FetchResponse.PartitionData, records range: Range<Int>, _ partition: TopicPartition,
        _ entry: FetchSession.Entry, _ answer: Answer<FetchResponse>
    ) {
        let start = answer.frame.range.lowerBound
        let bytes = BufferSlice(
            answer.frame.buffer, (start + range.lowerBound)..<(start + range.upperBound))
        do throws(RecordBatchError) {
            guard let end = try FetchedRecords.end(of: bytes.bytes), end > entry.offset else {
                return fail(
                    partition,
                    .malformed(
                        broker: answer.broker, api: .fetch,
                        reason:
                            "\(bytes.byteCount) bytes of \(partition) hold no batch behind \(entry.offset)"
                    ))
            }
            assigned[partition]?.position = end
            queue.put(
                .records(
                    FetchedRecords(
                        partition: partition, position: entry.offset, nextPosition: end,
                        highWatermark: data.highWatermark, logStart: data.logStartOffset, bytes: bytes,
                        aborted: data.abortedTransactions ?? [],
                        checksChecksums: configuration.checksChecksums,
                        skipsAborted: configuration.isolation == .readCommitted)),
                assignment)
        } catch {
            fail(partition, .corrupt(partition, entry.offset, error))
        }
    }

    private func refusal(_ broker: String, _ subject: String, _ code: ErrorCode) -> ClientError {
        .refused(broker: broker, api: .fetch, subject: subject, code: code, message: nil)
    }

    private func pause(_ partition: TopicPartition) {
        var backoff = assigned[partition]?.backoff ?? core.makeBackoff()
        assigned[partition]?.retryAt = core.lane.moment(afterMilliseconds: core.pause(&backoff))
        assigned[partition]?.backoff = backoff
    }

    /// Ends the wait `number` of the consumer's reader after so long. There is one reader, so one timer.
    func giveUp(_ number: UInt64, afterMilliseconds milliseconds: Int64) {
        if let waitTimer { core.lane.cancel(waitTimer) }
        let queue = self.queue
        waitTimer = core.lane.schedule(afterMilliseconds: milliseconds) { queue.giveUp(number) }
    }

    private func fail(_ partition: TopicPartition, _ error: ClientError) {
        if assigned[partition] == nil { return }
        assigned[partition]?.isBroken = true
        queue.put(.failure(error), assignment)
    }

    private func reset(_ partition: TopicPartition, _ offset: Offset) {
        guard let start = configuration.resetPosition else {
            return fail(partition, .positionOutOfRange(partition, offset))
        }
        assigned[partition]?.position = nil
        assigned[partition]?.start = start
    }

    // MARK: Positions

    private func resolve(_ partitions: [TopicPartition], at node: Int32) {
        var byKind: [OffsetQuery: [TopicPartition]] = [:]
        for partition in partitions {
            guard let state = assigned[partition] else { continue }
            assigned[partition]?.isResolving = true
            byKind[OffsetQuery(state.start), default: []].append(partition)
        }
        let number = assignment
        for (query, asked) in byKind {
            OffsetLookup.ask(
                core, asked, query, isolation: configuration.isolation, at: node,
                milliseconds: core.configuration.requestMilliseconds
            ) { [weak self] results in
                guard let self, number == assignment else { return }
                for (partition, result) in results { resolved(partition, result, query) }
                pump()
            }
        }
    }

    private func resolved(
        _ partition: TopicPartition, _ result: Result<FoundOffset, ClientError>, _ query: OffsetQuery
    ) {
        guard let state = assigned[partition] else { return }
        assigned[partition]?.isResolving = false
        switch result {
        case .success(let found):
            switch state.start {
            case .last(let count):
                // The beginning of the log is asked for next where the count reaches past it.
                if found.offset.rawValue - count > 0, count >= 0 {
                    assigned[partition]?.position = Offset(max(0, found.offset.rawValue - count))
                    clamp(partition)
                } else {
                    assigned[partition]?.start = .earliest
                }
            case .timestamp where found.offset.rawValue < 0: assigned[partition]?.start = .latest
            default: assigned[partition]?.position = found.offset
            }
        case .failure(let error):
            if error.isRetriable {
                core.metadata.markStale()
                pause(partition)
            } else {
                fail(partition, error)
            }
        }
    }

    /// The log may begin behind the position: then reading begins with the log.
    private func clamp(_ partition: TopicPartition) {
        guard let leader = core.metadata.leader(of: partition)?.leader else { return }
        assigned[partition]?.isResolving = true
        let number = assignment
        OffsetLookup.ask(
            core, [partition], .earliest, isolation: configuration.isolation, at: leader,
            milliseconds: core.configuration.requestMilliseconds
        ) { [weak self] results in
            guard let self, number == assignment else { return }
            assigned[partition]?.isResolving = false
            if case .success(let found) = results[partition], let position = assigned[partition]?.position {
                assigned[partition]?.position = max(position, found.offset)
            }
            pump()
        }
    }

    func clientClosed() {
        if isClosed { return }
        isClosed = true
        queue.close()
        assigned = [:]
        core.metadata.stopListening(self)
    }
}
