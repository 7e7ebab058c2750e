import Base
import CBaseline

/// Many producers that send single records, each the next when the last one was acknowledged, and consumers
/// at the tail.
final class CrowdBenchmark: Benchmark {
    /// What stands beside it.
    enum Baseline {
        case ceiling
        /// dmq's server with one producer that sends large batches.
        case oneProducer
    }

    private let options: BrokerOptions
    private let directory: WorkDirectory
    private let baseline: Baseline
    let targets: [Target] = []

    init(_ options: BrokerOptions, _ directory: WorkDirectory, beside baseline: Baseline = .ceiling) {
        self.options = options
        self.directory = directory
        self.baseline = baseline
    }

    var title: String {
        "broker, \(options.producerCount) producers of single "
            + "\(ByteCountText.format(Int64(options.recordByteCount))) records, "
            + "\(options.consumerCount) consumers at the tail"
    }

    var baselineName: String { baseline == .ceiling ? "C" : "one producer" }

    var settings: [(name: String, value: String)] {
        options.settingsText + [("requests", "\(options.requestCount)")]
    }

    var metrics: [Metric] {
        [.records, .delivered, .timePerRecord, .processorTime, .userTime, .systemTime, .memory]
            + Metric.latencies("acknowledged") { $0.operationLatency }
    }

    func prepare() throws {}

    func run() throws -> Sample { try measure(.dmq) }

    func runBaseline() throws -> Sample {
        baseline == .ceiling
            ? try measure(.ceiling) : try ProduceBenchmark.measure(.dmq, options, directory)
    }

    func finish() throws {}

    private func measure(_ kind: TestedServerKind) throws -> Sample {
        let loaded = try LoadedServer(kind, options, directory, recordsPerBatch: 1)
        guard
            let crowd = dmq_crowd_gather(
                loaded.load, loaded.server.port, Int32(options.producerCount), Int32(options.consumerCount),
                UInt64(loaded.batchByteCount), 1)
        else { throw loaded.failure("connecting a crowd") }
        defer { dmq_crowd_disperse(crowd) }
        var latencies = [UInt64](repeating: 0, count: options.requestCount)
        var delivered: UInt64 = 0
        func produce(_ count: Int) throws {
            guard dmq_crowd_produce(crowd, UInt64(count), &latencies, &delivered) == 0 else {
                throw BenchmarkError.broker(
                    "a crowd failed: error code \(dmq_crowd_error(crowd)), "
                        + String(cString: dmq_error_text()))
            }
        }
        try produce(max(1, options.requestCount / 16))
        var sample = try Sample.measured(.child(loaded.server.child)) { _ in
            try produce(options.requestCount)
        }
        sample.operationCount = UInt64(options.requestCount)
        sample.recordCount = UInt64(options.requestCount)
        sample.byteCount = UInt64(options.requestCount * options.recordByteCount)
        sample.deliveredRecordCount = delivered
        sample.residentByteCount = loaded.server.residentByteCount
        for latency in latencies { sample.operationLatency.record(latency) }
        return sample
    }
}
