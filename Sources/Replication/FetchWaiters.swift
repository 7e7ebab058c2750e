/// A fetch that waits for more to read. Called on the partition's lane.
public protocol FetchWaiter: AnyObject {
    /// The fetch has been answered: nobody needs to tell it anything.
    var isFinished: Bool { get }
    /// The partition that was registered as `part` may have more to read. It is not registered any more.
    func partitionAdvanced(part: Int)
}

/// Fetches that wait at one partition. A plain list, which calls nobody.
///
/// A fetch waits at many partitions and is answered by the first that has something; taking it out of all the
/// others would cost a search in each. They forget it instead when they next look: what is finished is
/// dropped whenever the list has doubled.
struct FetchWaiters {
    struct Entry {
        let waiter: any FetchWaiter
        let part: Int
    }

    private var entries: [Entry] = []
    private var sweepCount = FetchWaiters.smallestSweepCount

    var count: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }

    mutating func add(_ waiter: any FetchWaiter, part: Int) {
        if entries.count >= sweepCount {
            entries.removeAll { $0.waiter.isFinished }
            sweepCount = max(Self.smallestSweepCount, entries.count * 2)
        }
        entries.append(Entry(waiter: waiter, part: part))
    }

    /// Takes all out.
    mutating func takeAll() -> [Entry] {
        defer {
            entries = []
            sweepCount = Self.smallestSweepCount
        }
        return entries
    }

    private static let smallestSweepCount = 16
}
