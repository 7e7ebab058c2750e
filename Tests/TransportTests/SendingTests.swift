import Base
import SimulationKit
import SystemIO
import Testing

@testable import Transport

@Suite("Responses of many pieces")
struct SendingTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    func file(_ bytes: [UInt8]) throws -> any File {
        let file = try PosixFileSystem().open(directory.file("a"), .createNew)
        try file.write([BufferSlice(IOBuffer(copying: bytes))], at: 0)
        return file
    }

    @Test(
        "Bytes and parts of files arrive in their order, however little the peer takes at once",
        arguments: NetworkChoice.backEnds)
    func pieces(_ backend: NetworkChoice) throws {
        var random = SeededGenerator(seed: 23)
        let content = (0..<3_000_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        let file = try file(content)
        var settings = TransportSettings()
        settings.socket = SocketOptions(sendBufferByteCount: 65536, receiveBufferByteCount: 65536)
        var expected: [[UInt8]] = []
        let handler = ScriptedHandler()
        nonisolated(unsafe) var generator = random
        handler.arrived = { _, ticket in
            var payload = OutboundPayload()
            var body: [UInt8] = []
            for _ in 0..<Int.random(in: 0...6, using: &generator) {
                let count = [0, 1, 700, 5_000, 200_000].randomElement(using: &generator) ?? 0
                if Bool.random(using: &generator) {
                    let position = Int.random(in: 0...(content.count - count), using: &generator)
                    payload.append(FileRegion(file, position: Int64(position), byteCount: count))
                    body += content[position..<(position + count)]
                } else {
                    let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
                    payload.append(BufferSlice(IOBuffer(copying: bytes)))
                    body += bytes
                }
            }
            expected.append(body)
            ticket.complete(payload)
        }
        let server = try HandTurnedServer(backend, settings: settings, handler)
        let client = try server.connect()
        try client.socket.setBufferByteCounts(send: 65536, receive: 65536)
        try client.send((0..<60).flatMap { _ in TestClient.frame([1]) }, server)
        let frames = try client.frames(60, server)
        #expect(frames == expected)
        #expect(frames.count == 60)
    }

    @Test(
        "A file that is shorter than what is to be sent of it ends the connection, with a line in the log",
        arguments: NetworkChoice.backEnds)
    func shortFile(_ backend: NetworkChoice) throws {
        let file = try file(Array(repeating: 1, count: 1000))
        var reasons: [CloseReason] = []
        let handler = ScriptedHandler()
        handler.arrived = { _, ticket in
            var payload = OutboundPayload()
            payload.append(FileRegion(file, position: 500, byteCount: 501))
            ticket.complete(payload)
        }
        handler.closed = { reasons.append($1) }
        let server = try HandTurnedServer(backend, handler)
        let client = try server.connect()
        try client.send(TestClient.frame([1]), server)
        try server.turn {
            client.collect()
            return client.hasEnded
        }
        #expect(client.received.count == 504)
        #expect(reasons == [.shortFile(file.path)])
        #expect(server.sink.lines(containing: "connection given up", "shorter").count == 1)
        #expect(server.lane.counters.refused(.shortFile) == 1)
    }

    @Test("A file of a simulated disk is sent too", arguments: NetworkChoice.backEnds)
    func simulatedFile(_ backend: NetworkChoice) throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try disk.mount().open("/a", .createNew)
        let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try file.write([BufferSlice(IOBuffer(copying: bytes))], at: 0)
        let handler = ScriptedHandler()
        handler.arrived = { _, ticket in
            var payload = OutboundPayload()
            payload.append(FileRegion(file, position: 1, byteCount: bytes.count - 1))
            ticket.complete(payload)
        }
        let server = try HandTurnedServer(backend, handler)
        let client = try server.connect()
        try client.send(TestClient.frame([1]) + TestClient.frame([2]), server)
        #expect(try client.frames(2, server) == [Array(bytes[1...]), Array(bytes[1...])])
    }

    @Test(
        "Thousands of requests in one stretch are answered in their order", arguments: NetworkChoice.backEnds)
    func pipelining(_ backend: NetworkChoice) throws {
        let server = try HandTurnedServer(backend)
        let client = try server.connect()
        let bodies = (0..<20_000).map { number in [UInt8(number & 0xFF), UInt8(number >> 8)] }
        client.queue(bodies.flatMap(TestClient.frame))
        var frames: [[UInt8]] = []
        try server.turn {
            client.sendQueued()
            frames += client.takeFrames()
            return frames.count == bodies.count || client.hasEnded
        }
        #expect(frames == bodies)
    }

    @Test("Frames that come byte by byte are put together", arguments: NetworkChoice.backEnds)
    func byteByByte(_ backend: NetworkChoice) throws {
        let server = try HandTurnedServer(backend)
        let client = try server.connect()
        let bodies: [[UInt8]] = [[1], [], [2, 3, 4, 5, 6, 7], Array(0..<100)]
        for byte in bodies.flatMap(TestClient.frame) {
            try client.send([byte], server)
            for _ in 0..<3 { server.turn() }
        }
        #expect(try client.frames(4, server) == bodies)
    }
}
