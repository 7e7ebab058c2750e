internal import RecordFormat

/// The offsets that groups have committed, and those that transactions are about to.
///
/// Of one key, what came last in the log counts, as it does for compaction: an offset of a transaction does
/// not take the place of one that was committed after it, whenever the transaction ends.
struct OffsetTable {
    /// By topic, then by partition; no topic without partitions.
    typealias Topics = [String: [Int32: CommittedOffset]]

    private struct Place: Hashable {
        let topic: String
        let partition: Int32
    }

    private struct Pending {
        let committed: CommittedOffset
        let order: UInt64
    }

    /// No group without topics.
    private var groups: [String: Topics] = [:]
    /// What transactions that are open have committed; no producer without offsets.
    private var pending: [ProducerID: [OffsetKey: Pending]] = [:]
    /// How many transactions are about to change an offset, by group; no group without.
    private var pendingCounts: [String: [Place: Int]] = [:]
    /// How many offsets of transactions are held.
    private(set) var pendingCount = 0
    /// When offsets were committed, in the order of the log, where a transaction is about to change them.
    private var orders: [OffsetKey: UInt64] = [:]
    private var nextOrder: UInt64 = 0

    subscript(group: String, topic: String, partition: Int32) -> CommittedOffset? {
        groups[group]?[topic]?[partition]
    }

    func topics(of group: String) -> Topics { groups[group] ?? [:] }

    func hasAny(of group: String) -> Bool { groups[group] != nil || pendingCounts[group] != nil }

    mutating func set(_ key: OffsetKey, _ committed: CommittedOffset?) {
        nextOrder += 1
        let isPending = hasPending(key)
        if committed == nil && isPending { forgetPending(key) }
        if committed != nil && isPending { orders[key] = nextOrder }
        store(key, committed)
    }

    private mutating func store(_ key: OffsetKey, _ committed: CommittedOffset?) {
        if let committed {
            groups[key.group, default: [:]][key.topic, default: [:]][key.partition] = committed
            return
        }
        guard groups[key.group]?[key.topic]?.removeValue(forKey: key.partition) != nil else { return }
        if groups[key.group]?[key.topic]?.isEmpty == true { groups[key.group]?[key.topic] = nil }
        if groups[key.group]?.isEmpty == true { groups[key.group] = nil }
    }

    /// All of a group, by topic and partition.
    func sorted(of group: String) -> [(key: OffsetKey, committed: CommittedOffset)] {
        topics(of: group).sorted { $0.key < $1.key }.flatMap { topic, partitions in
            partitions.sorted { $0.key < $1.key }.map { partition, committed in
                (OffsetKey(group: group, topic: topic, partition: partition), committed)
            }
        }
    }

    // MARK: Transactions

    /// Whether a transaction that is open is about to change the offset.
    func hasPending(_ key: OffsetKey) -> Bool {
        if pendingCounts.isEmpty { return false }
        return pendingCounts[key.group]?[Place(topic: key.topic, partition: key.partition)] != nil
    }

    func hasPending(of group: String) -> Bool { pendingCounts[group] != nil }

    /// What has been committed for a group, and then what only transactions are about to commit for it; each
    /// by topic and partition.
    func allKeys(of group: String) -> [OffsetKey] {
        let pending = (pendingCounts[group] ?? [:]).keys
            .filter { self[group, $0.topic, $0.partition] == nil }
            .sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
            .map { OffsetKey(group: group, topic: $0.topic, partition: $0.partition) }
        return sorted(of: group).map(\.key) + pending
    }

    /// The offset is the group's once the producer's transaction is committed.
    mutating func hold(_ key: OffsetKey, _ committed: CommittedOffset, by producer: ProducerID) {
        nextOrder += 1
        let entry = Pending(committed: committed, order: nextOrder)
        if pending[producer, default: [:]].updateValue(entry, forKey: key) != nil { return }
        pendingCount += 1
        let place = Place(topic: key.topic, partition: key.partition)
        pendingCounts[key.group, default: [:]][place, default: 0] += 1
    }

    /// The producer's transaction has ended.
    /// - Returns: the keys that it held.
    mutating func decide(_ producer: ProducerID, isCommit: Bool) -> [OffsetKey] {
        guard let held = pending.removeValue(forKey: producer) else { return [] }
        for (key, entry) in held {
            if isCommit, entry.order > orders[key] ?? 0 {
                store(key, entry.committed)
                orders[key] = entry.order
            }
            release(key)
        }
        return held.keys.sorted { ($0.group, $0.topic, $0.partition) < ($1.group, $1.topic, $1.partition) }
    }

    /// A tombstone in the log comes after whatever transactions have written for the key.
    private mutating func forgetPending(_ key: OffsetKey) {
        for producer in Array(pending.keys) where pending[producer]?.removeValue(forKey: key) != nil {
            if pending[producer]?.isEmpty == true { pending[producer] = nil }
            release(key)
        }
    }

    private mutating func release(_ key: OffsetKey) {
        pendingCount -= 1
        let place = Place(topic: key.topic, partition: key.partition)
        let left = (pendingCounts[key.group]?[place] ?? 0) - 1
        pendingCounts[key.group]?[place] = left > 0 ? left : nil
        if left > 0 { return }
        orders[key] = nil
        if pendingCounts[key.group]?.isEmpty == true { pendingCounts[key.group] = nil }
    }
}
