import Base
import CBaseline

/// Many producers that send single records, each the next when the last one was acknowledged, and consumers
/// at the tail.
final class CrowdBenchmark: BrokerBenchmark, Benchmark {
    /// What stands beside it.
    enum Baseline {
        case ceiling
        /// dmq's server with one producer that sends large batches.
        case oneProducer
    }

    private let baseline: Baseline

    init(_ options: BrokerOptions, _ directory: WorkDirectory, beside baseline: Baseline = .ceiling) {
        self.baseline = baseline
        super.init(options, directory)
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
        var delivered: UInt64 = 0
        func produce(_ count: Int, _ latencies: inout [UInt64]) throws {
            guard dmq_crowd_produce(crowd, UInt64(count), &latencies, &delivered) == 0 else {
                throw BenchmarkError.broker(
                    "a crowd failed: error code \(dmq_crowd_error(crowd)), "
                        + String(cString: dmq_error_text()))
            }
        }
        let warmUpCount = max(1, options.requestCount / 16)
        var unmeasured = [UInt64](repeating: 0, count: warmUpCount)
        try produce(warmUpCount, &unmeasured)
        var sample = try loaded.sample(
            batchCount: options.requestCount, recordByteCount: options.recordByteCount
        ) { latencies in
            try produce(options.requestCount, &latencies)
            return options.requestCount
        }
        sample.deliveredRecordCount = delivered
        return sample
    }
}
