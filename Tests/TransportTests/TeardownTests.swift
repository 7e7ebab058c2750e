import Base
import Foundation
import SystemIO
import Testing

@testable import Transport

/// Echoes frames, by turns at once, from the other lane or a little later; ends the connection when a frame
/// says so, and never answers one that says that.
private final class Unsteady: FrameHandler {
    static let endsConnection: UInt8 = 1
    static let isNeverAnswered: UInt8 = 2
    let other: @Sendable (Int) -> Lane?
    private var held: [ResponseTicket] = []
    private var count = 0

    init(_ other: @escaping @Sendable (Int) -> Lane?) { self.other = other }

    func connectionOpened(_ connection: Connection) {}

    func frameArrived(_ frame: BufferSlice, _ ticket: ResponseTicket) {
        count += 1
        switch frame.buffer.byte(at: frame.range.lowerBound) {
        case Self.endsConnection: ticket.connection.close(because: "asked to")
        case Self.isNeverAnswered: held.append(ticket)
        default: answer(frame, ticket)
        }
    }

    private func answer(_ frame: BufferSlice, _ ticket: ResponseTicket) {
        switch count % 3 {
        case 0: ticket.complete(copying: frame.bytes)
        case 1: ticket.lane.schedule(afterMilliseconds: 1) { ticket.complete(OutboundPayload(frame)) }
        default:
            // Refused when the other lane has stopped: then this one is about to as well.
            _ = other(ticket.lane.index)?.submit { ticket.completeFromAnyLane(OutboundPayload(frame)) }
        }
    }

    func connectionClosed(_ connection: Connection, _ reason: CloseReason) {
        held.removeAll { $0.connection === connection }
    }
}

/// One client after the other, each with a connection that ends in some way in the middle of something.
private struct RestlessClients {
    let address: SocketAddress
    var random: SeededGenerator
    var answerCount = 0

    /// Ends when the server no longer listens.
    mutating func run(_ rounds: Int) {
        for _ in 0..<rounds {
            guard let socket = try? Socket.connect(to: address) else { return }
            // The server may end it at any time: then a call of the round fails, and the round is over.
            try? round(socket)
        }
    }

    private mutating func round(_ socket: Socket) throws {
        var frames: [[UInt8]] = []
        for number in 0..<Int.random(in: 0...30, using: &random) {
            let length = Int.random(in: 0..<20, using: &random) == 0 ? 100_000 : 50
            let choice = Int.random(in: 0..<200, using: &random)
            let wish = choice < 3 ? UInt8(choice) : 0
            frames.append([wish, UInt8(number)] + Array(repeating: 7, count: length))
        }
        var bytes = frames.flatMap(TestClient.frame)
        if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0...bytes.count, using: &random)) }
        if !bytes.isEmpty { try socket.send(BufferSlice(IOBuffer(copying: bytes))) }
        let answers = Self.answers(to: frames, sent: bytes.count)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: try reset(socket)
        case 1: return
        case 2:
            try socket.finishSending()
            try read(socket, answers)
        default: try read(socket, answers.prefix(Int.random(in: 0...40_000, using: &random)))
        }
    }

    private func reset(_ socket: Socket) throws {
        var linger = linger(l_onoff: 1, l_linger: 0)
        let size = socklen_t(MemoryLayout.size(ofValue: linger))
        setsockopt(socket.descriptor, SOL_SOCKET, SO_LINGER, &linger, size)
    }

    /// What may be waited for: the frames that were sent whole, before the first without an answer.
    private static func answers(to frames: [[UInt8]], sent byteCount: Int) -> ArraySlice<UInt8> {
        var answers: [UInt8] = []
        for frame in frames {
            if frame[0] != 0 || answers.count + 4 + frame.count > byteCount { break }
            answers += TestClient.frame(frame)
        }
        return answers[...]
    }

    /// What comes back is what was sent, in its order, as far as it comes.
    private mutating func read(_ socket: Socket, _ expected: ArraySlice<UInt8>) throws {
        let room = IOBuffer(byteCount: 65536)
        var left = expected
        while !left.isEmpty {
            let count = try socket.receive(into: room, 0..<min(room.byteCount, left.count))
            if count == 0 { return }
            #expect(Array(left.prefix(count)) == room.array(0..<count))
            left = left.dropFirst(count)
            answerCount += 1
        }
    }
}

@Suite("Connections that end in the middle of something")
struct TeardownTests {
    @Test(
        "Under load, with peers that go at any time and lanes that stop, answers are those of the requests",
        arguments: NetworkChoice.backEnds, [false, true])
    func underLoad(_ backend: NetworkChoice, _ stopsEarly: Bool) throws {
        let known = Locked<[Lane]>([])
        let server = try GroupTests.RunningServer(backend, lanes: 2) { _ in
            Unsteady { index in known.withLock { $0.isEmpty ? nil : $0[(index + 1) % 2] } }
        }
        known.withLock { $0 = server.group.lanes }
        let answers = Locked(0)
        let address = server.listener.address
        let threads = try (0..<4).map { number in
            try JoinableThread(name: "clients") {
                var clients = RestlessClients(address: address, random: SeededGenerator(seed: UInt64(number)))
                clients.run(stopsEarly ? 100_000 : 120)
                answers.withLock { [clients] in $0 += clients.answerCount }
            }
        }
        if stopsEarly {
            while server.group.lanes.map({ $0.counters.connectionsOpened.value }).reduce(0, +) < 200 {}
        } else {
            for thread in threads { thread.join() }
        }
        server.listener.stopAccepting()
        server.group.stop(drainMilliseconds: stopsEarly ? 5 : 20)
        if stopsEarly { for thread in threads { thread.join() } }
        known.withLock { $0 = [] }
        // Each is what one receive brought: answers that come together count once.
        #expect(answers.withLock { $0 } > 20)
        #expect(server.listener.limits.count == 0)
        for lane in server.group.lanes {
            #expect(lane.counters.connections.value == 0)
            #expect(lane.counters.connectionsOpened.value > 20)
        }
    }

    @Test(
        "A connection that is handed to a lane in its last turn is closed, and counted no longer",
        arguments: NetworkChoice.backEnds)
    func handedOverAtTheEnd(_ backend: NetworkChoice) throws {
        let lane = try LaneTests().lane(backend)
        let limits = ConnectionLimits()
        let listening = try Socket.listen()
        let peer = try Socket.connect(to: try listening.localAddress())
        let socket = try listening.accept()
        let configuration = ListenerConfiguration(name: "TEST", address: try listening.localAddress())
        let side = ListenerSide(lane, configuration, limits, .silent) { _ in EchoHandler() }
        #expect(limits.admit(socket.socketAddress.host, now: 0) == nil)
        lane.connectionLoadChanged(by: 1)
        let isTaken = lane.submit {
            // No connection is there, so the lane ends with this turn; what comes after is done by `run`.
            lane.drain(milliseconds: 1000)
            #expect(lane.submit { side.begin(socket) })
        }
        #expect(isTaken)
        lane.run()
        #expect(lane.counters.connectionsOpened.value == 1)
        #expect(lane.counters.connections.value == 0)
        #expect(limits.count == 0)
        #expect(lane.connectionLoad == 0)
        withExtendedLifetime(peer) {}
    }
}
