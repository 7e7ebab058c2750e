import Base
import SystemIO
import Testing

@testable import Transport

@Suite("Channels that the program opens")
struct RPCChannelTests {
    final class Delegate: RPCChannelDelegate {
        var isConnected = false
        var frames: [[UInt8]] = []
        var reason: CloseReason?

        func channelConnected(_ channel: RPCChannel) { isConnected = true }
        func channel(_ channel: RPCChannel, received frame: BufferSlice) {
            frames.append(frame.buffer.array(frame.range))
        }
        func channelClosed(_ channel: RPCChannel, _ reason: CloseReason) { self.reason = reason }
    }

    func payload(_ bytes: [UInt8]) -> OutboundPayload {
        OutboundPayload(BufferSlice(IOBuffer(copying: bytes)))
    }

    @Test(
        "Frames go out and answers come back in order, those sent before the connection is there too",
        arguments: NetworkChoice.backEnds)
    func echo(_ backend: NetworkChoice) throws {
        let server = try HandTurnedServer(backend)
        let delegate = Delegate()
        // The server and the client share the lane.
        let channel = try RPCChannel(to: server.listener.address, on: server.lane, delegate: delegate)
        var expected: [[UInt8]] = []
        for number in 0..<500 {
            let body = Array(repeating: UInt8(truncatingIfNeeded: number), count: number * 200)
            expected.append(body)
            #expect(channel.send(payload(body)))
            if number % 50 == 0 { server.turn() }
        }
        try server.turn { delegate.frames.count == 500 }
        #expect(delegate.frames == expected)
        #expect(delegate.isConnected)
        channel.close()
        #expect(delegate.reason == .requested("closed"))
        #expect(!channel.send(payload([1])))
        try server.turn { server.lane.connections.count == 0 }
    }

    @Test("Nobody listens: the channel is told why", arguments: NetworkChoice.backEnds)
    func refused(_ backend: NetworkChoice) throws {
        let server = try HandTurnedServer(backend)
        // A port that was just free, and is again.
        let port = try Socket.listen().port()
        let delegate = Delegate()
        let channel = try RPCChannel(
            to: SocketAddress(.ipv4Loopback, port: port), on: server.lane, delegate: delegate)
        try server.turn { delegate.reason != nil }
        #expect(delegate.reason == .failed(.connectionRefused))
        #expect(!channel.isConnected && !delegate.isConnected)
        #expect(server.lane.connections.count == 0)
    }

    @Test("A peer that does not answer is given up in time", arguments: NetworkChoice.backEnds)
    func connectTimeOut(_ backend: NetworkChoice) throws {
        let server = try HandTurnedServer(backend)
        // A listener that accepts nothing: when its queue is full, further ones wait for an answer.
        let deaf = try Socket.listen(backlog: 0)
        let address = try deaf.localAddress()
        var waiting: [Socket] = []
        for _ in 0..<4 { waiting.append(try Socket.beginConnecting(to: address)) }
        let delegate = Delegate()
        let channel = try RPCChannel(
            to: address, on: server.lane, connectMilliseconds: 1_000, delegate: delegate)
        for _ in 0..<10 { server.turn() }
        server.advance(milliseconds: 999)
        #expect(delegate.reason == nil)
        server.advance(milliseconds: 1)
        #expect(delegate.reason == .connectTimedOut)
        #expect(!channel.isConnected)
        withExtendedLifetime(waiting) {}
    }

    @Test("A server that ends the connection ends the channel", arguments: NetworkChoice.backEnds)
    func ended(_ backend: NetworkChoice) throws {
        let handler = ScriptedHandler()
        handler.arrived = { $1.connection.close(because: "enough") }
        var reasons: [CloseReason] = []
        handler.closed = { reasons.append($1) }
        let server = try HandTurnedServer(backend, handler)
        let delegate = Delegate()
        let channel = try RPCChannel(to: server.listener.address, on: server.lane, delegate: delegate)
        channel.send(payload([1, 2, 3]))
        try server.turn { delegate.reason != nil }
        #expect(delegate.reason == .peerFinished)
        #expect(reasons == [.requested("enough")])
    }
}
