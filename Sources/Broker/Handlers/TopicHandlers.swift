internal import Base
internal import ClusterMetadata
internal import KafkaProtocol
internal import RaftController
internal import RecordFormat
internal import Settings

/// CreateTopics, DeleteTopics and CreatePartitions: what topics there are.
enum TopicHandlers {
    static let served = [
        ServedAPI(0...7) { (request: CreateTopicsRequest, context) in create(request, context) },
        ServedAPI(0...6) { (request: DeleteTopicsRequest, context) in delete(request, context) },
        ServedAPI(0...3) { (request: CreatePartitionsRequest, context) in grow(request, context) },
    ]

    /// What requests write for "as the cluster has it".
    private static let unset: Int32 = -1

    /// Notes a refusal in the log.
    static func note(
        _ event: StaticString, _ name: String, _ refusal: CommandRefusal, _ context: RequestContext
    ) {
        context.logRefusal(event) {
            [
                LogField("name", name), LogField("error", refusal.code),
                LogField("reason", refusal.message),
            ]
        }
    }

    /// Nothing that is only tried out has to be waited for.
    private static func timeout(_ milliseconds: Int32, isDraft: Bool) -> Int64? {
        isDraft ? nil : Int64(milliseconds)
    }

    // MARK: CreateTopics

    private typealias Created = CreateTopicsResponse.CreatableTopicResult

    private static func create(_ request: CreateTopicsRequest, _ context: RequestContext) {
        var refused: [Created] = []
        var topics: [CreateTopics.NewTopic] = []
        for asked in request.topics {
            do throws(CommandRefusal) {
                topics.append(try newTopic(asked))
            } catch {
                refused.append(failed(asked.name, error, context))
            }
        }
        let command = CreateTopics(topics: topics, validateOnly: request.validateOnly)
        context.node.controller.submit(
            command, for: context, isStrict: context.version >= 6,
            timeoutMilliseconds: timeout(request.timeoutMilliseconds, isDraft: request.validateOnly)
        ) { [topics, refused] answer in
            var answers = refused
            switch answer.result {
            case .success(let outcomes):
                for outcome in outcomes {
                    switch outcome.result {
                    case .success(let made):
                        answers.append(
                            answer.late.map { failed(outcome.name, $0, context) }
                                ?? created(outcome.name, made, request.validateOnly, context))
                    case .failure(let refusal): answers.append(failed(outcome.name, refusal, context))
                    }
                }
            case .failure(let refusal):
                answers += topics.map { failed($0.name, refusal, context) }
            }
            context.respond(
                CreateTopicsResponse(topics: answers), pausingAtLeast: answer.pauseMilliseconds)
        }
    }

    private static func newTopic(
        _ asked: CreateTopicsRequest.CreatableTopic
    ) throws(CommandRefusal) -> CreateTopics.NewTopic {
        var topic = CreateTopics.NewTopic(
            name: asked.name,
            partitionCount: asked.numPartitions == unset ? nil : asked.numPartitions,
            replicationFactor: asked.replicationFactor == Int16(unset) ? nil : asked.replicationFactor)
        for assignment in asked.assignments {
            if topic.assignments.updateValue(assignment.brokerIDs, forKey: assignment.partitionIndex) != nil {
                throw CommandRefusal(
                    .invalidReplicaAssignment,
                    "the replicas of partition \(assignment.partitionIndex) are given twice")
            }
        }
        for config in asked.configs {
            if topic.configuration.updateValue(config.value, forKey: config.name) != nil {
                throw CommandRefusal(.invalidConfig, "\(config.name) is set twice")
            }
        }
        return topic
    }

    private static func failed(
        _ name: String, _ refusal: CommandRefusal, _ context: RequestContext
    ) -> Created {
        note("topic not created", name, refusal, context)
        return Created(name: name, errorCode: refusal.code, errorMessage: refusal.message)
    }

    private static func created(
        _ name: String, _ made: CreateTopics.CreatedTopic, _ isDraft: Bool, _ context: RequestContext
    ) -> Created {
        if !isDraft {
            context.broker.logger.log(
                .info, "topic created",
                [
                    LogField("topic", name), LogField("peer", context.connection.peer),
                    LogField("partitions", made.partitionCount),
                ])
        }
        var answer = Created(
            name: name, topicID: isDraft ? .none : made.id, errorMessage: nil,
            numPartitions: made.partitionCount, replicationFactor: made.replicationFactor)
        // Only these versions carry them (KIP-525).
        if context.version >= 5 {
            let settings = TopicSettingValues(
                broker: context.broker.settings, own: made.configuration,
                replicationFactor: max(Int(made.replicationFactor), 1))
            answer.configs = settings.reports().map {
                CreateTopicsResponse.CreatableTopicConfigs(
                    name: $0.name, value: $0.value, readOnly: $0.isReadOnly,
                    configSource: $0.source.rawValue, isSensitive: $0.isSensitive)
            }
        }
        return answer
    }

    // MARK: DeleteTopics

    private typealias Deleted = DeleteTopicsResponse.DeletableTopicResult

    private static func delete(_ request: DeleteTopicsRequest, _ context: RequestContext) {
        var refused: [Deleted] = []
        var topics: [TopicReference] = []
        for name in request.topicNames { topics.append(.name(name)) }
        for asked in request.topics {
            switch (asked.name, asked.topicID == .none) {
            case (let name?, true): topics.append(.name(name))
            case (nil, false): topics.append(.id(asked.topicID))
            case (let name, _):
                let both = name != nil
                let refusal = CommandRefusal(
                    .invalidRequest, "a topic needs a name or an ID" + (both ? ", not both" : ""))
                refused.append(failed(name, asked.topicID, refusal, context))
            }
        }
        let command = DeleteTopics(topics: topics)
        context.node.controller.submit(
            command, for: context, isStrict: context.version >= 5,
            timeoutMilliseconds: Int64(request.timeoutMilliseconds)
        ) { [topics, refused] answer in
            var answers = refused
            switch answer.result {
            case .success(let outcomes):
                for outcome in outcomes { answers.append(deleted(outcome, answer.late, context)) }
            case .failure(let refusal):
                answers += topics.map { failed($0.name, $0.id, refusal, context) }
            }
            context.respond(
                DeleteTopicsResponse(responses: answers), pausingAtLeast: answer.pauseMilliseconds)
        }
    }

    private static func deleted(
        _ outcome: DeleteTopics.TopicOutcome, _ late: CommandRefusal?, _ context: RequestContext
    ) -> Deleted {
        switch outcome.result {
        case .success(let topic):
            if let late { return failed(topic.name, topic.id, late, context) }
            context.broker.logger.log(
                .info, "topic deleted",
                [LogField("topic", topic.name), LogField("peer", context.connection.peer)])
            return Deleted(name: topic.name, topicID: topic.id)
        case .failure(let refusal):
            return failed(outcome.topic.name, outcome.topic.id, refusal, context)
        }
    }

    private static func failed(
        _ name: String?, _ id: TopicID, _ refusal: CommandRefusal, _ context: RequestContext
    ) -> Deleted {
        note("topic not deleted", name ?? "\(id)", refusal, context)
        var code = refusal.code
        // Clients of earlier versions do not know the code.
        if code == .topicDeletionDisabled && context.version < 3 { code = .invalidRequest }
        return Deleted(
            name: context.version < 6 ? name ?? "" : name, topicID: id, errorCode: code,
            errorMessage: refusal.message)
    }

    // MARK: CreatePartitions

    private static func grow(_ request: CreatePartitionsRequest, _ context: RequestContext) {
        let topics = request.topics.map { asked in
            CreatePartitions.Growth(
                name: asked.name, partitionCount: asked.count,
                assignments: asked.assignments.map { $0.map(\.brokerIDs) })
        }
        let command = CreatePartitions(topics: topics, validateOnly: request.validateOnly)
        context.node.controller.submit(
            command, for: context, isStrict: context.version >= 3,
            timeoutMilliseconds: timeout(request.timeoutMilliseconds, isDraft: request.validateOnly)
        ) { answer in
            let outcomes: [(name: String, refusal: CommandRefusal?)] =
                switch answer.result {
                case .success(let outcomes): outcomes.map { ($0.name, $0.refusal ?? answer.late) }
                case .failure(let refusal): topics.map { ($0.name, refusal) }
                }
            context.respond(
                CreatePartitionsResponse(
                    results: outcomes.map { name, refusal in
                        if let refusal { note("partitions not added", name, refusal, context) }
                        return CreatePartitionsResponse.CreatePartitionsTopicResult(
                            name: name, errorCode: refusal?.code ?? .none, errorMessage: refusal?.message)
                    }), pausingAtLeast: answer.pauseMilliseconds)
        }
    }
}

extension TopicReference {
    fileprivate var name: String? {
        if case .name(let name) = self { name } else { nil }
    }

    fileprivate var id: TopicID {
        if case .id(let id) = self { id } else { .none }
    }
}
