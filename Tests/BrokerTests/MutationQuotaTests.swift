import ClusterMetadata
import KafkaProtocol
import SimulationKit
import Testing

@testable import Broker

/// Quotas for making and deleting partitions (KIP-599).
struct MutationQuotaTests {
    private func limit(_ client: BrokerClient, _ perSecond: Double) throws {
        let entry = AlterClientQuotasRequest.EntryData(
            entity: [AlterClientQuotasRequest.EntityData(entityType: "client-id", entityName: "test")],
            ops: [AlterClientQuotasRequest.OpData(key: "controller_mutation_rate", value: perSecond)])
        let answer = try client.ask(AlterClientQuotasRequest(entries: [entry]), version: 1)
        try #require(answer.entries[0].errorCode == .none)
    }

    private func create(
        _ client: BrokerClient, _ topics: [(String, Int32)], version: Int16 = 7, validateOnly: Bool = false
    ) throws -> ([ErrorCode], pause: Int32) {
        let answer = try client.ask(
            CreateTopicsRequest(
                topics: topics.map {
                    CreateTopicsRequest.CreatableTopic(
                        name: $0.0, numPartitions: $0.1, replicationFactor: 1)
                }, timeoutMilliseconds: 30_000, validateOnly: validateOnly), version: version)
        return (answer.topics.map(\.errorCode), answer.throttleTimeMilliseconds)
    }

    @Test(
        "What exceeds the quota is refused topic by topic, and the client is told how long",
        arguments: [1, 3])
    func strict(lanes: Int) throws {
        let node = try TestNode(lanes: lanes, [("controller.quota.window.num", "2")])
        let client = try node.client()
        let other = try node.client(clientID: "other")
        try limit(other, 5)
        // The bucket holds ten. A trial takes nothing of it.
        #expect(try create(client, [("a", 30)], validateOnly: true) == ([.none], 0))
        #expect(try create(client, [("a", 4)]) == ([.none], 0))
        // The change that overdraws it is let through, what comes after it is not.
        let second = try create(client, [("b", 16), ("c", 1), ("no name", 1)])
        #expect(second.0 == [.none, .throttlingQuotaExceeded, .invalidTopicException])
        // Ten below zero, at five a second.
        #expect(second.pause == 2_000)
        #expect(try create(other, [("d", 100)]) == ([.none], 0))
        node.advance(milliseconds: 1_000)
        node.node.waitForLanes { _ in }
        node.advance(milliseconds: 1_000)
        // Level again.
        #expect(try create(client, [("c", 2)]) == ([.none], 0))
        let refused = try client.ask(
            CreatePartitionsRequest(
                topics: [.init(name: "c", count: 3, assignments: nil)],
                timeoutMilliseconds: 30_000), version: 3)
        #expect(refused.results[0].errorCode == .throttlingQuotaExceeded)
        #expect(refused.throttleTimeMilliseconds == 400)
        node.advance(milliseconds: 400)
        let deleted = try client.ask(
            DeleteTopicsRequest(
                topics: [
                    DeleteTopicsRequest.DeleteTopicState(name: "b"),
                    DeleteTopicsRequest.DeleteTopicState(name: "a"),
                ], timeoutMilliseconds: 30_000), version: 6)
        #expect(deleted.responses.map(\.errorCode) == [.none, .throttlingQuotaExceeded])
        #expect(deleted.throttleTimeMilliseconds == 3_200)
        #expect(deleted.responses[1].errorMessage?.contains("controller_mutation_rate") == true)
        #expect(try other.metadata(["a"], creating: false).topics[0].errorCode == .none)
    }

    @Test("Clients of older versions are never refused, but paused")
    func permissive() throws {
        let node = try TestNode([("controller.quota.window.num", "1")])
        let client = try node.client()
        try limit(client, 10)
        #expect(try create(client, [("a", 10)], version: 5) == ([.none], 0))
        #expect(try create(client, [("b", 10), ("c", 10)], version: 5) == ([.none, .none], 2_000))
        node.advance(milliseconds: 2_000)
        let grown = try client.ask(
            CreatePartitionsRequest(
                topics: [.init(name: "a", count: 15, assignments: nil)],
                timeoutMilliseconds: 30_000), version: 2)
        #expect(grown.results[0].errorCode == .none && grown.throttleTimeMilliseconds == 500)
        node.advance(milliseconds: 500)
        let deleted = try client.ask(
            DeleteTopicsRequest(topicNames: ["b"], timeoutMilliseconds: 30_000), version: 4)
        #expect(deleted.responses[0].errorCode == .none && deleted.throttleTimeMilliseconds == 1_000)
        node.advance(milliseconds: 1_000)
        // A topic that comes about because a client asks for it counts as well.
        #expect(try client.metadata(["d"]).throttleTimeMilliseconds == 100)
    }

    @Test("A bucket fills at its rate, up to what all windows bring")
    func bucket() throws {
        let quotas = MutationQuotas(windowCount: 4, windowSeconds: 2)
        var image = MetadataImage()
        #expect(quotas.quota(of: "x") == nil)
        let entity = ClientQuotaEntity(user: nil, clientID: nil)
        try image.apply(.clientQuota(entity.record("controller_mutation_rate", 3)))
        quotas.update(image.clientQuotas)
        let quota = try #require(quotas.quota(of: "x"))
        #expect(quotas.allowance(quota, now: 0).tokens == 24)
        #expect(quotas.take(20, of: quota, now: 0) == 0)
        #expect(quotas.allowance(quota, now: 1_000_000_000).tokens == 7)
        #expect(quotas.take(10, of: quota, now: 1_000_000_000) == 1_000)
        #expect(quotas.allowance(quota, now: 60_000_000_000).tokens == 24)
        // One of another client is another.
        let other = try #require(quotas.quota(of: "y"))
        #expect(quotas.allowance(other, now: 1_000_000_000).tokens == 24)
        #expect(quotas.take(Int(Int32.max), of: quota, now: 60_000_000_000) == 86_400_000)
    }
}
