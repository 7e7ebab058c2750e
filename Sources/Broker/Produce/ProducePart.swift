internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication
internal import SystemIO

/// A batch of a produce request, on its way to its partition, and what became of it.
struct ProducePart: Sendable {
    /// Its place in the request, all topics counted through.
    let number: Int
    let partition: TopicPartition
    let topicID: TopicID
    /// Nil where the request had null, and once they were taken.
    private var records: BufferSlice?
    private(set) var answer = ProduceAnswer(.none)
    /// Whether there is an answer; it may still be lost while the part waits.
    private(set) var isAnswered = false
    /// Appended and not acknowledged yet.
    var isWaiting = false

    init(number: Int, partition: TopicPartition, topicID: TopicID, records: BufferSlice?) {
        self.number = number
        self.partition = partition
        self.topicID = topicID
        self.records = records
    }

    mutating func takeRecords() -> BufferSlice? { records.take() }

    mutating func take(_ answer: ProduceAnswer) {
        self.answer = answer
        isAnswered = true
    }
}

/// What became of a part.
struct ProduceAnswer: Sendable {
    var error = ErrorCode.none
    var baseOffset = Offset(-1)
    var logAppendTime = Timestamp.none
    var logStartOffset = Offset(-1)
    /// The record to blame, where one is.
    var recordIndex: Int32?
    var message: String?

    init(_ error: ErrorCode, _ message: String? = nil) {
        self.error = error
        self.message = message
    }

    init(_ result: LogAppendResult, logStartOffset: Offset) {
        baseOffset = result.firstOffset
        logAppendTime = result.logAppendTime
        self.logStartOffset = logStartOffset
    }

    /// An append that was refused.
    init(_ error: ReplicaError) {
        self.error = ErrorMapping.code(error)
        if let record = ErrorMapping.recordError(error) {
            recordIndex = record.index
            message = "record \(record.index): \(record.message)"
        } else if case .log(_, let reason) = error {
            message = "\(reason)"
        } else {
            message = "\(error)"
        }
    }

    func response(partition: Int32) -> ProduceResponse.PartitionProduceResponse {
        ProduceResponse.PartitionProduceResponse(
            index: partition, errorCode: error, baseOffset: error == .none ? baseOffset : Offset(-1),
            logAppendTimeMilliseconds: logAppendTime.rawValue, logStartOffset: logStartOffset,
            recordErrors: recordIndex.map {
                [
                    ProduceResponse.BatchIndexAndErrorMessage(
                        batchIndex: $0, batchIndexErrorMessage: message)
                ]
            } ?? [], errorMessage: message)
    }
}
