import Base
import KafkaProtocol
import RecordFormat
import SimulationKit
import SystemIO
import Testing

@testable import Broker

/// Requests that were good until somebody changed a few bytes.
struct HostileRequestTests {
    /// Frames with their lengths.
    private final class Frames: RequestVisitor {
        var all: [[UInt8]] = []

        func visit<Body: RequestMessage>(_ request: Body, version: Int16) throws {
            var writer = MessageWriter()
            try writer.writeRequest(request, version: version, correlationID: 1, clientID: "test")
            all.append(writer.bytes)
        }
    }

    /// Numbers at the edges of what fits.
    private static let edges: [[UInt8]] = [
        [0], [0x7F], [0x80], [0xFF], [0x7F, 0xFF], [0x80, 0], [0xFF, 0xFF], [0x7F, 0xFF, 0xFF, 0xFF],
        [0x80, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0xFE],
        [0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0x80, 0, 0, 0, 0, 0, 0, 0],
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
    ]

    /// Behind the length: the key and the version may change as well.
    private func mutated(_ frame: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var frame = frame
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            let edge = Self.edges.randomElement(using: &generator) ?? [0]
            let start = Int.random(in: 4..<frame.count, using: &generator)
            for (place, byte) in edge.enumerated() where start + place < frame.count {
                frame[start + place] = byte
            }
        }
        if Int.random(in: 0..<8, using: &generator) == 0 {
            frame.removeLast(Int.random(in: 0..<(frame.count - 4), using: &generator))
            let length = UInt32(frame.count - 4)
            for place in 0..<4 { frame[place] = UInt8(truncatingIfNeeded: length >> (24 - 8 * place)) }
        }
        return frame
    }

    @Test(
        "Changed requests end their connections or are answered, and harm nobody else", arguments: [1, 2, 3])
    func mutations(seed: UInt64) throws {
        let node = try TestNode(lanes: 2)
        let client = try node.client()
        let id = try client.metadata(["events"]).topics[0].topicID
        let frames = Frames()
        try SampleRequests(topicID: id).forEach(frames)
        var generator = SeededGenerator(seed: seed)
        // Open until some others have come, so that the broker has read what they sent.
        var open: [BrokerClient] = []
        for _ in 0..<400 {
            let frame = try #require(frames.all.randomElement(using: &generator))
            let hostile = try node.client()
            try hostile.send(bytes: mutated(frame, &generator))
            open.append(hostile)
            if open.count == 64 {
                node.node.waitForLanes { _ in }
                node.advance(milliseconds: 1_000)
                open.removeFirst(32)
            }
        }
        #expect(try client.metadata(["others"]).topics[0].errorCode == .none)
        #expect(try client.produce("others", TestBatches.batch()).errorCode == .none)
        #expect(try client.fetch(BrokerClient.fetch("others", [(0, 0)])).first?.0.highWatermark == Offset(1))
        // A node that stops waits for requests that wait, in a time that stands still.
        open.removeAll()
        withExtendedLifetime(node) {}
    }
}
