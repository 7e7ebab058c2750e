import Base
import KafkaProtocol
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import Broker

struct QuotaTests {
    /// Sets quotas of one entity; nil removes one.
    @discardableResult
    private func alter(
        _ client: BrokerClient, _ entity: [(type: String, name: String?)],
        _ values: [(key: String, value: Double?)], validateOnly: Bool = false
    ) throws -> AlterClientQuotasResponse.EntryData {
        let answer = try client.ask(
            AlterClientQuotasRequest(
                entries: [
                    AlterClientQuotasRequest.EntryData(
                        entity: entity.map {
                            AlterClientQuotasRequest.EntityData(entityType: $0.type, entityName: $0.name)
                        },
                        ops: values.map {
                            AlterClientQuotasRequest.OpData(
                                key: $0.key, value: $0.value ?? 0, remove: $0.value == nil)
                        })
                ], validateOnly: validateOnly), version: 1)
        return try #require(answer.entries.first)
    }

    private typealias Component = DescribeClientQuotasRequest.ComponentData

    /// `type=name key=value` of each quota that is found.
    private func describe(
        _ client: BrokerClient, _ components: [Component], strict: Bool = false
    ) throws -> [String] {
        let answer = try client.ask(
            DescribeClientQuotasRequest(components: components, strict: strict), version: 1)
        #expect(answer.errorCode == .none)
        return (answer.entries ?? []).map { entry in
            let entity = entry.entity.map { "\($0.entityType)=\($0.entityName ?? "*")" }
            return (entity + entry.values.map { "\($0.key)=\(Int($0.value))" }).joined(separator: " ")
        }
    }

    @Test("Quotas are set, described and removed")
    func roundTrip() throws {
        let node = try TestNode(lanes: 3)
        let client = try node.client()
        #expect(try describe(client, []) == [])
        try alter(client, [("client-id", "a")], [("producer_byte_rate", 1000), ("consumer_byte_rate", 20)])
        try alter(client, [("user", "u"), ("client-id", nil)], [("request_percentage", 50)])
        try alter(client, [("ip", "10.1.2.3")], [("connection_creation_rate", 7)])
        let all = [
            "client-id=* user=u request_percentage=50",
            "client-id=a consumer_byte_rate=20 producer_byte_rate=1000",
            "ip=10.1.2.3 connection_creation_rate=7",
        ]
        #expect(try describe(client, []) == all)
        let any = Component(entityType: "client-id", matchType: 2, match: nil)
        #expect(try describe(client, [any]) == [all[0], all[1]])
        #expect(try describe(client, [any], strict: true) == [all[1]])
        #expect(
            try describe(client, [Component(entityType: "ip", matchType: 0, match: "10.1.2.3")]) == [all[2]])
        // Nothing comes of a trial.
        try alter(client, [("client-id", "a")], [("producer_byte_rate", nil)], validateOnly: true)
        #expect(try describe(client, []) == all)
        try alter(client, [("client-id", "a")], [("producer_byte_rate", nil), ("consumer_byte_rate", nil)])
        #expect(try describe(client, []) == [all[0], all[2]])
    }

    @Test("What is wrong with quotas is told")
    func refusals() throws {
        let node = try TestNode()
        let client = try node.client()
        let wrong = try alter(client, [("client-id", "a")], [("no_such_rate", 1)])
        #expect(wrong.errorCode == .invalidRequest)
        #expect(wrong.errorMessage?.contains("no_such_rate") == true)
        #expect(wrong.entity.map(\.entityType) == ["client-id"])
        #expect(
            try alter(client, [("ip", "a")], [("connection_creation_rate", 1)]).errorCode == .invalidRequest)
        let filters: [([Component], ErrorCode)] = [
            ([Component(entityType: "", matchType: 2, match: nil)], .invalidRequest),
            ([Component(entityType: "group", matchType: 2, match: nil)], .unsupportedVersion),
            ([Component(entityType: "user", matchType: 3, match: nil)], .invalidRequest),
            ([Component(entityType: "user", matchType: 0, match: nil)], .invalidRequest),
            ([Component(entityType: "user", matchType: 1, match: "x")], .invalidRequest),
            (
                [
                    Component(entityType: "user", matchType: 2, match: nil),
                    Component(entityType: "user", matchType: 1, match: nil),
                ], .invalidRequest
            ),
            (
                [
                    Component(entityType: "user", matchType: 2, match: nil),
                    Component(entityType: "ip", matchType: 1, match: nil),
                ], .invalidRequest
            ),
        ]
        for (components, error) in filters {
            let answer = try client.ask(DescribeClientQuotasRequest(components: components), version: 1)
            #expect(answer.errorCode == error)
            #expect(answer.entries == nil)
            #expect(answer.errorMessage != nil)
        }
    }

    @Test("Producers on several connections together stay at their rate", arguments: [1, 3])
    func producers(lanes: Int) throws {
        let node = try TestNode(lanes: lanes, [("num.partitions", "3"), ("quota.window.num", "3")])
        let admin = try node.client()
        try admin.metadata(["events"])
        try alter(admin, [("client-id", nil)], [("producer_byte_rate", 1_000_000)])
        let clients = try (0..<3).map { _ in try node.client() }
        let batch = TestBatches.batch(count: 1, value: [UInt8](repeating: 7, count: 100_000))
        var milliseconds = 0
        var byteCount = 0
        for round in 0..<90 {
            let answer = try clients[round % 3].ask(
                BrokerClient.produce("events", [(Int32(round % 3), batch)], acks: 1), version: 9)
            #expect(answer.responses.first?.partitionResponses.first?.errorCode == ErrorCode.none)
            byteCount += batch.byteCount
            milliseconds += Int(answer.throttleTimeMilliseconds)
            // All wait, so that what one is told is what passes for all.
            node.advance(milliseconds: Int64(answer.throttleTimeMilliseconds))
        }
        // A burst of two windows, and the rate from then on.
        #expect(byteCount <= 1000 * (milliseconds + 3_000) + batch.byteCount)
        #expect(byteCount >= 1000 * milliseconds)
        #expect(milliseconds > 5_000)
        // Another client has room of its own.
        clients[0].clientID = "another"
        let other = try clients[0].ask(
            BrokerClient.produce("events", [(0, batch)], acks: 1), version: 9)
        #expect(other.throttleTimeMilliseconds == 0)
        // Without the quota nobody waits.
        try alter(admin, [("client-id", nil)], [("producer_byte_rate", nil)])
        let free = try clients[1].ask(BrokerClient.produce("events", [(0, batch)], acks: 1), version: 9)
        #expect(free.throttleTimeMilliseconds == 0)
    }

    @Test("Nothing is read of a connection while its client is paused")
    func muted() throws {
        let node = try TestNode()
        let client = try node.client()
        try client.metadata(["events"])
        try alter(client, [("user", "ANONYMOUS")], [("producer_byte_rate", 10_000)])
        let batch = TestBatches.batch(count: 1, value: [UInt8](repeating: 7, count: 150_000))
        let answer = try client.ask(BrokerClient.produce("events", [(0, batch)]), version: 9)
        let pause = answer.throttleTimeMilliseconds
        #expect(pause > 1000)
        let before = node.requestCount
        try client.send(MetadataRequest(topics: []), version: 9)
        node.advance(milliseconds: Int64(pause) - 1)
        for _ in 0..<3 { node.node.waitForLanes { _ in } }
        #expect(node.requestCount == before)
        // Only who used it up waits, not the node.
        #expect(try node.client().ask(MetadataRequest(topics: []), version: 9).brokers.count == 1)
        node.advance(milliseconds: 1)
        #expect(try client.receive(MetadataRequest.self, version: 9).brokers.count == 1)
        #expect(node.requestCount == before + 2)
        // One that wants no answer is paused all the same.
        try client.send(
            BrokerClient.produce("events", [(0, batch)], acks: 0), version: 9, isAnswered: false)
        try client.send(MetadataRequest(topics: []), version: 9)
        while node.requestCount == before + 2 { node.node.waitForLanes { _ in } }
        for _ in 0..<3 { node.node.waitForLanes { _ in } }
        #expect(node.requestCount == before + 3)
        node.advance(milliseconds: 60_000)
        #expect(try client.receive(MetadataRequest.self, version: 9).brokers.count == 1)
    }

    @Test("A consumer stays at its rate and gets every record", arguments: [1, 3])
    func consumer(lanes: Int) throws {
        let node = try TestNode(lanes: lanes)
        let client = try node.client()
        try client.metadata(["events"])
        let batch = TestBatches.batch(count: 1, value: [UInt8](repeating: 7, count: 50_000))
        for _ in 0..<60 { try client.produce("events", batch) }
        try alter(client, [("client-id", "test")], [("consumer_byte_rate", 100_000)])
        var next: Int64 = 0
        var milliseconds = 0
        var byteCount = 0
        var pauses = 0
        while next < 60 {
            try client.send(
                BrokerClient.fetch("events", [(0, next)], wait: 100, partitionBytes: 120_000), version: 12)
            let (response, parts) = try client.fetched()
            milliseconds += Int(response.throttleTimeMilliseconds)
            node.advance(milliseconds: Int64(response.throttleTimeMilliseconds))
            if response.throttleTimeMilliseconds > 0 {
                pauses += 1
                #expect(response.responses == [])
                continue
            }
            let found = try offsets(parts[0].1)
            #expect(found.first == next)
            byteCount += parts[0].1.count
            next = try #require(found.last) + 1
        }
        #expect(pauses > 5)
        #expect(byteCount == 60 * batch.byteCount)
        #expect(byteCount <= 100 * (milliseconds + 11_000) + 2 * batch.byteCount)
        #expect(byteCount >= 100 * milliseconds)
    }

    @Test("A batch that is larger than all that is allowed is sent when nothing else was")
    func largeBatch() throws {
        let node = try TestNode()
        let client = try node.client()
        try client.metadata(["events"])
        try client.produce("events", TestBatches.batch(count: 1, value: [UInt8](repeating: 7, count: 50_000)))
        try alter(client, [("client-id", "test")], [("consumer_byte_rate", 1_000)])
        let parts = try client.fetch(BrokerClient.fetch("events", [(0, 0)]))
        #expect(parts.first?.1.count ?? 0 > 50_000)
        try client.send(BrokerClient.fetch("events", [(0, 0)]), version: 12)
        #expect(try client.fetched().0.throttleTimeMilliseconds > 30_000)
    }

    @Test("A session that begins with a pause has not begun; one that has goes on")
    func sessions() throws {
        let node = try TestNode()
        let client = try node.client()
        try client.metadata(["events"])
        try client.produce("events", TestBatches.batch(count: 1, value: [UInt8](repeating: 7, count: 50_000)))
        let other = try node.client()
        func fetch(
            _ client: BrokerClient, _ session: (Int32, Int32), _ partitions: [(Int32, Int64)] = []
        ) throws -> FetchResponse {
            try client.send(BrokerClient.fetch("events", partitions, session: session), version: 12)
            return try client.fetched().0
        }
        let known = try fetch(client, (0, 0), [(0, 0)])
        #expect(known.sessionID != 0)
        try alter(client, [("client-id", "test")], [("consumer_byte_rate", 4_500)])
        #expect(try fetch(client, (known.sessionID, 1)).throttleTimeMilliseconds == 0)
        let paused = try fetch(client, (known.sessionID, 2))
        #expect(paused.throttleTimeMilliseconds > 0)
        #expect(paused.errorCode == .none)
        #expect(paused.sessionID == known.sessionID)
        #expect(paused.responses == [])
        let new = try fetch(other, (0, 0), [(0, 0)])
        #expect(new.throttleTimeMilliseconds > 0)
        #expect(new.sessionID == 0)
        #expect(node.node.lanes[0].sessions.count == 1)
        node.advance(milliseconds: 60_000)
        let after = try fetch(client, (known.sessionID, 3))
        #expect(after.throttleTimeMilliseconds == 0)
        #expect(after.responses.count == 1)
    }

    @Test("Requests that take too much time pause their client", arguments: [1, 3])
    func requestTime(lanes: Int) throws {
        // Each look at the clock takes a tenth of a millisecond.
        let clock = TickingClock(nanoseconds: 100_000)
        let node = try TestNode(lanes: lanes, timeSource: clock)
        let client = try node.client()
        try client.metadata(["events"])
        let admin = try node.client()
        admin.clientID = "admin"
        try alter(admin, [("client-id", "test")], [("request_percentage", 1)])
        var pauses: [Int32] = []
        for _ in 0..<2_000 where pauses.count < 3 {
            let pause = try client.ask(MetadataRequest(topics: []), version: 9).throttleTimeMilliseconds
            if pause > 0 {
                pauses.append(pause)
                // The test's clock stands still when nobody looks at it.
                clock.advance(milliseconds: Int64(pause))
                for lane in node.node.lanes { lane.perform { _ in } }
            }
        }
        #expect(pauses.count == 3)
        // Never for longer than a window.
        #expect(pauses.allSatisfy { $0 <= 1000 })
        #expect(try admin.ask(MetadataRequest(topics: []), version: 9).throttleTimeMilliseconds == 0)
    }

    @Test("Without quotas nothing is counted")
    func inactive() throws {
        let node = try TestNode()
        let client = try node.client()
        try client.metadata(["events"])
        try client.produce("events", TestBatches.batch())
        #expect(node.node.quotaMeters.count == 0)
        try alter(client, [("ip", nil)], [("connection_creation_rate", 1000)])
        try client.produce("events", TestBatches.batch())
        #expect(node.node.quotaMeters.count == 0)
        #expect(!node.node.lanes[0].quotas.isActive)
    }

    @Test("Connections are bounded for each address")
    func connections() throws {
        let node = try TestNode([
            ("max.connections.per.ip", "1"), ("max.connections.per.ip.overrides", "127.0.0.1:3"),
        ])
        let first = try node.client()
        try first.metadata([])
        let others = try (0..<2).map { _ in try node.client() }
        for client in others { try client.metadata([]) }
        let refused = try node.client()
        // An optimised build closes what is not used again.
        withExtendedLifetime((first, others)) {
            #expect(refused.hasEnded())
        }
        #expect(node.sink.lines(containing: "connection refused", "max.connections.per.ip").count == 1)
    }

    @Test("Connections of an address come as fast as its quota allows")
    func connectionRate() throws {
        let free = try TestNode()
        let admin = try free.client()
        try alter(admin, [("ip", "127.0.0.1")], [("connection_creation_rate", 2)])
        for _ in 0..<2 { try free.client().metadata([]) }
        #expect(try free.client().hasEnded())
        #expect(free.sink.lines(containing: "connection refused", "connection_creation_rate").count == 1)
        free.advance(milliseconds: 500)
        // A turn that goes on has the time of its beginning.
        free.node.waitForLanes { _ in }
        try free.client().metadata([])
    }
}

/// Time that goes on by so much whenever somebody looks at it.
private final class TickingClock: TimeSource {
    private let clock = SimulatedClock()
    private let nanoseconds: UInt64

    init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    func monotonicNanoseconds() -> UInt64 {
        clock.advance(nanoseconds: nanoseconds)
        return clock.monotonicNanoseconds()
    }

    func wallClockMilliseconds() -> Int64 { clock.wallClockMilliseconds() }

    func advance(milliseconds: Int64) { clock.advance(milliseconds: milliseconds) }
}
