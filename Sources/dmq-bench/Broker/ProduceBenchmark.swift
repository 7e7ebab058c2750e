import Base
import CBaseline

/// One producer that sends large batches as fast as they are acknowledged.
final class ProduceBenchmark: BrokerBenchmark, Benchmark {
    /// What stands beside it.
    enum Baseline {
        case ceiling
        /// dmq's server with page-cache durability.
        case pageCache
    }

    private let baseline: Baseline

    init(
        _ options: BrokerOptions, _ directory: WorkDirectory, beside baseline: Baseline = .ceiling,
        targets: [Target] = []
    ) {
        self.baseline = baseline
        super.init(options, directory, targets: targets)
    }

    var title: String {
        "broker, produce \(ByteCountText.format(Int64(options.recordByteCount))) records, "
            + options.durability.rawValue
    }

    var baselineName: String { baseline == .ceiling ? "C" : "page cache" }

    var settings: [(name: String, value: String)] {
        options.settingsText + [
            ("batch", ByteCountText.format(Int64(options.batchByteCount))),
            ("in flight", "\(options.inFlight)"),
            ("run", ByteCountText.format(Int64(options.totalByteCount))),
        ]
    }

    var metrics: [Metric] {
        [.throughput, .records, .processorTime, .userTime, .systemTime, .memory]
            + Metric.latencies("acknowledged") { $0.operationLatency }
    }

    func prepare() throws {}

    func run() throws -> Sample { try Self.measure(.dmq, options, directory) }

    func runBaseline() throws -> Sample {
        guard baseline == .pageCache else { return try Self.measure(.ceiling, options, directory) }
        var options = options
        options.durability = .pageCache
        return try Self.measure(.dmq, options, directory)
    }

    func finish() throws {}

    /// One run, on a server of its own.
    static func measure(
        _ kind: TestedServerKind, _ options: BrokerOptions, _ directory: WorkDirectory
    ) throws -> Sample {
        let loaded = try LoadedServer(kind, options, directory, recordsPerBatch: options.recordsPerBatch)
        try loaded.produce(options.warmUpBatchCount, inFlight: options.inFlight)
        return try loaded.sample(
            batchCount: options.batchCount, recordByteCount: options.recordByteCount
        ) { latencies in
            try loaded.produce(options.batchCount, inFlight: options.inFlight, latencies: &latencies)
            return options.batchCount
        }
    }
}
