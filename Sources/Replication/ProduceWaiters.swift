internal import RecordFormat

/// When a producer wants to hear of an append (Produce, field `acks`).
public enum RequiredAcks: Int16, Sendable, CaseIterable {
    /// Not at all.
    case none = 0
    /// When the leader has written it.
    case leader = 1
    /// When it is below the high watermark: with all in-sync replicas, on stable storage unless the topic
    /// says otherwise (`dmq.ack.durability`).
    case all = -1
}

/// A request with appends that wait. Called on the partition's lane.
public protocol ProduceWaiter: AnyObject {
    /// The append that was registered as `part` is acknowledged, or (`error`) is lost.
    func appendFinished(part: Int, error: ReplicaError?)
}

/// Appends of one partition that wait for their acknowledgement, in the order of their offsets.
///
/// A plain queue, which calls nobody: whoever is served may append again, to the same partition too. Only the
/// front is looked at when an offset moves, so an append is acknowledged after those before it. The number
/// of entries is bounded by the requests in flight that connections may have.
struct ProduceWaiters {
    struct Entry {
        let waiter: any ProduceWaiter
        let part: Int
        /// The offset that must have been passed.
        let endOffset: Offset
    }

    /// `entries[first...]` wait; those before have been taken.
    private var entries: [Entry] = []
    private var first = 0

    var count: Int { entries.count - first }

    mutating func add(_ waiter: any ProduceWaiter, part: Int, until endOffset: Offset) {
        entries.append(Entry(waiter: waiter, part: part, endOffset: endOffset))
    }

    /// Takes the oldest entry out if it waits for `offset` or less.
    mutating func takeFirst(upTo offset: Offset) -> Entry? {
        guard first < entries.count, entries[first].endOffset <= offset else { return nil }
        let entry = entries[first]
        first += 1
        // Moved to the front once a doubling, so that each entry is moved a bounded number of times.
        if first == entries.count {
            entries.removeAll(keepingCapacity: true)
            first = 0
        } else if first >= Self.compactionCount, first * 2 >= entries.count {
            entries.removeFirst(first)
            first = 0
        }
        return entry
    }

    /// Takes out all that wait for more than `offset`.
    mutating func takeAll(above offset: Offset) -> [Entry] {
        let waiting = entries[first...]
        let taken = waiting.filter { $0.endOffset > offset }
        entries = waiting.filter { $0.endOffset <= offset }
        first = 0
        return taken
    }

    /// Forgets a request that does not want to hear any more.
    mutating func remove(_ waiter: any ProduceWaiter) {
        entries = entries[first...].filter { $0.waiter !== waiter }
        first = 0
    }

    /// Fewer taken entries than this are not worth a move.
    private static let compactionCount = 32
}
