import KafkaProtocol
import RecordFormat
import SimulationKit
import Testing

@testable import Broker

/// Every version of every API that the broker names is answered in that version.
struct VersionTests {
    /// Asks, and reads the answers.
    private final class Asking: RequestVisitor {
        let client: BrokerClient
        var seen: Set<APIKey> = []

        init(_ client: BrokerClient) { self.client = client }

        func visit<Body: RequestMessage>(_ request: Body, version: Int16) throws {
            // Throws when the answer cannot be read, or is another's.
            _ = try client.ask(request, version: version)
            seen.insert(Body.apiKey)
        }
    }

    @Test("Every version of every API is answered so that it can be read")
    func all() throws {
        let node = try TestNode(lanes: 2)
        let client = try node.client()
        let id = try client.metadata(["events"]).topics[0].topicID
        try client.produce("events", TestBatches.batch())
        let asking = Asking(client)
        try SampleRequests(topicID: id).forEach(asking)
        #expect(asking.seen == Set(APITable.served.map(\.key)))
    }
}
