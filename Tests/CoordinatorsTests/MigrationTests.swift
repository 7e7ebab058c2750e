import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

@Suite struct MigrationTests {
    private func node(_ settings: GroupSettings = GroupSettings()) throws -> GroupNode {
        try GroupNode(settings, topics: ["topic": 6])
    }

    /// The assignment as leaders of classic groups write it.
    private func bytes(_ partitions: [Int32]) throws -> [UInt8] {
        try ConsumerProtocolAssignment(
            assignedPartitions: [.init(topic: "topic", partitions: partitions)]
        ).encodedVersioned(1)
    }

    private func partitions(_ assignment: [UInt8]) throws -> [Int32] {
        try ConsumerProtocolAssignment(decodingVersioned: assignment.span.bytes).assignedPartitions
            .flatMap(\.partitions)
    }

    /// Two classic members with three partitions each.
    private func classicGroup(_ node: GroupNode) throws -> [String] {
        let ids = try node.stableGroup(2)
        // Stable already, with what the tests' leader writes; divided again in the way of consumers.
        let joins = ids.map { node.ask(.join($0, topics: ["topic"])) }
        let generation = try #require(joins[0].join?.generationID)
        for id in ids.reversed() {
            let leads = joins[0].join?.leader == id
            node.ask(
                .sync(
                    id, generation,
                    leads ? [(ids[0], try bytes([0, 1, 2])), (ids[1], try bytes([3, 4, 5]))] : []))
        }
        try #require(node.group()?.state == .stable && node.group()?.generation == generation)
        return ids
    }

    @Test("a consumer's heartbeat makes a consumer group of a classic one, whose members stay")
    func upgrade() throws {
        let node = try node()
        let ids = try classicGroup(node)
        let generation = try #require(node.group()?.generation)
        node.ask(.commit([("topic", 0, 3)], member: ids[0], generation: generation))
        var new = ConsumerClient("new")
        #expect(try new.enter(node) == .none)
        #expect(node.group() == nil && new.owned.isEmpty && new.epoch == generation + 1)
        let group = try #require(node.machine.consumerGroups["group"])
        #expect(group.members.count == 3 && group.classicCount == 2)
        #expect(group.members[ids[0]]?.assigned.topics.first?.value == [0, 1, 2])
        // The old members are told to join again, and get less.
        var shares: [Int32] = []
        for id in ids {
            #expect(node.ask(.heartbeat(id, generation)).heartbeat == .rebalanceInProgress)
            let joined = try #require(node.ask(.join(id)).join)
            #expect(joined.errorCode == .none && joined.generationID == generation + 1 && joined.leader == "")
            let synced = try #require(node.ask(.sync(id, joined.generationID)).sync)
            #expect(synced.errorCode == .none && synced.protocolName == "range")
            shares += try partitions(synced.assignment)
            #expect(node.ask(.heartbeat(id, joined.generationID)).heartbeat == ErrorCode.none)
        }
        #expect(shares.count == 4)
        try new.beat(node)
        #expect(new.owned.count == 2 && group.state == .stable)
        #expect(node.ask(.heartbeat(ids[0], generation)).heartbeat == .illegalGeneration)
        #expect(node.ask(.heartbeat("new", new.epoch)).heartbeat == .unknownMemberID)
        func commit(_ member: String, _ epoch: Int32) -> ErrorCode? {
            node.ask(.commit([("topic", 0, 5)], member: member, generation: epoch)).commit?.topics[0]
                .partitions[0]
                .errorCode
        }
        #expect(commit(ids[0], generation) == .illegalGeneration)
        #expect(commit(ids[0], generation + 1) == ErrorCode.none)
        #expect(try node.offset("topic", 0) == 5)
        try node.crash()
        #expect(node.machine.groups.isEmpty && node.machine.consumerGroups["group"]?.members.count == 3)
    }

    @Test("whoever waits in the classic group is told to come again")
    func waiting() throws {
        let node = try node()
        let ids = try classicGroup(node)
        let joining = node.ask(.join(ids[0], topics: ["topic", "more"]))
        #expect(joining.value == nil)
        node.ask(.enter("new"))
        #expect(joining.join?.errorCode == .rebalanceInProgress && joining.join?.memberID == ids[0])
        #expect(node.runtime.waitingCount == 0)
    }

    @Test(
        "when its last consumer goes, the group is a classic one again, and divides anew",
        arguments: [false, true])
    func downgrade(crashes: Bool) throws {
        let node = try node()
        let ids = try classicGroup(node)
        var new = ConsumerClient("new")
        try new.enter(node)
        var generation: Int32 = 0
        for id in ids {
            generation = try #require(node.ask(.join(id)).join).generationID
            node.ask(.sync(id, generation))
        }
        try new.beat(node)
        node.ask(.commit([("topic", 0, 3)], member: ids[0], generation: generation))
        node.ask(.beat("new", -1))
        if crashes { try node.crash() }
        node.advance(milliseconds: 0)
        let group = try #require(node.group())
        #expect(node.machine.consumerGroups.isEmpty && group.state == .preparingRebalance)
        #expect(group.members.count == 2 && group.generation == generation)
        for id in ids { #expect(node.ask(.heartbeat(id, generation)).heartbeat == .rebalanceInProgress) }
        let joins = ids.map { node.ask(.join($0)) }
        #expect(joins.allSatisfy { $0.join?.generationID == generation + 1 })
        #expect(joins.filter { $0.join?.members.count == 2 }.count == 1)
        #expect(try node.offset("topic", 0) == 3)
    }

    @Test("the policy says which way groups may go")
    func policy() throws {
        var settings = GroupSettings()
        settings.mayUpgrade = false
        var node = try node(settings)
        _ = try classicGroup(node)
        #expect(node.ask(.enter("new")).beat?.errorCode == .groupIDNotFound)
        #expect(node.group()?.state == .stable)
        settings = GroupSettings()
        settings.mayDowngrade = false
        node = try self.node(settings)
        let ids = try classicGroup(node)
        node.ask(.enter("new"))
        node.ask(.beat("new", -1))
        #expect(node.machine.consumerGroups["group"]?.members.count == 2)
        // A group without members may be either.
        node.ask(.leave(ids.map { ($0, nil) }))
        #expect(node.machine.consumerGroups["group"]?.state == .empty)
        #expect(node.ask(.join()).join?.errorCode == .coordinatorLoadInProgress)
        #expect(node.ask(.join()).join?.errorCode == .memberIDRequired && node.machine.consumerGroups.isEmpty)
    }

    @Test("what only its members understand keeps a group classic")
    func foreign() throws {
        let node = try node()
        let reply = node.ask(.join(instance: "one", type: "connect"))
        node.advance(milliseconds: 3_000)
        #expect(reply.join?.errorCode == ErrorCode.none)
        #expect(node.ask(.enter("new")).beat?.errorCode == .groupIDNotFound)
        // The assignment of tests' leaders is none of consumers.
        let other = try self.node()
        _ = try other.stableGroup(1)
        #expect(other.ask(.enter("new")).beat?.errorCode == .groupIDNotFound)
    }

    @Test("classic members that join a consumer group, or do not, as they were told")
    func classicMembers() throws {
        let node = try node()
        var new = ConsumerClient("new")
        try new.enter(node)
        #expect(node.ask(.join(type: "connect")).join?.errorCode == .inconsistentGroupProtocol)
        #expect(node.ask(.join("new")).join?.errorCode == .unknownMemberID)
        #expect(node.ask(.beat("new", 1)).beat?.errorCode == ErrorCode.none)
        let id = try #require(node.ask(.join()).join).memberID
        let joined = try #require(node.ask(.join(id)).join)
        #expect(joined.errorCode == .none && joined.generationID == 2)
        #expect(node.ask(.sync(id, 1)).sync?.errorCode == .illegalGeneration)
        #expect(try partitions(try #require(node.ask(.sync(id, 2)).sync).assignment).isEmpty)
        #expect(node.ask(.heartbeat(id, 2)).heartbeat == ErrorCode.none)
        try new.beat(node)
        try new.beat(node)
        // What it waits for is free.
        #expect(node.ask(.heartbeat(id, 2)).heartbeat == .rebalanceInProgress)
        #expect(node.ask(.join(id)).join?.generationID == 2)
        #expect(try partitions(try #require(node.ask(.sync(id, 2)).sync).assignment).count == 3)
        #expect(
            node.ask(.join("", instance: "x", protocols: ["other"])).join?.errorCode
                == .inconsistentGroupProtocol)
        // One that does not join when it is told to is gone after its rebalance time-out.
        var third = ConsumerClient("third")
        try third.enter(node)
        for _ in 0..<13 {
            _ = node.ask(.heartbeat(id, 2))
            try new.beat(node)
            try third.beat(node)
            node.advance(milliseconds: 5_000)
        }
        #expect(node.machine.consumerGroups["group"]?.members.keys.sorted() == ["new", "third"])
        #expect(node.ask(.heartbeat(id, 2)).heartbeat == .unknownMemberID)
    }
}
