internal import Base
internal import ClusterMetadata
internal import Coordinators
internal import KafkaProtocol
internal import RaftController
internal import RecordFormat

/// FindCoordinator: which broker keeps a group.
enum CoordinatorHandler {
    static let served = [
        ServedAPI(0...6) { (request: FindCoordinatorRequest, context) in handle(request, context) }
    ]

    /// What a key names (KIP-98, KIP-932).
    private enum KeyType: Int8 { case group = 0, transaction, share }

    private static func handle(_ request: FindCoordinatorRequest, _ context: RequestContext) {
        let keys = context.version < 4 ? [request.key] : request.coordinatorKeys
        guard KeyType(rawValue: request.keyType) == .group else {
            let error: ErrorCode =
                KeyType(rawValue: request.keyType) == .transaction
                ? .coordinatorNotAvailable : .invalidRequest
            return respond(keys.map { refusal($0, error) }, context)
        }
        if context.broker.metadata.topics.id(named: GroupPartition.offsetsTopic) != nil {
            return respond(keys.map { coordinator(of: $0, context) }, context)
        }
        let command = CreateTopics(topics: [
            InternalTopics.new(GroupPartition.offsetsTopic, context.broker)
        ])
        context.node.controller.submit(command, on: context.broker) { result in
            note(result, context)
            respond(keys.map { coordinator(of: $0, context) }, context)
        }
    }

    private static func note(
        _ result: Result<[CreateTopics.TopicOutcome], CommandRefusal>, _ context: RequestContext
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
        context.logRefusal("topic of groups not created", .error) {
            [LogField("error", refusal.code), LogField("reason", refusal.message)]
        }
    }

    private static func coordinator(
        of key: String, _ context: RequestContext
    ) -> FindCoordinatorResponse.Coordinator {
        guard let partition = context.broker.offsetsPartition(of: key),
            let topic = context.broker.metadata.topics[GroupPartition.offsetsTopic]
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
