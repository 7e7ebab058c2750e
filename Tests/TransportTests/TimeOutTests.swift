import Base
import SystemIO
import Testing

@testable import Transport

@Suite("Connections that run out of time")
struct TimeOutTests {
    @Test(
        "A connection without requests ends when it is idle for too long", arguments: NetworkChoice.backEnds)
    func idle(_ backend: NetworkChoice) throws {
        var reasons: [CloseReason] = []
        let handler = ScriptedHandler()
        handler.closed = { reasons.append($1) }
        let server = try HandTurnedServer(backend, handler)
        let client = try server.connect()
        for _ in 0..<3 {
            try client.send(TestClient.frame([1]), server)
            #expect(try client.frames(1, server) == [[1]])
            server.advance(milliseconds: 599_000)
        }
        #expect(reasons.isEmpty)
        server.advance(milliseconds: 1_100)
        try server.turn {
            client.collect()
            return client.hasEnded
        }
        #expect(reasons == [.idle])
    }

    @Test("A connection whose request is being answered is not idle", arguments: NetworkChoice.backEnds)
    func notIdle(_ backend: NetworkChoice) throws {
        var ticket: ResponseTicket?
        let handler = ScriptedHandler()
        handler.arrived = { ticket = $1 }
        let server = try HandTurnedServer(backend, handler)
        let client = try server.connect()
        try client.send(TestClient.frame([1]), server)
        try server.turn { ticket != nil }
        for _ in 0..<5 { server.advance(milliseconds: 3_000_000) }
        ticket?.complete([5])
        #expect(try client.frames(1, server) == [[5]])
    }

    @Test(
        "A frame that was begun must come to its end in time, however it trickles",
        arguments: NetworkChoice.backEnds, [[UInt8](), [0], [0, 0, 0], [0, 0, 0, 100, 1, 2]])
    func slowFrame(_ backend: NetworkChoice, _ beginning: [UInt8]) throws {
        let server = try HandTurnedServer(backend)
        let client = try server.connect()
        try client.send(TestClient.frame([1]), server)
        #expect(try client.frames(1, server) == [[1]])
        try client.send(beginning, server)
        for _ in 0..<20 { server.turn() }
        server.advance(milliseconds: 29_900)
        #expect(server.lane.connections.count == 1)
        server.advance(milliseconds: 200)
        #expect(server.lane.connections.count == (beginning.isEmpty ? 1 : 0))
        #expect(server.lane.counters.refused(.frameTooSlow) == (beginning.isEmpty ? 0 : 1))
        #expect(
            server.sink.lines(containing: "given up", "not finished in time").count
                == (beginning.isEmpty ? 0 : 1))
    }

    @Test("A frame has time according to its length", arguments: NetworkChoice.backEnds)
    func longFrame(_ backend: NetworkChoice) throws {
        let server = try HandTurnedServer(backend)
        let client = try server.connect()
        // 640 KiB at 64 KiB a second: 10 seconds more than the 30.
        let body = Array(repeating: UInt8(1), count: 640 << 10)
        let bytes = TestClient.frame(body)
        try client.send(Array(bytes.prefix(1000)), server)
        for _ in 0..<20 { server.turn() }
        server.advance(milliseconds: 39_900)
        try client.send(Array(bytes.dropFirst(1000)), server)
        #expect(try client.frames(1, server) == [body])
        try client.send(Array(bytes.prefix(1000)), server)
        for _ in 0..<20 { server.turn() }
        server.advance(milliseconds: 40_100)
        #expect(server.lane.connections.count == 0)
    }

    @Test("A frame that waits because of us does not run out of time", arguments: NetworkChoice.backEnds)
    func heldBack(_ backend: NetworkChoice) throws {
        var settings = TransportSettings()
        settings.requestsInFlightPerConnection = 1
        var tickets: [ResponseTicket] = []
        let handler = ScriptedHandler()
        handler.arrived = { tickets.append($1) }
        let server = try HandTurnedServer(backend, settings: settings, handler)
        let client = try server.connect()
        try client.send(TestClient.frame([1]) + TestClient.frame([2]) + [0, 0], server)
        try server.turn { tickets.count == 1 }
        server.advance(milliseconds: 100_000)
        tickets[0].complete([1])
        try server.turn { tickets.count == 2 }
        server.advance(milliseconds: 100_000)
        tickets[1].complete([2])
        #expect(try client.frames(2, server) == [[1], [2]])
        #expect(server.lane.connections.count == 1)
    }

    @Test("A peer that takes nothing is given up", arguments: NetworkChoice.backEnds)
    func stall(_ backend: NetworkChoice) throws {
        let handler = ScriptedHandler()
        handler.arrived = { _, ticket in
            ticket.complete(OutboundPayload(BufferSlice(IOBuffer(byteCount: 80_000_000))))
        }
        var reasons: [CloseReason] = []
        handler.closed = { reasons.append($1) }
        let server = try HandTurnedServer(backend, handler)
        let client = try server.connect()
        try client.send(TestClient.frame([1]), server)
        try server.turn { server.lane.connections.all.first?.isBlocked == true }
        for _ in 0..<3 {
            // Taking a part of it is a sign of life.
            server.advance(milliseconds: 59_000)
            #expect(reasons.isEmpty)
            let before = server.lane.counters.bytesOut.value
            try server.turn {
                client.collect()
                return server.lane.counters.bytesOut.value > before
            }
            for _ in 0..<10 { server.turn() }
        }
        server.advance(milliseconds: 61_000)
        #expect(reasons == [.stalled])
        #expect(server.sink.lines(containing: "connection given up", "does not take").count == 1)
    }
}
