import Base
import SystemIO
import Testing

@testable import Transport

@Suite("Frames in, responses out")
struct ConnectionTests {
    @Test("A frame comes back", arguments: NetworkChoice.backEnds)
    func echo(_ backend: NetworkChoice) throws {
        let server = try HandTurnedServer(backend)
        let client = try server.connect()
        try client.send(TestClient.frame([1, 2, 3]), server)
        #expect(try client.frames(1, server) == [[1, 2, 3]])
    }

    @Test("Frames of all sizes come back, whatever pieces they arrive in", arguments: NetworkChoice.backEnds)
    func sizes(_ backend: NetworkChoice) throws {
        let server = try HandTurnedServer(backend)
        let client = try server.connect()
        var random = SeededGenerator(seed: 11)
        for round in 0..<60 {
            let sizes = (0..<Int.random(in: 1...20, using: &random)).map { _ in
                let limit = [10, 100, 5_000, 20_000, 70_000, 400_000].randomElement(using: &random) ?? 1
                return Int.random(in: 0...limit, using: &random)
            }
            let bodies = sizes.map { size in (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ round) } }
            var stream = bodies.flatMap(TestClient.frame)[...]
            var frames: [[UInt8]] = []
            while !stream.isEmpty {
                let piece = stream.prefix(Int.random(in: 1...100_000, using: &random))
                stream = stream.dropFirst(piece.count)
                try client.send(Array(piece), server)
                server.turn()
                frames += client.takeFrames()
            }
            frames += try client.frames(bodies.count - frames.count, server)
            #expect(frames == bodies)
        }
    }

    @Test(
        "Responses keep the order of the requests, in whatever order they are completed",
        arguments: NetworkChoice.backEnds)
    func order(_ backend: NetworkChoice) throws {
        let handler = ScriptedHandler()
        nonisolated(unsafe) var waiting: [(BufferSlice, ResponseTicket)] = []
        handler.arrived = { waiting.append(($0, $1)) }
        let server = try HandTurnedServer(backend, handler)
        let client = try server.connect()
        var random = SeededGenerator(seed: 5)
        for _ in 0..<50 {
            let bodies = (0..<100).map { [UInt8($0), 1, 2] }
            try client.send(bodies.flatMap(TestClient.frame), server)
            try server.turn { waiting.count == 100 }
            var expected: [[UInt8]] = []
            var silent: Set<UInt8> = []
            for (frame, ticket) in waiting.shuffled(using: &random) {
                if Bool.random(using: &random) {
                    ticket.complete(copying: frame.bytes)
                } else if Bool.random(using: &random) {
                    ticket.complete(OutboundPayload(frame))
                } else {
                    silent.insert(frame.buffer.byte(at: frame.range.lowerBound))
                    ticket.completeWithoutResponse()
                }
            }
            expected = bodies.filter { !silent.contains($0[0]) }
            waiting = []
            #expect(try client.frames(expected.count, server) == expected)
        }
    }
}
