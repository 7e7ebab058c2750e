internal import Base
internal import KafkaProtocol
internal import RaftController
internal import RecordFormat

/// Producer IDs of one lane: taken from the controller a block at a time.
struct ProducerIDBlock {
    private var free: Range<Int64> = 0..<0
    /// Requests that wait for the next block; bounded by the requests in flight of the connections.
    var waiting: [RequestContext] = []
    var isAsking = false

    mutating func take() -> ProducerID? {
        guard let first = free.first else { return nil }
        free = (first + 1)..<free.upperBound
        return ProducerID(first)
    }

    mutating func refill(_ block: Range<Int64>) { free = block }
}

/// InitProducerId: an identity for an idempotent producer (KIP-98).
enum ProducerIDHandler {
    static let served = [
        ServedAPI(0...5) { (request: InitProducerIDRequest, context) in handle(request, context) }
    ]

    private static func handle(_ request: InitProducerIDRequest, _ context: RequestContext) {
        if let name = request.transactionalID {
            // An empty name is none that could be coordinated.
            let error: ErrorCode = name.isEmpty ? .invalidRequest : .coordinatorNotAvailable
            context.logRefusal("producer ID refused") {
                [LogField("transactionalID", name), LogField("error", error)]
            }
            return context.respond(InitProducerIDResponse(errorCode: error, producerEpoch: .none))
        }
        answer(context)
    }

    private static func answer(_ context: RequestContext) {
        let broker = context.broker
        if let id = broker.producerIDs.take() {
            return context.respond(InitProducerIDResponse(producerID: id, producerEpoch: ProducerEpoch(0)))
        }
        broker.producerIDs.waiting.append(context)
        if broker.producerIDs.isAsking { return }
        broker.producerIDs.isAsking = true
        let command = AllocateProducerIDs(
            brokerID: broker.node.configuration.nodeID, brokerEpoch: broker.node.controller.brokerEpoch)
        broker.node.controller.submit(command, on: broker) { result in
            take(result, broker)
        }
    }

    private static func take(
        _ result: Result<AllocateProducerIDs.Block, CommandRefusal>, _ broker: BrokerLane
    ) {
        broker.producerIDs.isAsking = false
        let waiting = broker.producerIDs.waiting
        broker.producerIDs.waiting = []
        switch result {
        case .success(let block):
            broker.producerIDs.refill(block.first.rawValue..<(block.first.rawValue + Int64(block.count)))
            for context in waiting { answer(context) }
        case .failure(let refusal):
            for context in waiting {
                context.logRefusal("producer ID refused") {
                    [LogField("error", refusal.code), LogField("reason", refusal.message)]
                }
                // Clients try again.
                context.respond(
                    InitProducerIDResponse(errorCode: .coordinatorLoadInProgress, producerEpoch: .none))
            }
        }
    }
}
