internal import Base
internal import KafkaProtocol

/// ApiVersions: what is served, in which versions.
enum APIVersionsHandler {
    static let served = [
        ServedAPI(0...4) { (request: APIVersionsRequest, context) in handle(request, context) }
    ]

    /// Served, but not told of: as long as nobody subscribes to the metrics of clients, they need not ask.
    /// Kafka does the same without a receiver of metrics (KIP-714), and clients log what they hear.
    private static let untold: Set<APIKey> = [.getTelemetrySubscriptions, .pushTelemetry]

    private static let versions: [APIVersionsResponse.APIVersion] = APITable.served
        .filter { !untold.contains($0.key) }
        .map {
            APIVersionsResponse.APIVersion(
                apiKey: $0.key.rawValue, minVersion: $0.versions.lowerBound,
                maxVersion: $0.versions.upperBound)
        }
        .sorted { $0.apiKey < $1.apiKey }

    private static func handle(_ request: APIVersionsRequest, _ context: RequestContext) {
        if context.version >= 3
            && (!isName(request.clientSoftwareName) || !isName(request.clientSoftwareVersion))
        {
            context.logRefusal("client software refused") {
                [LogField("reason", "its name or version is not letters, digits, '-' and '.'")]
            }
            return context.respond(APIVersionsResponse(errorCode: .invalidRequest, apiKeys: versions))
        }
        // Version 3 has no way to say that a feature may be off (KAFKA-17011).
        context.respond(
            APIVersionsResponse(
                apiKeys: versions,
                supportedFeatures: context.version >= 4 ? [transactions] : [],
                finalizedFeaturesEpoch: 0,
                finalizedFeatures: [
                    APIVersionsResponse.FinalizedFeatureKey(
                        name: transactions.name, maxVersionLevel: transactions.maxVersion,
                        minVersionLevel: transactions.maxVersion)
                ]))
    }

    /// Version 2 stands for an epoch of its own for each transaction (KIP-890). It is the client's to use it
    /// or not; what it does is told by the versions of its requests.
    private static let transactions = APIVersionsResponse.SupportedFeatureKey(
        name: "transaction.version", minVersion: 0, maxVersion: 2)

    /// A client of later times asks in a version that is not known here. It is answered in version 0, which
    /// it understands, with the versions that it may ask in (KIP-511).
    static func answerUnsupported(_ context: RequestContext) {
        var header = context.header
        header.apiVersion = 0
        let plain = RequestContext(
            broker: context.broker, listener: context.listener, header: header, ticket: context.ticket)
        plain.respond(
            APIVersionsResponse(
                errorCode: .unsupportedVersion,
                apiKeys: versions.filter { $0.apiKey == APIKey.apiVersions.rawValue }))
    }

    /// Letters and digits, with '-' and '.' between them (KIP-511).
    private static func isName(_ text: String) -> Bool {
        func isLetter(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: false
            }
        }
        guard let first = text.utf8.first, let last = text.utf8.last else { return false }
        return isLetter(first) && isLetter(last)
            && text.utf8.allSatisfy { isLetter($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }
    }
}
