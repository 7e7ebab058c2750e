public import Base

/// Why a key or a value is refused. Every text names the key, the value and what to do instead.
public enum SettingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The text names the setting that was most likely meant (`SettingTable.nearest`).
    case unknown(name: String, scope: SettingScope)
    /// A setting of the other scope.
    /// - counterparts: what sets the same here.
    case misplaced(name: String, scope: SettingScope, counterparts: [String])
    /// A setting of Kafka's for something that dmq does not have.
    case unserved(name: String, reason: String)
    /// - expected: half a sentence, "a whole number of bytes".
    case invalid(name: String, value: String, expected: String)
    /// Values that are good one by one and not together.
    case conflict(String)
    /// A change of what only a start can change.
    case readOnly(name: String)
    /// A change for all brokers of what each has for itself.
    case perBrokerOnly(name: String)
    case missingValue(name: String)
    case givenTwice(name: String)
    /// A line of a file that is no property.
    case malformedFile(JavaPropertiesError)

    public var description: String {
        switch self {
        case .unknown(let name, let scope):
            "\(quoted(name)) is no setting of a \(scope.name)"
                + (SettingTable.nearest(to: name, scope).map { "; did you mean \($0)?" }
                    ?? "; dmq config list names them all, and comments begin with #")
        case .misplaced(let name, .topic, let counterparts):
            "\(name) is a setting of brokers, not of a topic"
                + (counterparts.isEmpty
                    ? "" : "; for a topic it is \(counterparts.joined(separator: " or "))")
        case .misplaced(let name, .broker, let counterparts):
            "\(name) is a setting of topics; "
                + (counterparts.isEmpty
                    ? "set it for each topic"
                    : "for all topics of a broker it is \(counterparts.joined(separator: " or "))")
        case .unserved(let name, let reason): "\(name) is not served: \(reason)"
        case .invalid(let name, let value, let expected):
            "\(name) cannot be \(quoted(value)): it must be \(expected)"
        case .conflict(let text): text
        case .readOnly(let name):
            "\(name) cannot be changed while the broker runs; set it in the broker's file and start it again"
        case .perBrokerOnly(let name):
            "\(name) can only be changed for each broker by itself; name the broker"
        case .missingValue(let name): "\(name) is to be set to nothing; give a value, or delete it"
        case .givenTwice(let name): "\(name) is changed twice by one request; leave one of them out"
        case .malformedFile(let error): "\(error); correct the line"
        }
    }

    private func quoted(_ text: String) -> String { quotedText(Array(text.utf8)[...]) }
}

/// Everything that is wrong with a file or a command line, so that one start shows all of it.
public struct SettingErrors: Error, Equatable, Sendable, CustomStringConvertible {
    /// At least one.
    public let errors: [SettingError]

    /// One a line.
    public var description: String { errors.map(\.description).joined(separator: "\n") }
}

/// A key that is taken and does nothing.
public struct SettingWarning: Equatable, Sendable, CustomStringConvertible {
    public let name: String
    public let reason: String

    public var description: String { "\(name) is ignored: \(reason)" }
}

extension SettingScope {
    var name: String {
        switch self {
        case .broker: "broker"
        case .topic: "topic"
        }
    }
}
