/// Why a message could not be read or written: which message, version, field and position, and the reason.
public struct ProtocolError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What can be wrong.
    public enum Reason: Hashable, Sendable {
        /// The message does not exist in this version.
        case unsupportedVersion(known: ClosedRange<Int16>)
        /// No API has this key.
        case unknownAPI(key: Int16)
        /// The bytes belong to another API than the one asked for.
        case otherAPI(key: Int16)
        /// Fewer bytes are left than are needed.
        case underflow(have: Int, need: Int)
        /// Bytes are left behind the last field.
        case trailingBytes(count: Int)
        /// A length below -1, or above what such a field may have.
        case invalidLength(Int)
        /// Null in a field that may not be null in this version.
        case unexpectedNull
        /// A string that is not UTF-8.
        case invalidUTF8
        /// A variable-length number that takes more than five bytes, or does not fit 32 bits.
        case overlongNumber
        /// A list says to have more elements than the bytes left could hold.
        case impossibleCount(Int)
        /// All lists together would take more memory than a message of this size may.
        case tooManyElements(Int)
        /// All lists of the message together have more elements than whoever reads it allows.
        case tooManyElementsInAll(Int)
        /// Tags do not rise.
        case unorderedTag(UInt32)
        /// The value of a tagged field takes another number of bytes than announced.
        case wrongTagByteCount(announced: Int, taken: Int)
        /// A presence byte that is neither 1 nor -1.
        case invalidPresence(Int8)
        /// The field has a value that this version of the message cannot carry.
        case notInVersion
        /// More bytes than a frame can hold.
        case tooLarge(Int)
    }

    // A class, so that throwing functions hand on one pointer: there are thousands of them.
    private final class Detail: Sendable {
        let message: StaticString
        let version: Int16
        let field: StaticString
        let position: Int
        let reason: Reason

        init(
            _ message: StaticString, _ version: Int16, _ field: StaticString, _ position: Int,
            _ reason: Reason
        ) {
            self.message = message
            self.version = version
            self.field = field
            self.position = position
            self.reason = reason
        }
    }

    private let detail: Detail

    /// - Parameters:
    ///   - message: such as "ProduceRequest".
    ///   - field: its name in Swift; empty when it is none in particular.
    ///   - position: in bytes from the start of what is read or written.
    @inline(never)
    init(message: StaticString, version: Int16, field: StaticString, position: Int, reason: Reason) {
        detail = Detail(message, version, field, position, reason)
    }

    /// The message, such as "ProduceRequest".
    public var message: String { detail.message.description }
    public var version: Int16 { detail.version }
    /// The field's name in Swift; empty when it is none in particular.
    public var field: String { detail.field.description }
    /// Where the value that is wrong begins, in bytes from the start of what is read or written.
    public var position: Int { detail.position }
    public var reason: Reason { detail.reason }

    public static func == (left: ProtocolError, right: ProtocolError) -> Bool {
        left.message == right.message && left.version == right.version && left.field == right.field
            && left.position == right.position && left.reason == right.reason
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(message)
        hasher.combine(version)
        hasher.combine(field)
        hasher.combine(position)
        hasher.combine(reason)
    }

    public var description: String {
        let place = field.isEmpty ? "" : ", field \(field)"
        return "\(message) version \(version)\(place), position \(position): \(reason)"
    }
}

extension ProtocolError.Reason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unsupportedVersion(let known):
            "this version is not supported, only \(known.lowerBound) to \(known.upperBound)"
        case .unknownAPI(let key): "there is no API with the key \(key)"
        case .otherAPI(let key): "the bytes are of the API with the key \(key)"
        case .underflow(let have, let need): "\(need) bytes are needed, \(have) are left"
        case .trailingBytes(let count): "\(count) bytes are left behind the last field"
        case .invalidLength(let length): "the length \(length) is not possible"
        case .unexpectedNull: "null is not allowed in this version"
        case .invalidUTF8: "the string is not UTF-8"
        case .overlongNumber: "the variable-length number is too long"
        case .impossibleCount(let count): "a list of \(count) elements does not fit the bytes that are left"
        case .tooManyElements(let count): "a list of \(count) elements would take too much memory"
        case .tooManyElementsInAll(let limit): "its lists have more than \(limit) elements together"
        case .unorderedTag(let tag): "the tag \(tag) does not follow the one before it"
        case .wrongTagByteCount(let announced, let taken):
            "the tagged field has \(taken) bytes where \(announced) were announced"
        case .invalidPresence(let value): "the presence byte is \(value)"
        case .notInVersion: "this version cannot carry the field's value"
        case .tooLarge(let count): "\(count) bytes do not fit"
        }
    }
}
