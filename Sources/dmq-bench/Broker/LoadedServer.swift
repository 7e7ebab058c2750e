import CBaseline
import RecordFormat
import SystemIO

/// A server with nothing stored yet, and a connection to it with a request prepared for each partition of a
/// topic.
final class LoadedServer {
    let server: TestedServer
    let load: OpaquePointer
    let recordsPerBatch: Int
    let batchByteCount: Int
    private let path: String
    private let directory: WorkDirectory

    /// - Parameter recordsPerBatch: of each request.
    init(
        _ kind: TestedServerKind, _ options: BrokerOptions, _ directory: WorkDirectory, recordsPerBatch: Int
    ) throws {
        self.directory = directory
        path = try directory.makeDirectory(kind == .dmq ? "dmq" : "ceiling")
        server = try TestedServer(kind, options, in: path)
        if kind == .dmq { try server.makeTopic("benchmark", partitionCount: options.partitionCount) }
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

    deinit {
        dmq_load_close(load)
        server.kill()
        // What the kernel has not written yet, it need not.
        try? directory.remove(path)
    }

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

/// Both servers, kept over all runs of a benchmark.
final class LoadedPair {
    let dmq: LoadedServer
    let ceiling: LoadedServer

    init(_ options: BrokerOptions, _ directory: WorkDirectory, recordsPerBatch: Int) throws {
        dmq = try LoadedServer(.dmq, options, directory, recordsPerBatch: recordsPerBatch)
        ceiling = try LoadedServer(.ceiling, options, directory, recordsPerBatch: recordsPerBatch)
    }
}
