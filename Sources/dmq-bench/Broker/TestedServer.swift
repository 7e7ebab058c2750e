import Base
import CBaseline
import LogStorage
import RecordFormat
import SystemIO

/// Which server is measured.
enum TestedServerKind {
    case dmq
    /// In C: receives, checks, writes, answers.
    case ceiling
}

/// A server in a process of its own, with its files in a directory of its own, until nobody holds it.
final class TestedServer {
    let child: OpaquePointer
    let port: Int32
    /// From its start until it had answered what topics there are.
    let startNanoseconds: UInt64
    private let path: String
    private let options: BrokerOptions
    private let directory: WorkDirectory

    /// Starts it with nothing stored, and has the topic made.
    init(_ kind: TestedServerKind, _ options: BrokerOptions, _ directory: WorkDirectory) throws {
        self.options = options
        self.directory = directory
        path = try directory.makeDirectory(kind == .dmq ? "dmq" : "ceiling")
        let command =
            kind == .dmq
            ? Self.dmqCommand(options, path)
            : [
                String(cString: dmq_own_path()), "broker", "ceiling", "--directory", path, "--durability",
                options.durability.rawValue,
            ]
        let start = dmq_nanoseconds()
        guard let child = dmq_child_start(command.joined(separator: "\n")) else {
            throw BenchmarkError.broker("cannot start \(command[0])")
        }
        self.child = child
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
        if kind == .dmq { try makeTopic() }
    }

    private static func dmqCommand(_ options: BrokerOptions, _ path: String) -> [String] {
        let settings =
            ["dmq.log.level=warn", "dmq.ack.durability=\(options.durability.rawValue)"] + options.settings
        return [options.server, "server", "--listen", "127.0.0.1:0", "--data-dir", path]
            + settings.flatMap { ["--set", $0] }
    }

    private func makeTopic() throws {
        let command = [
            options.server, "topic", "create", "benchmark", "--partitions", "\(options.partitionCount)",
            "-b", "127.0.0.1:\(port)",
        ]
        guard let maker = dmq_child_start(command.joined(separator: "\n")) else {
            throw BenchmarkError.broker("cannot start \(command[0])")
        }
        let status = dmq_child_wait(maker)
        guard status == 0 else { throw BenchmarkError.broker("dmq topic create: status \(status)") }
    }

    var residentByteCount: UInt64 { UInt64(max(0, dmq_child_memory(child))) }

    deinit {
        _ = dmq_child_end(child, 1)
        try? directory.remove(path)
    }
}

/// A server, and a connection to it with a request prepared for each partition.
final class LoadedServer {
    let server: TestedServer
    let load: OpaquePointer
    let recordsPerBatch: Int
    let batchByteCount: Int

    /// - Parameter recordsPerBatch: of each request.
    init(
        _ kind: TestedServerKind, _ options: BrokerOptions, _ directory: WorkDirectory, recordsPerBatch: Int
    ) throws {
        server = try TestedServer(kind, options, directory)
        guard let load = dmq_load_connect(server.port) else {
            throw BenchmarkError.broker("cannot connect to port \(server.port)")
        }
        self.load = load
        self.recordsPerBatch = recordsPerBatch
        let traffic = try ProducerTraffic(
            valueByteCount: options.recordByteCount, recordsPerBatch: recordsPerBatch, codec: .none,
            count: options.partitionCount, now: Timestamp(SystemClock().wallClockMilliseconds()))
        batchByteCount = traffic.batches[0].count
        for batch in traffic.batches {
            // What is read is counted in batches of this size.
            guard batch.count == batchByteCount,
                batch.withUnsafeBytes({ dmq_load_add(load, $0.baseAddress, $0.count) }) == 0
            else { throw BenchmarkError.wrongResult("no request for a batch of \(batch.count) bytes") }
        }
    }

    deinit { dmq_load_close(load) }

    /// Sends so many requests, as fast as it goes or at an interval, and waits for their answers.
    /// - Parameter latencies: as many as requests, in nanoseconds; empty where nobody wants them.
    func produce(_ count: Int, inFlight: Int, interval: UInt64 = 0, latencies: inout [UInt64]) throws {
        let result = latencies.withUnsafeMutableBufferPointer { room in
            dmq_load_produce(
                load, UInt64(count), Int32(inFlight), interval, room.isEmpty ? nil : room.baseAddress)
        }
        guard result == 0 else { throw failure("produce") }
    }

    func produce(_ count: Int, inFlight: Int) throws {
        var nothing: [UInt64] = []
        try produce(count, inFlight: inFlight, latencies: &nothing)
    }

    func failure(_ what: String) -> BenchmarkError {
        .broker("\(what) failed: error code \(dmq_load_error(load)), \(String(cString: dmq_error_text()))")
    }
}
