import Base
import SystemIO
import Testing

@testable import Transport

@Suite("Hostile peers")
struct HostileTests {
    @Test(
        "Random bytes, lying lengths and broken streams are survived in bounded memory, others are served",
        arguments: NetworkChoice.backEnds)
    func randomStreams(_ backend: NetworkChoice) throws {
        var settings = TransportSettings()
        settings.maximumFrameByteCount = 1 << 20
        let server = try HandTurnedServer(backend, settings: settings, requestMemory: 16 << 20)
        let honest = try server.connect()
        var random = SeededGenerator(seed: 99)
        for round in 0..<300 {
            let client = try server.connect()
            let bytes = (0..<Int.random(in: 0...3000, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            switch round % 5 {
            case 0: try client.send(bytes, server)
            case 1: try client.send([0, 0, UInt8.random(in: 0...255, using: &random)] + bytes, server)
            case 2: try client.send(TestClient.frame(bytes) + [0xFF], server)
            case 3:
                try client.send(
                    TestClient.frame(bytes).dropLast(Int.random(in: 0...4, using: &random)), server)
            default: for _ in 0..<20 { try client.send(TestClient.frame(Array(bytes.prefix(5))), server) }
            }
            server.turn()
            if Bool.random(using: &random) { try? client.socket.finishSending() }
            server.turn()
            try honest.send(TestClient.frame([UInt8(truncatingIfNeeded: round)]), server)
            #expect(try honest.frames(1, server) == [[UInt8(truncatingIfNeeded: round)]])
            #expect(server.lane.requestMemory.usedByteCount <= server.lane.requestMemory.limitByteCount)
        }
        try server.turn { server.lane.connections.count == 1 }
    }

    @Test("Lines that a peer causes in the log are limited")
    func logFlood() throws {
        let server = try HandTurnedServer(.epoll)
        for _ in 0..<120 {
            let client = try server.connect()
            try client.send([0xFF, 0xFF, 0xFF, 0xFE], server)
            try server.turn { server.lane.connections.count == 0 }
        }
        #expect(server.sink.lines(containing: "request refused").count == RefusalLog.linesPerWindow)
        server.advance(milliseconds: 10_001)
        let client = try server.connect()
        try client.send([0xFF, 0xFF, 0xFF, 0xFE], server)
        try server.turn { server.lane.connections.count == 0 }
        #expect(server.sink.lines(containing: "similarLinesLeftOut=70").count == 1)
    }
}
