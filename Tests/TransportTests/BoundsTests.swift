import Base
import SystemIO
import Testing

@testable import Transport

@Suite("What bounds a connection")
struct BoundsTests {
    @Test(
        "A frame that is too long is refused before it has memory, with peer and size in the log",
        arguments: NetworkChoice.backEnds)
    func oversize(_ backend: NetworkChoice) throws {
        var settings = TransportSettings()
        settings.maximumFrameByteCount = 1000
        let server = try HandTurnedServer(backend, settings: settings)
        let client = try server.connect()
        try client.send(TestClient.frame(Array(repeating: 1, count: 1000)), server)
        #expect(try client.frames(1, server).first?.count == 1000)
        let before = server.lane.requestMemory.usedByteCount
        try client.send([0, 0, 0x03, 0xE9, 1, 2, 3], server)
        try server.turn {
            client.collect()
            return client.hasEnded
        }
        #expect(server.lane.requestMemory.usedByteCount <= before)
        #expect(server.lane.counters.refused(.frameTooLarge) == 1)
        let port = try client.socket.localAddress().port
        let lines = server.sink.lines(containing: "127.0.0.1:\(port)", "bytes=1001", "maximum=1000")
        #expect(lines.count == 1)
    }

    @Test("A negative length ends the connection", arguments: NetworkChoice.backEnds)
    func negative(_ backend: NetworkChoice) throws {
        var reasons: [CloseReason] = []
        let handler = ScriptedHandler()
        handler.closed = { reasons.append($1) }
        let server = try HandTurnedServer(backend, handler)
        let client = try server.connect()
        try client.send(TestClient.frame([7]) + [0xFF, 0xFF, 0xFF, 0xFE], server)
        try server.turn {
            client.collect()
            return client.hasEnded
        }
        #expect(server.lane.counters.refused(.badLength) == 1)
        #expect(reasons == [.badLength(-2)])
    }

    @Test(
        "As many requests are handled as may be in flight, and one more for each that is answered",
        arguments: NetworkChoice.backEnds)
    func inFlight(_ backend: NetworkChoice) throws {
        var settings = TransportSettings()
        settings.requestsInFlightPerConnection = 5
        var waiting: [ResponseTicket] = []
        var seen: [UInt8] = []
        let handler = ScriptedHandler()
        handler.arrived = { frame, ticket in
            seen.append(frame.buffer.byte(at: frame.range.lowerBound))
            waiting.append(ticket)
        }
        let server = try HandTurnedServer(backend, settings: settings, handler)
        let client = try server.connect()
        try client.send((0..<200).flatMap { TestClient.frame([UInt8($0)]) }, server)
        try server.turn { waiting.count == 5 }
        for _ in 0..<20 { server.turn() }
        #expect(waiting.count == 5)
        var answered = 0
        while answered < 200 {
            try #require(waiting[answered].connection.requestsInFlight <= 5)
            waiting[answered].complete([UInt8(answered)])
            answered += 1
            try server.turn { waiting.count == min(answered + 5, 200) }
        }
        #expect(seen == (0..<200).map { UInt8($0) })
        #expect(try client.frames(200, server) == (0..<200).map { [UInt8($0)] })
    }

    @Test(
        "A peer that reads nothing is given no more than the bound, and all of it when it reads",
        arguments: NetworkChoice.backEnds)
    func peerNeverReads(_ backend: NetworkChoice) throws {
        var settings = TransportSettings()
        settings.pendingOutByteCount = 300_000
        settings.socket = SocketOptions(sendBufferByteCount: 16384, receiveBufferByteCount: 16384)
        let body = Array(repeating: UInt8(9), count: 50_000)
        let handler = ScriptedHandler()
        var handled = 0
        handler.arrived = { _, ticket in
            handled += 1
            ticket.complete(OutboundPayload(BufferSlice(IOBuffer(copying: body))))
        }
        let server = try HandTurnedServer(backend, settings: settings, handler)
        let client = try server.connect()
        try client.send((0..<200).flatMap { _ in TestClient.frame([1]) }, server)
        var known = -1
        while known != handled {
            known = handled
            for _ in 0..<50 { server.turn() }
        }
        let connection = try #require(server.lane.connections.all.first)
        #expect(handled < 200)
        #expect(connection.outMemoryByteCount >= 300_000)
        #expect(connection.outMemoryByteCount < 300_000 + 2 * 50_004)
        let frames = try client.frames(200, server)
        #expect(frames.count == 200)
        #expect(frames.allSatisfy { $0 == body })
    }

    @Test("Requests wait for memory, and go on when it comes back", arguments: NetworkChoice.backEnds)
    func memory(_ backend: NetworkChoice) throws {
        var held: [(BufferSlice, ResponseTicket)] = []
        let handler = ScriptedHandler()
        handler.arrived = { held.append(($0, $1)) }
        let limit = 12 << 20
        var settings = TransportSettings()
        settings.maximumFrameByteCount = 2 << 20
        let server = try HandTurnedServer(backend, settings: settings, requestMemory: limit, handler)
        #expect(server.lane.requestMemory.limitByteCount == limit)
        let memory = server.lane.requestMemory
        let clients = try (0..<4).map { _ in try server.connect() }
        let body = Array(repeating: UInt8(3), count: 1_500_000)
        for client in clients {
            for _ in 0..<3 { client.queue(TestClient.frame(body)) }
        }
        var answered = 0
        while answered < 12 {
            try server.turn {
                for client in clients { client.sendQueued() }
                return !held.isEmpty
            }
            for _ in 0..<20 { server.turn() }
            #expect(memory.usedByteCount <= memory.limitByteCount)
            let (frame, ticket) = held.removeFirst()
            #expect(frame.byteCount == body.count)
            ticket.completeWithoutResponse()
            answered += 1
        }
        held = []
        #expect(answered == 12)
    }

    @Test("Reading is put off for as long as a quota says", arguments: NetworkChoice.backEnds)
    func pause(_ backend: NetworkChoice) throws {
        let handler = ScriptedHandler()
        var handled = 0
        handler.arrived = { frame, ticket in
            handled += 1
            ticket.complete(copying: frame.bytes)
            ticket.connection.pauseReading(milliseconds: 250)
        }
        let server = try HandTurnedServer(backend, handler)
        let client = try server.connect()
        try client.send((0..<3).flatMap { TestClient.frame([UInt8($0)]) }, server)
        try server.turn { handled == 1 }
        for expected in 2...3 {
            for _ in 0..<10 { server.turn() }
            server.advance(milliseconds: 249)
            #expect(handled == expected - 1)
            server.advance(milliseconds: 1)
            try server.turn { handled == expected }
        }
        #expect(try client.frames(3, server) == [[0], [1], [2]])
    }

    @Test(
        "Connections above the node's limit and the address's are refused with the setting's name",
        arguments: NetworkChoice.backEnds)
    func limits(_ backend: NetworkChoice) throws {
        var limits = ConnectionLimits.Settings(total: 3, perAddress: 2)
        let server = try HandTurnedServer(backend, limits: limits)
        let first = try server.connect()
        let second = try server.connect()
        let refused = try TestClient(port: server.listener.address.port)
        try server.turn {
            refused.collect()
            return refused.hasEnded
        }
        #expect(
            server.sink.lines(containing: "connection refused", "limit=2", "max.connections.per.ip").count
                == 1)
        #expect(server.lane.counters.refused(.tooManyFromAddress) == 1)

        limits.overrides = [.ipv4Loopback: 10]
        server.listener.limits.settings = limits
        let third = try server.connect()
        let another = try TestClient(port: server.listener.address.port)
        try server.turn {
            another.collect()
            return another.hasEnded
        }
        #expect(server.lane.counters.refused(.tooManyConnections) == 1)

        // A connection that ends makes room for the next.
        try first.socket.finishSending()
        try server.turn { server.listener.limits.count == 2 }
        let next = try server.connect()
        try next.send(TestClient.frame([4]), server)
        #expect(try next.frames(1, server) == [[4]])
        withExtendedLifetime([second, third]) {}
    }

    @Test(
        "Connections that come too fast wait, or are refused by their address",
        arguments: NetworkChoice.backEnds)
    func rates(_ backend: NetworkChoice) throws {
        var limits = ConnectionLimits.Settings()
        limits.rate = 2
        let server = try HandTurnedServer(backend, limits: limits)
        let clients = try (0..<5).map { _ in try TestClient(port: server.listener.address.port) }
        // Two at once, then one each half second; nobody is refused.
        try server.turn { server.lane.counters.connectionsOpened.value == 2 }
        for expected in 3...5 {
            for _ in 0..<20 { server.turn() }
            server.advance(milliseconds: 499)
            #expect(server.lane.counters.connectionsOpened.value == expected - 1)
            server.advance(milliseconds: 1)
            try server.turn { server.lane.counters.connectionsOpened.value == expected }
        }
        withExtendedLifetime(clients) {}

        limits.rate = nil
        limits.ratePerAddress = 1000
        limits.addressRates = [.ipv4Loopback: 0.5]
        server.listener.limits.settings = limits
        server.advance(milliseconds: 10_000)
        _ = try server.connect()
        let refused = try TestClient(port: server.listener.address.port)
        try server.turn {
            refused.collect()
            return refused.hasEnded
        }
        #expect(server.lane.counters.refused(.tooFastFromAddress) == 1)
        #expect(
            server.sink.lines(containing: "limit=\"0.5 a second\"", "connection_creation_rate").count == 1)
        server.advance(milliseconds: 2000)
        _ = try server.connect()
    }
}
