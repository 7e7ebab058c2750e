internal import Base
internal import KafkaProtocol
internal import RecordFormat
internal import SystemIO

/// GetTelemetrySubscriptions and PushTelemetry: metrics that clients would push if somebody had subscribed to
/// them, which nobody can (KIP-714).
enum TelemetryHandlers {
    static let served = [
        ServedAPI(0...0) { (request: GetTelemetrySubscriptionsRequest, context) in
            subscriptions(request, context)
        },
        ServedAPI(0...0) { (request: PushTelemetryRequest, context) in push(request, context) },
    ]

    /// When clients ask again: Kafka's default.
    static let intervalMilliseconds: Int32 = 300_000
    /// The most that a client may push at once: Kafka's default.
    static let maximumByteCount: Int32 = 1 << 20
    /// zstd, lz4, gzip, snappy, as Kafka prefers them.
    static let compressionTypes: [Int8] = [4, 3, 1, 2]
    private static let uncompressed: Int8 = 0

    private static func subscriptions(
        _ request: GetTelemetrySubscriptionsRequest, _ context: RequestContext
    ) {
        var id = request.clientInstanceID
        while id == .zero {
            let (high, low) = SystemRandom.identifier()
            id = UniqueID(high: high, low: low)
        }
        context.respond(
            GetTelemetrySubscriptionsResponse(
                clientInstanceID: id, subscriptionID: subscriptionID(of: id),
                acceptedCompressionTypes: compressionTypes, pushIntervalMilliseconds: intervalMilliseconds,
                telemetryMaxBytes: maximumByteCount, deltaTemporality: true, requestedMetrics: []))
    }

    /// Changes whenever what a client is asked for does: of no metrics at this interval it is always the
    /// same, mixed with the client's ID.
    static func subscriptionID(of client: UniqueID) -> Int32 {
        let terms = Array("[]\(intervalMilliseconds)".utf8)
        let mixed = client.high ^ client.low
        let hash = UInt32(truncatingIfNeeded: mixed >> 32) ^ UInt32(truncatingIfNeeded: mixed)
        return Int32(bitPattern: CRC32C.checksum(terms.span.bytes) ^ hash)
    }

    private static func push(_ request: PushTelemetryRequest, _ context: RequestContext) {
        if let error = problem(request) {
            context.logRefusal("telemetry refused") {
                [LogField("error", error), LogField("reason", error.message)]
            }
            return context.respond(PushTelemetryResponse(errorCode: error))
        }
        // Nobody reads it.
        context.respond(PushTelemetryResponse())
    }

    private static func problem(_ request: PushTelemetryRequest) -> ErrorCode? {
        if request.clientInstanceID == .zero { return .invalidRequest }
        if request.subscriptionID != subscriptionID(of: request.clientInstanceID) {
            return .unknownSubscriptionID
        }
        if request.compressionType != uncompressed && !compressionTypes.contains(request.compressionType) {
            return .unsupportedCompressionType
        }
        return request.metrics.count > Int(maximumByteCount) ? .telemetryTooLarge : nil
    }
}
