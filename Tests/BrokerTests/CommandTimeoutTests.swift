import Base
import KafkaProtocol
import SimulationKit
import SystemIO
import Testing

@testable import Broker

/// How long requests wait that change what topics there are.
struct CommandTimeoutTests {
    private func create(_ names: [String], timeout: Int32, validateOnly: Bool = false) -> CreateTopicsRequest
    {
        CreateTopicsRequest(
            topics: names.map {
                CreateTopicsRequest.CreatableTopic(name: $0, numPartitions: 1, replicationFactor: 1)
            }, timeoutMilliseconds: timeout, validateOnly: validateOnly)
    }

    private func grow(_ name: String, to count: Int32, timeout: Int32) -> CreatePartitionsRequest {
        CreatePartitionsRequest(
            topics: [.init(name: name, count: count, assignments: nil)],
            timeoutMilliseconds: timeout)
    }

    private func delete(_ names: [String], timeout: Int32) -> DeleteTopicsRequest {
        DeleteTopicsRequest(
            topics: names.map { DeleteTopicsRequest.DeleteTopicState(name: $0) },
            timeoutMilliseconds: timeout)
    }

    private func partitionCount(_ client: BrokerClient, _ topic: String) throws -> Int? {
        let found = try client.metadata([topic], creating: false).topics[0]
        return found.errorCode == .none ? found.partitions.count : nil
    }

    @Test(
        "With a time-out of 0 or less nobody waits: refusals are told, all else is done without a word",
        arguments: [0, -1] as [Int32])
    func notWaiting(timeout: Int32) throws {
        let node = try TestNode(lanes: 2)
        let client = try node.client()
        try client.metadata(["old"])
        let made = try client.ask(create(["new", "old", "no name"], timeout: timeout), version: 7)
        #expect(
            made.topics.map(\.errorCode) == [.requestTimedOut, .topicAlreadyExists, .invalidTopicException])
        #expect(made.topics[0].errorMessage?.contains("\(timeout) ms") == true)
        #expect(
            try client.ask(grow("new", to: 3, timeout: timeout), version: 3).results[0].errorCode
                == .requestTimedOut)
        #expect(
            try client.ask(grow("new", to: 3, timeout: timeout), version: 3).results[0].errorCode
                == .invalidPartitions)
        // What was sent on its way is there for whoever waits for something behind it.
        #expect(try client.ask(create(["last"], timeout: 30_000), version: 7).topics[0].errorCode == .none)
        #expect(try partitionCount(client, "new") == 3)
        let gone = try client.ask(delete(["new", "nowhere"], timeout: timeout), version: 6)
        #expect(gone.responses.map(\.errorCode) == [.requestTimedOut, .unknownTopicOrPartition])
        #expect(try client.ask(delete(["last"], timeout: 30_000), version: 6).responses[0].errorCode == .none)
        #expect(try partitionCount(client, "new") == nil)
        // There is nothing to wait for when nothing is changed.
        let draft = try client.ask(create(["draft"], timeout: timeout, validateOnly: true), version: 7)
        #expect(draft.topics[0].errorCode == .none)
    }

    /// Holds a lane up until it is let go.
    private final class Hold: Sendable {
        private let isHeld = Locked(true)
        private let hasBegun = Locked(false)

        init(_ lane: BrokerLane) {
            lane.perform { [self] _ in
                hasBegun.withLock { $0 = true }
                while isHeld.withLock({ $0 }) {}
            }
            while !hasBegun.withLock({ $0 }) {}
        }

        func letGo() { isHeld.withLock { $0 = false } }
    }

    /// A client whose connection belongs to that lane.
    private func client(of lane: Int, _ node: TestNode) throws -> BrokerClient {
        var others: [BrokerClient] = []
        while true {
            let before = node.node.lanes[lane].lane.counters.requests.value
            let client = try node.client()
            try client.metadata([])
            if node.node.lanes[lane].lane.counters.requests.value > before { return client }
            others.append(client)
        }
    }

    private func waitForRequest(_ node: TestNode, after count: Int) {
        while node.requestCount == count {}
        node.node.lanes[1].perform { _ in }
    }

    @Test("A command that the controller has not come to within the time-out is not begun any more")
    func notBegun() throws {
        let node = try TestNode(lanes: 2)
        let client = try client(of: 1, node)
        let hold = Hold(node.node.lanes[0])
        let count = node.requestCount
        try client.send(create(["late"], timeout: 5_000), version: 7)
        waitForRequest(node, after: count)
        node.clock.advance(milliseconds: 5_000)
        node.node.lanes[1].perform { _ in }
        let answer = try client.receive(CreateTopicsRequest.self, version: 7)
        #expect(answer.topics.map(\.errorCode) == [.requestTimedOut])
        hold.letGo()
        #expect(try client.ask(create(["next"], timeout: 5_000), version: 7).topics[0].errorCode == .none)
        #expect(try partitionCount(client, "late") == nil)
    }

    @Test("A command that is not confirmed within the time-out says so, tells refusals, and takes effect")
    func notConfirmed() throws {
        let node = try TestNode(lanes: 3)
        let client = try client(of: 1, node)
        try client.metadata(["old"])
        let hold = Hold(node.node.lanes[2])
        let count = node.requestCount
        try client.send(create(["new", "old"], timeout: 5_000), version: 7)
        waitForRequest(node, after: count)
        // The controller has decided; the third lane has not heard of it.
        let isKnown = Locked(false)
        while !isKnown.withLock({ $0 }) {
            node.node.lanes[1].perform { lane in
                let found = lane.metadata.topics["new"] != nil
                isKnown.withLock { $0 = found }
            }
        }
        node.clock.advance(milliseconds: 5_000)
        node.node.lanes[1].perform { _ in }
        let answer = try client.receive(CreateTopicsRequest.self, version: 7)
        #expect(answer.topics.map(\.errorCode) == [.requestTimedOut, .topicAlreadyExists])
        hold.letGo()
        #expect(
            try client.ask(create(["new"], timeout: 5_000), version: 7).topics[0].errorCode
                == .topicAlreadyExists)
        #expect(try partitionCount(client, "new") == 1)
    }

    @Test("A command that is confirmed in time is answered once, and leaves no timer")
    func confirmed() throws {
        let node = try TestNode()
        let client = try node.client()
        #expect(try client.ask(create(["a"], timeout: 5_000), version: 7).topics[0].errorCode == .none)
        node.advance(milliseconds: 10_000)
        #expect(try partitionCount(client, "a") == 1)
        #expect(node.responseCount == node.requestCount)
    }
}
