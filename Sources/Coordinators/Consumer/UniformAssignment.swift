internal import Base
internal import RecordFormat

/// Even and sticky: a partition stays where it was to be unless another member has to have it for balance.
///
/// When it is done, no member has two partitions more than another that reads the topic of one of them. Where
/// all read the same, that means within one of each other.
struct UniformAssignment {
    private let subject: AssignmentSubject
    private(set) var result: [PartitionSet]
    /// How many partitions each member has.
    private var loads: [Int]
    /// For each topic, who has each partition.
    private var owners: [[Int?]]
    private let readers: [[Int]]

    init(_ subject: AssignmentSubject) {
        self.subject = subject
        result = Array(repeating: PartitionSet(), count: subject.members.count)
        loads = Array(repeating: 0, count: subject.members.count)
        owners = subject.topics.map { Array(repeating: nil, count: Int($0.partitionCount)) }
        readers = subject.readers
        if subject.members.isEmpty { return }
        keep()
        if subject.subscriptions.count == 1 { trim() }
        fill()
        if subject.subscriptions.count > 1 { balance() }
    }

    private mutating func give(_ topic: Int, _ partition: Int, to member: Int) {
        owners[topic][partition] = member
        loads[member] += 1
        result[member].insert(subject.topics[topic].id, Int32(partition))
    }

    private mutating func take(_ topic: Int, _ partition: Int) {
        guard let member = owners[topic][partition] else { return }
        owners[topic][partition] = nil
        loads[member] -= 1
        result[member].remove(subject.topics[topic].id, Int32(partition))
    }

    /// What is still there, and is still read, stays with whom it was to be with.
    private mutating func keep() {
        for (member, one) in subject.members.enumerated() {
            for topic in subject.subscriptions[one.subscription] {
                guard let partitions = one.previous.topics[subject.topics[topic].id] else { continue }
                for partition in partitions.sorted() {
                    let place = Int(partition)
                    guard owners[topic].indices.contains(place), owners[topic][place] == nil else { continue }
                    give(topic, place, to: member)
                }
            }
        }
    }

    /// All read the same, so each one's share is known: what a member has above it is up for others. Those
    /// that have most keep the one more that some may have.
    private mutating func trim() {
        let total = subject.subscriptions[0].reduce(0) { $0 + owners[$1].count }
        let share = total / loads.count
        var larger = total % loads.count
        let places = Dictionary(
            uniqueKeysWithValues: subject.topics.enumerated().map { ($0.element.id, $0.offset) })
        let inOrder = loads.indices.sorted { (loads[$1], $0) < (loads[$0], $1) }
        for member in inOrder where loads[member] > share {
            let own = larger > 0 ? share + 1 : share
            larger -= larger > 0 ? 1 : 0
            var excess = loads[member] - own
            if excess <= 0 { continue }
            // The last ones, so that what stays is a beginning.
            for (topic, partitions) in result[member].sorted.reversed() {
                guard let place = places[topic] else { continue }
                for partition in partitions.reversed() where excess > 0 {
                    take(place, Int(partition))
                    excess -= 1
                }
            }
        }
    }

    /// What nobody has goes to the reader that has least. Topics with few readers come first, as they have
    /// least choice.
    private mutating func fill() {
        let topics = owners.indices.sorted { (readers[$0].count, $0) < (readers[$1].count, $1) }
        var queue = DeadlineQueue<Int>()
        for topic in topics where !readers[topic].isEmpty {
            let free = owners[topic].indices.filter { owners[topic][$0] == nil }
            if free.isEmpty { continue }
            // Where all read the same, one queue does for all topics.
            if subject.subscriptions.count > 1 || queue.count == 0 {
                queue = DeadlineQueue()
                for member in readers[topic] { queue.add(member, at: Int64(loads[member])) }
            }
            for partition in free {
                guard let (member, _) = queue.takeDue(.max) else { break }
                give(topic, partition, to: member)
                queue.add(member, at: Int64(loads[member]))
            }
        }
    }

    /// Moves partitions from readers of their topic that have many to such that have two less, until there
    /// are none. Each move makes the sum of the squares of all loads smaller, so it ends.
    private mutating func balance() {
        var isChanged = true
        while isChanged {
            isChanged = false
            for topic in owners.indices where readers[topic].count > 1 {
                while moveOne(topic) { isChanged = true }
            }
        }
    }

    private mutating func moveOne(_ topic: Int) -> Bool {
        guard let poorest = readers[topic].min(by: { (loads[$0], $0) < (loads[$1], $1) }) else {
            return false
        }
        var richest: (member: Int, partition: Int)?
        for (partition, owner) in owners[topic].enumerated() {
            guard let owner, loads[owner] > loads[richest?.member ?? poorest] else { continue }
            richest = (owner, partition)
        }
        guard let richest, loads[richest.member] - loads[poorest] >= 2 else { return false }
        take(topic, richest.partition)
        give(topic, richest.partition, to: poorest)
        return true
    }
}
