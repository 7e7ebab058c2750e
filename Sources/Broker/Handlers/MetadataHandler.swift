internal import Base
internal import ClusterMetadata
internal import KafkaProtocol
internal import LogStorage
internal import RaftController
internal import RecordFormat

/// Metadata and DescribeCluster: what there is, and where.
enum MetadataHandler {
    static let served = [
        ServedAPI(0...13) { (request: MetadataRequest, context) in metadata(request, context) },
        ServedAPI(0...2) { (request: DescribeClusterRequest, context) in
            describeCluster(request, context)
        },
    ]

    /// What anyone may do, as there are no access control lists: bits by the numbers of the operations.
    enum Operations {
        /// Read, write, create, delete, alter, describe, describe and alter configurations.
        static let onTopics: Int32 = bits(3, 4, 5, 6, 7, 8, 10, 11)
        /// Create, alter, describe, cluster action, describe and alter configurations, idempotent write.
        static let onCluster: Int32 = bits(5, 7, 8, 9, 10, 11, 12)
        static let notAsked = Int32.min

        private static func bits(_ numbers: Int32...) -> Int32 { numbers.reduce(0) { $0 | 1 << $1 } }
    }

    // MARK: Metadata

    private static func metadata(_ request: MetadataRequest, _ context: RequestContext) {
        // Before version 1 an empty list stood for all topics.
        guard let named = request.topics, context.version > 0 || !named.isEmpty else {
            let all = context.broker.metadata.topics.sortedByName
            return respond(request, context, all.map { describe($0, request, context) })
        }
        let asked = withoutTwins(named)
        let missing = namesToCreate(asked, request, context)
        if missing.isEmpty {
            return respond(request, context, asked.map { describe($0, request, context, [:]) })
        }
        let command = CreateTopics(topics: missing.map { InternalTopics.new($0, context.broker) })
        context.node.controller.submit(
            command, for: context, isStrict: false, timeoutMilliseconds: nil
        ) { answer in
            let errors = note(answer.result, missing, context)
            respond(
                request, context, asked.map { describe($0, request, context, errors) },
                pausingAtLeast: answer.pauseMilliseconds)
        }
    }

    /// Writes down which topics came about, and gives the codes of those that did not.
    private static func note(
        _ result: Result<[CreateTopics.TopicOutcome], CommandRefusal>, _ names: [String],
        _ context: RequestContext
    ) -> [String: ErrorCode] {
        var errors: [String: ErrorCode] = [:]
        func refused(_ name: String, _ refusal: CommandRefusal) {
            if refusal.code == .topicAlreadyExists { return }
            errors[name] = refusal.code
            context.logRefusal("topic not created", .warn) {
                [
                    LogField("topic", name), LogField("error", refusal.code),
                    LogField("reason", refusal.message),
                ]
            }
        }
        switch result {
        case .failure(let refusal): for name in names { refused(name, refusal) }
        case .success(let outcomes):
            for outcome in outcomes {
                switch outcome.result {
                case .failure(let refusal): refused(outcome.name, refusal)
                case .success(let created):
                    context.broker.logger.log(
                        .info, "topic created as a client asked for it",
                        [
                            LogField("topic", outcome.name), LogField("peer", context.connection.peer),
                            LogField("partitions", created.partitionCount),
                        ])
                }
            }
        }
        return errors
    }

    /// The topics that are asked for by name, do not exist, and may come about by that.
    private static func namesToCreate(
        _ asked: [MetadataRequest.MetadataRequestTopic], _ request: MetadataRequest,
        _ context: RequestContext
    ) -> [String] {
        guard context.node.configuration.createsTopics,
            request.allowAutoTopicCreation || context.version < 4
        else { return [] }
        return asked.compactMap { topic in
            guard topic.topicID == .none, let name = topic.name, LogLayout.isValidTopic(name),
                context.broker.metadata.topics.id(named: name) == nil
            else { return nil }
            return name
        }
    }

    /// Each topic once, as in Kafka: naming one a million times must not have it told a million times.
    private static func withoutTwins(
        _ asked: [MetadataRequest.MetadataRequestTopic]
    ) -> [MetadataRequest.MetadataRequestTopic] {
        var names: Set<String> = []
        var ids: Set<TopicID> = []
        return asked.filter { topic in
            if topic.topicID == .none, let name = topic.name { return names.insert(name).inserted }
            return ids.insert(topic.topicID).inserted
        }
    }

    private static func respond(
        _ request: MetadataRequest, _ context: RequestContext,
        _ topics: [MetadataResponse.MetadataResponseTopic], pausingAtLeast milliseconds: Int64 = 0
    ) {
        var response = MetadataResponse(
            brokers: endpoints(context).map {
                MetadataResponse.MetadataResponseBroker(
                    nodeID: $0.id, host: $0.host, port: Int32($0.port), rack: $0.rack)
            },
            clusterID: context.node.clusterID, controllerID: context.node.configuration.nodeID,
            topics: topics)
        if request.includeClusterAuthorizedOperations && (8...10).contains(context.version) {
            response.clusterAuthorizedOperations = Operations.onCluster
        }
        context.respond(response, pausingAtLeast: milliseconds)
    }

    private static func describe(
        _ asked: MetadataRequest.MetadataRequestTopic, _ request: MetadataRequest,
        _ context: RequestContext, _ errors: [String: ErrorCode]
    ) -> MetadataResponse.MetadataResponseTopic {
        let topics = context.broker.metadata.topics
        if let name = asked.name, asked.topicID == .none {
            if let topic = topics[name] { return describe(topic, request, context) }
            let error: ErrorCode =
                LogLayout.isValidTopic(name)
                ? errors[name] ?? .unknownTopicOrPartition : .invalidTopicException
            return MetadataResponse.MetadataResponseTopic(errorCode: error, name: name)
        }
        if let topic = topics[asked.topicID] { return describe(topic, request, context) }
        return MetadataResponse.MetadataResponseTopic(
            errorCode: .unknownTopicID, name: context.version >= 12 ? nil : "", topicID: asked.topicID)
    }

    private static func describe(
        _ topic: TopicImage, _ request: MetadataRequest, _ context: RequestContext
    ) -> MetadataResponse.MetadataResponseTopic {
        let brokers = context.broker.metadata.brokers
        let partitions = topic.partitions.enumerated().map { number, partition in
            MetadataResponse.MetadataResponsePartition(
                errorCode: partition.leader < 0 ? .leaderNotAvailable : .none,
                partitionIndex: Int32(number), leaderID: partition.leader,
                leaderEpoch: partition.leaderEpoch, replicaNodes: partition.replicas,
                inSyncReplicasNodes: partition.inSyncReplicas,
                offlineReplicas: partition.replicas.filter { brokers[$0]?.isFenced ?? true })
        }
        return MetadataResponse.MetadataResponseTopic(
            name: topic.name, topicID: topic.id, isInternal: InternalTopics.contains(topic.name),
            partitions: partitions,
            topicAuthorizedOperations: request.includeTopicAuthorizedOperations
                ? Operations.onTopics : Operations.notAsked)
    }

    // MARK: Where brokers are reached

    /// A broker as clients of a listener see it.
    struct ReachableBroker {
        let id: Int32
        let host: String
        let port: UInt16
        let rack: String?
        let isFenced: Bool
    }

    /// The brokers that can be reached by the listener that the request came in at.
    static func endpoints(_ context: RequestContext, includesFenced: Bool = false) -> [ReachableBroker] {
        let brokers = context.broker.metadata.brokers
        return (includesFenced ? brokers.sorted : brokers.unfenced).compactMap { broker in
            guard let endpoint = broker.endpoints.first(where: { $0.name == context.listener }) else {
                return nil
            }
            var (host, port) = (endpoint.host, endpoint.port)
            if broker.id == context.node.configuration.nodeID,
                !context.node.isAdvertised(context.listener), let local = context.connection.localAddress
            {
                // Nobody said how clients reach this node: this one did by the address that it used.
                (host, port) = (local.host.description, local.port)
            }
            return ReachableBroker(
                id: broker.id, host: host, port: port, rack: broker.rack, isFenced: broker.isFenced)
        }
    }

    // MARK: DescribeCluster

    /// What a request may ask for the addresses of (KIP-919).
    private static let brokerEndpoints: Int8 = 1

    private static func describeCluster(_ request: DescribeClusterRequest, _ context: RequestContext) {
        guard request.endpointType == brokerEndpoints else {
            let error: ErrorCode =
                request.endpointType == 2 ? .mismatchedEndpointType : .unsupportedEndpointType
            return context.respond(
                DescribeClusterResponse(
                    errorCode: error, errorMessage: error.message, endpointType: request.endpointType))
        }
        context.respond(
            DescribeClusterResponse(
                clusterID: context.node.clusterID, controllerID: context.node.configuration.nodeID,
                brokers: endpoints(context, includesFenced: request.includeFencedBrokers).map {
                    DescribeClusterResponse.DescribeClusterBroker(
                        brokerID: $0.id, host: $0.host, port: Int32($0.port), rack: $0.rack,
                        isFenced: $0.isFenced)
                },
                clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
                    ? Operations.onCluster : Operations.notAsked))
    }
}
