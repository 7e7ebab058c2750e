import KafkaProtocol
import RecordFormat
import SimulationKit
import Testing

@testable import Broker

/// Groups over real sockets, with their topic on a real disk.
struct GroupTests {
    @Test("The topic of groups comes about when the first group is looked for", arguments: [1, 3])
    func coordinator(lanes: Int) throws {
        let node = try TestNode(lanes: lanes)
        let client = try node.client()
        let keys = (0..<20).map { "group-\($0)" }
        let found = try client.ask(FindCoordinatorRequest(coordinatorKeys: keys), version: 6)
        #expect(found.coordinators.map(\.key) == keys)
        #expect(found.coordinators.allSatisfy { $0.errorCode == .none && $0.port == Int32(node.port) })
        let old = try client.ask(FindCoordinatorRequest(key: "g"), version: 0)
        #expect(old.errorCode == .none && old.nodeID == found.coordinators[0].nodeID)
        let topic = try #require(try client.metadata(["__consumer_offsets"]).topics.first)
        #expect(topic.isInternal && topic.partitions.count == 50)
        let settings = try client.ask(
            DescribeConfigsRequest(resources: [
                .init(
                    resourceType: 2, resourceName: "__consumer_offsets",
                    configurationKeys: ["cleanup.policy", "segment.bytes"])
            ]), version: 4)
        #expect(settings.results[0].configs.map(\.value) == ["compact", "104857600"])
        let transaction = try client.ask(
            FindCoordinatorRequest(keyType: 1, coordinatorKeys: ["t"]), version: 4)
        #expect(transaction.coordinators[0].errorCode == .none)
        let share = try client.ask(FindCoordinatorRequest(keyType: 2, coordinatorKeys: ["s"]), version: 4)
        #expect(share.coordinators[0].errorCode == .invalidRequest)
        node.stop()
    }

    @Test("Nobody but the broker writes to the topic of groups")
    func internalTopic() throws {
        let node = try TestNode()
        let client = try node.client()
        _ = try client.ask(FindCoordinatorRequest(coordinatorKeys: ["g"]), version: 4)
        #expect(
            try client.produce("__consumer_offsets", TestBatches.batch()).errorCode == .invalidTopicException)
        node.stop()
    }

    /// Finds the coordinator of the group, which is made with the first search and then reads what it has.
    private func awaitCoordinator(_ client: BrokerClient) throws {
        _ = try client.ask(FindCoordinatorRequest(coordinatorKeys: ["group"]), version: 4)
        let asked = HeartbeatRequest(groupID: "group", generationID: 0, memberID: "nobody")
        // Made on the way: first no lane leads it yet, then it reads what there is.
        while [.notCoordinator, .coordinatorLoadInProgress].contains(
            try client.ask(asked, version: 4).errorCode)
        {}
    }

    private func join(_ id: String, _ instance: String? = nil) -> JoinGroupRequest {
        JoinGroupRequest(
            groupID: "group", sessionTimeoutMilliseconds: 10_000, rebalanceTimeoutMilliseconds: 60_000,
            memberID: id, groupInstanceID: instance, protocolType: "consumer",
            protocols: [.init(name: "range", metadata: [1])])
    }

    private func commit(_ offset: Int64, member: String = "", generation: Int32 = -1) -> OffsetCommitRequest {
        OffsetCommitRequest(
            groupID: "group", generationIDOrMemberEpoch: generation, memberID: member,
            topics: [
                .init(
                    name: "events",
                    partitions: [
                        .init(partitionIndex: 0, committedOffset: Offset(offset), committedMetadata: "x"),
                        .init(partitionIndex: 9, committedOffset: Offset(offset)),
                    ]),
                .init(name: "nowhere", partitions: [.init(committedOffset: Offset(offset))]),
            ])
    }

    /// Time passes a second at a time, and all lanes do what is due in each.
    private func pass(_ node: TestNode, seconds: Int) {
        for _ in 0..<seconds {
            node.advance(milliseconds: 1_000)
            // The second turn begins when the timers of the first have fired.
            for _ in 0..<2 { node.node.waitForLanes { _ in } }
        }
    }

    private func committed(_ client: BrokerClient) throws -> Int64 {
        let answer = try client.ask(
            OffsetFetchRequest(groups: [
                .init(groupID: "group", topics: [.init(name: "events", partitionIndexes: [0])])
            ]), version: 8)
        let group = try #require(answer.groups.first)
        #expect(group.errorCode == .none)
        return try #require(group.topics.first?.partitions.first).committedOffset.rawValue
    }

    @Test("Members join, share, commit and leave; a restart changes nothing", arguments: [1, 3])
    func life(lanes: Int) throws {
        let directory = try TemporaryDirectory()
        var node = try TestNode(lanes: lanes, in: directory)
        var client = try node.client()
        let other = try node.client(clientID: "other")
        try client.metadata(["events"])
        try awaitCoordinator(client)
        let first = try client.ask(join(""), version: 9)
        #expect(first.errorCode == .memberIDRequired)
        try client.send(join(first.memberID), version: 9)
        try other.send(join("", "static"), version: 7)
        let third = try node.client()
        var count = 0
        while count < 2 {
            let described = try third.ask(DescribeGroupsRequest(groups: ["group"]), version: 5)
            count = described.groups[0].members.count
        }
        pass(node, seconds: 8)
        let one = try client.receive(JoinGroupRequest.self, version: 9)
        let two = try other.receive(JoinGroupRequest.self, version: 7)
        #expect(one.generationID == 1 && two.generationID == 1 && one.leader == two.leader)
        #expect(one.members.count + two.members.count == 2)
        let leads = one.leader == one.memberID
        func sync(_ id: String, _ isLeader: Bool) -> SyncGroupRequest {
            SyncGroupRequest(
                groupID: "group", generationID: 1, memberID: id,
                assignments: isLeader
                    ? [
                        .init(memberID: one.memberID, assignment: [1]),
                        .init(memberID: two.memberID, assignment: [2]),
                    ] : [])
        }
        try client.send(sync(one.memberID, leads), version: 5)
        try other.send(sync(two.memberID, !leads), version: 5)
        #expect(try client.receive(SyncGroupRequest.self, version: 5).assignment == [1])
        #expect(try other.receive(SyncGroupRequest.self, version: 5).assignment == [2])

        let codes = try client.ask(commit(5, member: one.memberID, generation: 1), version: 9)
        #expect(
            codes.topics.flatMap(\.partitions).map(\.errorCode) == [
                .none, .unknownTopicOrPartition, .unknownTopicOrPartition,
            ])
        #expect(try committed(client) == 5)
        node.stop()

        node = try TestNode(lanes: lanes, in: directory)
        client = try node.client()
        var beat = HeartbeatResponse(errorCode: .coordinatorLoadInProgress)
        while [.notCoordinator, .coordinatorLoadInProgress].contains(beat.errorCode) {
            beat = try client.ask(
                HeartbeatRequest(groupID: "group", generationID: 1, memberID: one.memberID), version: 4)
        }
        #expect(beat.errorCode == .none)
        #expect(try committed(client) == 5)
        let described = try client.ask(DescribeGroupsRequest(groups: ["group", "none"]), version: 6)
        #expect(described.groups.map(\.groupState) == ["Stable", "Dead"])
        #expect(Set(described.groups[0].members.map(\.memberAssignment)) == [[1], [2]])
        #expect(Set(described.groups[0].members.map(\.clientID)) == ["test", "other"])
        #expect(described.groups[0].members.allSatisfy { $0.clientHost == "/127.0.0.1" })

        // Both are silent from here on.
        pass(node, seconds: 25)
        let listed = try client.ask(ListGroupsRequest(statesFilter: ["Empty"]), version: 5)
        #expect(listed.groups.map(\.groupID) == ["group"] && listed.groups[0].groupType == "classic")
        let deleted = try client.ask(DeleteGroupsRequest(groupsNames: ["group", "none"]), version: 2)
        #expect(deleted.results.map(\.errorCode) == [.none, .groupIDNotFound])
        #expect(try committed(client) == -1)
    }

    @Test("Those that only store offsets need no members, in any version")
    func simple() throws {
        let node = try TestNode()
        let client = try node.client()
        try client.metadata(["events"])
        try awaitCoordinator(client)
        for version in Int16(0)...9 {
            let answer = try client.ask(commit(Int64(version)), version: version)
            #expect(answer.topics[0].partitions[0].errorCode == .none)
            #expect(try committed(client) == Int64(version))
        }
        let all = try client.ask(OffsetFetchRequest(groupID: "group", topics: nil), version: 7)
        #expect(all.topics.map(\.name) == ["events"] && all.topics[0].partitions[0].metadata == "x")
        node.stop()
    }

    @Test(
        "When the topic of groups is deleted, whoever waits is told, and a new one is empty",
        arguments: [1, 2])
    func deletedTopic(lanes: Int) throws {
        let node = try TestNode(lanes: lanes)
        let client = try node.client()
        try client.metadata(["events"])
        try awaitCoordinator(client)
        _ = try client.ask(commit(5), version: 9)
        let waiting = try node.client()
        try waiting.send(join("", "static"), version: 9)
        var count = 0
        while count < 1 {
            let described = try client.ask(DescribeGroupsRequest(groups: ["group"]), version: 5)
            count = described.groups[0].members.count
        }
        let writing = try node.client()
        for number in 0..<20 { try writing.send(commit(Int64(number)), version: 9) }
        let deleted = try client.ask(
            DeleteTopicsRequest(
                topics: [.init(name: "__consumer_offsets")], timeoutMilliseconds: 30_000), version: 6)
        #expect(deleted.responses[0].errorCode == .none)
        #expect(try waiting.receive(JoinGroupRequest.self, version: 9).errorCode == .notCoordinator)
        for _ in 0..<20 { _ = try writing.receive(OffsetCommitRequest.self, version: 9) }
        try awaitCoordinator(client)
        #expect(try committed(client) == -1)
        node.stop()
    }

    @Test("While there is no topic of groups, nobody keeps them")
    func withoutTopic() throws {
        let node = try TestNode()
        let client = try node.client()
        #expect(try client.ask(join(""), version: 9).errorCode == .notCoordinator)
        #expect(try client.ask(ListGroupsRequest(), version: 5).errorCode == .none)
        node.stop()
    }
}
