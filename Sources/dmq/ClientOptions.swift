import Base
import DMQClient
import RecordFormat
import SystemIO

/// What all commands that talk to a broker understand.
enum ClientOptions {
    static let defaultBootstrap = "127.0.0.1:9092"
    static let variable = "DMQ_BOOTSTRAP"

    static let all = [
        CommandOption(
            "bootstrap", short: "b", .text, placeholder: "HOST:PORT,...",
            summary: "brokers to begin with [\(variable), else \(defaultBootstrap)]"),
        CommandOption(
            "timeout", .duration, default: "15s", summary: "how long to try before giving up"),
        CommandOption("client-id", .text, placeholder: "NAME", default: "dmq", summary: "what brokers log"),
        CommandOption("verbose", .flag, summary: "say on the standard error what the connections do"),
    ]

    static let json = CommandOption("json", .flag, summary: "print JSON, one object a line")

    /// Runs `body` with a client, which is closed afterwards.
    static func withClient<Value>(
        _ command: ParsedCommand, _ body: (Client) async throws -> Value
    ) async throws -> Value {
        let servers =
            command.textIfGiven("bootstrap") ?? ProcessEnvironment.value(variable) ?? defaultBootstrap
        var configuration = ClientConfiguration(
            bootstrapServers: servers.split(separator: ",").map(String.init),
            clientID: command.text("client-id"))
        let milliseconds = max(1, Self.milliseconds(command.duration("timeout")))
        configuration.apiMilliseconds = milliseconds
        configuration.requestMilliseconds = min(30_000, milliseconds)
        configuration.connectMilliseconds = min(10_000, milliseconds)
        if command.flag("verbose") {
            configuration.log = Logger(component: "client", minimumLevel: .debug, sink: StandardErrorLog())
        }
        let client = try Client(configuration)
        do {
            let value = try await body(client)
            await client.close()
            return value
        } catch {
            await client.close()
            throw error
        }
    }

    static func milliseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        let (product, overflows) = seconds.multipliedReportingOverflow(by: 1000)
        return overflows
            ? .max : product.addingReportingOverflow(attoseconds / 1_000_000_000_000_000).partialValue
    }
}

/// A failure that has been said already: only the exit status is left.
struct SilentFailure: Error {}

/// Something that the command line asks for and that cannot be.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The standard output, written in blocks.
final class Output {
    private static let blockByteCount = 64 << 10

    private let buffer = IOBuffer(byteCount: 2 * blockByteCount)
    private var filled = 0

    func line(_ text: String) throws { try write(Array((text + "\n").utf8)) }

    func write(_ bytes: [UInt8]) throws {
        var written = 0
        while written < bytes.count {
            let count = min(bytes.count - written, buffer.byteCount - filled)
            buffer.copy(bytes.span.bytes.extracting(written..<(written + count)), to: filled)
            filled += count
            written += count
            if filled >= Self.blockByteCount { try flush() }
        }
    }

    func flush() throws {
        let count = filled
        filled = 0
        if count > 0 { try StandardStream.output.write(buffer, byteCount: count) }
    }

    /// Writes one JSON object and a line end.
    func json(_ body: (inout JSONText) -> Void) throws {
        var json = JSONText()
        json.object(body)
        try line(json.text)
    }
}

extension TextTable {
    /// The lines, the titles in bold where a person looks at them.
    var shown: String {
        var lines = self.lines
        if StandardStream.output.isTerminal, let title = lines.first {
            lines[0] = "\u{1B}[1m\(title)\u{1B}[0m"
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// A record's bytes as JSON: text where it is UTF-8, else hexadecimal under another name.
extension JSONText {
    mutating func bytesField(_ name: String, _ bytes: [UInt8]?) {
        guard let bytes else { return nullField(name) }
        if let text = String(validating: bytes, as: UTF8.self) {
            field(name, text)
        } else {
            field(name + "Hex", Self.hexadecimal(bytes))
        }
    }

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
