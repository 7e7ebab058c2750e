import Base
import RecordFormat
import Testing

@testable import Coordinators

@Suite struct AssignorTests {
    /// A cluster and a group, from a seed.
    private struct Case {
        var topics: [String: GroupTopic] = [:]
        var members: [ConsumerMember] = []
        var targets: [String: PartitionSet] = [:]

        init(_ random: inout SeededGenerator, isHomogeneous: Bool) {
            for number in 0..<(1 + random.next() % 6) {
                topics["t\(number)"] = GroupTopic(
                    name: "t\(number)", id: TopicID(UniqueID(high: 1, low: random.next())),
                    partitionCount: Int32(1 + random.next() % 12))
            }
            for number in 0..<(1 + random.next() % 9) {
                add("m\(number)", isHomogeneous, &random)
            }
        }

        mutating func add(_ id: String, _ isHomogeneous: Bool, _ random: inout SeededGenerator) {
            var member = ConsumerMember(id: id)
            member.topicNames = topics.keys.sorted().filter { _ in isHomogeneous || random.chance(1, in: 2) }
            if random.chance(1, in: 3) { member.instanceID = "i\(random.next() % 100)-\(id)" }
            members.append(member)
        }

        mutating func assign(_ assignor: ConsumerAssignor) {
            let subject = AssignmentSubject(members, topics, [:]) { targets[$0] ?? PartitionSet() }
            targets = Dictionary(uniqueKeysWithValues: zip(members.map(\.id), assignor.assign(subject)))
        }

        func readers(_ topic: GroupTopic) -> [ConsumerMember] {
            members.filter { $0.topicNames.contains(topic.name) }
        }

        func load(_ member: ConsumerMember) -> Int { targets[member.id]?.count ?? 0 }

        /// Every partition that anyone reads has exactly one owner, who reads it.
        func check() {
            var seen = PartitionSet()
            for member in members {
                for (topic, partitions) in targets[member.id]?.topics ?? [:] {
                    let image = topics.values.first { $0.id == topic }
                    #expect(image.map { member.topicNames.contains($0.name) } == true)
                    for one in partitions {
                        #expect(!seen.contains(topic, one) && one < image?.partitionCount ?? 0)
                        seen.insert(topic, one)
                    }
                }
            }
            let expected = topics.values.filter { !readers($0).isEmpty }.reduce(0) {
                $0 + Int($1.partitionCount)
            }
            #expect(seen.count == expected)
        }

        /// Nobody has two more than one who could have one of them.
        func isBalanced() -> Bool {
            topics.values.allSatisfy { topic in
                let readers = readers(topic)
                let owners = readers.filter { targets[$0.id]?.topics[topic.id] != nil }
                let least = readers.map(load).min() ?? 0
                return owners.allSatisfy { load($0) - least < 2 }
            }
        }
    }

    @Test(
        "uniform: each partition has one owner, loads are even, and only what has to moves",
        arguments: UInt64(1)...60)
    func uniform(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let isHomogeneous = seed % 2 == 0
        var one = Case(&random, isHomogeneous: isHomogeneous)
        one.assign(.uniform)
        one.check()
        #expect(one.isBalanced())
        let first = one.targets
        one.assign(.uniform)
        #expect(one.targets == first, "nothing has changed, so nothing moves")
        // A member goes: the others keep what they have.
        if one.members.count > 1 {
            let gone = one.members.removeLast()
            one.assign(.uniform)
            one.check()
            #expect(one.isBalanced())
            if isHomogeneous {
                for member in one.members {
                    #expect(first[member.id]?.isSubset(of: one.targets[member.id] ?? PartitionSet()) == true)
                }
            }
            one.targets[gone.id] = nil
        }
        // One comes: it gets its share, and no other gets anything new.
        let before = one.targets
        one.add("new", isHomogeneous, &random)
        one.assign(.uniform)
        one.check()
        #expect(one.isBalanced())
        if isHomogeneous {
            for member in one.members where member.id != "new" {
                #expect(one.targets[member.id]?.isSubset(of: before[member.id] ?? PartitionSet()) == true)
            }
        }
    }

    @Test(
        "range: each partition has one owner, in runs, with the same numbers in topics of one size",
        arguments: UInt64(1)...30)
    func range(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var one = Case(&random, isHomogeneous: seed % 2 == 0)
        one.assign(.range)
        one.check()
        for topic in one.topics.values {
            let counts = one.readers(topic).map { member -> Int in
                let own = one.targets[member.id]?.topics[topic.id]?.sorted() ?? []
                if let first = own.first { #expect(own == Array(first..<(first + Int32(own.count)))) }
                return own.count
            }
            #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
        }
        for left in one.topics.values {
            for right in one.topics.values where left.partitionCount == right.partitionCount {
                guard one.readers(left).map(\.id) == one.readers(right).map(\.id) else { continue }
                for member in one.readers(left) {
                    let own = one.targets[member.id]
                    #expect(own?.topics[left.id] == own?.topics[right.id])
                }
            }
        }
    }

    @Test("range: static members come first, by their instance IDs")
    func staticOrder() {
        var random = SeededGenerator(seed: 1)
        var one = Case(&random, isHomogeneous: true)
        one.topics = ["t": GroupTopic(name: "t", id: TopicID(UniqueID(high: 1, low: 1)), partitionCount: 4)]
        one.members = [("c", nil), ("a", "z"), ("b", "y")].map { id, instance in
            var member = ConsumerMember(id: id)
            member.instanceID = instance
            member.topicNames = ["t"]
            return member
        }
        one.assign(.range)
        #expect(one.targets["b"]?.topics.first?.value == [0, 1])
        #expect(one.targets["a"]?.topics.first?.value == [2])
        #expect(one.targets["c"]?.topics.first?.value == [3])
    }
}
