public import RecordFormat

/// When a record counts as written.
public enum Acknowledgement: Int16, Sendable {
    /// When it was sent: nobody knows whether it arrived.
    case none = 0
    /// When the leader has it.
    case leader = 1
    /// When all in-sync replicas have it.
    case all = -1
}

/// What a producer is made of. Sizes are in bytes, times in milliseconds.
public struct ProducerConfiguration: Sendable {
    public var acknowledgement = Acknowledgement.all
    /// The broker drops what it gets twice and refuses gaps (KIP-98): retries neither double records nor
    /// change their order. Needs `acknowledgement` all. Nil: when it is possible.
    public var isIdempotent: Bool?
    /// A batch of so many bytes, before compression, is sent without waiting for more.
    public var batchByteCount = 16 << 10
    /// A batch that is not full is sent so long after its first record. With 0 what gathers while earlier
    /// requests are under way still travels together.
    public var lingerMilliseconds: Int64 = 10
    public var codec = CompressionCodec.none
    /// One of `codec.levels`; nil for the codec's default.
    public var compressionLevel: Int?
    /// A request is not filled further than this; a single record may not be larger either.
    public var requestByteCount = 1 << 20
    /// Records that were not acknowledged take up at most so much; then producing waits.
    public var bufferByteCount = 64 << 20
    /// Requests without an answer, for each broker: 1...5 with idempotence, whose order a broker can tell.
    public var inFlightPerBroker = 5
    /// A record that is not acknowledged after so long has failed, retries included.
    public var deliveryMilliseconds: Int64 = 120_000
    /// How long a topic that no broker knows is waited for.
    public var topicMilliseconds: Int64 = 60_000

    public init() {}

    var usesIdempotence: Bool { isIdempotent ?? (acknowledgement == .all) }

    /// - Throws: what does not go together.
    func check() throws(ClientError) {
        if usesIdempotence && acknowledgement != .all {
            throw .configuration(
                setting: "idempotence", value: "on",
                reason: "it needs acknowledgement by all in-sync replicas (acks=all)")
        }
        let inFlight = usesIdempotence ? 1...5 : 1...1000
        if !inFlight.contains(inFlightPerBroker) {
            throw .configuration(
                setting: "requests in flight", value: "\(inFlightPerBroker)",
                reason: "\(inFlight.lowerBound) to \(inFlight.upperBound) are possible")
        }
        if batchByteCount < 1 || batchByteCount > 1 << 30 {
            throw .configuration(
                setting: "batch size", value: "\(batchByteCount)", reason: "1 byte to 1 GiB are possible")
        }
        if lingerMilliseconds < 0 || lingerMilliseconds > deliveryMilliseconds {
            throw .configuration(
                setting: "linger", value: "\(lingerMilliseconds) ms",
                reason: "0 up to the delivery time-out (\(deliveryMilliseconds) ms) are possible")
        }
        if let level = compressionLevel, codec.levels?.contains(level) != true {
            throw .configuration(
                setting: "compression level", value: "\(level)",
                reason: codec.levels.map { "\(codec) has \($0.lowerBound) to \($0.upperBound)" }
                    ?? "\(codec) has no levels")
        }
        if bufferByteCount < batchByteCount {
            throw .configuration(
                setting: "buffer", value: "\(bufferByteCount)",
                reason: "it must hold at least one batch of \(batchByteCount) bytes")
        }
    }
}

/// Where a record ended up.
public struct RecordMetadata: Hashable, Sendable {
    public let partition: TopicPartition
    /// Nil where the broker does not tell it: with acks=0, and for what it recognised as sent before and no
    /// longer knows the place of.
    public let offset: Offset?
    /// The time that the broker stamped, for topics with LogAppendTime; else nil.
    public let appendTime: Timestamp?
}
