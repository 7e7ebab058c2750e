/// What has a place in messages of several versions: the version comes with the reader and the writer.
public protocol WireStructure: Equatable, Sendable {
    /// The fewest bytes that it takes in any version: what bounds the count of a list.
    static var minimumByteCount: Int { get }

    /// Reads it field by field, leaving the reader behind it.
    init(from reader: inout MessageReader) throws(ProtocolError)

    /// Writes it field by field.
    ///
    /// - Throws: also when a field that is not ignorable has a value that the version cannot carry.
    func encode(to writer: inout MessageWriter) throws(ProtocolError)
}

/// A whole message: a request, a response, or the data of a record.
public protocol Message: WireStructure {
    /// Kafka's name, such as "ProduceRequest".
    static var name: StaticString { get }
    /// The versions that can be read and written.
    static var versions: ClosedRange<Int16> { get }
    /// The first version with compact lengths and tagged fields; `Int16.max` when there is none.
    static var firstFlexibleVersion: Int16 { get }
}

/// The body of a request.
public protocol RequestMessage: Message {
    static var apiKey: APIKey { get }
    associatedtype Response: ResponseMessage
}

/// The body of a response.
public protocol ResponseMessage: Message {
    static var apiKey: APIKey { get }
    /// For how long a broker that a client asks too much of wants to be left alone (KIP-219), in
    /// milliseconds; 0 too where the message has no such field.
    var throttleTimeMilliseconds: Int32 { get }
}

extension ResponseMessage {
    public var throttleTimeMilliseconds: Int32 { 0 }
}

extension Message {
    /// Reads a message that reaches to the end of `bytes`.
    ///
    /// - Parameters:
    ///   - bytes: the message, and before it whatever `position` passes over, such as a header.
    ///   - position: where the message begins. Positions of record bytes and of errors count from the start
    ///     of `bytes`.
    /// - Throws: when it is malformed, of an unknown version, or followed by anything.
    public init(decoding bytes: RawSpan, version: Int16, from position: Int = 0) throws(ProtocolError) {
        var reader = try MessageReader(Self.self, bytes, version: version, from: position)
        try self.init(from: &reader)
        try reader.finish()
    }

    /// The message alone as bytes, for records and tests. Its records, if it has any, must be `inline`.
    ///
    /// - Throws: when the version is unknown or cannot carry a field.
    public func encoded(version: Int16) throws(ProtocolError) -> [UInt8] {
        var writer = MessageWriter()
        try writer.write(self, version: version)
        return writer.bytes
    }

    /// Whether a version has compact lengths and tagged fields.
    public static func isFlexible(_ version: Int16) -> Bool { version >= firstFlexibleVersion }
}

/// A tagged field of a newer version than this code knows: kept, and written again where it belongs.
public struct UnknownTaggedField: Hashable, Sendable {
    public let tag: UInt32
    public let bytes: [UInt8]

    public init(tag: UInt32, bytes: [UInt8]) {
        self.tag = tag
        self.bytes = bytes
    }
}

/// The value of a `records` field: bytes that no message copies.
public enum RecordBytes: Hashable, Sendable {
    /// Bytes that lie elsewhere. After reading, `position` is where they begin in the bytes that were read.
    /// For writing, it is any number by which the caller finds them again: the writer leaves them out and
    /// notes a `Splice` with that number.
    case external(position: Int, byteCount: Int)
    /// Bytes that are written into the message as they are.
    case inline([UInt8])

    /// No bytes, which is not the same as null.
    public static let empty = RecordBytes.inline([])

    public var byteCount: Int {
        switch self {
        case .external(_, let byteCount): byteCount
        case .inline(let bytes): bytes.count
        }
    }

    /// Where the bytes lie in what was read; nil for inline bytes.
    public var range: Range<Int>? {
        switch self {
        case .external(let position, let byteCount): position..<(position + byteCount)
        case .inline: nil
        }
    }
}
