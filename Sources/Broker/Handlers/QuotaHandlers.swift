internal import Base
internal import ClusterMetadata
internal import KafkaProtocol
internal import RaftController

/// DescribeClientQuotas and AlterClientQuotas: what clients, users and addresses may use (KIP-546).
enum QuotaHandlers {
    static let served = [
        ServedAPI(0...1) { (request: DescribeClientQuotasRequest, context) in describe(request, context) },
        ServedAPI(0...1) { (request: AlterClientQuotasRequest, context) in alter(request, context) },
    ]

    // MARK: Describing

    private enum MatchType {
        static let exact: Int8 = 0
        static let defaultName: Int8 = 1
        static let any: Int8 = 2
    }

    private static let entityTypes = [
        ClientQuotaEntity.user, ClientQuotaEntity.clientID, ClientQuotaEntity.address,
    ]

    private static func describe(_ request: DescribeClientQuotasRequest, _ context: RequestContext) {
        let filter: ClientQuotaFilter
        do {
            filter = try readFilter(request)
        } catch {
            log(error, "quotas not described", context)
            return context.respond(
                DescribeClientQuotasResponse(
                    errorCode: error.code, errorMessage: error.message, entries: nil))
        }
        context.respond(
            DescribeClientQuotasResponse(
                errorMessage: nil,
                entries: context.broker.metadata.clientQuotas.matching(filter).map { entity, values in
                    DescribeClientQuotasResponse.EntryData(
                        entity: entity.parts.map {
                            DescribeClientQuotasResponse.EntityData(
                                entityType: $0.type, entityName: $0.name)
                        },
                        values: values.sorted { $0.key < $1.key }.map {
                            DescribeClientQuotasResponse.ValueData(key: $0.key, value: $0.value)
                        })
                }))
    }

    private static func readFilter(
        _ request: DescribeClientQuotasRequest
    ) throws(CommandRefusal) -> ClientQuotaFilter {
        var filter = ClientQuotaFilter(components: [], isStrict: request.strict)
        for asked in request.components {
            let type = asked.entityType
            if type.isEmpty { throw CommandRefusal(.invalidRequest, "a component has no entity type") }
            guard entityTypes.contains(type) else {
                throw CommandRefusal(.unsupportedVersion, "there is no entity type \(type)")
            }
            guard !filter.components.contains(where: { $0.type == type }) else {
                throw CommandRefusal(.invalidRequest, "the entity type \(type) is there twice")
            }
            let match: ClientQuotaFilter.Match
            switch (asked.matchType, asked.match) {
            case (MatchType.exact, let name?): match = .exactly(name)
            case (MatchType.defaultName, nil): match = .defaultName
            case (MatchType.any, nil): match = .any
            case (MatchType.exact, nil):
                throw CommandRefusal(.invalidRequest, "an exact match of \(type) has no name")
            case (MatchType.defaultName, _), (MatchType.any, _):
                throw CommandRefusal(
                    .invalidRequest, "a match of \(type) has a name, and its kind needs none")
            default:
                throw CommandRefusal(.invalidRequest, "there is no kind of matches \(asked.matchType)")
            }
            filter.components.append(ClientQuotaFilter.Component(type: type, match: match))
        }
        if filter.components.count > 1,
            filter.components.contains(where: { $0.type == ClientQuotaEntity.address })
        {
            throw CommandRefusal(.invalidRequest, "no quota is for an ip together with anything else")
        }
        return filter
    }

    // MARK: Altering

    private static func alter(_ request: AlterClientQuotasRequest, _ context: RequestContext) {
        let changes = request.entries.map { entry in
            AlterClientQuotas.Change(
                ClientQuotaEntity(
                    entry.entity.map {
                        ClientQuotaEntity.Part(type: $0.entityType, name: $0.entityName)
                    }),
                Dictionary(
                    entry.ops.map { ($0.key, $0.remove ? nil : $0.value) },
                    uniquingKeysWith: { _, last in last }))
        }
        let command = AlterClientQuotas(changes, validateOnly: request.validateOnly)
        context.node.controller.submit(command, on: context.broker) { result in
            switch result {
            case .success(let outcomes):
                answer(outcomes.map { ($0.entity, $0.refusal) }, context)
            case .failure(let refusal): answer(changes.map { ($0.entity, refusal) }, context)
            }
        }
    }

    private static func answer(
        _ outcomes: [(entity: ClientQuotaEntity, refusal: CommandRefusal?)], _ context: RequestContext
    ) {
        for outcome in outcomes {
            if let refusal = outcome.refusal { log(refusal, "quotas not altered", context) }
        }
        context.respond(
            AlterClientQuotasResponse(
                entries: outcomes.map { entity, refusal in
                    AlterClientQuotasResponse.EntryData(
                        errorCode: refusal?.code ?? .none, errorMessage: refusal?.message,
                        entity: entity.parts.map {
                            AlterClientQuotasResponse.EntityData(entityType: $0.type, entityName: $0.name)
                        })
                }))
    }

    private static func log(_ refusal: CommandRefusal, _ event: StaticString, _ context: RequestContext) {
        context.logRefusal(event) {
            [LogField("error", refusal.code), LogField("reason", refusal.message)]
        }
    }
}
