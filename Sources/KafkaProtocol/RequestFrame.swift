/// A request as it came: its header, and where its body lies.
///
///     let frame = try RequestFrame(parsing: bytes)
///     switch frame.apiKey {
///     case .produce: let request = try frame.decode(ProduceRequest.self, from: bytes)
///     ...
public struct RequestFrame: Hashable, Sendable {
    public let header: RequestHeader
    /// Where the body begins, in bytes from the start of the frame without its length.
    public let bodyPosition: Int

    /// Reads the header of a request and leaves the body as it is.
    ///
    /// A request of a known API in a version that is not supported has a header all the same, which is what
    /// its refusal needs. Of an unknown API only key, version and correlation ID are read: nobody can know
    /// how its header goes on.
    ///
    /// - Parameter frame: a frame without its length.
    /// - Throws: when the header is malformed.
    public init(parsing frame: RawSpan) throws(ProtocolError) {
        var reader = try MessageReader(header: "RequestHeader", frame, version: 1)
        let key = try reader.int16("apiKey")
        let version = try reader.int16("apiVersion")
        var header = RequestHeader(
            apiKey: .produce, apiVersion: version, correlationID: try reader.int32("correlationID"),
            clientID: nil)
        header.rawAPIKey = key
        // A client that begins with a newer version of ApiVersions than there is must be answered in version
        // 0. Its header is of version 2, which differs from 1 only by what follows the client ID.
        if let apiKey = header.apiKey {
            header.clientID = try reader.optionalString("clientID", mayBeNull: true)
            if apiKey.requestHeaderVersion(version) >= 2 { _ = try reader.taggedFields() }
        }
        self.header = header
        bodyPosition = reader.position
    }

    /// The API, nil when the key belongs to none.
    public var apiKey: APIKey? { header.apiKey }

    /// Reads the body.
    ///
    /// - Parameters:
    ///   - type: the request of the header's API.
    ///   - frame: the bytes that this was read from. Positions of records count from their start.
    ///   - maximumElementCount: of all lists together.
    /// - Throws: when the body is malformed or its version is not supported.
    public func decode<Body: RequestMessage>(
        _ type: Body.Type, from frame: RawSpan, maximumElementCount: Int = .max
    ) throws(ProtocolError) -> Body {
        if Body.apiKey.rawValue != header.rawAPIKey {
            throw ProtocolError(
                message: Body.name, version: header.apiVersion, field: "", position: bodyPosition,
                reason: .otherAPI(key: header.rawAPIKey))
        }
        var reader = try MessageReader(
            Body.self, frame, version: header.apiVersion, from: bodyPosition,
            maximumElementCount: maximumElementCount)
        // What lies behind the last field is left alone, as Kafka does: librdkafka 2.16 sends three bytes too
        // many when it asks for the metadata of all topics.
        return try Body(from: &reader)
    }
}
