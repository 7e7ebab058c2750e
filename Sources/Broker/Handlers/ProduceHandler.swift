internal import Base
internal import KafkaProtocol
internal import RecordFormat
internal import Replication
internal import SystemIO

/// Produce: record batches into partitions.
enum ProduceHandler {
    static let served = [
        // Versions before 3 carry message formats that are not stored. They are named all the same, because
        // librdkafka takes the compression codecs for missing where version 0 is; and refused in the answer.
        ServedAPI(0...13) { (request: ProduceRequest, context, frame) in
            handle(request, context, frame)
        }
    ]

    private static func handle(_ request: ProduceRequest, _ context: RequestContext, _ frame: BufferSlice) {
        guard let acks = RequiredAcks(rawValue: request.acks), context.version >= 3 else {
            let code: ErrorCode = context.version < 3 ? .unsupportedVersion : .invalidRequiredAcks
            return refuseAll(request, context, code)
        }
        let operation = ProduceOperation(request, context, acks: acks)
        operation.start(frame)
    }

    private static func refuseAll(_ request: ProduceRequest, _ context: RequestContext, _ code: ErrorCode) {
        context.logRefusal("produce refused") {
            [LogField("error", code), LogField("acks", request.acks)]
        }
        if request.acks == RequiredAcks.none.rawValue {
            return context.connection.close(because: "a produce request without answer failed: \(code)")
        }
        context.respond(
            ProduceResponse(
                responses: request.topicData.map { topic in
                    ProduceResponse.TopicProduceResponse(
                        name: topic.name, topicID: topic.topicID,
                        partitionResponses: topic.partitionData.map {
                            ProduceResponse.PartitionProduceResponse(
                                index: $0.index, errorCode: code, baseOffset: Offset(-1))
                        })
                }))
    }
}
