internal import Base
internal import RecordFormat

/// The producers that a partition remembers, found by their ID: entries side by side, so that appending needs
/// no memory for a producer that is there.
struct ProducerTable: Sendable {
    /// A full table forgets one producer in this many at once, so that the search for the oldest is paid for
    /// by many new ones.
    private static let evictionDivisor = 16

    private let maximumCount: Int
    private let logger: Logger

    /// In no order, without gaps. An entry may be changed where it is, but for its producer.
    var entries: [ProducerEntry] = []
    private var slots: [ProducerID: Int32] = [:]
    /// The producer found last and its slot: an update follows each check, and most batches come from the
    /// producer of the one before. No producer where the slot may have changed since.
    private var recentProducerID: ProducerID = .none
    private var recentSlot = 0
    /// Size of the table at which the next search for producers to forget is made.
    private var evictionCount: Int

    init(maximumCount: Int, logger: Logger) {
        invariant(maximumCount >= 1, "a table of \(maximumCount) producers holds none")
        self.maximumCount = maximumCount
        self.logger = logger
        evictionCount = maximumCount
    }

    /// Place of a producer in `entries`, until the next that is added or removed; nil for one that is not
    /// known.
    func slot(of producerID: ProducerID) -> Int? { slots[producerID].map { Int($0) } }

    /// The same, faster when it is the producer that was found last.
    mutating func find(_ producerID: ProducerID) -> Int? {
        if recentProducerID == producerID && producerID != .none { return recentSlot }
        guard let slot = slots[producerID] else { return nil }
        recentProducerID = producerID
        recentSlot = Int(slot)
        return recentSlot
    }

    /// Place of a producer in `entries`, where one that is not known gets an empty entry.
    mutating func findOrAdd(_ producerID: ProducerID) -> Int {
        if let index = find(producerID) { return index }
        if entries.count >= evictionCount { evict() }
        slots[producerID] = Int32(entries.count)
        entries.append(ProducerEntry(producerID: producerID))
        return entries.count - 1
    }

    mutating func removeExpired(now: Timestamp, after milliseconds: Int64) {
        var index = 0
        while index < entries.count {
            if entries[index].isExpired(now: now, after: milliseconds) {
                remove(at: index)
            } else {
                index += 1
            }
        }
    }

    mutating func removeAll() {
        recentProducerID = .none
        evictionCount = maximumCount
        entries.removeAll()
        slots.removeAll()
    }

    /// Makes room in a full table: forgets the producers that have been silent for the longest, by the same
    /// timestamps as expiry, until a sixteenth of the table is free.
    private mutating func evict() {
        let margin = max(1, maximumCount / Self.evictionDivisor)
        var idle = entries.filter { $0.currentTransactionFirstOffset == nil }
        idle.sort { ($0.lastTimestamp, $0.lastDataOffset) < ($1.lastTimestamp, $1.lastDataOffset) }
        let evicted = idle.prefix(entries.count - (maximumCount - margin))
        for entry in evicted {
            if let index = slot(of: entry.producerID) { remove(at: index) }
        }
        // Where open transactions hold the table above its size, the search is not repeated for each new
        // producer.
        evictionCount = max(maximumCount, entries.count + margin)
        logger.log(
            .warn, "producers forgotten before their expiration",
            [
                LogField("forgotten", evicted.count), LogField("held", entries.count),
                LogField("maximum", maximumCount),
            ])
    }

    private mutating func remove(at index: Int) {
        recentProducerID = .none
        slots[entries[index].producerID] = nil
        let last = entries.removeLast()
        if index < entries.count {
            entries[index] = last
            slots[last.producerID] = Int32(index)
        }
    }
}
