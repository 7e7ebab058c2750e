import Base
import SimulationKit
import Synchronization
import SystemIO
import Testing

@testable import Transport

@Suite("Lanes together")
struct GroupTests {
    /// A group whose threads run, and a listener.
    final class RunningServer {
        let group: LaneGroup
        let listener: Listener
        let sink = RecordingLogSink()

        init(
            _ backend: NetworkChoice, lanes: Int,
            address: SocketAddress = SocketAddress(.ipv4Loopback, port: 0),
            makeHandler: @escaping @Sendable (Lane) -> any FrameHandler = { _ in EchoHandler() }
        ) throws {
            var settings = LaneSettings(laneCount: lanes)
            settings.backend = backend
            group = try LaneGroup(settings, timeSource: SystemClock(), log: sink.logger())
            listener = try Listener(
                ListenerConfiguration(name: "TEST", address: address), lanes: group,
                limits: ConnectionLimits(), log: sink.logger(), makeHandler: makeHandler)
            listener.start()
            try group.start()
        }

        deinit {
            listener.stopAccepting()
            group.stop()
        }
    }

    /// Sends a frame and waits for one.
    func exchange(_ socket: Socket, _ body: [UInt8]) throws -> [UInt8] {
        try socket.send(BufferSlice(IOBuffer(copying: TestClient.frame(body))))
        return try receiveFrame(socket) ?? []
    }

    /// The next frame; nil when the peer has finished.
    func receiveFrame(_ socket: Socket) throws -> [UInt8]? {
        let header = IOBuffer(byteCount: 4)
        guard try receive(socket, header) else { return nil }
        let body = IOBuffer(byteCount: max(Int(header.bigEndianUInt32(at: 0)), 1))
        let count = Int(header.bigEndianUInt32(at: 0))
        if count == 0 { return [] }
        guard try receive(socket, body) else { return nil }
        return body.array(0..<count)
    }

    func receive(_ socket: Socket, _ buffer: IOBuffer) throws -> Bool {
        var filled = 0
        while filled < buffer.byteCount {
            let count = try socket.receive(into: buffer, filled..<buffer.byteCount)
            if count == 0 { return false }
            filled += count
        }
        return true
    }

    @Test(
        "Connections are spread evenly over the lanes, and each stays where it is",
        arguments: NetworkChoice.backEnds)
    func spread(_ backend: NetworkChoice) throws {
        final class IndexHandler: FrameHandler {
            func connectionOpened(_ connection: Connection) {}
            func frameArrived(_ frame: BufferSlice, _ ticket: ResponseTicket) {
                #expect(ticket.lane.isCurrent)
                let room = ticket.lane.outboundRoom(byteCount: 1)
                var bytes = room.buffer.mutableBytes(room.range)
                bytes.storeBytes(of: UInt8(ticket.lane.index), toByteOffset: 0, as: UInt8.self)
                ticket.complete(OutboundPayload(room))
            }
            func connectionClosed(_ connection: Connection, _ reason: CloseReason) {}
        }
        let server = try RunningServer(backend, lanes: 3) { _ in IndexHandler() }
        let sockets = try (0..<12).map { _ in try Socket.connect(to: server.listener.address) }
        let first = try sockets.map { try exchange($0, [1])[0] }
        let second = try sockets.map { try exchange($0, [1])[0] }
        #expect(first == second)
        for index in 0..<3 { #expect(first.filter { $0 == UInt8(index) }.count == 4) }
    }

    @Test("A request may be answered from another lane", arguments: NetworkChoice.backEnds)
    func crossLane(_ backend: NetworkChoice) throws {
        final class Hopping: FrameHandler {
            let target: @Sendable () -> Lane
            init(_ target: @escaping @Sendable () -> Lane) { self.target = target }
            func connectionOpened(_ connection: Connection) {}
            func frameArrived(_ frame: BufferSlice, _ ticket: ResponseTicket) {
                let isTaken = target().submit {
                    #expect(!ticket.lane.isCurrent)
                    ticket.completeFromAnyLane(OutboundPayload(frame))
                }
                #expect(isTaken)
            }
            func connectionClosed(_ connection: Connection, _ reason: CloseReason) {}
        }
        let known = Locked<[Lane]>([])
        let server = try RunningServer(backend, lanes: 2) { lane in
            Hopping { known.withLock { all in all[(lane.index + 1) % 2] } }
        }
        known.withLock { $0 = server.group.lanes }
        let sockets = try (0..<4).map { _ in try Socket.connect(to: server.listener.address) }
        for number in 0..<200 {
            for socket in sockets { #expect(try exchange(socket, [UInt8(number)]) == [UInt8(number)]) }
        }
        known.withLock { $0 = [] }
    }

    @Test("A port that is taken is an error that names it")
    func addressInUse() throws {
        let server = try RunningServer(.epoll, lanes: 1)
        let error = #expect(throws: IOError.self) {
            _ = try Listener(
                ListenerConfiguration(name: "SECOND", address: server.listener.address), lanes: server.group,
                limits: ConnectionLimits(), log: .silent, makeHandler: { _ in EchoHandler() })
        }
        #expect(error?.errno == .addressInUse)
        #expect(error?.subject == "127.0.0.1:\(server.listener.address.port)")
    }

    @Test("IPv6 works, and a listener at every address takes both", arguments: NetworkChoice.backEnds)
    func ipv6(_ backend: NetworkChoice) throws {
        let server = try RunningServer(backend, lanes: 1, address: SocketAddress(.ipv6Loopback, port: 0))
        #expect(server.listener.address.description == "[::1]:\(server.listener.address.port)")
        let socket = try Socket.connect(to: server.listener.address)
        #expect(try exchange(socket, [6]) == [6])

        let both = try RunningServer(backend, lanes: 1, address: SocketAddress(.any, port: 0))
        let port = both.listener.address.port
        for host in [HostAddress.ipv4Loopback, .ipv6Loopback] {
            let socket = try Socket.connect(to: SocketAddress(host, port: port))
            #expect(try exchange(socket, [7]) == [7])
        }
    }

    @Test(
        "Stopping answers what is in flight, and then ends the connections", arguments: NetworkChoice.backEnds
    )
    func drain(_ backend: NetworkChoice) throws {
        final class Late: FrameHandler {
            func connectionOpened(_ connection: Connection) {}
            func frameArrived(_ frame: BufferSlice, _ ticket: ResponseTicket) {
                ticket.lane.schedule(afterMilliseconds: 20) { ticket.complete(OutboundPayload(frame)) }
            }
            func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
                #expect(reason == .shutdown)
            }
        }
        let server = try RunningServer(backend, lanes: 2) { _ in Late() }
        let sockets = try (0..<4).map { _ in try Socket.connect(to: server.listener.address) }
        for socket in sockets {
            try socket.send(BufferSlice(IOBuffer(copying: TestClient.frame([1]) + TestClient.frame([2]))))
        }
        while server.group.lanes.map({ $0.counters.requests.value }).reduce(0, +) < 8 {}
        server.listener.stopAccepting()
        server.group.stop(drainMilliseconds: 60_000)
        for socket in sockets {
            #expect(try receiveFrame(socket) == [1])
            #expect(try receiveFrame(socket) == [2])
            #expect(try receiveFrame(socket) == nil)
        }
        #expect(throws: IOError.self) { _ = try Socket.connect(to: server.listener.address) }
        #expect(server.listener.limits.count == 0)
    }

    @Test("What is not answered by the deadline is not waited for", arguments: NetworkChoice.backEnds)
    func drainDeadline(_ backend: NetworkChoice) throws {
        final class Never: FrameHandler {
            func connectionOpened(_ connection: Connection) {}
            func frameArrived(_ frame: BufferSlice, _ ticket: ResponseTicket) {}
            func connectionClosed(_ connection: Connection, _ reason: CloseReason) {}
        }
        let server = try RunningServer(backend, lanes: 1) { _ in Never() }
        let socket = try Socket.connect(to: server.listener.address)
        try socket.send(BufferSlice(IOBuffer(copying: TestClient.frame([1]))))
        while server.group.lanes[0].counters.requests.value < 1 {}
        server.listener.stopAccepting()
        server.group.stop(drainMilliseconds: 5)
        #expect(try receiveFrame(socket) == nil)
    }
}
