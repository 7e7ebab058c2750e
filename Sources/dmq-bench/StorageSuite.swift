import Base
import LogStorage
import SystemIO

/// Runs the benchmarks that a command asks for and prints what they found.
struct StorageSuite {
    private let options: StorageOptions

    init(_ options: StorageOptions) { self.options = options }

    /// - Parameter name: of the subcommand.
    func run(_ name: String) throws { try Suite.run(benchmarks(name), options.suite) }

    /// In the steady state there are none, which a test shows; a whole run also rolls segments and grows
    /// indexes.
    private static let allocationsOfGrowth = 0.01

    func benchmarks(_ name: String) -> [Suite.Maker] {
        let options = options
        switch name {
        case "append": return [{ try AppendBenchmark(options, $0) }]
        case "read": return [{ try ReadBenchmark(options, $0) }]
        case "recover": return [{ try RecoverBenchmark(options, $0) }]
        case "lookup": return [{ LookupBenchmark(options, $0) }]
        case "open": return [{ try OpenBenchmark(options, $0) }]
        default: return all
        }
    }

    private var all: [Suite.Maker] {
        let pageCache: [Target] = [
            Target(.throughput, .ratioAtLeast(0.9)), Target(.processorTime, .ratioAtMost(1.2)),
            Target(.allocations, .atMost(Self.allocationsOfGrowth)),
        ]
        let synced: [Target] = [
            Target(.throughput, .ratioAtLeast(0.8)), Target(.operationsPerSync, .atLeast(16)),
            Target(.allocations, .atMost(Self.allocationsOfGrowth)),
        ]
        return [
            { try AppendBenchmark(appending(.pageCache, recycles: false), $0, targets: pageCache) },
            { try AppendBenchmark(appending(.pageCache, recycles: true), $0, targets: pageCache) },
            { try AppendBenchmark(appending(.synced, recycles: false), $0, targets: synced) },
            { try AppendBenchmark(appending(.synced, recycles: true), $0, targets: synced) },
            {
                try ReadBenchmark(
                    options, $0,
                    targets: [
                        Target(.throughput, .ratioAtLeast(0.9)),
                        Target(.allocations, .atMost(Self.allocationsOfGrowth)),
                    ])
            },
            { try RecoverBenchmark(options, $0) },
            {
                LookupBenchmark(
                    options, $0,
                    targets: [
                        Target(.timePerOperation, .atMost(1000)),
                        Target(.allocations, .atMost(Self.allocationsOfGrowth)),
                    ])
            },
            { try OpenBenchmark(options, $0, targets: [Target(.elapsed, .atMost(100))]) },
        ]
    }

    private func appending(_ durability: AckDurability, recycles: Bool) -> StorageOptions {
        var options = options
        options.durability = durability
        options.recycles = recycles
        options.partitionCount = 1
        options.appenderCount = durability == .synced ? 64 : 1
        return options
    }
}
