public import Base

/// Keeps log lines, for tests that ask whether the right thing was said.
public final class RecordingLogSink: LogSink {
    public struct Line: Hashable, Sendable {
        public let level: LogLevel
        public let text: String
    }

    private let recorded = Locked<[Line]>([])

    public init() {}

    public func write(level: LogLevel, line: String) {
        recorded.withLock { $0.append(Line(level: level, text: line)) }
    }

    /// All lines so far.
    public var lines: [Line] { recorded.withLock { $0 } }

    /// The lines of a level or louder.
    public func lines(atLeast level: LogLevel) -> [String] {
        lines.filter { $0.level >= level }.map(\.text)
    }

    /// The lines that contain all of the texts.
    public func lines(containing texts: String...) -> [String] {
        lines.map(\.text).filter { line in texts.allSatisfy { line.contains($0) } }
    }

    public func removeAll() { recorded.withLock { $0.removeAll() } }

    /// A logger that writes everything from debug on into this sink.
    public func logger(component: StaticString = "test") -> Logger {
        Logger(component: component, minimumLevel: .debug, sink: self)
    }
}
