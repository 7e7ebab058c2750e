import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

@Suite struct ConsumerGroupTests {
    private func node(_ settings: GroupSettings = GroupSettings()) throws -> GroupNode {
        try GroupNode(settings, topics: ["topic": 6, "other": 4])
    }

    private func state(_ node: GroupNode) -> ConsumerGroupState? {
        node.machine.consumerGroups["group"]?.state
    }

    @Test("the first member gets all partitions with its first heartbeat")
    func first() throws {
        let node = try node()
        let answer = try #require(node.ask(.enter("a")).beat)
        #expect(answer.errorCode == .none && answer.memberID == "a" && answer.memberEpoch == 1)
        #expect(answer.heartbeatIntervalMilliseconds == 5_000)
        #expect(answer.partitions == PartitionSet([(node.topics.id("topic"), [0, 1, 2, 3, 4, 5])]))
        #expect(state(node) == .stable)
        // It is told once more, in case the answer was another's, and then no more.
        #expect(node.ask(.beat("a", 1)).beat?.partitions == answer.partitions)
        let next = try #require(node.ask(.beat("a", 1)).beat)
        #expect(next.memberEpoch == 1 && next.assignment == nil)
        #expect(node.machine.groups.isEmpty)
    }

    @Test("what is given to a second member is taken from the first before")
    func revocation() throws {
        let node = try node()
        var (one, two) = (ConsumerClient("a"), ConsumerClient("b"))
        try one.enter(node)
        try two.enter(node)
        #expect(two.owned.isEmpty && two.epoch == 2 && state(node) == .reconciling)
        let before = one.owned
        // It is told to give back, and stays in its epoch until it has.
        try one.beat(node)
        #expect(one.epoch == 1 && one.owned.count == 3)
        try two.beat(node)
        #expect(two.owned.isEmpty)
        // It says that it has still what it is to give back.
        let slow = try #require(node.ask(.beat("a", 1, owned: before)).beat)
        #expect(slow.memberEpoch == 1)
        try two.beat(node)
        #expect(two.owned.isEmpty)
        try one.beat(node)
        #expect(one.epoch == 2)
        try two.beat(node)
        #expect(two.owned.count == 3 && two.owned.intersection(one.owned).isEmpty && state(node) == .stable)
    }

    @Test("a member that does not give back in its time is taken out")
    func rebalanceTimeout() throws {
        let node = try node()
        var two = ConsumerClient("b")
        let all = try #require(node.ask(.enter("a", rebalance: 20_000)).beat?.partitions)
        try two.enter(node)
        node.ask(.beat("a", 1, owned: all))
        for _ in 0..<3 {
            node.advance(milliseconds: 6_000)
            #expect(node.ask(.beat("a", 1, owned: all)).beat?.errorCode == ErrorCode.none)
            try two.beat(node)
        }
        node.advance(milliseconds: 1_999)
        #expect(node.machine.consumerGroups["group"]?.members.count == 2)
        node.advance(milliseconds: 1)
        #expect(node.ask(.beat("a", 1, owned: all)).beat?.errorCode == .unknownMemberID)
        try two.beat(node)
        #expect(two.owned.count == 6)
    }

    @Test("a member that is silent for the session time-out is taken out")
    func session() throws {
        let node = try node()
        var (one, two) = (ConsumerClient("a"), ConsumerClient("b"))
        try one.enter(node)
        try two.enter(node)
        node.advance(milliseconds: 44_999)
        try two.beat(node)
        node.advance(milliseconds: 1)
        #expect(node.machine.consumerGroups["group"]?.members.keys.sorted() == ["b"])
        try two.beat(node)
        #expect(two.owned.count == 6)
        node.topics.own["group"] = OwnGroupSettings(session: 50_000, heartbeat: 700)
        let answer = try #require(node.ask(.beat("b", two.epoch)).beat)
        #expect(answer.heartbeatIntervalMilliseconds == 700)
        node.advance(milliseconds: 49_999)
        #expect(state(node) == .stable)
        node.advance(milliseconds: 1)
        #expect(state(node) == .empty)
    }

    @Test("epochs fence who is behind or ahead, but not one whose answer was lost")
    func fencing() throws {
        let node = try node()
        var (one, two) = (ConsumerClient("a"), ConsumerClient("b"))
        try one.enter(node)
        // The answer to the first heartbeat was lost.
        let again = try #require(node.ask(.enter("a")).beat)
        #expect(again.memberEpoch == 1 && again.partitions == one.owned)
        try two.enter(node)
        try one.beat(node)
        try one.beat(node)
        #expect(one.epoch == 2)
        #expect(node.ask(.beat("a", 3)).beat?.errorCode == .fencedMemberEpoch)
        #expect(node.ask(.beat("a", 1)).beat?.errorCode == .fencedMemberEpoch)
        let lost = try #require(node.ask(.beat("a", 1, owned: one.owned)).beat)
        #expect(lost.errorCode == .none && lost.memberEpoch == 2 && lost.partitions == one.owned)
        var more = one.owned
        more.insert(node.topics.id("topic"), 5)
        more.insert(node.topics.id("topic"), 0)
        more.insert(node.topics.id("topic"), 3)
        #expect(node.ask(.beat("a", 1, owned: more)).beat?.errorCode == .fencedMemberEpoch)
        #expect(node.ask(.enter("a")).beat?.errorCode == .fencedMemberEpoch)
        #expect(node.ask(.beat("c", 1)).beat?.errorCode == .unknownMemberID)
        #expect(node.ask(.beat("a", 1, group: "none")).beat?.errorCode == .groupIDNotFound)
    }

    @Test("a member that leaves frees what it has at once")
    func leave() throws {
        let node = try node()
        var (one, two) = (ConsumerClient("a"), ConsumerClient("b"))
        try one.enter(node)
        try two.enter(node)
        let answer = try #require(node.ask(.beat("a", -1)).beat)
        #expect(answer.errorCode == .none && answer.memberEpoch == -1 && answer.memberID == "a")
        try two.beat(node)
        #expect(two.owned.count == 6 && two.epoch == 3)
        #expect(node.ask(.beat("a", -1)).beat?.errorCode == .unknownMemberID)
        node.ask(.beat("b", -1))
        #expect(state(node) == .empty)
        #expect(node.ask(.delete(group: "group")).delete == ErrorCode.none)
        #expect(node.machine.groupCount == 0)
        try node.crash()
        #expect(node.machine.groupCount == 0)
    }

    @Test("static members that pause keep what they have, and nobody else may be them")
    func staticMembers() throws {
        let node = try node()
        var (one, two) = (ConsumerClient("a", instance: "one"), ConsumerClient("b"))
        try one.enter(node)
        try two.enter(node)
        try one.beat(node)
        try one.beat(node)
        try two.beat(node)
        #expect(node.ask(.enter("x", instance: "one")).beat?.errorCode == .unreleasedInstanceID)
        #expect(node.ask(.beat("x", 2, instance: "one")).beat?.errorCode == .fencedInstanceID)
        #expect(node.ask(.beat("a", 2, instance: "two")).beat?.errorCode == .unknownMemberID)
        #expect(node.ask(.beat("a", -2)).beat?.errorCode == .invalidRequest)
        let pause = try #require(node.ask(.beat("a", -2, instance: "one")).beat)
        #expect(pause.errorCode == .none && pause.memberEpoch == -2)
        // What comes late from the time before does not bring it back.
        let late = GroupRequest.beat("a", 2, instance: "one", owned: one.owned)
        #expect(node.ask(late).beat?.errorCode == .fencedMemberEpoch)
        try two.beat(node)
        #expect(two.owned.count == 3 && two.epoch == 2)
        var back = ConsumerClient("c", instance: "one")
        #expect(try back.enter(node) == .none)
        #expect(back.owned == one.owned && back.epoch == 2)
        try two.beat(node)
        #expect(two.epoch == 2 && state(node) == .stable)
        #expect(node.ask(.beat("a", 2, instance: "one")).beat?.errorCode == .fencedInstanceID)
        // Who does not come back in time is gone.
        node.ask(.beat("c", -2, instance: "one"))
        for _ in 0..<9 {
            node.advance(milliseconds: 5_000)
            try two.beat(node)
        }
        #expect(two.owned.count == 6)
        #expect(node.ask(.beat("c", 2, instance: "one")).beat?.errorCode == .unknownMemberID)
    }

    @Test("a member that joins again under another instance ID is no longer the old one")
    func otherInstance() throws {
        let node = try node()
        #expect(node.ask(.enter("a", instance: "one")).beat?.errorCode == ErrorCode.none)
        // The answer was lost, and the client was given another name meanwhile.
        #expect(node.ask(.enter("a", instance: "two")).beat?.errorCode == ErrorCode.none)
        #expect(node.machine.consumerGroups["group"]?.staticMembers == ["two": "a"])
        #expect(node.ask(.enter("b", instance: "one")).beat?.errorCode == ErrorCode.none)
        try node.crash()
        #expect(node.machine.consumerGroups["group"]?.staticMembers == ["two": "a", "one": "b"])
    }

    @Test("requests that make no sense are refused, and change nothing")
    func refusals() throws {
        var settings = GroupSettings()
        settings.consumerMaximumSize = 1
        let node = try node(settings)
        func code(_ request: GroupRequest) -> ErrorCode? { node.ask(request).beat?.errorCode }
        #expect(code(.enter("a", group: "")) == .invalidRequest)
        #expect(code(.enter("")) == .invalidRequest)
        #expect(code(.enter("a", instance: "")) == .invalidRequest)
        #expect(code(.enter("a", rebalance: -1)) == .invalidRequest)
        #expect(code(.enter("a", topics: nil)) == .invalidRequest)
        #expect(code(.enter("a", topics: [], pattern: "")) == .invalidRequest)
        #expect(code(.beat("a", 0, topics: ["topic"], rebalance: 1)) == .invalidRequest)
        #expect(code(.beat("a", -3)) == .invalidRequest)
        #expect(
            code(.beat("a", 0, owned: PartitionSet(), topics: ["t"], rebalance: 1, rack: ""))
                == .invalidRequest)
        #expect(code(.enter("a", assignor: "best")) == .unsupportedAssignor)
        #expect(code(.enter("a", topics: nil, pattern: "(")) == .invalidRegularExpression)
        #expect(node.log.records.isEmpty && node.machine.groupCount == 0)
        // Version 0 has its ID made.
        let first = try #require(node.ask(.enter("", version: 0)).beat)
        #expect(first.errorCode == .none && first.memberID?.isEmpty == false)
        #expect(code(.enter("b")) == .groupMaxSizeReached)
        var off = GroupSettings()
        off.servesConsumerGroups = false
        #expect(try self.node(off).ask(.enter("a")).beat?.errorCode == .unsupportedVersion)
    }

    @Test("subscriptions and topics that change are followed")
    func topics() throws {
        let node = try node()
        var one = ConsumerClient("a")
        try one.enter(node, topics: ["topic", "absent"])
        #expect(one.owned.count == 6)
        try one.beat(node, topics: ["other", "absent"])
        try one.beat(node)
        #expect(one.owned == PartitionSet([(node.topics.id("other"), [0, 1, 2, 3])]))
        let epoch = one.epoch
        node.setTopic("unrelated", 3)
        try one.beat(node)
        #expect(one.epoch == epoch)
        node.setTopic("other", 5)
        node.setTopic("absent", 2)
        try one.beat(node)
        #expect(one.owned.count == 7 && one.epoch == epoch + 1)
        // One of the same name is another one.
        node.setTopic("other", 0)
        node.setTopic("other", 1)
        try one.beat(node)
        try one.beat(node)
        #expect(
            one.owned
                == PartitionSet([(node.topics.id("other"), [0]), (node.topics.id("absent"), [0, 1])]))
    }

    @Test("a regular expression stands for the topics that there are")
    func patterns() throws {
        let node = try node()
        var one = ConsumerClient("a")
        #expect(try one.enter(node, topics: nil, pattern: "t.*|logs-[0-9]+") == .none)
        #expect(one.owned.count == 6)
        node.setTopic("logs-7", 2)
        node.setTopic("logs-x", 2)
        try one.beat(node)
        #expect(one.owned.count == 8)
        let group = try #require(node.machine.consumerGroups["group"])
        #expect(group.patterns == ["t.*|logs-[0-9]+": ["topic", "logs-7"]])
        #expect(group.isSubscribed(to: "logs-7") && !group.isSubscribed(to: "logs-x"))
        try node.crash()
        try one.beat(node)
        #expect(one.owned.count == 8)
        node.setTopic("logs-7", 0)
        try one.beat(node)
        try one.beat(node)
        #expect(one.owned.count == 6)
        node.ask(.beat("a", -1))
        #expect(node.machine.consumerGroups["group"]?.patterns.isEmpty == true)
    }

    @Test("a coordinator that takes over has members, epochs and assignments")
    func crash() throws {
        let node = try node()
        var (one, two) = (ConsumerClient("a"), ConsumerClient("b"))
        try one.enter(node)
        try two.enter(node)
        try one.beat(node)
        try node.crash()
        try two.beat(node)
        #expect(two.owned.isEmpty)
        try one.beat(node)
        try node.crash()
        try two.beat(node)
        #expect(one.owned.count == 3 && two.owned.count == 3 && state(node) == .stable)
        node.advance(milliseconds: 45_000)
        #expect(state(node) == .empty)
    }

    @Test("a refused append changes nothing")
    func refusedAppend() throws {
        let node = try node()
        var one = ConsumerClient("a")
        node.log.refusal = .unavailable
        #expect(try one.enter(node) == .coordinatorNotAvailable)
        #expect(node.machine.groupCount == 0)
        node.log.refusal = nil
        #expect(try one.enter(node) == .none)
        node.setTopic("topic", 8)
        node.log.refusal = .unavailable
        #expect(try one.beat(node) == .coordinatorNotAvailable)
        node.log.refusal = nil
        #expect(try one.beat(node) == .none)
        #expect(one.owned.count == 8)
        // A member whose leaving was not written down is there still, and goes in its time.
        node.log.refusal = .unavailable
        #expect(node.ask(.beat("a", -1)).beat?.errorCode == .coordinatorNotAvailable)
        node.log.refusal = nil
        #expect(state(node) == .stable)
        node.advance(milliseconds: 45_000)
        #expect(state(node) == .empty)
    }

    @Test("offsets are committed and fetched under the member's epoch")
    func offsets() throws {
        let node = try node()
        var one = ConsumerClient("a")
        try one.enter(node)
        func commit(_ member: String, _ epoch: Int32, version: Int16 = 9) -> ErrorCode? {
            node.ask(
                .commit([("topic", 0, 5)], member: member, generation: epoch, version: version)
            ).commit?.topics[0].partitions[0].errorCode
        }
        #expect(commit("a", 1) == ErrorCode.none)
        #expect(commit("a", 2) == .staleMemberEpoch)
        #expect(commit("b", 1) == .unknownMemberID)
        #expect(commit("", -1) == .unknownMemberID)
        #expect(commit("a", 1, version: 8) == .unsupportedVersion)
        func fetch(_ member: String?, _ epoch: Int32) -> ErrorCode? {
            node.ask(
                .fetch(
                    .init(
                        groupID: "group", memberID: member, memberEpoch: epoch,
                        topics: [.init(name: "topic", partitionIndexes: [0])]), requireStable: false)
            ).fetch?.errorCode
        }
        #expect(fetch(nil, -1) == ErrorCode.none && fetch("a", 1) == ErrorCode.none)
        #expect(fetch("a", 7) == .staleMemberEpoch && fetch("b", 1) == .unknownMemberID)
        let deletion = OffsetDeleteRequest(
            groupID: "group", topics: [.init(name: "topic", partitions: [.init(partitionIndex: 0)])])
        #expect(
            node.ask(.deleteOffsets(deletion)).deleteOffsets?.topics[0].partitions[0].errorCode
                == .groupSubscribedToTopic)
        node.ask(.beat("a", -1))
        #expect(commit("", -1) == ErrorCode.none)
        #expect(try node.offset("topic", 0) == 5)
        // A group without members goes with its last offset.
        node.advance(milliseconds: 8 * 24 * 3_600_000)
        #expect(node.machine.groupCount == 0)
    }

    @Test("a thousand who come at once are not a thousand divisions, and all get their shares soon")
    func large() throws {
        let node = try GroupNode(topics: ["topic": 1_000])
        var clients = (0..<1_000).map { ConsumerClient("member-\($0)") }
        for place in clients.indices { #expect(try clients[place].enter(node) == .none) }
        func divisions() throws -> Int {
            try node.log.decoded().filter { if case .consumer(.targetEpoch) = $0 { true } else { false } }
                .count
        }
        // One each up to a hundred members; a few more are to be divided when they have no partition yet.
        #expect(try divisions() < 110)
        #expect(clients.filter { $0.epoch > 0 }.count == 1_000)
        var rounds = 0
        while state(node) != .stable && rounds < 10 {
            rounds += 1
            node.advance(milliseconds: 5_000)
            for place in clients.indices { #expect(try clients[place].beat(node) == .none) }
        }
        #expect(clients.allSatisfy { $0.owned.count == 1 } && rounds < 6)
        #expect(try divisions() < 112)
        // And one who goes is replaced at once.
        node.ask(.beat("member-7", -1))
        node.advance(milliseconds: 1_000)
        try clients[8].beat(node)
        #expect(try divisions() < 113 && state(node) != .assigning)
    }

    @Test("administrators see consumer groups as what they are")
    func descriptions() throws {
        let node = try node()
        var one = ConsumerClient("a", instance: "one")
        try one.enter(node)
        let described = try #require(node.ask(.describeConsumer(group: "group")).consumers)
        #expect(described.errorCode == .none && described.groupState == "Stable")
        #expect(described.groupEpoch == 1 && described.assignmentEpoch == 1)
        #expect(described.assignorName == "uniform")
        let member = try #require(described.members.first)
        #expect(member.memberID == "a" && member.instanceID == "one" && member.memberEpoch == 1)
        #expect(member.memberType == 1 && member.subscribedTopicNames == ["topic"])
        #expect(member.assignment.topicPartitions.map(\.topicName) == ["topic"])
        #expect(member.assignment == member.targetAssignment)
        #expect(
            node.ask(.describe(group: "group", GroupRequest.caller(6))).describe?.errorCode
                == .groupIDNotFound)
        #expect(node.ask(.describe(group: "group", GroupRequest.caller(5))).describe?.groupState == "Dead")
        #expect(node.ask(.describeConsumer(group: "none")).consumers?.errorCode == .groupIDNotFound)
        let listed = try #require(node.ask(.list(states: ["stable"], types: ["Consumer"])).list)
        #expect(
            listed.groups.map(\.groupType) == ["consumer"] && listed.groups.map(\.groupState) == ["Stable"])
        #expect(node.ask(.list(states: [], types: ["classic"])).list?.groups.isEmpty == true)
        #expect(node.ask(.delete(group: "group")).delete == .nonEmptyGroup)
    }
}
