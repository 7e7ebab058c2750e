import Base
import CBaseline

/// Single records at a rate, each due at a moment that does not depend on the others.
final class RateBenchmark: Benchmark {
    private let options: BrokerOptions
    private let directory: WorkDirectory
    private var servers: LoadedPair?
    let targets: [Target]

    init(_ options: BrokerOptions, _ directory: WorkDirectory, targets: [Target] = []) {
        self.options = options
        self.directory = directory
        self.targets = targets
    }

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

    func finish() throws { servers = nil }

    private var recordCount: Int {
        max(1, Int(options.durationNanoseconds / (1_000_000_000 / UInt64(options.rate))))
    }

    /// More than ever wait at the rate, unless the server stands still for longer.
    private static let inFlight = 256

    private func measure(_ loaded: LoadedServer?, _ count: Int) throws -> Sample {
        guard let loaded else { return Sample() }
        var latencies = [UInt64](repeating: 0, count: count)
        var sample = try Sample.measured(.child(loaded.server.child)) { _ in
            try loaded.produce(
                count, inFlight: Self.inFlight, interval: 1_000_000_000 / UInt64(options.rate),
                latencies: &latencies)
        }
        sample.operationCount = UInt64(count)
        sample.recordCount = UInt64(count)
        sample.byteCount = UInt64(count * options.recordByteCount)
        sample.residentByteCount = loaded.server.residentByteCount
        for latency in latencies { sample.operationLatency.record(latency) }
        return sample
    }
}
