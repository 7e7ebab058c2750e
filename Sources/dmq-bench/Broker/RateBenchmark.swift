import Base
import CBaseline

/// Single records at a rate, each due at a moment that does not depend on the others.
final class RateBenchmark: KeptServersBenchmark, Benchmark {
    var title: String {
        "broker, latency of \(ByteCountText.format(Int64(options.recordByteCount))) records, "
            + "\(options.rate) a second, \(options.durability.rawValue)"
    }

    var settings: [(name: String, value: String)] {
        options.settingsText + [
            ("acks", "all"), ("run", DurationText.format(nanoseconds: options.durationNanoseconds)),
        ]
    }

    var metrics: [Metric] {
        Metric.latencies("acknowledged") { $0.operationLatency } + [.timePerRecord, .coreShare, .memory]
    }

    func prepare() throws {
        let servers = try LoadedPair(options, directory, recordsPerBatch: 1)
        // A second of it, unmeasured.
        for server in [servers.dmq, servers.ceiling] { _ = try measure(server, options.rate) }
        self.servers = servers
    }

    func run() throws -> Sample { try measure(servers?.dmq, recordCount) }

    func runBaseline() throws -> Sample { try measure(servers?.ceiling, recordCount) }

    private var recordCount: Int {
        max(1, Int(options.durationNanoseconds / (1_000_000_000 / UInt64(options.rate))))
    }

    /// More than ever wait at the rate, unless the server stands still for longer.
    private static let inFlight = 256

    private func measure(_ loaded: LoadedServer?, _ count: Int) throws -> Sample {
        guard let loaded else { return Sample() }
        return try loaded.sample(batchCount: count, recordByteCount: options.recordByteCount) { latencies in
            try loaded.produce(
                count, inFlight: Self.inFlight, interval: 1_000_000_000 / UInt64(options.rate),
                latencies: &latencies)
            return count
        }
    }
}
