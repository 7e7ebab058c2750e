internal import RecordFormat

/// How a coordinator divides partitions among the members of a group, by Kafka's names
/// (`group.consumer.assignors`).
public enum ConsumerAssignor: String, CaseIterable, Sendable {
    /// As evenly as subscriptions allow, and with as few changes as that allows.
    case uniform
    /// Of each topic, neighbouring partitions; members that read the same topics have the same numbers of all
    /// that have the same count.
    case range

    func assign(_ subject: AssignmentSubject) -> [PartitionSet] {
        switch self {
        case .uniform: UniformAssignment(subject).result
        case .range: RangeAssignment.assign(subject)
        }
    }
}

/// Who reads what: what an assignor goes by. Members and topics are known by their places.
struct AssignmentSubject {
    struct Member {
        let id: String
        let instanceID: String?
        /// Which of `subscriptions` it has.
        let subscription: Int
        /// What it was to have.
        let previous: PartitionSet
    }

    let members: [Member]
    /// By ID.
    private(set) var topics: [GroupTopic]
    /// Places of topics, rising. Members with the same share one.
    private(set) var subscriptions: [[Int]] = []

    /// - Parameters:
    ///   - topics: by name.
    ///   - patterns: names that regular expressions stand for.
    init(
        _ members: [ConsumerMember], _ topics: [String: GroupTopic], _ patterns: [String: Set<String>],
        previous: (String) -> PartitionSet
    ) {
        self.topics = topics.values.sorted { $0.id < $1.id }
        let places = Dictionary(
            uniqueKeysWithValues: self.topics.enumerated().map { ($0.element.name, $0.offset) })
        struct Said: Hashable {
            let names: [String]
            let pattern: String?
        }
        var known: [Said: Int] = [:]
        var distinct: [[Int]: Int] = [:]
        var all: [[Int]] = []
        self.members = members.map { member in
            let said = Said(names: member.topicNames, pattern: member.pattern)
            let number: Int
            if let found = known[said] {
                number = found
            } else {
                let names = Set(said.names).union(said.pattern.flatMap { patterns[$0] } ?? [])
                let own = names.compactMap { places[$0] }.sorted()
                number = distinct[own] ?? all.count
                if number == all.count {
                    distinct[own] = number
                    all.append(own)
                }
                known[said] = number
            }
            return Member(
                id: member.id, instanceID: member.instanceID, subscription: number,
                previous: previous(member.id))
        }
        subscriptions = all
    }

    /// For each topic the members that read it, rising.
    var readers: [[Int]] {
        var result = Array(repeating: [Int](), count: topics.count)
        for (place, member) in members.enumerated() {
            for topic in subscriptions[member.subscription] { result[topic].append(place) }
        }
        return result
    }
}
