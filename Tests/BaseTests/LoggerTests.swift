import Base
import Foundation
import Testing

@Suite struct LoggerTests {
    private final class JSONLines: LogSink {
        let format = LogFormat.json
        let written = Locked<[String]>([])

        func write(level: LogLevel, line: String) { written.withLock { $0.append(line) } }
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
