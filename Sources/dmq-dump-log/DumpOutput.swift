import Base
import SystemIO

/// Where lines go, as text or as JSON, and the count of what was found to be damaged.
final class DumpOutput {
    /// Takes whole lines.
    typealias Sink = (String) throws(IOError) -> Void

    /// How much is gathered before it is handed on.
    private static let blockByteCount = 64 << 10

    let writesJSON: Bool
    private(set) var damageCount = 0
    private(set) var damagedByteCount: Int64 = 0
    /// Files or directories that could not be read.
    private(set) var unreadableCount = 0
    private let sink: Sink
    private let errorSink: (String) -> Void
    private var waiting = ""
    private var json = JSONText()
    private var headedPath = ""

    init(writesJSON: Bool, errorSink: @escaping (String) -> Void, sink: @escaping Sink) {
        self.writesJSON = writesJSON
        self.sink = sink
        self.errorSink = errorSink
    }

    func write(_ line: DumpLine) throws(IOError) {
        if writesJSON {
            json.removeAll()
            line.appendJSON(to: &json)
            waiting += json.text
        } else {
            if line.path != headedPath && !line.path.isEmpty {
                waiting += "== \(line.path)\n"
                headedPath = line.path
            }
            waiting += line.text
        }
        waiting += "\n"
        if waiting.utf8.count >= Self.blockByteCount { try flush() }
    }

    /// Hands on what is waiting.
    func flush() throws(IOError) {
        if waiting.isEmpty { return }
        let block = waiting
        waiting = ""
        try sink(block)
    }

    /// A range of a file that is not as it should be.
    func damage(_ path: String, position: Int64, byteCount: Int64, _ reason: String) throws(IOError) {
        damageCount += 1
        damagedByteCount += byteCount
        try write(
            DumpLine(
                "damage", path,
                [
                    DumpField("position", position), DumpField("byteCount", byteCount),
                    DumpField("reason", reason),
                ]))
    }

    /// Something worth knowing that is no damage.
    func information(_ path: String, position: Int64, byteCount: Int64, _ text: String) throws(IOError) {
        try write(
            DumpLine(
                "information", path,
                [
                    DumpField("position", position), DumpField("byteCount", byteCount),
                    DumpField("text", text),
                ]))
    }

    /// A path that cannot be read; said on the standard error.
    func unreadable(_ reason: String) {
        unreadableCount += 1
        errorSink("dmq-dump-log: \(reason)\n")
    }

    /// 0 clean, 1 damage found, 2 something could not be read.
    var exitStatus: Int32 { unreadableCount > 0 ? CommandLineError.exitStatus : damageCount > 0 ? 1 : 0 }
}
