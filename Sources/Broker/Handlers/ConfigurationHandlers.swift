internal import Base
internal import ClusterMetadata
internal import KafkaProtocol
internal import LogStorage
internal import RaftController
internal import Settings

/// DescribeConfigs, AlterConfigs and IncrementalAlterConfigs: settings of topics and brokers.
enum ConfigurationHandlers {
    static let served = [
        ServedAPI(0...4) { (request: DescribeConfigsRequest, context) in describe(request, context) },
        ServedAPI(0...2) { (request: AlterConfigsRequest, context) in replace(request, context) },
        ServedAPI(0...1) { (request: IncrementalAlterConfigsRequest, context) in change(request, context) },
    ]

    // MARK: DescribeConfigs

    private typealias Entry = DescribeConfigsResponse.DescribeConfigsResourceResult

    private static func describe(_ request: DescribeConfigsRequest, _ context: RequestContext) {
        // Naming one a million times must not have its settings told a million times.
        var known: Set<[String]> = []
        let resources = request.resources.filter {
            known.insert(["\($0.resourceType)", $0.resourceName]).inserted
        }
        context.respond(
            DescribeConfigsResponse(
                results: resources.map { resource in
                    var result = DescribeConfigsResponse.DescribeConfigsResult(
                        errorMessage: nil, resourceType: resource.resourceType,
                        resourceName: resource.resourceName)
                    do throws(CommandRefusal) {
                        result.configs = try entries(resource, request, context)
                    } catch {
                        result.errorCode = error.code
                        result.errorMessage = error.message
                        TopicHandlers.note("settings not told", resource.resourceName, error, context)
                    }
                    return result
                }))
    }

    private static func entries(
        _ resource: DescribeConfigsRequest.DescribeConfigsResource, _ request: DescribeConfigsRequest,
        _ context: RequestContext
    ) throws(CommandRefusal) -> [Entry] {
        let name = resource.resourceName
        let broker = context.broker
        let entries: [Entry]
        switch ConfigurationResourceType(rawValue: resource.resourceType) {
        case .topic:
            entries = reports(broker.topicSettings(try topic(name, broker)).reports(), request, context)
        case .broker where name.isEmpty:
            entries = reports(broker.settings.reportsForAllBrokers(), request, context)
        case .broker:
            let own = context.node.configuration.nodeID
            guard Int32(name) == own else {
                throw CommandRefusal(
                    .invalidRequest,
                    "this is broker \(own); ask broker \(name) for its settings, or nobody in particular "
                        + "for those of all")
            }
            entries = reports(broker.settings.reports(), request, context)
        case .clientMetrics, .group:
            guard !name.isEmpty else { throw CommandRefusal(.invalidRequest, "the resource has no name") }
            entries = stored(resource, broker)
        case .brokerLogger:
            throw CommandRefusal(
                .invalidRequest, "there are no loggers with levels of their own; set dmq.log.level")
        case nil:
            throw CommandRefusal(
                .invalidRequest, "resource type \(resource.resourceType) is not known")
        }
        guard let keys = resource.configurationKeys, !keys.isEmpty else { return entries }
        let wanted = Set(keys)
        return entries.filter { wanted.contains($0.name) }
    }

    private static func topic(_ name: String, _ broker: BrokerLane) throws(CommandRefusal) -> TopicImage {
        guard LogLayout.isValidTopic(name) else {
            throw CommandRefusal(.invalidTopicException, "the topic's name is not valid")
        }
        guard let topic = broker.metadata.topics[name] else {
            throw CommandRefusal(.unknownTopicOrPartition, "there is no topic \(name)")
        }
        return topic
    }

    private static func reports(
        _ reports: [SettingReport], _ request: DescribeConfigsRequest, _ context: RequestContext
    ) -> [Entry] {
        reports.map { report in
            var entry = Entry(
                name: report.name, value: report.value, readOnly: report.isReadOnly,
                configSource: report.source.rawValue, isSensitive: report.isSensitive,
                configType: report.descriptor.type.rawValue,
                documentation: request.includeDocumentation ? report.descriptor.meaning : nil)
            if context.version == 0 { entry.isDefault = report.isDefault }
            if request.includeSynonyms {
                entry.synonyms = report.synonyms.map {
                    DescribeConfigsResponse.DescribeConfigsSynonym(
                        name: $0.name, value: $0.value, source: $0.source.rawValue)
                }
            }
            return entry
        }
    }

    /// What was set for resources without a table of settings, as it was set.
    private static func stored(
        _ resource: DescribeConfigsRequest.DescribeConfigsResource, _ broker: BrokerLane
    ) -> [Entry] {
        guard let type = ConfigurationResourceType(rawValue: resource.resourceType) else { return [] }
        // Kafka's numbers of the two sources.
        let source: Int8 = type == .group ? 8 : 7
        return broker.metadata.configurations[ConfigurationResource(type, resource.resourceName)]
            .sorted { $0.key < $1.key }.map {
                Entry(
                    name: $0.key, value: $0.value, configSource: source,
                    configType: SettingType.string.rawValue, documentation: nil)
            }
    }

    // MARK: Changes

    /// Which resource a request means.
    private static func resource(
        _ type: Int8, _ name: String
    ) throws(CommandRefusal) -> ConfigurationResource {
        guard let known = ConfigurationResourceType(rawValue: type) else {
            throw CommandRefusal(.invalidRequest, "resource type \(type) is not known")
        }
        return ConfigurationResource(known, name)
    }

    /// What became of a resource, in the words of either response.
    private struct Outcome {
        let type: Int8
        let name: String
        let refusal: CommandRefusal?

        init(_ type: Int8, _ name: String, _ refusal: CommandRefusal?) {
            self.type = type
            self.name = name
            self.refusal = refusal
        }
    }

    private static func submit<Command: ControllerCommand>(
        _ command: Command, about resources: [ConfigurationResource], refused: [Outcome],
        isDraft: Bool, _ context: RequestContext, _ respond: @escaping @Sendable ([Outcome]) -> Void
    ) where Command.Outcome == [ConfigurationOutcome] {
        context.node.controller.submit(command, on: context.broker) { result in
            var outcomes = refused
            switch result {
            case .success(let done):
                outcomes += done.map { Outcome($0.resource.type.rawValue, $0.resource.name, $0.refusal) }
            case .failure(let refusal):
                outcomes += resources.map { Outcome($0.type.rawValue, $0.name, refusal) }
            }
            for outcome in outcomes { note(outcome, isDraft, context) }
            respond(outcomes)
        }
    }

    private static func note(_ outcome: Outcome, _ isDraft: Bool, _ context: RequestContext) {
        if let refusal = outcome.refusal {
            return TopicHandlers.note("settings not changed", outcome.name, refusal, context)
        }
        if isDraft { return }
        context.broker.logger.log(
            .info, "settings changed",
            [
                LogField("of", outcome.type == ConfigurationResourceType.topic.rawValue ? "topic" : "broker"),
                LogField("name", outcome.name), LogField("peer", context.connection.peer),
            ])
    }

    private static func replace(_ request: AlterConfigsRequest, _ context: RequestContext) {
        var refused: [Outcome] = []
        var replacements: [AlterConfigurations.Replacement] = []
        for asked in request.resources {
            do throws(CommandRefusal) {
                var settings: [String: String?] = [:]
                for config in asked.configs
                where settings.updateValue(config.value, forKey: config.name) != nil {
                    throw CommandRefusal(.invalidRequest, "\(config.name) is set twice")
                }
                replacements.append(
                    AlterConfigurations.Replacement(
                        try resource(asked.resourceType, asked.resourceName), settings))
            } catch {
                refused.append(Outcome(asked.resourceType, asked.resourceName, error))
            }
        }
        submit(
            AlterConfigurations(replacements, validateOnly: request.validateOnly),
            about: replacements.map(\.resource), refused: refused, isDraft: request.validateOnly, context
        ) { outcomes in
            context.respond(
                AlterConfigsResponse(
                    responses: outcomes.map {
                        AlterConfigsResponse.AlterConfigsResourceResponse(
                            errorCode: $0.refusal?.code ?? .none, errorMessage: $0.refusal?.message,
                            resourceType: $0.type, resourceName: $0.name)
                    }))
        }
    }

    private static func change(_ request: IncrementalAlterConfigsRequest, _ context: RequestContext) {
        var refused: [Outcome] = []
        var changes: [IncrementalAlterConfigurations.ResourceChanges] = []
        for asked in request.resources {
            do throws(CommandRefusal) {
                let resource = try resource(asked.resourceType, asked.resourceName)
                var single: [IncrementalAlterConfigurations.Change] = []
                for config in asked.configs {
                    guard let operation = ConfigurationOperation(rawValue: config.configOperation) else {
                        throw CommandRefusal(
                            .invalidRequest,
                            "operation \(config.configOperation) on \(config.name) is not known")
                    }
                    single.append(.init(name: config.name, operation: operation, value: config.value))
                }
                changes.append(.init(resource, single))
            } catch {
                refused.append(Outcome(asked.resourceType, asked.resourceName, error))
            }
        }
        submit(
            IncrementalAlterConfigurations(changes, validateOnly: request.validateOnly),
            about: changes.map(\.resource), refused: refused, isDraft: request.validateOnly, context
        ) { outcomes in
            context.respond(
                IncrementalAlterConfigsResponse(
                    responses: outcomes.map {
                        IncrementalAlterConfigsResponse.AlterConfigsResourceResponse(
                            errorCode: $0.refusal?.code ?? .none, errorMessage: $0.refusal?.message,
                            resourceType: $0.type, resourceName: $0.name)
                    }))
        }
    }
}
