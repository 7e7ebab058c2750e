/// Some versions in a row: `3+`, `0-12`, `7`.
public struct VersionRange: Hashable, Sendable, CustomStringConvertible {
    public let first: Int
    /// Nil for all that follow.
    public let last: Int?

    public init(_ first: Int, _ last: Int?) {
        self.first = first
        self.last = last
    }

    /// Nil unless `text` is written as `description` would.
    public init?(_ text: some StringProtocol) {
        if text.hasSuffix("+") {
            guard let first = Int(text.dropLast()) else { return nil }
            self.init(first, nil)
        } else {
            let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard parts.count <= 2, let first = parts.first ?? nil, let last = parts.last ?? nil,
                first <= last
            else { return nil }
            self.init(first, last)
        }
    }

    /// Whether it has a version.
    public func contains(_ version: Int) -> Bool { version >= first && version <= last ?? version }

    public var description: String {
        switch last {
        case nil: "\(first)+"
        case first: "\(first)"
        case .some(let last): "\(first)-\(last)"
        }
    }
}

/// What a field holds, before nullability and meaning.
public enum FieldType: Hashable, Sendable {
    case bool, int8, int16, int32, int64, uint16, float64, uuid, string, bytes, records
    /// One of the structures of the message.
    case structure(String)
    /// A list of anything but lists.
    indirect case array(FieldType)

    static let scalars: [String: FieldType] = [
        "bool": .bool, "int8": .int8, "int16": .int16, "int32": .int32, "int64": .int64, "uint16": .uint16,
        "float64": .float64, "uuid": .uuid, "string": .string, "bytes": .bytes, "records": .records,
    ]
}

/// What a number, an identifier or a name stands for; some have types of their own.
public enum FieldMeaning: String, Hashable, Sendable, CaseIterable {
    case brokerId, directoryId, errorCode, groupId, leaderEpoch, offset, producerEpoch, producerId, topicId
    case topicName, transactionalId
}

/// A field of a structure.
public struct Field: Hashable, Sendable {
    /// Kafka's, beginning with a small letter.
    public let name: String
    public let type: FieldType
    public let versions: VersionRange
    /// The versions in which it may be null.
    public let nullable: VersionRange?
    public let meaning: FieldMeaning?
    /// As it is written in the schema; nil for zero, empty, false.
    public let defaultText: String?
    /// Of a tagged field, which is left out when it has its default.
    public let tag: Int?
    /// Whether no two elements of the list agree in this field.
    public let isKey: Bool
    /// Whether it may be dropped silently by versions that lack it.
    public let isIgnorable: Bool
    /// The line in the file, from 1.
    public let line: Int
}

/// Named fields in the order of the bytes.
public struct Structure: Hashable, Sendable {
    public let name: String
    public let fields: [Field]
    /// The field whose elements or value it describes, nil for the message itself.
    public let parent: String?
    /// The versions of the message in which it occurs.
    public let versions: VersionRange
}

/// A request, a response, or a record's key or value.
public struct MessageSchema: Hashable, Sendable {
    /// What a message is, and the word that begins its section.
    public enum Kind: String, Hashable, Sendable { case request, response, data }

    public let kind: Kind
    /// Kafka's, such as `ProduceRequest`.
    public let name: String
    /// All versions there are; both ends are known.
    public let versions: ClosedRange<Int>
    /// The first with compact lengths and tagged fields; nil when there is none.
    public let firstFlexible: Int?
    /// The message itself first.
    public let structures: [Structure]

    /// Whether a version has compact lengths and tagged fields.
    public func isFlexible(_ version: Int) -> Bool { version >= firstFlexible ?? Int.max }

    /// The structure of a name, nil when there is none.
    public func structure(_ name: String) -> Structure? { structures.first { $0.name == name } }
}

/// One file: an API with its request and response, or a record.
public struct Schema: Hashable, Sendable {
    /// What the file begins with.
    public enum Kind: String, Hashable, Sendable { case api, record }

    public let kind: Kind
    /// Kafka's name: `Produce`, `PartitionRecord`.
    public let name: String
    /// The API key, or the number that a metadata record or a coordinator's key is known by.
    public let key: Int?
    /// What it is for, one or more sentences.
    public let about: String
    public let messages: [MessageSchema]
}
