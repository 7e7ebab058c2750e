internal import Base
internal import ClusterMetadata
internal import Coordinators
internal import KafkaProtocol
internal import RaftController
internal import RecordFormat

/// FindCoordinator: which broker keeps a group or a transactional ID.
enum CoordinatorHandler {
    static let served = [
        ServedAPI(0...6) { (request: FindCoordinatorRequest, context) in handle(request, context) }
    ]

    /// What a key names (KIP-98, KIP-932).
    private enum KeyType: Int8 {
        case group = 0, transaction, share

        /// Where such keys are kept; nil where nothing keeps them.
        var topic: String? {
            switch self {
            case .group: GroupPartition.offsetsTopic
            case .transaction: GroupPartition.transactionsTopic
            case .share: nil
            }
        }
    }

    private static func handle(_ request: FindCoordinatorRequest, _ context: RequestContext) {
        let keys = context.version < 4 ? [request.key] : request.coordinatorKeys
        guard let topic = KeyType(rawValue: request.keyType)?.topic else {
            return respond(keys.map { refusal($0, .invalidRequest) }, context)
        }
        provide(topic, context) { respond(keys.map { coordinator(of: $0, topic, context) }, context) }
    }

    /// Makes the topic of a coordinator where it is missing.
    /// - Parameter done: called once, also where that failed.
    static func provide(_ topic: String, _ context: RequestContext, done: @escaping @Sendable () -> Void) {
        if context.broker.metadata.topics.id(named: topic) != nil { return done() }
        let command = CreateTopics(topics: [InternalTopics.new(topic, context.broker)])
        context.node.controller.submit(command, on: context.broker) { result in
            note(result, topic, context)
            done()
        }
    }

    private static func note(
        _ result: Result<[CreateTopics.TopicOutcome], CommandRefusal>, _ topic: String,
        _ context: RequestContext
    ) {
        let refusal: CommandRefusal
        switch result {
        case .failure(let whole): refusal = whole
        case .success(let outcomes):
            guard case .failure(let one)? = outcomes.first?.result else { return }
            refusal = one
        }
        // Another connection was faster.
        if refusal.code == .topicAlreadyExists { return }
        context.logRefusal("topic of coordinators not created", .error) {
            [
                LogField("topic", topic), LogField("error", refusal.code),
                LogField("reason", refusal.message),
            ]
        }
    }

    private static func coordinator(
        of key: String, _ name: String, _ context: RequestContext
    ) -> FindCoordinatorResponse.Coordinator {
        guard let partition = context.broker.coordinatorPartition(of: key, topic: name),
            let topic = context.broker.metadata.topics[name]
        else { return refusal(key, .coordinatorNotAvailable) }
        let leader = topic.partitions[Int(partition.partition)].leader
        guard let broker = MetadataHandler.endpoints(context).first(where: { $0.id == leader }) else {
            return refusal(key, .coordinatorNotAvailable)
        }
        return FindCoordinatorResponse.Coordinator(
            key: key, nodeID: broker.id, host: broker.host, port: Int32(broker.port))
    }

    private static func refusal(_ key: String, _ code: ErrorCode) -> FindCoordinatorResponse.Coordinator {
        FindCoordinatorResponse.Coordinator(
            key: key, nodeID: -1, host: "", port: -1, errorCode: code, errorMessage: code.message)
    }

    private static func respond(
        _ coordinators: [FindCoordinatorResponse.Coordinator], _ context: RequestContext
    ) {
        if context.version >= 4 {
            return context.respond(FindCoordinatorResponse(coordinators: coordinators))
        }
        guard let one = coordinators.first else { return }
        context.respond(
            FindCoordinatorResponse(
                errorCode: one.errorCode, errorMessage: one.errorMessage, nodeID: one.nodeID, host: one.host,
                port: one.port))
    }
}
