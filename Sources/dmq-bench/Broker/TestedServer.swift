import Base
import CBaseline
import LogStorage

/// Which server is measured.
enum TestedServerKind {
    case dmq
    /// In C: receives, checks, writes, answers.
    case ceiling
}

/// A server in a process of its own, on a port of its own, until nobody holds it.
final class TestedServer {
    let child: OpaquePointer
    let port: Int32
    /// From its start until it had answered what topics there are.
    let startNanoseconds: UInt64
    private let options: BrokerOptions
    private var isRunning = true

    /// - Parameter path: of the directory for its files.
    init(_ kind: TestedServerKind, _ options: BrokerOptions, in path: String) throws {
        self.options = options
        let command = Self.command(kind, options, path)
        let start = dmq_nanoseconds()
        child = try Self.start(command)
        port = dmq_child_port(child)
        guard port > 0 else {
            let status = dmq_child_end(child, 1)
            throw BenchmarkError.broker("\(command[0]) did not start: status \(status)")
        }
        let load = dmq_load_connect(port)
        let hasAnswered = load.map { dmq_load_ask_metadata($0) == 0 } ?? false
        startNanoseconds = dmq_nanoseconds() - start
        dmq_load_close(load)
        guard hasAnswered else { throw BenchmarkError.broker("\(command[0]) did not answer") }
    }

    private static func command(_ kind: TestedServerKind, _ options: BrokerOptions, _ path: String)
        -> [String]
    {
        if kind == .ceiling {
            return [
                String(cString: dmq_own_path()), "broker", "ceiling", "--directory", path, "--durability",
                options.durability.rawValue,
            ]
        }
        let settings =
            ["dmq.log.level=warn", "dmq.ack.durability=\(options.durability.rawValue)"] + options.settings
        return [options.server, "server", "--listen", "127.0.0.1:0", "--data-dir", path]
            + settings.flatMap { ["--set", $0] }
    }

    private static func start(_ command: [String]) throws -> OpaquePointer {
        guard let child = dmq_child_start(command.joined(separator: "\n")) else {
            throw BenchmarkError.broker("cannot start \(command[0]): \(String(cString: dmq_error_text()))")
        }
        return child
    }

    /// Has dmq make a topic.
    func makeTopic(_ name: String, partitionCount: Int) throws {
        let command = [
            options.server, "topic", "create", name, "--partitions", "\(partitionCount)", "-b",
            "127.0.0.1:\(port)",
        ]
        let status = dmq_child_wait(try Self.start(command))
        guard status == 0 else { throw BenchmarkError.broker("dmq topic create: status \(status)") }
    }

    /// Has the server end in order.
    func stop() throws {
        isRunning = false
        let status = dmq_child_end(child, 0)
        guard status == 0 else { throw BenchmarkError.broker("a server ended with status \(status)") }
    }

    var residentByteCount: UInt64 { UInt64(max(0, dmq_child_memory(child))) }

    var descriptorCount: Int { Int(max(0, dmq_child_descriptors(child))) }

    /// Ends it without a warning.
    func kill() {
        if isRunning { _ = dmq_child_end(child, 1) }
        isRunning = false
    }

    deinit { kill() }
}
