import KafkaProtocol
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import Broker

struct FetchSessionTests {
    @Test("A session tells only what has changed", arguments: [1, 3])
    func incremental(lanes: Int) throws {
        let node = try TestNode(lanes: lanes, [("num.partitions", "3")])
        let client = try node.client()
        try client.metadata(["events"])
        try client.produce("events", TestBatches.batch(), partition: 1)
        let all: [(Int32, Int64)] = [(0, 0), (1, 0), (2, 0)]
        try client.send(BrokerClient.fetch("events", all, session: (0, 0)), version: 12)
        let (first, parts) = try client.fetched()
        #expect(first.sessionID > 0)
        #expect(parts.map(\.0.partitionIndex) == [0, 1, 2])
        // Goes on behind what it got; the others are remembered.
        try client.send(BrokerClient.fetch("events", [(1, 1)], session: (first.sessionID, 1)), version: 12)
        let (second, nothing) = try client.fetched()
        #expect(second.sessionID == first.sessionID)
        #expect(nothing.isEmpty)
        try client.produce("events", TestBatches.batch(count: 2), partition: 2)
        try client.send(BrokerClient.fetch("events", [], session: (first.sessionID, 2)), version: 12)
        let news = try client.fetched().1
        #expect(news.map(\.0.partitionIndex) == [2])
        #expect(try offsets(news[0].1) == [0, 1])
        var forgetting = BrokerClient.fetch("events", [], session: (first.sessionID, 3))
        forgetting.forgottenTopicsData = [FetchRequest.ForgottenTopic(topic: "events", partitions: [2])]
        #expect(try client.fetch(forgetting).isEmpty)
    }

    @Test("Unknown sessions and wrong epochs are refused")
    func errors() throws {
        let node = try TestNode()
        let client = try node.client()
        try client.metadata(["events"])
        try client.send(BrokerClient.fetch("events", [], session: (12345, 1)), version: 12)
        #expect(try client.fetched().0.errorCode == .fetchSessionIDNotFound)
        try client.send(BrokerClient.fetch("events", [(0, 0)], session: (0, 0)), version: 12)
        let id = try client.fetched().0.sessionID
        try client.send(BrokerClient.fetch("events", [], session: (id, 5)), version: 12)
        #expect(try client.fetched().0.errorCode == .invalidFetchSessionEpoch)
        // The last epoch ends it.
        try client.send(BrokerClient.fetch("events", [(0, 0)], session: (id, -1)), version: 12)
        #expect(try client.fetched().0.sessionID == 0)
        try client.send(BrokerClient.fetch("events", [], session: (id, 1)), version: 12)
        #expect(try client.fetched().0.errorCode == .fetchSessionIDNotFound)
    }

    @Test("There are as many sessions as slots; one that rests makes room, a larger one displaces")
    func eviction() {
        let sessions = FetchSessions(slotCount: 2, seed: 1)
        func make(_ count: Int, at now: UInt64) -> FetchSession? {
            let session = sessions.make(
                partCount: count, usesTopicIDs: false, isPrivileged: false, now: now)
            for number in 0..<count {
                session?.set(
                    FetchPart(
                        FetchRequest.FetchPartition(partition: Int32(number)), topic: "events",
                        topicID: .none))
            }
            return session
        }
        let small = make(1, at: 0)
        let large = make(5, at: 0)
        #expect(small != nil && large != nil)
        #expect(make(3, at: 1) == nil)
        let later = FetchSessions.evictionNanoseconds + 1
        large?.lastUsed = later
        small?.lastUsed = later
        // Neither rests, but the small one has had its time.
        let middle = make(3, at: later)
        #expect(middle != nil)
        #expect(small.flatMap { sessions[$0.id] } == nil)
        #expect(make(1, at: later + 1) == nil)
        middle?.lastUsed = later * 2
        // The large one rests.
        #expect(make(1, at: later * 2 + 1) != nil)
        #expect(sessions.count == 2)
        #expect(large.flatMap { sessions[$0.id] } == nil)
    }
}
