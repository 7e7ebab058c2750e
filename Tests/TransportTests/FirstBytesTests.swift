import Base
import SystemIO
import Testing

@testable import Transport

@Suite("What the first bytes of a connection tell")
struct FirstBytesTests {
    @Test(
        "HTTP is answered with 404 and what there is instead, however the request arrives",
        arguments: NetworkChoice.backEnds, [1, 3, 1000])
    func http(_ backend: NetworkChoice, _ step: Int) throws {
        let server = try HandTurnedServer(backend)
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"] {
            let client = try server.connect()
            var request = Array("\(method) / HTTP/1.1\r\nHost: x\r\n\r\nand a body".utf8)[...]
            while !request.isEmpty {
                try client.send(Array(request.prefix(step)), server)
                request = request.dropFirst(step)
                server.turn()
            }
            try server.turn {
                client.collect()
                return client.hasEnded
            }
            let text = String(decoding: client.received, as: UTF8.self)
            #expect(text.hasPrefix("HTTP/1.1 404 Not Found\r\n"))
            #expect(text.contains("\"error\":\"not_found\""))
            let parts = text.components(separatedBy: "\r\n\r\n")
            #expect(parts.count == 2)
            #expect(parts[0].contains("Content-Length: \(parts[1].utf8.count)"))
            try client.socket.finishSending()
            try server.turn { server.lane.connections.count == 0 }
        }
        #expect(server.lane.counters.refused(.http) == 9)
    }

    final class Adopter: HTTPHandler {
        let sockets = Locked<[(Socket, String)]>([])
        func adopt(_ socket: Socket, listener: String) { sockets.withLock { $0.append((socket, listener)) } }
    }

    @Test(
        "Whoever serves HTTP gets the connection with nothing read from it", arguments: NetworkChoice.backEnds
    )
    func adopted(_ backend: NetworkChoice) throws {
        let adopter = Adopter()
        let server = try HandTurnedServer(backend, http: adopter)
        let client = try server.connect()
        try client.send(Array("GET /".utf8), server)
        try server.turn { adopter.sockets.withLock { $0.count } == 1 }
        let (socket, name) = adopter.sockets.withLock { $0[0] }
        #expect(name == "TEST")
        #expect(server.lane.connections.count == 0)
        let buffer = IOBuffer(byteCount: 100)
        let count = try socket.receive(into: buffer, 0..<100)
        #expect(buffer.array(0..<count) == Array("GET /".utf8))
        try socket.send(BufferSlice(IOBuffer(copying: [1, 2])))
        try server.turn {
            client.collect()
            return client.received.count == 2
        }
        // And other connections are served.
        let other = try server.connect()
        try other.send(TestClient.frame([4]), server)
        #expect(try other.frames(1, server) == [[4]])
    }

    @Test("TLS gets a line in the log that says what to do", arguments: NetworkChoice.backEnds)
    func tls(_ backend: NetworkChoice) throws {
        let server = try HandTurnedServer(backend)
        let client = try server.connect()
        try client.send([0x16, 0x03, 0x01, 0x02, 0x00, 0x01], server)
        try server.turn {
            client.collect()
            return client.hasEnded
        }
        #expect(
            server.sink.lines(containing: "TLS is not configured", "security.protocol=PLAINTEXT").count == 1)
        #expect(server.lane.counters.refused(.tlsNotConfigured) == 1)
    }

    @Test("Only HTTP methods and TLS are not frames")
    func classification() {
        #expect(FirstBytes.classify(0x4745_5420, count: 4) == .http)
        #expect(FirstBytes.classify(0x1603_0302, count: 4) == .tls)
        #expect(FirstBytes.classify(0x0000_0010, count: 4) == .frames)
        #expect(FirstBytes.classify(0x4700_0000, count: 1) == .tooFew)
        #expect(FirstBytes.classify(0x0000_0000, count: 1) == .frames)
        // Whatever is no method is a frame: lengths up to a gigabyte are none.
        var random = SeededGenerator(seed: 1)
        for _ in 0..<10_000 {
            let length = UInt32.random(in: 0..<0x1600_0000, using: &random)
            #expect(FirstBytes.classify(length, count: 4) == .frames)
        }
    }

    @Test("A connection that says too little is given up in time", arguments: NetworkChoice.backEnds)
    func tooFew(_ backend: NetworkChoice) throws {
        let server = try HandTurnedServer(backend)
        let client = try server.connect()
        try client.send([0x47, 0x45], server)
        for _ in 0..<20 { server.turn() }
        server.advance(milliseconds: 29_000)
        #expect(server.lane.connections.count == 1)
        server.advance(milliseconds: 1_100)
        #expect(server.lane.connections.count == 0)
        client.collect()
        #expect(client.received.isEmpty)
    }

    @Test("A peer that connects and goes leaves nothing behind", arguments: NetworkChoice.backEnds)
    func comeAndGo(_ backend: NetworkChoice) throws {
        var opened = 0
        let handler = ScriptedHandler()
        handler.opened = { _ in opened += 1 }
        handler.closed = { _, _ in opened -= 1 }
        let server = try HandTurnedServer(backend, handler)
        for round in 0..<50 {
            let client = try server.connect()
            if round % 2 == 0 { try client.send([0, 0], server) }
            server.turn()
        }
        try server.turn { server.lane.connections.count == 0 }
        #expect(opened == 0)
        #expect(server.listener.limits.count == 0)
    }
}
