internal import Base
internal import KafkaProtocol
internal import RecordFormat
internal import SystemIO
internal import Transport

/// Sends a producer's batches, on the client's lane.
///
/// Order and exactly-once hold by these rules. A batch gets its number when it is first sent and keeps it.
/// After a failure nothing of the partition is sent until everything in flight is answered; then what failed
/// is sent again in the old order, one batch after the other. Where a number is missing for good (a batch ran
/// out of time, or was refused), the partition goes on with a new epoch from 0; batches whose fate is not
/// known then fail rather than be written twice.
final class ProduceSender: ClientMember, @unchecked Sendable {
    // @unchecked: what changes is touched on the client's lane only.

    let core: ClientCore
    let configuration: ProducerConfiguration
    let accumulator: RecordAccumulator
    private let compressor = Compressor()
    private var encodeWriter = ByteWriter()
    private let memory = BufferPool(limitByteCount: .max / 2, keptByteCount: 32 << 20)
    /// Partitions with something to send or in flight.
    private var active: [PartitionQueue] = []
    private var inFlightByNode: [Int32: Int] = [:]
    private var identity: ProducerIdentity?
    private var isAskingForIdentity = false
    private var nextOrder: UInt64 = 0
    private var wakeTimer: TimerID?
    private var wakeAt = UInt64.max
    private var backoff: Backoff
    private var isPumping = false
    private var isClosed = false

    init(_ core: ClientCore, _ configuration: ProducerConfiguration, _ accumulator: RecordAccumulator) {
        self.core = core
        self.configuration = configuration
        self.accumulator = accumulator
        backoff = core.makeBackoff()
    }

    func start() {
        core.join(self)
        core.metadata.listen(self) { [weak self] in self?.metadataChanged() }
    }

    private func metadataChanged() {
        for (name, description) in core.metadata.topics where accumulator.knows(name) {
            accumulator.learn(description)
        }
        pump()
    }

    // MARK: Sending

    /// Sends what is due and may be sent.
    func pump() {
        // A request that gets no answer is done while it is being sent: the loop below goes on by itself.
        if isClosed || isPumping { return }
        isPumping = true
        defer { isPumping = false }
        var fresh: [PartitionQueue] = []
        accumulator.takeTouched(into: &fresh)
        for queue in fresh where !queue.isActive {
            queue.isActive = true
            active.append(queue)
        }
        var next = UInt64.max
        if configuration.usesIdempotence && identity == nil {
            if !active.isEmpty { askForIdentity() }
            next = expireAll()
        } else {
            while sendOne(&next) {}
        }
        active.removeAll { queue in
            let isIdle =
                queue.inFlight.isEmpty && queue.retries.isEmpty && accumulator.oldestTime(queue) == nil
            if isIdle { queue.isActive = false }
            return isIdle
        }
        arm(next)
    }

    private func arm(_ moment: UInt64) {
        if moment == .max || (wakeTimer != nil && wakeAt <= moment && wakeAt > core.lane.now) { return }
        if let wakeTimer { core.lane.cancel(wakeTimer) }
        wakeAt = moment
        let pause = moment > core.lane.now ? (moment - core.lane.now + 999_999) / 1_000_000 : 1
        wakeTimer = core.lane.schedule(afterMilliseconds: Int64(clamping: pause)) { [weak self] in
            self?.wakeTimer = nil
            self?.pump()
        }
    }

    /// Sends one request to each broker that may get one.
    /// - Parameter next: when to look again, lowered as needed.
    /// - Returns: whether anything was sent.
    private func sendOne(_ next: inout UInt64) -> Bool {
        var byNode: [Int32: [ProducerBatch]] = [:]
        var byteCounts: [Int32: Int] = [:]
        var isLeaderMissing = false
        for queue in active {
            next = min(next, expire(queue))
            guard let due = sendableTime(queue) else { continue }
            if due > core.lane.now {
                next = min(next, due)
                continue
            }
            guard let leader = core.metadata.leader(of: queue.partition)?.leader,
                let connection = core.connection(leader)
            else {
                isLeaderMissing = true
                continue
            }
            if connection.isThrottled {
                // Batches go on growing meanwhile.
                next = min(next, connection.throttleEnd)
                continue
            }
            if inFlightByNode[leader, default: 0] >= configuration.inFlightPerBroker { continue }
            if isChoked(leader) {
                next = min(next, core.lane.moment(afterMilliseconds: 1))
                continue
            }
            let taken = byteCounts[leader, default: 0]
            if taken > 0 && taken + configuration.batchByteCount > configuration.requestByteCount { continue }
            guard let batch = takeFirst(queue) else { continue }
            byNode[leader, default: []].append(batch)
            byteCounts[leader] = taken + batch.byteCount
        }
        if isLeaderMissing { core.metadata.markStale() }
        for (node, batches) in byNode { send(batches, to: node) }
        return !byNode.isEmpty
    }

    /// Whether a broker is slower than we are. Where it answers, the requests in flight bound what waits to
    /// be sent; where it does not, this does.
    private func isChoked(_ node: Int32) -> Bool {
        if configuration.acknowledgement != .none { return false }
        return (core.connection(node)?.pendingByteCount ?? 0) >= Self.unsentByteCount
    }

    /// Unanswered bytes that may wait for the kernel to take them: what keeps a connection busy.
    private static let unsentByteCount = 4 << 20

    /// When the first batch of a partition may be sent; nil when there is none, or not before an answer.
    private func sendableTime(_ queue: PartitionQueue) -> UInt64? {
        if queue.hasGap && !queue.inFlight.isEmpty { return nil }
        if queue.isReplaying { return nil }
        if !queue.retries.isEmpty { return queue.inFlight.isEmpty ? queue.retryAt : nil }
        guard let due = accumulator.dueTime(queue) else { return nil }
        return max(due, queue.retryAt)
    }

    private func takeFirst(_ queue: PartitionQueue) -> ProducerBatch? {
        if queue.hasGap { closeGap(queue) }
        // Epochs have an end; then another identity is on its way.
        if configuration.usesIdempotence && identity == nil { return nil }
        let batch: ProducerBatch
        if !queue.retries.isEmpty {
            batch = queue.retries.removeFirst()
            queue.isReplaying = true
        } else if let taken = accumulator.take(queue) {
            batch = taken
            batch.order = nextOrder
            nextOrder += 1
        } else {
            return nil
        }
        number(batch, queue)
        if !encode(batch) { return nil }
        return batch
    }

    /// Gives a batch its place in the partition's sequence.
    private func number(_ batch: ProducerBatch, _ queue: PartitionQueue) {
        guard let identity, batch.identity == nil else { return }
        if queue.identity == nil || (queue.identity != identity && queue.inFlight.isEmpty) {
            queue.identity = identity
            queue.nextSequence = SequenceNumber(0)
        }
        batch.identity = queue.identity
        batch.baseSequence = queue.nextSequence
        queue.nextSequence = queue.nextSequence.advanced(by: batch.recordCount)
        if let bytes = batch.bytes, let known = batch.identity {
            var span = bytes.buffer.mutableBytes(bytes.range)
            RecordBatch.assign(
                producerID: known.id, producerEpoch: known.epoch, baseSequence: batch.baseSequence, in: &span)
        }
    }

    /// Makes a batch's bytes, once.
    private func encode(_ batch: ProducerBatch) -> Bool {
        if batch.bytes != nil { return true }
        batch.builder.producerID = batch.identity?.id ?? .none
        batch.builder.producerEpoch = batch.identity?.epoch ?? .none
        batch.builder.baseSequence = batch.baseSequence
        encodeWriter.removeAll()
        do {
            try batch.builder.finish(compressor: compressor, into: &encodeWriter)
        } catch {
            fail(batch, .compression(batch.queue.partition, error))
            return false
        }
        let count = encodeWriter.byteCount
        let buffer = memory.take(byteCount: count) ?? IOBuffer(byteCount: count)
        buffer.copy(encodeWriter.bytes.span.bytes, to: 0)
        batch.bytes = BufferSlice(buffer, 0..<count)
        accumulator.recycle(batch.builder)
        batch.builder = RecordBatchBuilder()
        return true
    }

    private func send(_ batches: [ProducerBatch], to node: Int32) {
        guard let connection = core.connection(node) else { return batches.forEach { requeue($0, nil) } }
        var topics: [String: [ProduceRequest.PartitionProduceData]] = [:]
        var pieces: [BufferSlice] = []
        for batch in batches {
            guard let bytes = batch.bytes else { continue }
            topics[batch.queue.partition.topic, default: []].append(
                ProduceRequest.PartitionProduceData(
                    index: batch.queue.partition.partition,
                    records: .external(position: pieces.count, byteCount: bytes.byteCount)))
            pieces.append(bytes)
            batch.queue.inFlight.append(batch)
        }
        let data = topics.map { name, partitions in
            ProduceRequest.TopicProduceData(
                name: name, topicID: core.metadata.topics[name]?.id ?? .none, partitionData: partitions)
        }
        let request = ProduceRequest(
            acks: configuration.acknowledgement.rawValue,
            timeoutMilliseconds: Int32(clamping: core.configuration.requestMilliseconds), topicData: data)
        // From version 13 on topics are named by their IDs.
        let newest: Int16 = data.contains { $0.topicID == .none } ? 12 : ProduceRequest.versions.upperBound
        inFlightByNode[node, default: 0] += 1
        var sent: (() -> Void)?
        if configuration.acknowledgement == .none {
            sent = { self.answered(batches, by: node, nil) }
        }
        // The batches are told of their fate whatever becomes of the producer: so the sender is held.
        core.send(request, to: connection, versions: 3...newest, pieces: pieces, sent: sent) { result in
            self.answered(batches, by: node, result)
        }
    }

    // MARK: Answers

    /// - Parameter result: nil where there is no answer.
    private func answered(
        _ batches: [ProducerBatch], by node: Int32, _ result: Result<Answer<ProduceResponse>, ClientError>?
    ) {
        inFlightByNode[node, default: 1] -= 1
        for batch in batches {
            batch.queue.inFlight.removeAll { $0 === batch }
            batch.queue.isReplaying = false
        }
        let open = batches.filter { !$0.isSettled }
        switch result {
        case nil:
            for batch in open { succeed(batch, nil) }
        case .success(let answer):
            for batch in open { settle(batch, answer) }
        case .failure(let error):
            for batch in open {
                // What never left is not in doubt.
                if case .disconnected = error { batch.mayBeWritten = true }
                if case .timedOut = error { batch.mayBeWritten = true }
                if error.isRetriable { requeue(batch, error) } else { fail(batch, error) }
            }
            if error.isRetriable { core.metadata.markStale() }
        }
        pump()
    }

    private func settle(_ batch: ProducerBatch, _ answer: Answer<ProduceResponse>) {
        let partition = batch.queue.partition
        let id = core.metadata.topics[partition.topic]?.id ?? .none
        let topic = answer.body.responses.first {
            answer.version >= 13 ? $0.topicID == id : $0.name == partition.topic
        }
        guard let found = topic?.partitionResponses.first(where: { $0.index == partition.partition }) else {
            return fail(
                batch,
                .malformed(broker: answer.broker, api: .produce, reason: "nothing is said about \(partition)")
            )
        }
        if found.errorCode == .none || found.errorCode == .duplicateSequenceNumber {
            return succeed(batch, found)
        }
        let words = found.errorMessage ?? found.recordErrors.first?.batchIndexErrorMessage
        let error = ClientError.refused(
            broker: answer.broker, api: .produce, subject: "records to \(partition)", code: found.errorCode,
            message: words)
        switch found.errorCode {
        case .outOfOrderSequenceNumber where batch.queue.hasOlder(than: batch):
            // One before it failed, and comes again first.
            requeue(batch, error)
        case .outOfOrderSequenceNumber, .unknownProducerID, .invalidProducerEpoch:
            // The broker has lost track of the producer: it begins again with a new epoch.
            if batch.identity == nil { return fail(batch, error) }
            batch.queue.hasGap = true
            requeue(batch, error)
        default:
            if !found.errorCode.isRetriable { return fail(batch, error) }
            core.metadata.markStale()
            let hint = LeaderHint(found, partition, answer.body.nodeEndpoints)
            requeue(batch, error, isAtOnce: hint.map { core.metadata.take($0) } ?? false)
        }
    }

    private func succeed(_ batch: ProducerBatch, _ found: ProduceResponse.PartitionProduceResponse?) {
        let offset = found.flatMap { $0.baseOffset.rawValue < 0 ? nil : $0.baseOffset }
        let time = found.flatMap { $0.logAppendTimeMilliseconds < 0 ? nil : $0.logAppendTimeMilliseconds }
        batch.queue.backoff = nil
        batch.complete(.success((offset, time.map { Timestamp($0) })))
        accumulator.finished(batch, nil)
    }

    /// The batch is sent again, after a pause.
    /// - Parameter isAtOnce: without one, since it is known who leads the partition now.
    private func requeue(_ batch: ProducerBatch, _ error: ClientError?, isAtOnce: Bool = false) {
        // Nobody will send it any more.
        if isClosed { return fail(batch, .closed) }
        batch.lastError = error
        let queue = batch.queue
        queue.retry(batch)
        // What failed together counts as one failure.
        if !isAtOnce && queue.retryAt <= core.lane.now {
            var backoff = queue.backoff ?? core.makeBackoff()
            queue.retryAt = core.lane.moment(afterMilliseconds: core.pause(&backoff))
            queue.backoff = backoff
        }
        if !queue.isActive {
            queue.isActive = true
            active.append(queue)
        }
    }

    private func fail(_ batch: ProducerBatch, _ error: ClientError) {
        if batch.identity != nil { batch.queue.hasGap = true }
        let isUnheard = batch.hasUnheardRecords
        batch.complete(.failure(error))
        accumulator.finished(batch, isUnheard ? error : nil)
    }

    // MARK: Time

    private func expireAll() -> UInt64 { active.map { expire($0) }.min() ?? .max }

    /// Fails the batches of a partition that are out of time.
    /// - Returns: when the next one will be.
    private func expire(_ queue: PartitionQueue) -> UInt64 {
        let span = UInt64(configuration.deliveryMilliseconds) * 1_000_000
        let now = core.lane.now
        while let first = queue.retries.first, now >= first.created.adding(span) {
            queue.retries.removeFirst()
            expire(first)
        }
        while let oldest = accumulator.oldestTime(queue), now >= oldest.adding(span),
            let batch = accumulator.take(queue)
        {
            expire(batch)
        }
        // What is under way is out of time too; the answer that comes later changes nothing.
        for batch in queue.inFlight where !batch.isSettled && now >= batch.created.adding(span) {
            batch.isSettled = true
            batch.mayBeWritten = true
            expire(batch)
        }
        let oldest = min(
            queue.retries.first?.created ?? .max, accumulator.oldestTime(queue) ?? .max,
            queue.inFlight.first { !$0.isSettled }?.created ?? .max)
        return oldest.adding(span)
    }

    private func expire(_ batch: ProducerBatch) {
        fail(
            batch,
            .deliveryTimedOut(
                batch.queue.partition, milliseconds: configuration.deliveryMilliseconds,
                mayBeWritten: batch.mayBeWritten, lastError: batch.lastError?.fact))
    }

    // MARK: Identity

    private func askForIdentity() {
        if isAskingForIdentity { return }
        isAskingForIdentity = true
        let request = InitProducerIDRequest(
            transactionalID: nil, transactionTimeoutMilliseconds: .max, producerID: .none,
            producerEpoch: .none)
        core.call(
            request, to: .any,
            refusal: { response, broker in
                response.errorCode == .none
                    ? nil
                    : .refused(
                        broker: broker, api: .initProducerID, subject: "a producer", code: response.errorCode,
                        message: nil)
            },
            { [weak self] result in self?.learnIdentity(result) })
    }

    private func learnIdentity(_ result: Result<Answer<InitProducerIDResponse>, ClientError>) {
        isAskingForIdentity = false
        if isClosed { return }
        switch result {
        case .success(let answer) where answer.body.errorCode == .none:
            identity = ProducerIdentity(id: answer.body.producerID, epoch: answer.body.producerEpoch)
        case .success(let answer):
            failAll(
                .refused(
                    broker: answer.broker, api: .initProducerID, subject: "a producer",
                    code: answer.body.errorCode, message: nil))
        case .failure(let error):
            // Out of reach: the batches have their own time.
            if !error.isRetriable { failAll(error) }
        }
        pump()
    }

    /// Nothing of the partition is in flight, and a number is missing: what comes is numbered from 0, by an
    /// identity that the partition does not know yet.
    private func closeGap(_ queue: PartitionQueue) {
        queue.hasGap = false
        guard let known = queue.identity else { return }
        if identity == known {
            if known.epoch.rawValue < Int16.max {
                identity = ProducerIdentity(id: known.id, epoch: ProducerEpoch(known.epoch.rawValue + 1))
            } else {
                identity = nil
                askForIdentity()
            }
        }
        let waiting = queue.retries
        queue.retries = []
        queue.identity = nil
        for batch in waiting {
            if batch.mayBeWritten {
                fail(batch, .uncertain(queue.partition, lastError: batch.lastError?.fact))
                queue.hasGap = false
            } else {
                batch.identity = nil
                batch.baseSequence = .none
                queue.retries.append(batch)
            }
        }
    }

    private func failAll(_ error: ClientError) {
        for queue in active {
            for batch in queue.retries { fail(batch, error) }
            queue.retries = []
            while let batch = accumulator.take(queue) { fail(batch, error) }
        }
    }

    // MARK: The end

    func clientClosed() {
        if isClosed { return }
        isClosed = true
        for queue in active {
            for batch in queue.retries { fail(batch, .closed) }
            queue.retries = []
        }
        for batch in accumulator.close() { fail(batch, .closed) }
        core.metadata.stopListening(self)
    }
}

extension UInt64 {
    /// The sum, or the end of time.
    fileprivate func adding(_ span: UInt64) -> UInt64 {
        let (sum, overflows) = addingReportingOverflow(span)
        return overflows ? .max : sum
    }
}
