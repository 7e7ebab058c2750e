import Base
import CAllocationCounter
import CBaseline

/// What one run of a piece of work took, ours or the baseline's.
struct Sample {
    var byteCount: UInt64 = 0
    var recordCount: UInt64 = 0
    /// Appends, reads, lookups: whatever the benchmark counts.
    var operationCount: UInt64 = 0
    var syncCount: UInt64 = 0
    /// Records that consumers got.
    var deliveredRecordCount: UInt64 = 0
    /// From the start of a server until it answered.
    var startNanoseconds: UInt64 = 0
    /// The same of a start after SIGKILL.
    var startAfterKillNanoseconds: UInt64 = 0
    /// For making all topics.
    var creationNanoseconds: UInt64 = 0
    /// From SIGTERM to the end of a server.
    var stopNanoseconds: UInt64 = 0
    /// Of a server.
    var residentByteCount: UInt64 = 0
    /// Files, connections and the like that a server has open.
    var descriptorCount = 0
    /// Heap allocations of the measuring thread.
    var allocationCount: UInt64 = 0
    var wallNanoseconds: UInt64 = 0
    var userNanoseconds: UInt64 = 0
    var systemNanoseconds: UInt64 = 0
    var operationLatency = LatencyHistogram()
    var syncLatency = LatencyHistogram()
    /// Of what was worked on, so that no work can be left out as useless.
    var hash: UInt64 = 0
}

/// Whose processor time is measured.
enum ProcessorTimeScope {
    /// The process's, kernel workers for its rings included.
    case process
    /// The measuring thread's: where another thread only plays the peer.
    case thread
    /// That of another process, all its threads.
    case child(OpaquePointer)

    var now: dmq_processor_time {
        switch self {
        case .process: return dmq_process_time()
        case .thread: return dmq_thread_time()
        case .child(let child):
            var time = dmq_processor_time()
            // What a thread has used is known when it sleeps, or at the kernel's next tick.
            dmq_nap(2_000_000)
            // A child that is gone has failed what was asked of it, which is told elsewhere.
            _ = dmq_child_time(child, &time)
            return time
        }
    }
}

extension Sample {
    /// Runs `body` and notes what it took beside what it notes itself.
    static func measured(
        _ scope: ProcessorTimeScope, _ body: (inout Sample) throws -> Void
    ) rethrows -> Sample {
        var sample = Sample()
        let before = scope.now
        let allocations = dmq_allocation_count()
        let start = dmq_nanoseconds()
        try body(&sample)
        sample.wallNanoseconds = dmq_nanoseconds() - start
        sample.allocationCount = dmq_allocation_count() - allocations
        sample.setProcessorTime(from: before, to: scope.now)
        return sample
    }

    /// The parts as the kernel sampled them, scaled so that their sum is exact.
    private mutating func setProcessorTime(from before: dmq_processor_time, to after: dmq_processor_time) {
        guard after.total > before.total else { return }
        let total = after.total - before.total
        let user = after.user - before.user
        let sampled = user + after.system - before.system
        let share = sampled == 0 ? 0 : Double(user) / Double(sampled)
        userNanoseconds = min(UInt64((Double(total) * share).rounded()), total)
        systemNanoseconds = total - userNanoseconds
    }
}

/// A figure of a sample.
struct Metric: Sendable {
    let name: String
    let unit: String
    let isBetterHigh: Bool
    /// Nil where the sample says nothing about it.
    let value: @Sendable (Sample) -> Double?

    init(
        _ name: String, _ unit: String, isBetterHigh: Bool = false,
        _ value: @escaping @Sendable (Sample) -> Double?
    ) {
        self.name = name
        self.unit = unit
        self.isBetterHigh = isBetterHigh
        self.value = value
    }
}

extension Metric {
    static let throughput = Metric("throughput", "MB/s", isBetterHigh: true) { sample in
        perSecond(sample.byteCount, sample).map { $0 / 1e6 }
    }
    static let records = Metric("records", "1/s", isBetterHigh: true) { perSecond($0.recordCount, $0) }
    static let operations = Metric("operations", "1/s", isBetterHigh: true) {
        perSecond($0.operationCount, $0)
    }
    static let userTime = Metric("CPU, user", "s/GB") { perGigabyte($0.userNanoseconds, $0) }
    static let systemTime = Metric("CPU, system", "s/GB") { perGigabyte($0.systemNanoseconds, $0) }
    static let processorTime = Metric("CPU", "s/GB") { sample in
        perGigabyte(sample.userNanoseconds + sample.systemNanoseconds, sample)
    }
    static let timePerRecord = timePer("record") { $0.recordCount }
    static let coreShare = Metric("CPU", "% of a core") { sample in
        sample.wallNanoseconds == 0
            ? nil
            : 100 * Double(sample.userNanoseconds + sample.systemNanoseconds) / Double(sample.wallNanoseconds)
    }
    static let delivered = Metric("delivered", "1/s", isBetterHigh: true) {
        perSecond($0.deliveredRecordCount, $0)
    }
    static let memory = Metric("resident memory", "MiB") { sample in
        sample.residentByteCount == 0 ? nil : Double(sample.residentByteCount) / Double(1 << 20)
    }
    static let start = Metric("start to metadata", "ms") { Double($0.startNanoseconds) / 1e6 }
    static let startAfterKill = Metric("start after SIGKILL", "ms") { sample in
        Double(sample.startAfterKillNanoseconds) / 1e6
    }
    static let stop = Metric("end in order", "ms") { Double($0.stopNanoseconds) / 1e6 }
    static let creation = Metric("creation", "ms") { Double($0.creationNanoseconds) / 1e6 }
    static let descriptors = Metric("descriptors", "") { Double($0.descriptorCount) }
    static let elapsed = Metric("time", "ms") { Double($0.wallNanoseconds) / 1e6 }
    static let timePerOperation = Metric("time per operation", "ns") { sample in
        sample.operationCount == 0 ? nil : Double(sample.wallNanoseconds) / Double(sample.operationCount)
    }
    static let allocations = Metric("allocations per operation", "") { sample in
        sample.operationCount == 0 ? nil : Double(sample.allocationCount) / Double(sample.operationCount)
    }
    static let operationsPerSync = Metric("appends per sync", "", isBetterHigh: true) { sample in
        sample.syncCount == 0 ? nil : Double(sample.operationCount) / Double(sample.syncCount)
    }

    /// Processor time, user and system, for one of what `count` counts.
    static func timePer(_ name: String, _ count: @escaping @Sendable (Sample) -> UInt64) -> Metric {
        Metric("CPU per \(name)", "us") { sample in
            let number = count(sample)
            return number == 0
                ? nil : Double(sample.userNanoseconds + sample.systemNanoseconds) / Double(number) / 1000
        }
    }

    /// Median, tails and maximum of the latency of `name`, in microseconds.
    static func latencies(_ name: String, of histogram: @escaping @Sendable (Sample) -> LatencyHistogram)
        -> [Metric]
    {
        let percentiles: [(String, Double)] = [("p50", 50), ("p99", 99), ("p99.9", 99.9), ("max", 100)]
        return percentiles.map { title, percent in
            Metric("\(name) \(title)", "us") { sample in
                let histogram = histogram(sample)
                return histogram.count == 0 ? nil : Double(histogram.percentile(percent)) / 1000
            }
        }
    }

    private static func perSecond(_ count: UInt64, _ sample: Sample) -> Double? {
        count == 0 || sample.wallNanoseconds == 0
            ? nil : Double(count) / (Double(sample.wallNanoseconds) / 1e9)
    }

    private static func perGigabyte(_ nanoseconds: UInt64, _ sample: Sample) -> Double? {
        sample.byteCount == 0 ? nil : Double(nanoseconds) / Double(sample.byteCount)
    }
}
