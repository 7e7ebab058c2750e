internal import RecordFormat

/// Partitions of topics that go by their IDs.
struct PartitionSet: Hashable, Sendable {
    /// No topic without partitions.
    private(set) var topics: [TopicID: Set<Int32>] = [:]

    init() {}

    init(_ topics: some Sequence<(TopicID, [Int32])>) {
        for (id, partitions) in topics { for one in partitions { insert(id, one) } }
    }

    var isEmpty: Bool { topics.isEmpty }

    var count: Int { topics.values.reduce(0) { $0 + $1.count } }

    func contains(_ topic: TopicID, _ partition: Int32) -> Bool {
        topics[topic]?.contains(partition) ?? false
    }

    mutating func insert(_ topic: TopicID, _ partition: Int32) {
        topics[topic, default: []].insert(partition)
    }

    mutating func remove(_ topic: TopicID, _ partition: Int32) {
        guard topics[topic]?.remove(partition) != nil else { return }
        if topics[topic]?.isEmpty == true { topics[topic] = nil }
    }

    mutating func formUnion(_ other: PartitionSet) {
        topics.merge(other.topics) { $0.union($1) }
    }

    func filter(_ isKept: (TopicID, Int32) -> Bool) -> PartitionSet {
        var result = PartitionSet()
        for (topic, partitions) in topics {
            let kept = partitions.filter { isKept(topic, $0) }
            if !kept.isEmpty { result.topics[topic] = kept }
        }
        return result
    }

    func intersection(_ other: PartitionSet) -> PartitionSet { filter { other.contains($0, $1) } }

    func subtracting(_ other: PartitionSet) -> PartitionSet { filter { !other.contains($0, $1) } }

    func isSubset(of other: PartitionSet) -> Bool {
        topics.allSatisfy { topic, partitions in
            other.topics[topic].map { partitions.isSubset(of: $0) } ?? false
        }
    }

    func intersects(_ other: PartitionSet) -> Bool {
        topics.contains { topic, partitions in
            other.topics[topic].map { !partitions.isDisjoint(with: $0) } ?? false
        }
    }

    /// By topic, then by number: the same set is always written in the same way.
    var sorted: [(topic: TopicID, partitions: [Int32])] {
        topics.sorted { $0.key < $1.key }.map { ($0.key, $0.value.sorted()) }
    }
}
