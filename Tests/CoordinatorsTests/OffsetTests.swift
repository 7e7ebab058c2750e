import KafkaProtocol
import RecordFormat
import Testing

@testable import Coordinators

@Suite struct OffsetTests {
    func code(_ reply: Reply) -> ErrorCode? { reply.commit?.topics.first?.partitions.first?.errorCode }

    @Test("offsets that are committed are found again, also after a crash, all of them or some")
    func commitAndFetch() throws {
        let node = try GroupNode()
        #expect(code(node.ask(.commit([("a", 0, 5), ("b", 3, 7)], metadata: "here"))) == ErrorCode.none)
        #expect(code(node.ask(.commit([("a", 0, 6)]))) == ErrorCode.none)
        for _ in 0..<2 {
            #expect(try node.offset("a", 0) == 6 && node.offset("b", 3) == 7 && node.offset("b", 4) == -1)
            let all = try #require(node.ask(.fetch(nil)).fetch)
            #expect(all.topics.map(\.name) == ["a", "b"])
            #expect(all.topics[1].partitions[0].metadata == "here")
            #expect(try #require(node.ask(.fetch(nil, group: "other")).fetch).topics.isEmpty)
            try node.crash()
        }
    }

    @Test("an acknowledged commit is committed in the log, and a fetch shows nothing that is not")
    func durability() throws {
        let node = try GroupNode()
        node.commitsAtOnce = false
        let commit = node.ask(.commit([("a", 0, 5)]))
        let fetch = node.ask(.fetch(["a": [0]]))
        #expect(commit.value == nil && fetch.value == nil)
        node.commit()
        #expect(code(commit) == ErrorCode.none)
        #expect(fetch.fetch?.topics[0].partitions[0].committedOffset == Offset(5))
        let lost = node.ask(.commit([("a", 0, 6)]))
        node.log.truncate(to: 1)
        try node.crash()
        #expect(code(lost) == .notCoordinator)
        node.commitsAtOnce = true
        #expect(try node.offset("a", 0) == 5)
    }

    @Test("commits of members count in their generation only")
    func fencing() throws {
        let node = try GroupNode()
        let ids = try node.stableGroup(1, instances: ["one"])
        func commit(_ member: String, _ generation: Int32, _ instance: String? = nil) -> ErrorCode? {
            code(
                node.ask(
                    .commit([("a", 0, 1)], member: member, generation: generation, instance: instance)))
        }
        #expect(commit(ids[0], 1) == ErrorCode.none)
        #expect(commit(ids[0], 1, "one") == ErrorCode.none)
        #expect(commit(ids[0], 2) == .illegalGeneration)
        #expect(commit("who", 1) == .unknownMemberID)
        #expect(commit("who", 1, "one") == .fencedInstanceID)
        #expect(commit("", -1) == .unknownMemberID)
        #expect(
            code(node.ask(.commit([("a", 0, 1)], member: "m", generation: 3, group: "no")))
                == .groupIDNotFound)
        #expect(
            code(node.ask(.commit([("a", 0, 1)], member: "m", generation: 3, group: "no", version: 8)))
                == .illegalGeneration)
        // While others join, what the member has done before still counts.
        _ = node.ask(.join(version: 3))
        #expect(commit(ids[0], 1) == ErrorCode.none)
        _ = node.ask(.join(ids[0], instance: "one"))
        #expect(node.group()?.state == .completingRebalance)
        #expect(commit(ids[0], 2) == .rebalanceInProgress)
    }

    @Test("a text that is too long is refused for its partition alone")
    func metadataBound() throws {
        var settings = GroupSettings()
        settings.offsetMetadataByteCount = 3
        let node = try GroupNode(settings)
        #expect(code(node.ask(.commit([("a", 0, 5)], metadata: "four"))) == .offsetMetadataTooLarge)
        #expect(node.log.records.isEmpty)
        #expect(code(node.ask(.commit([("a", 0, 5)], metadata: "abc"))) == ErrorCode.none)
    }

    @Test("a commit that the log does not take leaves no trace")
    func refusedCommit() throws {
        let node = try GroupNode()
        for (error, expected) in [
            (CoordinatorLogError.tooLarge, ErrorCode.invalidCommitOffsetSize),
            (.notLeader, .notCoordinator), (.unavailable, .coordinatorNotAvailable),
        ] {
            node.log.refusal = error
            #expect(code(node.ask(.commit([("a", 0, 5)]))) == expected)
        }
        node.log.refusal = nil
        #expect(try node.offset("a", 0) == -1 && node.machine.groupCount == 0)
    }

    func delete(_ topic: String, _ partitions: [Int32], group: String = "group") -> GroupRequest {
        .deleteOffsets(
            OffsetDeleteRequest(
                groupID: group,
                topics: [
                    OffsetDeleteRequest.OffsetDeleteRequestTopic(
                        name: topic,
                        partitions: partitions.map {
                            OffsetDeleteRequest.OffsetDeleteRequestPartition(partitionIndex: $0)
                        })
                ]))
    }

    @Test("offsets of topics that nobody in the group reads can be deleted")
    func deletion() throws {
        let node = try GroupNode()
        _ = node.ask(.commit([("topic", 0, 5), ("old", 0, 7), ("old", 1, 8)]))
        _ = try node.stableGroup(1)
        let kept = try #require(node.ask(delete("topic", [0])).deleteOffsets)
        #expect(kept.errorCode == .none)
        #expect(kept.topics[0].partitions[0].errorCode == .groupSubscribedToTopic)
        let gone = try #require(node.ask(delete("old", [0, 9])).deleteOffsets)
        #expect(gone.topics[0].partitions.map(\.errorCode) == [.none, .none])
        #expect(try node.offset("old", 0) == -1 && node.offset("old", 1) == 8 && node.offset("topic", 0) == 5)
        #expect(node.ask(delete("old", [0], group: "no")).deleteOffsets?.errorCode == .groupIDNotFound)
        _ = node.ask(.join(group: "odd", version: 3, type: "connect"))
        #expect(node.ask(delete("old", [0], group: "odd")).deleteOffsets?.errorCode == .nonEmptyGroup)
    }

    @Test("groups without members can be deleted, with their offsets")
    func groupDeletion() throws {
        let node = try GroupNode()
        _ = node.ask(.commit([("a", 0, 5), ("b", 0, 5)]))
        let ids = try node.stableGroup(1)
        #expect(node.ask(.delete(group: "group")).delete == .nonEmptyGroup)
        _ = node.ask(.leave([(ids[0], nil)]))
        #expect(node.ask(.delete(group: "group")).delete == ErrorCode.none)
        #expect(node.ask(.delete(group: "group")).delete == .groupIDNotFound)
        #expect(node.log.records.suffix(3).allSatisfy { $0.value == nil })
        #expect(try node.offset("a", 0) == -1)
        try node.crash()
        #expect(node.machine.groupCount == 0 && !node.machine.offsets.hasAny(of: "group"))
    }

    static let day: Int64 = 24 * 3_600_000

    @Test("offsets of consumers that only store them expire by their commit, and their group with them")
    func simpleExpiry() throws {
        let node = try GroupNode()
        _ = node.ask(.commit([("a", 0, 5)]))
        node.advance(milliseconds: 3 * Self.day)
        _ = node.ask(.commit([("a", 1, 5)]))
        node.advance(milliseconds: 4 * Self.day + 700_000)
        #expect(try node.offset("a", 0) == -1 && node.offset("a", 1) == 5)
        node.advance(milliseconds: 3 * Self.day)
        #expect(node.machine.groupCount == 0)
        try node.crash()
        #expect(node.machine.groupCount == 0)
    }

    @Test("offsets of a group expire by when its last member left")
    func groupExpiry() throws {
        let node = try GroupNode()
        _ = node.ask(.commit([("a", 0, 5)]))
        let ids = try node.stableGroup(1, session: 1_000_000)
        for _ in 0..<900 {
            node.advance(milliseconds: 900_000)
            #expect(node.ask(.heartbeat(ids[0], 1)).heartbeat == ErrorCode.none)
        }
        // Longer than the retention; the group reads "topic", so that this one has gone.
        #expect(try node.offset("a", 0) == -1)
        _ = node.ask(.commit([("topic", 0, 5)], member: ids[0], generation: 1))
        node.advance(milliseconds: 1_000_000)
        #expect(node.group()?.state == .empty)
        node.advance(milliseconds: 7 * Self.day - 600_000)
        #expect(try node.offset("topic", 0) == 5)
        node.advance(milliseconds: 1_200_000)
        #expect(node.machine.groupCount == 0)
    }

    @Test("topics that members read keep their offsets however old they are")
    func subscribedExpiry() throws {
        let node = try GroupNode()
        _ = node.ask(.commit([("topic", 0, 5)]))
        let ids = try node.stableGroup(1, session: 1_000_000)
        for _ in 0..<900 {
            node.advance(milliseconds: 900_000)
            _ = node.ask(.heartbeat(ids[0], 1))
        }
        #expect(try node.offset("topic", 0) == 5)
    }

    @Test("an old client may say how long its offset is kept")
    func ownExpiry() throws {
        let node = try GroupNode()
        _ = node.ask(.commit([("a", 0, 5)], version: 4, retention: 1_000_000))
        guard case .offset(_, let committed?) = try node.log.decoded()[0] else {
            Issue.record("no offset")
            return
        }
        #expect(committed.expireTimestamp == committed.commitTimestamp + 1_000_000)
        node.advance(milliseconds: 900_000)
        #expect(try node.offset("a", 0) == 5)
        node.advance(milliseconds: 1_000_000)
        #expect(try node.offset("a", 0) == -1)
    }

    @Test("groups are listed by state and type, and described with their members")
    func administration() throws {
        let node = try GroupNode()
        _ = node.ask(.commit([("a", 0, 5)], group: "simple"))
        let ids = try node.stableGroup(2)
        func list(_ states: [String], _ types: [String] = []) -> [String]? {
            node.ask(.list(states: states, types: types)).list?.groups.map(\.groupID)
        }
        #expect(list([]) == ["group", "simple"])
        #expect(list(["stable"]) == ["group"] && list(["Empty", "Dead"]) == ["simple"])
        #expect(list([], ["Classic"]) == ["group", "simple"] && list([], ["consumer"]) == [])
        let group = try #require(node.ask(.describe(group: "group", GroupRequest.caller(5))).describe)
        #expect(
            group.groupState == "Stable" && group.protocolType == "consumer" && group.protocolData == "range")
        #expect(Set(group.members.map(\.memberID)) == Set(ids))
        #expect(group.members.allSatisfy { $0.memberAssignment == Array($0.memberID.utf8) })
        #expect(group.members.allSatisfy { $0.memberMetadata == GroupRequest.subscription(["topic"]) })
        #expect(group.members.allSatisfy { $0.clientHost == "/10.0.0.1" && $0.clientID == "client" })
        let none = try #require(node.ask(.describe(group: "no", GroupRequest.caller(5))).describe)
        #expect(none.groupState == "Dead" && none.errorCode == .none)
        let said = try #require(node.ask(.describe(group: "no", GroupRequest.caller(6))).describe)
        #expect(said.errorCode == .groupIDNotFound)
    }
}
