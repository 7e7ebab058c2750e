import Base

/// What the benchmarks of a broker have in common.
class BrokerBenchmark {
    let options: BrokerOptions
    let directory: WorkDirectory
    let targets: [Target]

    init(_ options: BrokerOptions, _ directory: WorkDirectory, targets: [Target] = []) {
        self.options = options
        self.directory = directory
        self.targets = targets
    }
}

/// One that keeps both servers over all its runs.
class KeptServersBenchmark: BrokerBenchmark {
    var servers: LoadedPair?

    func finish() throws { servers = nil }
}

extension LoadedServer {
    /// Runs `body` and notes what it took, and what it moved.
    ///
    /// - Parameters:
    ///   - batchCount: batches of `recordsPerBatch` records that `body` sends or receives.
    ///   - recordByteCount: of a value.
    ///   - body: notes the latency of each operation in nanoseconds, in room for as many as batches, and
    ///     returns how many operations there were.
    func sample(
        batchCount: Int, recordByteCount: Int, _ body: (inout [UInt64]) throws -> Int
    ) throws -> Sample {
        var latencies = [UInt64](repeating: 0, count: batchCount)
        var operationCount = 0
        var sample = try Sample.measured(.child(server.child)) { _ in
            operationCount = try body(&latencies)
        }
        sample.operationCount = UInt64(operationCount)
        sample.recordCount = UInt64(batchCount * recordsPerBatch)
        sample.byteCount = sample.recordCount * UInt64(recordByteCount)
        sample.residentByteCount = server.residentByteCount
        for latency in latencies.prefix(operationCount) { sample.operationLatency.record(latency) }
        return sample
    }
}
