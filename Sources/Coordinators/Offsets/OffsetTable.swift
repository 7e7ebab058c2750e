internal import RecordFormat

/// The offsets that groups have committed.
struct OffsetTable {
    /// By topic, then by partition; no topic without partitions.
    typealias Topics = [String: [Int32: CommittedOffset]]

    /// No group without topics.
    private var groups: [String: Topics] = [:]

    subscript(group: String, topic: String, partition: Int32) -> CommittedOffset? {
        groups[group]?[topic]?[partition]
    }

    func topics(of group: String) -> Topics { groups[group] ?? [:] }

    func hasAny(of group: String) -> Bool { groups[group] != nil }

    mutating func set(_ key: OffsetKey, _ committed: CommittedOffset?) {
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
}
