import Base
import CBaseline

/// A piece of work that is measured beside its baseline.
protocol Benchmark: AnyObject {
    /// Stands above the figures.
    var title: String { get }
    /// What `runBaseline` runs, in a word for the report.
    var baselineName: String { get }
    /// What the work was, for the report: names and values.
    var settings: [(name: String, value: String)] { get }
    var metrics: [Metric] { get }
    /// What the figures are to be.
    var targets: [Target] { get }

    /// Makes what both sides need; not timed.
    func prepare() throws
    func runBaseline() throws -> Sample
    func run() throws -> Sample
    /// Checks that both sides did the same work, and removes what is left. Not timed.
    func finish() throws
}

extension Benchmark {
    var baselineName: String { "C" }
}

/// What a figure is to be.
struct Target {
    enum Bound {
        case ratioAtLeast(Double)
        case ratioAtMost(Double)
        case atLeast(Double)
        case atMost(Double)
    }

    let metricName: String
    let bound: Bound

    init(_ metric: Metric, _ bound: Bound) {
        metricName = metric.name
        self.bound = bound
    }

    /// As it stands in the report.
    func text(baseline: String) -> String {
        switch bound {
        case .ratioAtLeast(let limit): ">= \(limit) x \(baseline)"
        case .ratioAtMost(let limit): "<= \(limit) x \(baseline)"
        case .atLeast(let limit): ">= \(limit)"
        case .atMost(let limit): "<= \(limit)"
        }
    }

    /// Nil when the figure is not there.
    func isMet(by figure: Figure) -> Bool? {
        switch bound {
        case .ratioAtLeast(let limit): figure.ratio.map { $0 >= limit }
        case .ratioAtMost(let limit): figure.ratio.map { $0 <= limit }
        case .atLeast(let limit): figure.median >= limit
        case .atMost(let limit): figure.median <= limit
        }
    }
}

/// One metric over all runs.
struct Figure {
    let metric: Metric
    let median: Double
    let best: Double
    /// Nil where the baseline has no such figure.
    let baselineMedian: Double?
    let baselineBest: Double?
    /// The median of the ratios of each run of ours to the run of the baseline just before it, so that what
    /// slows the machine for a while slows both.
    let ratio: Double?

    /// - Returns: nil where the samples say nothing about the metric.
    init?(_ metric: Metric, ours: [Sample], baseline: [Sample]) {
        let values = ours.compactMap(metric.value)
        guard let middle = dmq_bench.median(of: values), let best = metric.best(of: values) else {
            return nil
        }
        self.metric = metric
        median = middle
        self.best = best
        let baselineValues = baseline.compactMap(metric.value)
        baselineMedian = dmq_bench.median(of: baselineValues)
        baselineBest = metric.best(of: baselineValues)
        let ratios = zip(ours, baseline).compactMap { ours, baseline -> Double? in
            guard let value = metric.value(ours), let other = metric.value(baseline), other > 0 else {
                return nil
            }
            return value / other
        }
        ratio = dmq_bench.median(of: ratios)
    }
}

extension Metric {
    fileprivate func best(of values: [Double]) -> Double? { isBetterHigh ? values.max() : values.min() }
}

/// The middle value, the mean of the two in the middle of an even number; nil of none.
func median(of values: [Double]) -> Double? {
    if values.isEmpty { return nil }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/// All runs of one benchmark.
struct Comparison {
    let title: String
    var baselineName = "C"
    let settings: [(name: String, value: String)]
    let figures: [Figure]
    let targets: [Target]
    let runCount: Int
    /// At the end: what else the machine had to do shows in the figures.
    var loadAverage = 0.0
    /// Of the last run of ours.
    let hash: UInt64

    /// Runs baseline and ours in turn, `count` times.
    /// - Parameter showsTargets: false where the sizes are too small to say anything.
    static func run(
        _ benchmark: any Benchmark, count: Int, showsTargets: Bool, progress: Progress
    ) throws -> Comparison {
        progress.begin(benchmark.title, steps: count * 2 + 2)
        try benchmark.prepare()
        progress.step()
        var baseline: [Sample] = []
        var ours: [Sample] = []
        for _ in 0..<count {
            baseline.append(try benchmark.runBaseline())
            progress.step()
            ours.append(try benchmark.run())
            progress.step()
        }
        try benchmark.finish()
        progress.end()
        return Comparison(
            title: benchmark.title, baselineName: benchmark.baselineName, settings: benchmark.settings,
            figures: benchmark.metrics.compactMap { Figure($0, ours: ours, baseline: baseline) },
            targets: showsTargets ? benchmark.targets : [], runCount: count,
            loadAverage: dmq_load_average(), hash: ours.last?.hash ?? 0)
    }

    func target(of figure: Figure) -> Target? { targets.first { $0.metricName == figure.metric.name } }

    /// Whether every target is met.
    var meetsTargets: Bool { figures.allSatisfy { target(of: $0)?.isMet(by: $0) ?? true } }
}
