internal import RecordFormat
internal import SystemIO

/// Who numbers the records of a producer.
struct ProducerIdentity: Equatable {
    var id: ProducerID
    var epoch: ProducerEpoch
}

/// Called on the client's lane with what became of a record.
public typealias DeliveryCompletion = @Sendable (Result<RecordMetadata, ClientError>) -> Void

/// Records of one partition that travel together.
///
/// | state | who touches it | left when |
/// | --- | --- | --- |
/// | open | callers, under the accumulator's lock | full, lingered, flushed |
/// | waiting | the lane | sent, or out of time |
/// | in flight | the lane | answered |
/// | waiting again | the lane | sent again with the same number, or out of time |
/// | done | nobody | never |
final class ProducerBatch {
    let queue: PartitionQueue
    var builder: RecordBatchBuilder
    /// When its first record came, in nanoseconds of the monotonic clock.
    let created: UInt64
    /// Which flushes wait for it.
    let generation: UInt64
    var completions: [(index: Int32, call: DeliveryCompletion)] = []
    /// Counted against the producer's buffer.
    var bufferedByteCount = 0
    private(set) var recordCount: Int32 = 0

    // The lane's.
    /// As it is sent.
    var bytes: BufferSlice?
    /// The place in the order of the partition's batches, by first sending.
    var order: UInt64 = 0
    var identity: ProducerIdentity?
    var baseSequence = SequenceNumber.none
    /// It was sent and the answer did not come: it may be in the log.
    var mayBeWritten = false
    /// Its fate was told, because its time was over: the answer that is still due changes nothing.
    var isSettled = false
    var lastError: ClientError?

    init(_ queue: PartitionQueue, _ builder: RecordBatchBuilder, created: UInt64, generation: UInt64) {
        self.queue = queue
        self.builder = builder
        self.created = created
        self.generation = generation
    }

    /// How many bytes a record takes in a batch at most.
    static func byteCountBound(_ keyByteCount: Int, _ valueByteCount: Int, _ headers: [RecordHeader]) -> Int {
        // Lengths, deltas and attributes take 33 bytes where all of them are as long as they can be.
        var byteCount = keyByteCount + valueByteCount + 36
        for header in headers { byteCount += header.key.count + (header.value?.count ?? 0) + 10 }
        return byteCount
    }

    func append(
        key: RawSpan?, value: RawSpan?, headers: [RecordHeader], timestamp: Timestamp,
        _ completion: DeliveryCompletion?
    ) {
        if let completion { completions.append((recordCount, completion)) }
        builder.append(timestamp: timestamp, key: key, value: value, headers: headers)
        recordCount += 1
    }

    /// Whether there are records about whose fate nobody is told by a completion.
    var hasUnheardRecords: Bool { completions.count < Int(recordCount) }

    var byteCount: Int { bytes?.byteCount ?? builder.byteCount }

    /// Tells everyone who asked.
    func complete(_ result: Result<(baseOffset: Offset?, appendTime: Timestamp?), ClientError>) {
        for (index, call) in completions {
            switch result {
            case .success(let place):
                call(
                    .success(
                        RecordMetadata(
                            partition: queue.partition, offset: place.baseOffset.map { $0 + Int64(index) },
                            appendTime: place.appendTime)))
            case .failure(let error): call(.failure(error))
            }
        }
        completions = []
        bytes = nil
    }
}

/// The batches of one partition on their way.
final class PartitionQueue {
    let partition: TopicPartition

    // Under the accumulator's lock.
    var open: ProducerBatch?
    /// Batches that take no more records, the oldest first.
    var closed: [ProducerBatch] = []
    /// Handed to the lane since it last looked.
    var isTouched = false

    // The lane's.
    var isActive = false
    /// Sent and not answered, in the order of sending.
    var inFlight: [ProducerBatch] = []
    /// To be sent again before anything else, in the order of first sending.
    var retries: [ProducerBatch] = []
    /// Something is under way for a second time. It goes alone: whatever overtook it could make the broker
    /// forget that it has seen it.
    var isReplaying = false
    var retryAt: UInt64 = 0
    /// Grows with every failure until a batch is written.
    var backoff: Backoff?
    var identity: ProducerIdentity?
    var nextSequence = SequenceNumber(0)
    /// A number is missing for good: the partition needs an identity that begins at 0.
    var hasGap = false

    init(_ partition: TopicPartition) { self.partition = partition }

    /// Puts a batch back where it belongs.
    func retry(_ batch: ProducerBatch) {
        let place = retries.firstIndex { $0.order > batch.order } ?? retries.count
        retries.insert(batch, at: place)
    }

    /// Whether a batch that was first sent before this one is not done.
    func hasOlder(than batch: ProducerBatch) -> Bool {
        inFlight.contains { $0.order < batch.order } || retries.contains { $0.order < batch.order }
    }
}
