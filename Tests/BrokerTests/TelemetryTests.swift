import KafkaProtocol
import RecordFormat
import SimulationKit
import Testing

@testable import Broker

struct TelemetryTests {
    @Test("A client is told that nobody wants its metrics, and keeps the identity that it got")
    func subscriptions() throws {
        let node = try TestNode()
        let client = try node.client()
        let first = try client.ask(GetTelemetrySubscriptionsRequest(), version: 0)
        #expect(first.errorCode == .none)
        #expect(first.clientInstanceID != .zero)
        #expect(first.requestedMetrics == [])
        #expect(first.pushIntervalMilliseconds == 300_000)
        let again = try client.ask(
            GetTelemetrySubscriptionsRequest(clientInstanceID: first.clientInstanceID), version: 0)
        #expect(again == first)
        let other = try client.ask(GetTelemetrySubscriptionsRequest(), version: 0)
        #expect(other.clientInstanceID != first.clientInstanceID)
    }

    @Test("Clients are not told that they may ask: each of them would, and log what it hears")
    func untold() throws {
        let node = try TestNode()
        let client = try node.client()
        let told = try client.ask(
            APIVersionsRequest(clientSoftwareName: "test", clientSoftwareVersion: "1"), version: 3)
        let keys = told.apiKeys.map(\.apiKey)
        #expect(keys.contains(APIKey.produce.rawValue))
        #expect(!keys.contains(APIKey.getTelemetrySubscriptions.rawValue))
        #expect(!keys.contains(APIKey.pushTelemetry.rawValue))
    }

    @Test("Metrics that are pushed all the same are taken, unless something is wrong with them")
    func push() throws {
        let node = try TestNode()
        let client = try node.client()
        let told = try client.ask(GetTelemetrySubscriptionsRequest(), version: 0)
        func push(
            _ id: UniqueID, subscription: Int32, compression: Int8 = 4, byteCount: Int = 10
        ) throws -> ErrorCode {
            try client.ask(
                PushTelemetryRequest(
                    clientInstanceID: id, subscriptionID: subscription, compressionType: compression,
                    metrics: [UInt8](repeating: 1, count: byteCount)), version: 0
            ).errorCode
        }
        let (id, subscription) = (told.clientInstanceID, told.subscriptionID)
        #expect(try push(id, subscription: subscription) == .none)
        #expect(try push(id, subscription: subscription, compression: 0) == .none)
        #expect(try push(.zero, subscription: subscription) == .invalidRequest)
        #expect(try push(id, subscription: subscription &+ 1) == .unknownSubscriptionID)
        #expect(try push(id, subscription: subscription, compression: 5) == .unsupportedCompressionType)
        #expect(try push(id, subscription: subscription, byteCount: 1 << 20) == .none)
        #expect(try push(id, subscription: subscription, byteCount: 1 + 1 << 20) == .telemetryTooLarge)
        #expect(node.sink.lines(containing: "telemetry refused").count == 4)
    }

    @Test("What has a configuration is listed by its type; there are no subscriptions of metrics")
    func configurations() throws {
        let node = try TestNode()
        let client = try node.client()
        try client.metadata(["events", "others"])
        func list(_ types: [Int8], version: Int16) throws -> [String] {
            let answer = try client.ask(ListConfigResourcesRequest(resourceTypes: types), version: version)
            #expect(answer.errorCode == .none)
            return answer.configResources.map { "\($0.resourceType) \($0.resourceName)" }
        }
        #expect(try list([], version: 0) == [])
        #expect(try list([16], version: 1) == [])
        #expect(try list([2], version: 1) == ["2 events", "2 others"])
        #expect(try list([4, 2, 4], version: 1) == ["4 1", "2 events", "2 others"])
        #expect(try list([], version: 1) == ["2 events", "2 others", "4 1", "8 1"])
        let wrong = try client.ask(ListConfigResourcesRequest(resourceTypes: [3]), version: 1)
        #expect(wrong.errorCode == .unsupportedVersion)
    }
}
