internal import Base
internal import SystemIO

/// Counts operations and decides by plan what becomes of each.
struct FaultInjector {
    enum Verdict: Equatable {
        case proceed, short, losePower
        case fail(Errno)
    }

    /// By kind, from the beginning.
    private(set) var counts: [IOOperation: Int] = [:]
    /// Operations that change something, since the plan was installed.
    private(set) var changeCount = 0
    private(set) var plan = DiskFaultPlan.none
    private var matches: [Int] = []
    private var happened: [Int] = []

    mutating func install(_ plan: DiskFaultPlan) {
        self.plan = plan
        matches = Array(repeating: 0, count: plan.faults.count)
        happened = matches
        changeCount = 0
    }

    /// - Returns: what becomes of the operation, and by how many nanoseconds it is late. Of several faults
    ///   that strike at once the first wins; delays add up.
    mutating func judge(
        _ operation: IOOperation, _ path: String, changes: Bool, _ generator: inout SeededGenerator
    ) -> (Verdict, UInt64) {
        counts[operation, default: 0] += 1
        if changes { changeCount += 1 }
        var verdict = Verdict.proceed
        var delay: UInt64 = 0
        for (index, fault) in plan.faults.enumerated() {
            guard fault.operations?.contains(operation) ?? true, changes || !fault.changesOnly,
                fault.paths.matches(path)
            else { continue }
            matches[index] += 1
            let strikes =
                switch fault.trigger {
                case .nth(let n): matches[index] == n
                case .from(let n): matches[index] >= n
                case .chance(let numerator, let denominator): generator.chance(numerator, in: denominator)
                }
            guard strikes, happened[index] < fault.maximumCount else { continue }
            happened[index] += 1
            switch fault.effect {
            case .delay(let nanoseconds): delay += nanoseconds
            case .fail(let errno): if verdict == .proceed { verdict = .fail(errno) }
            case .losePower: if verdict == .proceed { verdict = .losePower }
            case .shortWrite: if verdict == .proceed && operation == .write { verdict = .short }
            }
        }
        return (verdict, delay)
    }

    func latency(_ operation: IOOperation, _ generator: inout SeededGenerator) -> UInt64 {
        guard let range = plan.latencies[operation] else { return 0 }
        return UInt64.random(in: range, using: &generator)
    }

    func drawsWriteBack(_ generator: inout SeededGenerator) -> Bool {
        plan.writeBackPer1024 > 0 && generator.chance(plan.writeBackPer1024, in: 1024)
    }
}
