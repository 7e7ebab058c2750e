import KafkaProtocol
import Testing

@testable import Coordinators

@Suite struct MembershipTests {
    @Test("members get what the leader gives them, once it is committed")
    func assignment() throws {
        let node = try GroupNode()
        let replies = (0..<2).map { _ in node.ask(.join(version: 3)) }
        node.advance(milliseconds: 6_000)
        let answers = try replies.map { try #require($0.join) }
        let leader = answers[0].leader
        let other = try #require(answers.map(\.memberID).first { $0 != leader })
        node.commitsAtOnce = false
        let waiting = node.ask(.sync(other, 1))
        #expect(waiting.value == nil)
        let deciding = node.ask(.sync(leader, 1, [(leader, [1]), (other, [2]), ("gone", [3])]))
        #expect(node.log.records.count == 1)
        #expect(waiting.value == nil && deciding.value == nil)
        // Whoever asks meanwhile could see what is not committed, and waits as well.
        let asking = node.ask(.heartbeat(other, 1))
        #expect(asking.value == nil)
        node.commit()
        #expect(waiting.sync?.assignment == [2] && deciding.sync?.assignment == [1])
        #expect(asking.heartbeat == ErrorCode.none)
        #expect(node.ask(.sync(other, 1)).sync?.assignment == [2])
    }

    @Test("an assignment that the log does not take is given to nobody, and the group rebalances")
    func refusedAssignment() throws {
        let node = try GroupNode()
        let reply = node.ask(.join(version: 3))
        node.advance(milliseconds: 3_000)
        let id = try #require(reply.join).memberID
        node.log.refusal = .unavailable
        #expect(node.ask(.sync(id, 1, [(id, [1])])).sync?.errorCode == .coordinatorNotAvailable)
        #expect(node.group()?.state == .preparingRebalance)
        node.log.refusal = nil
        #expect(node.ask(.join(id)).join?.generationID == 2)
        #expect(node.ask(.sync(id, 2, [(id, [9])])).sync?.assignment == [9])
    }

    @Test("who waits for the leader is told when the group rebalances instead")
    func interruptedSync() throws {
        let node = try GroupNode()
        let replies = (0..<2).map { _ in node.ask(.join(version: 3)) }
        node.advance(milliseconds: 6_000)
        let leader = try #require(replies[0].join).leader
        let other = try #require(replies.compactMap { $0.join?.memberID }.first { $0 != leader })
        let waiting = node.ask(.sync(other, 1))
        _ = node.ask(.join(version: 3))
        #expect(waiting.sync?.errorCode == .rebalanceInProgress)
        #expect(node.ask(.sync(leader, 1)).sync?.errorCode == .rebalanceInProgress)
        #expect(node.ask(.sync(leader, 7)).sync?.errorCode == .illegalGeneration)
        #expect(node.ask(.sync("who", 1)).sync?.errorCode == .unknownMemberID)
    }

    @Test("who joins and never asks for its assignment is given up after the rebalance time-out")
    func missingSync() throws {
        let node = try GroupNode()
        let replies = (0..<2).map { _ in node.ask(.join(version: 3, session: 500_000)) }
        node.advance(milliseconds: 6_000)
        let leader = try #require(replies[0].join).leader
        node.ask(.sync(leader, 1, [(leader, [1])]))
        #expect(node.group()?.state == .stable)
        node.advance(milliseconds: 60_000)
        #expect(node.group()?.state == .preparingRebalance && node.group()?.members.count == 1)
    }

    @Test("a member that is silent for its session time-out is gone, one that is heard of is not")
    func session() throws {
        let node = try GroupNode()
        let ids = try node.stableGroup(2)
        for _ in 0..<3 {
            node.advance(milliseconds: 5_000)
            _ = node.ask(.heartbeat(ids[0], 1))
        }
        #expect(node.group()?.members.count == 1 && node.group()?.state == .preparingRebalance)
        #expect(node.ask(.join(ids[0])).join?.generationID == 2)
        node.ask(.sync(ids[0], 2, [(ids[0], [])]))
        // A commit is a sign of life too.
        for step in 0..<4 {
            node.advance(milliseconds: 6_000)
            let commit = node.ask(.commit([("topic", 0, Int64(step))], member: ids[0], generation: 2))
            #expect(commit.commit?.topics[0].partitions[0].errorCode == ErrorCode.none)
        }
        node.advance(milliseconds: 10_000)
        #expect(node.group()?.state == .empty && node.group()?.generation == 3)
        #expect(try node.log.decoded().last == node.group()?.record)
    }

    @Test("members leave one by one or together; what is left rebalances")
    func leaving() throws {
        let node = try GroupNode()
        let ids = try node.stableGroup(4, instances: ["a", "b"])
        let pending = try #require(node.ask(.join()).join).memberID
        let statics = try #require(node.group()).staticMembers
        let answer = try #require(
            node.ask(.leave([("", "a"), ("", "c"), ("who", nil), (ids[1], "c"), (pending, nil)])).leave)
        #expect(answer.errorCode == .none)
        #expect(
            answer.members.map(\.errorCode) == [
                .none, .unknownMemberID, .unknownMemberID, .unknownMemberID, .none,
            ])
        #expect(node.group()?.members.contains(try #require(statics["a"])) == false)
        #expect(node.group()?.state == .preparingRebalance && node.group()?.members.count == 3)
        let old = GroupRequest.leave(
            LeaveGroupRequest(groupID: "group", memberID: try #require(statics["b"])), GroupRequest.caller(2))
        #expect(node.ask(old).leave?.errorCode == ErrorCode.none)
        #expect(node.ask(old).leave?.errorCode == .unknownMemberID)
        let left = try #require(node.group()).members.all.map { ($0.id, $0.instanceID) }
        _ = node.ask(.leave(left))
        #expect(node.group()?.state == .empty)
        #expect(
            node.ask(.leave([("who", nil)], group: "none")).leave?.members[0].errorCode == .unknownMemberID)
    }

    @Test("a static member that restarts is in the group as before, and nobody rebalances")
    func staticRestart() throws {
        let node = try GroupNode()
        _ = try node.stableGroup(3, instances: ["a", "b", "c"])
        let before = try #require(node.group())
        let (old, leader) = (try #require(before.staticMembers["b"]), try #require(before.leaderID))
        let answer = try #require(node.ask(.join(instance: "b")).join)
        #expect(answer.errorCode == .none && answer.generationID == 1 && answer.memberID != old)
        #expect(node.group()?.state == .stable)
        #expect(answer.skipAssignment == (old == leader))
        let id = answer.memberID
        #expect(node.ask(.sync(id, 1, instance: "b")).sync?.assignment == Array(old.utf8))
        #expect(node.ask(.heartbeat(old, 1, instance: "b")).heartbeat == .fencedInstanceID)
        #expect(node.ask(.heartbeat(old, 1)).heartbeat == .unknownMemberID)
        #expect(node.ask(.heartbeat(id, 1, instance: "b")).heartbeat == ErrorCode.none)
        try node.crash()
        #expect(node.ask(.heartbeat(id, 1, instance: "b")).heartbeat == ErrorCode.none)
    }

    @Test("a static leader that restarts makes no new assignment", arguments: [Int16(8), 9])
    func staticLeader(version: Int16) throws {
        let node = try GroupNode()
        let ids = try node.stableGroup(2, instances: ["a", "b"])
        let instance = try #require(node.group()?.members[ids[0]]?.instanceID)
        let answer = try #require(node.ask(.join(instance: instance, version: version)).join)
        #expect(answer.generationID == 1 && node.group()?.state == .stable)
        if version >= 9 {
            #expect(answer.leader == answer.memberID && answer.skipAssignment && answer.members.count == 2)
        } else {
            #expect(answer.leader == ids[0] && answer.members.isEmpty)
        }
    }

    @Test("a static member that restarts with other protocols has the group rebalance")
    func staticRestartWithOthers() throws {
        let node = try GroupNode()
        let first = node.ask(.join(instance: "a", protocols: ["x", "y"]))
        let second = node.ask(.join(instance: "b", protocols: ["x", "y"]))
        node.advance(milliseconds: 6_000)
        let (one, two) = (try #require(first.join).memberID, try #require(second.join).memberID)
        let leader = try #require(first.join).leader
        node.ask(.sync(leader == one ? two : one, 1))
        node.ask(.sync(leader, 1))
        #expect(node.group()?.state == .stable && node.group()?.protocolName == "x")
        #expect(node.ask(.join(instance: "b", protocols: ["y"])).value == nil)
        #expect(node.group()?.state == .preparingRebalance)
    }

    @Test("static members that are away for a rebalance stay until their sessions end")
    func staticAway() throws {
        let node = try GroupNode()
        let ids = try node.stableGroup(2, instances: ["a"], session: 200_000)
        let there = try #require(ids.first { node.group()?.members[$0]?.instanceID == nil })
        let reply = node.ask(.join(there, session: 200_000, topics: ["other"]))
        node.advance(milliseconds: 60_000)
        #expect(reply.join?.generationID == 2)
        #expect(node.group()?.members.count == 2)
    }
}
