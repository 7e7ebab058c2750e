internal import Base
internal import ClusterMetadata
internal import KafkaProtocol

/// ListConfigResources, which was ListClientMetricsResources before it had other types: what has a
/// configuration, or could have one (KIP-714, KIP-1142).
enum ConfigurationListHandler {
    static let served = [
        ServedAPI(0...1) { (request: ListConfigResourcesRequest, context) in list(request, context) }
    ]

    private typealias Resource = ListConfigResourcesResponse.ConfigResource

    private static func list(_ request: ListConfigResourcesRequest, _ context: RequestContext) {
        var types: [ConfigurationResourceType] = context.version == 0 ? [.clientMetrics] : []
        for number in request.resourceTypes {
            guard let type = ConfigurationResourceType(rawValue: number) else {
                context.logRefusal("configurations not listed") {
                    [LogField("reason", "there is no type of resources \(number)")]
                }
                return context.respond(ListConfigResourcesResponse(errorCode: .unsupportedVersion))
            }
            if !types.contains(type) { types.append(type) }
        }
        // No types stand for all.
        if types.isEmpty { types = ConfigurationResourceType.allCases }
        context.respond(
            ListConfigResourcesResponse(configResources: types.flatMap { resources(of: $0, context) }))
    }

    private static func resources(
        of type: ConfigurationResourceType, _ context: RequestContext
    ) -> [Resource] {
        let metadata = context.broker.metadata
        let names: [String]
        switch type {
        case .topic: names = metadata.topics.sortedByName.map(\.name)
        case .broker, .brokerLogger:
            names = metadata.brokers.sorted.map(\.id).map { String($0) }
        case .clientMetrics, .group:
            names = metadata.configurations.resources.filter { $0.type == type }.map(\.name).sorted()
        }
        return names.map { Resource(resourceName: $0, resourceType: type.rawValue) }
    }
}
