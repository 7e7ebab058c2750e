import KafkaProtocol
import Testing

@testable import Coordinators

@Suite struct JoinTests {
    @Test("a client without an ID is given one, and is a member when it comes back with it")
    func memberIDRequired() throws {
        let node = try GroupNode()
        let first = try #require(node.ask(.join()).join)
        #expect(first.errorCode == .memberIDRequired)
        #expect(first.memberID.hasPrefix("client-") && first.memberID.utf8.count == "client-".utf8.count + 36)
        #expect(node.group()?.members.isEmpty == true)
        let second = node.ask(.join(first.memberID))
        node.advance(milliseconds: 2_999)
        #expect(second.value == nil)
        node.advance(milliseconds: 1)
        let answer = try #require(second.join)
        #expect(answer.errorCode == .none && answer.generationID == 1 && answer.leader == first.memberID)
        #expect(answer.members.map(\.memberID) == [first.memberID])
        #expect(answer.protocolName == "range" && answer.protocolType == "consumer")
    }

    @Test("clients from before KIP-394, and static members, are members at once", arguments: [3, 9])
    func directJoin(version: Int16) throws {
        let node = try GroupNode()
        let reply = node.ask(.join(instance: version == 9 ? "one" : nil, version: version))
        node.advance(milliseconds: 3_000)
        #expect(reply.join?.errorCode == ErrorCode.none)
        #expect(reply.join?.memberID.hasPrefix(version == 9 ? "one-" : "client-") == true)
    }

    @Test("an ID that is not used is forgotten after its session time-out")
    func pendingJoinExpires() throws {
        let node = try GroupNode()
        let id = try #require(node.ask(.join(session: 7_000)).join).memberID
        node.advance(milliseconds: 6_999)
        #expect(node.group()?.pendingJoins.count == 1)
        node.advance(milliseconds: 1)
        #expect(node.group()?.pendingJoins.isEmpty == true)
        #expect(node.ask(.join(id)).join?.errorCode == .unknownMemberID)
    }

    @Test("each member that comes extends the first delay, up to the rebalance time-out")
    func initialDelay() throws {
        let node = try GroupNode()
        func join() throws -> Reply {
            let id = try #require(node.ask(.join(rebalance: 7_000)).join).memberID
            return node.ask(.join(id, rebalance: 7_000))
        }
        var replies = [try join()]
        for _ in 0..<6 {
            node.advance(milliseconds: 1_000)
            replies.append(try join())
        }
        #expect(replies.allSatisfy { $0.value == nil })
        // Begun at 0, extended at 3 s and 6 s; at 7 s the time is over.
        node.advance(milliseconds: 999)
        #expect(replies.allSatisfy { $0.value == nil })
        node.advance(milliseconds: 1)
        #expect(replies.allSatisfy { $0.join?.generationID == 1 })
        #expect(replies.filter { $0.join?.members.isEmpty == false }.count == 1)
    }

    @Test("a member that joins a stable group begins a rebalance, which ends when all have come")
    func rebalance() throws {
        let node = try GroupNode()
        let ids = try node.stableGroup(2)
        let id = try #require(node.ask(.join()).join).memberID
        let joining = node.ask(.join(id))
        #expect(joining.value == nil && node.group()?.state == .preparingRebalance)
        #expect(node.ask(.heartbeat(ids[0], 1)).heartbeat == .rebalanceInProgress)
        let first = node.ask(.join(ids[0]))
        #expect(first.value == nil)
        let second = node.ask(.join(ids[1]))
        #expect([joining, first, second].allSatisfy { $0.join?.generationID == 2 })
        #expect(Set(first.join?.members.map(\.memberID) ?? []) == Set(ids + [id]))
        #expect(node.ask(.heartbeat(ids[1], 1)).heartbeat == .illegalGeneration)
        #expect(node.ask(.heartbeat(ids[1], 2)).heartbeat == ErrorCode.none)
    }

    @Test("who does not come to a rebalance in time is no member any more")
    func rebalanceTimeout() throws {
        let node = try GroupNode()
        let ids = try node.stableGroup(2, session: 100_000)
        let joining = node.ask(.join(ids[0], session: 100_000))
        node.advance(milliseconds: 59_999)
        #expect(joining.value == nil)
        node.advance(milliseconds: 1)
        #expect(joining.join?.members.map(\.memberID) == [ids[0]])
        #expect(node.ask(.heartbeat(ids[1], 2)).heartbeat == .unknownMemberID)
    }

    @Test("who asks again in the same words, as its answer was lost, gets the same answer")
    func repeated() throws {
        let node = try GroupNode()
        let ids = try node.stableGroup(2)
        #expect(node.ask(.join(ids[1])).join?.generationID == 1)
        #expect(node.group()?.state == .stable)
        // The leader means it: it has seen that partitions have come or gone.
        #expect(node.ask(.join(ids[0])).value == nil)
        #expect(node.group()?.state == .preparingRebalance)
        let twice = node.ask(.join(ids[0]))
        #expect(twice.value == nil)
        #expect(node.ask(.join(ids[1])).join?.generationID == 2)
        #expect(twice.join?.generationID == 2)
        #expect(node.ask(.join(ids[0])).join?.members.count == 2)
        #expect(node.group()?.state == .completingRebalance)
        #expect(node.runtime.waitingCount == 0)
    }

    @Test("the protocol is one that all know and most prefer")
    func selection() throws {
        let node = try GroupNode()
        let known = [["a", "b", "c"], ["c", "b"], ["b", "c"], ["c", "b", "a"]]
        let replies = known.map { node.ask(.join(version: 3, protocols: $0)) }
        #expect(
            node.ask(.join(version: 3, protocols: ["a"])).join?.errorCode == .inconsistentGroupProtocol)
        #expect(
            node.ask(.join(version: 3, type: "connect", protocols: ["b"])).join?.errorCode
                == .inconsistentGroupProtocol)
        node.advance(milliseconds: 60_000)
        // b is preferred by two as well, as one of them knows no a; the name decides.
        #expect(replies.allSatisfy { $0.join?.protocolName == "b" })
    }

    @Test("what cannot be is refused")
    func refusals() throws {
        var settings = GroupSettings()
        settings.maximumSize = 1
        let node = try GroupNode(settings)
        #expect(node.ask(.join(group: "")).join?.errorCode == .invalidGroupID)
        #expect(node.ask(.join(session: 5_999)).join?.errorCode == .invalidSessionTimeout)
        #expect(node.ask(.join(session: 1_800_001)).join?.errorCode == .invalidSessionTimeout)
        #expect(node.ask(.join(type: "")).join?.errorCode == .inconsistentGroupProtocol)
        #expect(node.ask(.join(protocols: [])).join?.errorCode == .inconsistentGroupProtocol)
        #expect(node.ask(.join("unknown")).join?.errorCode == .unknownMemberID)
        #expect(node.machine.groupCount == 0)
        _ = try node.stableGroup(1)
        #expect(node.ask(.join("unknown")).join?.errorCode == .groupMaxSizeReached)
        #expect(node.ask(.join(version: 3)).join?.errorCode == .groupMaxSizeReached)
    }

    @Test("a client that vanishes while its first JoinGroup waits is given up after five minutes")
    func newMemberTimeout() throws {
        let node = try GroupNode()
        let ids = try node.stableGroup(1, session: 1_000_000)
        let lost = node.ask(.join(version: 3, rebalance: 900_000))
        node.advance(milliseconds: 299_999)
        #expect(lost.value == nil)
        node.advance(milliseconds: 1)
        #expect(lost.join?.errorCode == .unknownMemberID)
        #expect(node.ask(.join(ids[0], session: 1_000_000)).join?.members.count == 1)
    }
}
