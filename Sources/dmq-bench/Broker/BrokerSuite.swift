import Base
import LogStorage

/// Runs the benchmarks that a command asks for and prints what they found.
struct BrokerSuite {
    private let options: BrokerOptions

    init(_ options: BrokerOptions) { self.options = options }

    /// - Parameter name: of the subcommand.
    func run(_ name: String) throws { try Suite.run(benchmarks(name), options.suite) }

    func benchmarks(_ name: String) -> [Suite.Maker] {
        let options = options
        switch name {
        case "produce": return [{ ProduceBenchmark(options, $0) }]
        case "consume": return [{ ConsumeBenchmark(options, $0) }]
        case "latency": return [{ RateBenchmark(options, $0) }]
        case "crowd": return [{ CrowdBenchmark(options, $0) }]
        case "start": return [{ StartBenchmark(options, $0) }]
        case "restart": return [{ RestartBenchmark(options, $0) }]
        case "groups": return groups(targets: false)
        default: return all
        }
    }

    private var all: [Suite.Maker] {
        let small = with(recordByteCount: 100)
        let large = with(recordByteCount: 1 << 10)
        // In milliseconds: 0.8 for one in a hundred, 3 for one in a thousand.
        let latency = Metric.latencies("acknowledged") { $0.operationLatency }
        let asFast = [Target(.throughput, .ratioAtLeast(0.8))]
        return [
            { ProduceBenchmark(small, $0, targets: [Target(.processorTime, .atMost(0.8))]) },
            { ProduceBenchmark(large, $0, targets: [Target(.processorTime, .atMost(0.5))]) },
            { ProduceBenchmark(synced(small), $0) },
            { ProduceBenchmark(synced(large), $0) },
            { ProduceBenchmark(synced(small), $0, beside: .pageCache, targets: asFast) },
            { ProduceBenchmark(synced(large), $0, beside: .pageCache, targets: asFast) },
            { ConsumeBenchmark(small, $0, targets: [Target(.processorTime, .atMost(0.25))]) },
            { ConsumeBenchmark(large, $0, targets: [Target(.processorTime, .atMost(0.25))]) },
            {
                RateBenchmark(
                    large, $0, targets: [Target(latency[1], .atMost(800)), Target(latency[2], .atMost(3000))])
            },
            { RateBenchmark(synced(large), $0) },
            { CrowdBenchmark(small, $0) },
            { CrowdBenchmark(small, $0, beside: .oneProducer) },
            {
                StartBenchmark(
                    large, $0,
                    targets: [
                        Target(.start, .atMost(50)), Target(.memory, .atMost(30)),
                        Target(.coreShare, .atMost(0.1)),
                    ])
            },
            {
                RestartBenchmark(
                    large, $0, targets: [Target(.start, .atMost(3000)), Target(.coreShare, .atMost(0.1))])
            },
        ] + groups(targets: true)
    }

    /// One large group of either protocol, then many small ones. What a member costs may not grow with their
    /// number.
    private func groups(targets: Bool) -> [Suite.Maker] {
        let options = options
        let shapes = [
            GroupShape(groupCount: 1, memberCount: options.memberCount),
            GroupShape(groupCount: 1, memberCount: options.memberCount, usesConsumerProtocol: true),
            GroupShape(groupCount: options.groupCount, memberCount: 1),
        ]
        return shapes.flatMap { shape in
            GroupPhase.allCases.map { phase in
                let bound = [Target(GroupBenchmark.cost(phase), .ratioAtMost(1.5))]
                return { GroupBenchmark(phase, shape, options, $0, targets: targets ? bound : []) }
            }
        }
    }

    private func with(recordByteCount: Int) -> BrokerOptions {
        var options = options
        options.recordByteCount = recordByteCount
        options.durability = .pageCache
        return options
    }

    /// Less of it, as disks are slow, and more of it at once: with few requests in flight the time of a sync
    /// decides how many there are in a second, whatever the server does.
    private func synced(_ options: BrokerOptions) -> BrokerOptions {
        var options = options
        options.durability = .synced
        options.totalByteCount /= 4
        options.inFlight = Self.syncedInFlight
        return options
    }

    private static let syncedInFlight = 64
}
