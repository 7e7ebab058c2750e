internal import Base
internal import KafkaProtocol
internal import RaftController
internal import RecordFormat

/// Producer IDs of one lane: taken from the controller a block at a time.
struct ProducerIDBlock {
    private var free: Range<Int64> = 0..<0
    /// Those who wait for the next block; bounded by the requests in flight of the connections.
    var waiting: [(ProducerID?) -> Void] = []
    var isAsking = false

    mutating func take() -> ProducerID? {
        guard let first = free.first else { return nil }
        free = (first + 1)..<free.upperBound
        return ProducerID(first)
    }

    mutating func refill(_ block: Range<Int64>) { free = block }
}

extension BrokerLane {
    /// Takes a producer ID that nobody has had.
    ///
    /// - Parameter done: called once, on this lane; with nil where the controller gives none now.
    func takeProducerID(_ done: @escaping (ProducerID?) -> Void) {
        if let id = producerIDs.take() { return done(id) }
        producerIDs.waiting.append(done)
        if producerIDs.isAsking { return }
        producerIDs.isAsking = true
        let command = AllocateProducerIDs(
            brokerID: node.configuration.nodeID, brokerEpoch: node.controller.brokerEpoch)
        node.controller.submit(command, on: self) { [self] result in refill(result) }
    }

    private func refill(_ result: Result<AllocateProducerIDs.Block, CommandRefusal>) {
        producerIDs.isAsking = false
        let waiting = producerIDs.waiting
        producerIDs.waiting = []
        switch result {
        case .success(let block):
            producerIDs.refill(block.first.rawValue..<(block.first.rawValue + Int64(block.count)))
            for done in waiting { takeProducerID(done) }
        case .failure(let refusal):
            logger.log(
                .warn, "no producer IDs",
                [LogField("error", refusal.code), LogField("reason", refusal.message)])
            for done in waiting { done(nil) }
        }
    }
}

/// InitProducerId: an identity for an idempotent producer (KIP-98), or for a transactional one.
enum ProducerIDHandler {
    static let served = [
        ServedAPI(0...5) { (request: InitProducerIDRequest, context) in handle(request, context) }
    ]

    private static func handle(_ request: InitProducerIDRequest, _ context: RequestContext) {
        guard let name = request.transactionalID else {
            return context.broker.takeProducerID { id in
                guard let id else {
                    // Clients try again.
                    return context.respond(
                        InitProducerIDResponse(errorCode: .coordinatorLoadInProgress, producerEpoch: .none))
                }
                context.respond(InitProducerIDResponse(producerID: id, producerEpoch: ProducerEpoch(0)))
            }
        }
        // An empty name is none that could be coordinated.
        if name.isEmpty {
            return context.respond(
                InitProducerIDResponse(errorCode: .invalidRequest, producerEpoch: .none))
        }
        context.broker.askTransaction(name, .begin(request, fresh: nil)) { answer in
            guard case .begun(var response) = answer else { return }
            // Clients of these versions know the older name of the same.
            if context.version < 4 && response.errorCode == .producerFenced {
                response.errorCode = .invalidProducerEpoch
            }
            context.noteTransaction(name, response.errorCode)
            context.respond(response)
        }
    }
}
