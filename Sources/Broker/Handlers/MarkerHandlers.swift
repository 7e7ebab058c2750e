internal import Base
internal import Coordinators
internal import KafkaProtocol
internal import RecordFormat

/// WriteTxnMarkers: the ends of transactions, by their coordinators on other brokers, or by an administrator
/// who ends a transaction that no coordinator knows.
enum MarkerHandlers {
    static let served = [
        ServedAPI(0...2) { (request: WriteTxnMarkersRequest, context) in write(request, context) }
    ]

    private static func write(_ request: WriteTxnMarkersRequest, _ context: RequestContext) {
        let parts = request.markers.flatMap { marker in
            let end = TransactionEnd(
                producer: CoordinatorProducer(id: marker.producerID, epoch: marker.producerEpoch),
                isCommit: marker.transactionResult, coordinatorEpoch: marker.coordinatorEpoch,
                transactionVersion: Int16(marker.transactionVersion))
            return marker.topics.flatMap { topic in
                topic.partitionIndexes.map {
                    (end: end, partition: TopicPartition(topic: topic.name, partition: $0))
                }
            }
        }
        let answers = CoordinatorAnswers<ErrorCode>(count: parts.count) { codes in
            respond(request, codes, context)
        }
        for (number, part) in parts.enumerated() {
            context.broker.ask(
                part.partition, lost: .notLeaderOrFollower,
                work: { owner, reply in owner.writeMarker(part.end, to: part.partition, reply: reply) },
                done: { answers.take($0, number) })
        }
        if parts.isEmpty { answers.finishIfEmpty() }
    }

    private static func respond(
        _ request: WriteTxnMarkersRequest, _ codes: [ErrorCode], _ context: RequestContext
    ) {
        if let failed = codes.first(where: { $0 != .none }) {
            context.logRefusal("marker refused") { [LogField("error", failed)] }
        }
        var rest = codes[...]
        context.respond(
            WriteTxnMarkersResponse(
                markers: request.markers.map { marker in
                    WriteTxnMarkersResponse.WritableTxnMarkerResult(
                        producerID: marker.producerID,
                        topics: marker.topics.map { topic in
                            WriteTxnMarkersResponse.WritableTxnMarkerTopicResult(
                                name: topic.name,
                                partitions: topic.partitionIndexes.map {
                                    WriteTxnMarkersResponse.WritableTxnMarkerPartitionResult(
                                        partitionIndex: $0,
                                        errorCode: rest.popFirst() ?? .unknownServerError)
                                })
                        })
                }))
    }
}
