internal import KafkaProtocol
internal import SystemIO

/// An API that the broker serves.
struct ServedAPI: Sendable {
    let key: APIKey
    let versions: ClosedRange<Int16>
    /// Takes the request and its frame; the context is answered now or later. Throws what is wrong with the
    /// bytes, before anything is done: the connection is closed then.
    let handle: @Sendable (RequestContext, BufferSlice, RequestFrame) throws(ProtocolError) -> Void

    /// - Parameter handle: takes the decoded request, and the frame where record bytes lie.
    init<Request: RequestMessage>(
        _ versions: ClosedRange<Int16>,
        _ handle: @escaping @Sendable (Request, RequestContext, BufferSlice) -> Void
    ) {
        key = Request.apiKey
        self.versions = versions
        self.handle = { (context, frame, parsed) throws(ProtocolError) in
            let limit = context.node.configuration.requestElementCount
            let request = try parsed.decode(
                Request.self, from: frame.bytes, maximumElementCount: limit)
            handle(request, context, frame)
        }
    }

    /// For requests without records.
    init<Request: RequestMessage>(
        _ versions: ClosedRange<Int16>, _ handle: @escaping @Sendable (Request, RequestContext) -> Void
    ) {
        self.init(versions) { (request: Request, context, _) in handle(request, context) }
    }
}

/// Everything that is served. A family of APIs is one file in Handlers, with its list here.
enum APITable {
    static let served: [ServedAPI] =
        APIVersionsHandler.served + MetadataHandler.served + ProduceHandler.served + FetchHandler.served
        + OffsetHandlers.served + ProducerIDHandler.served + CoordinatorHandler.served
        + TopicHandlers.served + ConfigurationHandlers.served + DescriptionHandlers.served
        + LogDirectoryHandlers.served + TelemetryHandlers.served + ConfigurationListHandler.served
        + QuotaHandlers.served + GroupHandlers.served + GroupOffsetHandlers.served
        + TransactionHandlers.served + TransactionOffsetHandlers.served + MarkerHandlers.served
        + TransactionDescriptionHandlers.served

    /// By key.
    private static let byKey: [ServedAPI?] = {
        var result = [ServedAPI?](repeating: nil, count: APIKey.allCases.count)
        for api in served {
            let key = Int(api.key.rawValue)
            while result.count <= key { result.append(nil) }
            result[key] = api
        }
        return result
    }()

    static func api(_ key: Int16) -> ServedAPI? {
        key >= 0 && Int(key) < byKey.count ? byKey[Int(key)] : nil
    }
}
