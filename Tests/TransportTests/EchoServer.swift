import Base
import SimulationKit
import Synchronization
import SystemIO

@testable import Transport

extension NetworkChoice {
    /// All that `auto` may come to.
    static let backEnds: [NetworkChoice] = [.ioUring, .epoll]
}

/// Answers every frame with the frame.
final class EchoHandler: FrameHandler {
    func connectionOpened(_ connection: Connection) {}
    func frameArrived(_ frame: BufferSlice, _ ticket: ResponseTicket) {
        ticket.complete(copying: frame.bytes)
    }
    func connectionClosed(_ connection: Connection, _ reason: CloseReason) {}
}

/// Handles frames with closures.
final class ScriptedHandler: FrameHandler {
    var opened: (Connection) -> Void = { _ in }
    var arrived: (BufferSlice, ResponseTicket) -> Void = { $1.complete(copying: $0.bytes) }
    var closed: (Connection, CloseReason) -> Void = { _, _ in }

    func connectionOpened(_ connection: Connection) { opened(connection) }
    func frameArrived(_ frame: BufferSlice, _ ticket: ResponseTicket) { arrived(frame, ticket) }
    func connectionClosed(_ connection: Connection, _ reason: CloseReason) { closed(connection, reason) }
}

/// A listener on one lane that the test turns by hand: nothing happens but in `turn`, and the clock stands
/// still but for `advance`.
final class HandTurnedServer {
    let clock = SimulatedClock()
    let sink = RecordingLogSink()
    let lane: Lane
    let listener: Listener
    let handler: ScriptedHandler

    init(
        _ backend: NetworkChoice, settings: TransportSettings = TransportSettings(),
        limits: ConnectionLimits.Settings = ConnectionLimits.Settings(),
        http: (any HTTPHandler)? = nil, requestMemory: Int = 64 << 20,
        _ handler: ScriptedHandler = ScriptedHandler()
    ) throws {
        self.handler = handler
        var laneSettings = LaneSettings(laneCount: 1)
        laneSettings.backend = backend
        laneSettings.requestMemoryByteCount = requestMemory
        let group = try LaneGroup(
            laneSettings, longestFrame: settings.maximumFrameByteCount, timeSource: clock, log: sink.logger())
        lane = group.lanes[0]
        let configuration = ListenerConfiguration(
            name: "TEST", address: SocketAddress(.ipv4Loopback, port: 0), settings: settings, http: http)
        nonisolated(unsafe) let shared = handler
        listener = try Listener(
            configuration, lanes: group, limits: ConnectionLimits(limits), log: sink.logger()
        ) { _ in shared }
        listener.start()
        turn()
    }

    deinit {
        listener.stopAccepting()
        lane.drain(milliseconds: 0)
        turn()
        turn()
    }

    func turn() { lane.turn(waitNanoseconds: 0) }

    /// Nothing comes of so many turns any more.
    struct Stuck: Error {}

    /// Turns until `condition` holds.
    func turn(until condition: () throws -> Bool) throws {
        var left = 10_000
        while try !condition() {
            lane.turn(waitNanoseconds: 1_000_000)
            left -= 1
            if left == 0 { throw Stuck() }
        }
    }

    func advance(milliseconds: Int64) {
        clock.advance(milliseconds: milliseconds)
        turn()
    }

    /// A client that is connected and whose connection the server has taken in.
    func connect() throws -> TestClient {
        let before = lane.counters.connectionsOpened.value
        let client = try TestClient(port: listener.address.port)
        try turn { lane.counters.connectionsOpened.value > before }
        return client
    }
}

/// The other end, which does not wait: what has come is collected.
final class TestClient {
    let socket: Socket
    private(set) var received: [UInt8] = []
    private(set) var hasEnded = false
    private let room = IOBuffer(byteCount: 1 << 20)

    init(port: UInt16) throws {
        socket = try Socket.connect(port: port)
        try socket.setNoDelay(true)
        try socket.setNonBlocking()
    }

    static func frame(_ body: [UInt8]) -> [UInt8] {
        withUnsafeBytes(of: UInt32(body.count).bigEndian) { Array($0) } + body
    }

    /// Sends all of it, turning the server while its buffers are full.
    func send(_ bytes: [UInt8], _ server: HandTurnedServer) throws {
        if bytes.isEmpty { return }
        let buffer = IOBuffer(copying: bytes)
        var sent = 0
        while sent < bytes.count {
            switch socket.sendNow([BufferSlice(buffer, sent..<bytes.count)], skip: 0, moreFollows: false) {
            case .moved(let count): sent += count
            case .wouldBlock: server.turn()
            case .ended, .failed: return
            }
        }
    }

    private var queued: [UInt8] = []

    /// Keeps bytes for `sendQueued`.
    func queue(_ bytes: [UInt8]) { queued += bytes }

    /// Sends what the kernel takes of what was queued.
    func sendQueued() {
        if queued.isEmpty { return }
        let slice = BufferSlice(IOBuffer(copying: Array(queued.prefix(1 << 20))))
        if case .moved(let count) = socket.sendNow([slice], skip: 0, moreFollows: false) {
            queued.removeFirst(count)
        }
    }

    /// Collects what has come.
    func collect() {
        while !hasEnded {
            do {
                let count = try socket.receive(into: room, 0..<room.byteCount)
                if count == 0 { hasEnded = true }
                received += room.array(0..<count)
            } catch {
                if error.errno != .wouldBlock { hasEnded = true }
                return
            }
        }
    }

    /// The whole frames that have come and were not taken before.
    func takeFrames() -> [[UInt8]] {
        collect()
        var frames: [[UInt8]] = []
        var position = 0
        while received.count - position >= 4 {
            let length = received[position..<(position + 4)].reduce(0) { $0 << 8 | Int($1) }
            if received.count - position - 4 < length { break }
            frames.append(Array(received[(position + 4)..<(position + 4 + length)]))
            position += 4 + length
        }
        received.removeFirst(position)
        return frames
    }

    /// Waits, turning the server, for so many frames.
    func frames(_ count: Int, _ server: HandTurnedServer) throws -> [[UInt8]] {
        var frames: [[UInt8]] = []
        try server.turn {
            frames += takeFrames()
            return frames.count >= count || hasEnded
        }
        return frames
    }
}

extension IOBuffer {
    /// The bytes of `range`.
    func array(_ range: Range<Int>) -> [UInt8] {
        let span = bytes(range)
        return span.withUnsafeBytes { Array($0) }
    }
}

extension ResponseTicket {
    func complete(_ bytes: [UInt8]) { complete(OutboundPayload(BufferSlice(IOBuffer(copying: bytes)))) }
}
