import Base
import Foundation
import Testing

@Suite struct LoggerTests {
    private final class JSONLines: LogSink {
        let format = LogFormat.json
        let written = Locked<[String]>([])

        func write(level: LogLevel, line: String) { written.withLock { $0.append(line) } }
    }

    @Test("The threshold of a logger may change, for all that were named from it, and for no other")
    func threshold() {
        let sink = JSONLines()
        let logger = Logger(component: "test", minimumLevel: .warn, sink: sink)
        let other = Logger(component: "other", minimumLevel: .warn, sink: sink)
        let part = logger.named("part")
        part.log(.info, "one")
        logger.threshold.level = .info
        part.log(.info, "two")
        other.log(.info, "three")
        part.threshold.level = .error
        logger.log(.warn, "four")
        logger.log(.error, "five")
        #expect(part.threshold.level == .error)
        let lines = sink.written.withLock { $0 }
        #expect(lines.count == 2)
        #expect(lines[0].contains("\"two\"") && lines[1].contains("\"five\""))
    }

    @Test("A line as JSON is what was said, whatever characters are in it")
    func json() throws {
        let sink = JSONLines()
        let logger = Logger(component: "test", minimumLevel: .info, sink: sink)
        let value = "a \"b\" \\ c=d \n\r\t \u{1} \u{7F} ü 🙂"
        logger.log(.warn, "it happened", [LogField("reason", value), LogField("count", 3)])
        logger.log(.debug, "not this")
        let lines = sink.written.withLock { $0 }
        #expect(lines.count == 1)
        let object = try JSONSerialization.jsonObject(with: Data("{\(lines[0])}".utf8))
        #expect(
            object as? [String: String] == [
                "level": "warn", "component": "test", "event": "it happened", "reason": value, "count": "3",
            ])
    }
}
