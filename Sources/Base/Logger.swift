internal import Synchronization

/// How loud a log line is.
public enum LogLevel: Int, Comparable, Sendable, CaseIterable {
    case debug, info, warn, error

    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }
}

/// One `key=value` of a log line. The value is text already; the logger quotes it where needed.
public struct LogField: Sendable {
    public let key: StaticString
    public let value: String

    public init(_ key: StaticString, _ value: some CustomStringConvertible) {
        self.key = key
        self.value = value.description
    }
}

/// How a log line is written.
public enum LogFormat: Sendable {
    /// `level=info component=broker event="topic created" topic=events`
    case text
    /// `"level":"info","component":"broker",...`, all values as strings; the braces are the sink's.
    case json
}

/// Where log lines go: one call per line, already formatted, without the line end. May be called from any
/// thread.
public protocol LogSink: AnyObject, Sendable {
    var format: LogFormat { get }
    func write(level: LogLevel, line: String)
}

extension LogSink {
    /// Text, where a sink says nothing else.
    public var format: LogFormat { .text }
}

/// From which level on lines are written: shared by a logger and those that were named from it. Any thread.
public final class LogThreshold: Sendable {
    private let rawLevel: Atomic<Int>

    init(_ level: LogLevel) { rawLevel = Atomic(level.rawValue) }

    /// Holds for the next line of every logger.
    public var level: LogLevel {
        get { LogLevel(rawValue: rawLevel.load(ordering: .relaxed)) ?? .debug }
        set { rawLevel.store(newValue.rawValue, ordering: .relaxed) }
    }

    fileprivate func admits(_ level: LogLevel) -> Bool {
        level.rawValue >= rawLevel.load(ordering: .relaxed)
    }
}

/// Structured logging: an event in words, then `key=value` fields. Lines below the threshold cost one
/// comparison.
public struct Logger: Sendable {
    /// May change while the logger is used.
    public let threshold: LogThreshold
    private let sink: (any LogSink)?
    private let component: StaticString

    public init(component: StaticString, minimumLevel: LogLevel = .info, sink: (any LogSink)?) {
        self.init(component: component, threshold: LogThreshold(minimumLevel), sink: sink)
    }

    private init(component: StaticString, threshold: LogThreshold, sink: (any LogSink)?) {
        self.component = component
        self.threshold = threshold
        self.sink = sink
    }

    /// A logger that writes nothing.
    public static let silent = Logger(component: "", minimumLevel: .error, sink: nil)

    /// The same sink and threshold under another component's name.
    public func named(_ component: StaticString) -> Logger {
        Logger(component: component, threshold: threshold, sink: sink)
    }

    /// Writes one line; the fields are only made when the level is written at all.
    public func log(_ level: LogLevel, _ event: StaticString, _ fields: @autoclosure () -> [LogField] = []) {
        guard let sink, threshold.admits(level) else { return }
        if sink.format == .json {
            return sink.write(level: level, line: json(level, event, fields()))
        }
        var line = "level=\(level) component=\(component) event=\(Self.quoted("\(event)"))"
        for field in fields() { line += " \(field.key)=\(Self.quoted(field.value))" }
        sink.write(level: level, line: line)
    }

    private func json(_ level: LogLevel, _ event: StaticString, _ fields: [LogField]) -> String {
        var line = "\"level\":\"\(level)\",\"component\":\"\(component)\""
        line += ",\"event\":\(Self.inQuotes("\(event)"))"
        for field in fields { line += ",\"\(field.key)\":\(Self.inQuotes(field.value))" }
        return line
    }

    /// Text as it stands in a line: quoted where a space, a quote, an equals sign or a control character is
    /// in it.
    static func quoted(_ text: String) -> String {
        let plain = text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x3D && $0 != 0x7F && $0 != 0x5C }
        return plain && !text.isEmpty ? text : inQuotes(text)
    }

    /// A string of JSON.
    private static func inQuotes(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u00" + (digits.count == 1 ? "0" : "") + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
