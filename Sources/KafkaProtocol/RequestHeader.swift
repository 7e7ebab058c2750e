// What stands between the length of a frame and a message. Big endian.
//
// Request header     versions  field
//   0  int16         0-2       API key
//   2  int16         0-2       version of the request
//   4  int32         0-2       correlation ID, which the response repeats
//   8  string, null  1-2       client ID: int16 length, also in version 2
//      tagged fields 2         none are known
//
// Response header
//   0  int32         0-1       correlation ID
//   4  tagged fields 1         none are known
//
// A flexible request has a header of version 2, others of version 1. A flexible response has a header of
// version 1, others of version 0; the response of ApiVersions always has version 0, because a client that
// asks for versions cannot know yet which one the broker answers in.

/// What precedes the body of a request.
public struct RequestHeader: Hashable, Sendable {
    /// The API key as sent, known or not.
    public var rawAPIKey: Int16
    /// The version of the request as sent, supported or not.
    public var apiVersion: Int16
    /// What the response has to repeat.
    public var correlationID: Int32
    /// What the client calls itself; not to be trusted.
    public var clientID: String?

    public init(apiKey: APIKey, apiVersion: Int16, correlationID: Int32, clientID: String?) {
        rawAPIKey = apiKey.rawValue
        self.apiVersion = apiVersion
        self.correlationID = correlationID
        self.clientID = clientID
    }

    /// The API, nil when the key belongs to none.
    public var apiKey: APIKey? { APIKey(rawValue: rawAPIKey) }

    /// The fewest bytes that a header takes: key, version, correlation ID.
    public static let minimumByteCount = 8
}

extension APIKey {
    /// The version of the header before a request of this API.
    public func requestHeaderVersion(_ version: Int16) -> Int16 { version >= firstFlexibleVersion ? 2 : 1 }

    /// The version of the header before a response of this API.
    public func responseHeaderVersion(_ version: Int16) -> Int16 {
        self == .apiVersions || version < firstFlexibleVersion ? 0 : 1
    }
}

/// What precedes the body of a response.
public struct ResponseHeader: Hashable, Sendable {
    /// Which request it answers.
    public var correlationID: Int32
    /// Where the body begins, in bytes from the start of the frame without its length.
    public let bodyPosition: Int

    /// Reads the header of a response.
    ///
    /// - Parameters:
    ///   - frame: a frame without its length.
    ///   - apiKey: the API of the request that it answers, which the client finds by the correlation ID.
    ///   - version: the version of that request.
    public init(parsing frame: RawSpan, apiKey: APIKey, version: Int16) throws(ProtocolError) {
        let headerVersion = apiKey.responseHeaderVersion(version)
        var reader = try MessageReader(header: "ResponseHeader", frame, version: headerVersion)
        correlationID = try reader.int32("correlationID")
        if headerVersion >= 1 { _ = try reader.taggedFields() }
        bodyPosition = reader.position
    }

    /// The correlation ID alone, by which a client finds out what a response answers.
    public static func correlationID(of frame: RawSpan) throws(ProtocolError) -> Int32 {
        var reader = try MessageReader(header: "ResponseHeader", frame, version: 0)
        return try reader.int32("correlationID")
    }
}
