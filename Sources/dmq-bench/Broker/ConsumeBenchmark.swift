import Base
import CBaseline

/// One consumer that reads all partitions from their beginning, out of the page cache.
final class ConsumeBenchmark: KeptServersBenchmark, Benchmark {
    var title: String { "broker, consume \(ByteCountText.format(Int64(options.recordByteCount))) records" }

    var settings: [(name: String, value: String)] {
        options.settingsText + [
            ("batch", ByteCountText.format(Int64(options.batchByteCount))),
            ("answer", ByteCountText.format(Int64(options.fetchByteCount))),
            ("in flight", "\(options.inFlight)"),
            ("run", ByteCountText.format(Int64(options.totalByteCount))),
        ]
    }

    var metrics: [Metric] {
        [.throughput, .records, .processorTime, .userTime, .systemTime, .memory]
            + Metric.latencies("answer") { $0.operationLatency }
    }

    func prepare() throws {
        let servers = try LoadedPair(options, directory, recordsPerBatch: options.recordsPerBatch)
        for server in [servers.dmq, servers.ceiling] {
            try server.produce(options.batchCount, inFlight: options.inFlight)
        }
        self.servers = servers
    }

    func run() throws -> Sample { try measure(servers?.dmq) }

    func runBaseline() throws -> Sample { try measure(servers?.ceiling) }

    private func measure(_ loaded: LoadedServer?) throws -> Sample {
        guard let loaded else { return Sample() }
        let perPartition = options.batchCount / options.partitionCount
        var plan = dmq_fetch_plan(
            byteCount: UInt64(perPartition * loaded.batchByteCount),
            maximumByteCount: UInt32(options.fetchByteCount), inFlight: Int32(options.inFlight),
            batchByteCount: UInt64(loaded.batchByteCount), batchRecordCount: UInt64(loaded.recordsPerBatch))
        return try loaded.sample(
            batchCount: options.batchCount, recordByteCount: options.recordByteCount
        ) { latencies in
            var answers: UInt64 = 0
            guard dmq_load_fetch(loaded.load, &plan, &latencies, &answers) == 0 else {
                throw loaded.failure("fetch")
            }
            return Int(answers)
        }
    }
}
