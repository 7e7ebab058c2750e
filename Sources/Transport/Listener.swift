public import Base
public import SystemIO

/// What a listener is made of.
public struct ListenerConfiguration: Sendable {
    /// As in the setting `listeners`: `PLAINTEXT`, `INTERNAL`, ...
    public var name: String
    /// Port 0 lets the kernel choose.
    public var address: SocketAddress
    public var settings: TransportSettings
    /// Takes over connections that speak HTTP; nil has them answered with 404.
    public var http: (any HTTPHandler)?

    public init(
        name: String, address: SocketAddress, settings: TransportSettings = TransportSettings(),
        http: (any HTTPHandler)? = nil
    ) {
        self.name = name
        self.address = address
        self.settings = settings
        self.http = http
    }
}

/// A port at which connections come in. One lane accepts them and hands each to the lane that has the fewest.
public final class Listener: @unchecked Sendable {
    // @unchecked: `acceptor` is touched on its lane only, the rest never changes.

    public let name: String
    /// Where it listens, with the port that the kernel chose.
    public let address: SocketAddress
    public let limits: ConnectionLimits
    private let acceptor: Acceptor

    /// Listens from now on; nothing is accepted before `start`.
    /// - Parameters:
    ///   - limits: may be shared by the listeners of a node.
    ///   - makeHandler: called once for each lane, on its thread, when its first connection comes.
    /// - Throws: `addressInUse` with the address when something listens there already.
    public init(
        _ configuration: ListenerConfiguration, lanes: LaneGroup, limits: ConnectionLimits, log: Logger,
        makeHandler: @escaping @Sendable (Lane) -> any FrameHandler
    ) throws(IOError) {
        let longest = configuration.settings.maximumFrameByteCount
        invariant(
            BufferPool.byteCount(toHold: longest) <= lanes.requestMemory.limitByteCount,
            "frames of \(longest) bytes in \(lanes.requestMemory.limitByteCount) bytes of memory")
        let socket = try Socket.listen(
            on: configuration.address, backlog: configuration.settings.listenBacklog,
            options: configuration.settings.socket)
        name = configuration.name
        self.limits = limits
        address = try socket.localAddress()
        let sides = lanes.lanes.map { lane in
            ListenerSide(lane, configuration, limits, log, makeHandler)
        }
        acceptor = Acceptor(
            socket, name: configuration.name, sides: sides, on: lanes.laneForAccepting(), limits, log)
    }

    /// Begins to accept.
    /// - Returns: false when the lanes have stopped.
    @discardableResult
    public func start() -> Bool {
        let acceptor = self.acceptor
        return acceptor.lane.submit { acceptor.start() }
    }

    /// Closes the port; the connections there are stay.
    /// - Returns: false when the lanes have stopped.
    @discardableResult
    public func stopAccepting() -> Bool {
        let acceptor = self.acceptor
        return acceptor.lane.submit { acceptor.stop() }
    }
}

/// Accepts for a listener, on one lane.
private final class Acceptor: AcceptHandler, @unchecked Sendable {
    // @unchecked: what changes is touched on its lane only.
    let lane: Lane
    private var socket: Socket?
    private var channel: ChannelID?
    private let name: String
    private let sides: [ListenerSide]
    private let limits: ConnectionLimits
    private let log: Logger
    private var nextSide = 0

    /// How long the kernel is left alone after it refused to accept: it has no descriptors or no memory.
    private static let refusalMilliseconds: Int64 = 200

    init(
        _ socket: Socket, name: String, sides: [ListenerSide], on lane: Lane, _ limits: ConnectionLimits,
        _ log: Logger
    ) {
        self.socket = socket
        self.name = name
        self.sides = sides
        self.lane = lane
        self.limits = limits
        self.log = log
    }

    func start() {
        guard let socket, channel == nil else { return }
        do {
            channel = try lane.backend.accept(from: socket, self)
        } catch {
            log.log(.error, "listener cannot accept", [LogField("listener", name), LogField("error", error)])
        }
    }

    func stop() {
        pause()
        socket = nil
    }

    /// Accepts nothing until `start`; who comes meanwhile waits in the kernel's queue.
    private func pause() {
        if let channel { lane.backend.remove(channel) }
        channel = nil
    }

    func accepted(_ socket: Socket) {
        let host = socket.socketAddress.host
        let wait = limits.noteArrival(now: lane.now)
        if wait > 0 {
            pause()
            let milliseconds = Int64((wait + 999_999) / 1_000_000)
            lane.schedule(afterMilliseconds: milliseconds) { [weak self] in self?.start() }
        }
        if let reason = limits.admit(host, now: lane.now) {
            lane.counters.countRefusal(reason)
            logRefusal(socket.socketAddress, reason)
            return
        }
        let side = pickSide()
        side.lane.connectionLoadChanged(by: 1)
        if side.lane === lane {
            side.begin(socket)
        } else if !side.lane.submit({ side.begin(socket) }) {
            side.forget(host)
        }
    }

    private func logRefusal(_ peer: SocketAddress, _ reason: RefusalReason) {
        let bounds = limits.settings
        let (limit, setting) =
            switch reason {
            case .tooManyConnections: ("\(bounds.total)", "max.connections")
            case .tooFastFromAddress:
                ("\(bounds.rate(for: peer.host) ?? 0) a second", "connection_creation_rate")
            default: ("\(bounds.limit(for: peer.host))", "max.connections.per.ip")
            }
        lane.refusals.write(
            .warn, "connection refused", now: lane.now,
            [
                LogField("listener", name), LogField("peer", peer), LogField("limit", limit),
                LogField("setting", setting),
            ])
    }

    /// The lane with the fewest connections; of several, the next after the one taken last.
    private func pickSide() -> ListenerSide {
        var best = sides[nextSide % sides.count]
        var fewest = best.lane.connectionLoad
        var number = 1
        while number < sides.count {
            let side = sides[(nextSide + number) % sides.count]
            let load = side.lane.connectionLoad
            if load < fewest {
                fewest = load
                best = side
            }
            number += 1
        }
        nextSide = (nextSide + 1) % sides.count
        return best
    }

    func acceptFailed(_ error: Errno) {
        lane.refusals.write(
            .error, "connections cannot be accepted", now: lane.now,
            [
                LogField("listener", name), LogField("error", error),
                LogField("hint", "raise the limit of open files (ulimit -n)"),
            ])
        lane.schedule(afterMilliseconds: Self.refusalMilliseconds) { [weak self] in
            guard let self, let channel = self.channel else { return }
            lane.backend.resumeAccepting(channel)
        }
    }
}

/// A listener's connections on one lane.
final class ListenerSide: ConnectionOwner, @unchecked Sendable {
    // @unchecked: what changes is touched on its lane only.
    let lane: Lane
    private let configuration: ListenerConfiguration
    private let limits: ConnectionLimits
    private let log: Logger
    private let makeHandler: @Sendable (Lane) -> any FrameHandler
    private var handler: (any FrameHandler)?

    init(
        _ lane: Lane, _ configuration: ListenerConfiguration, _ limits: ConnectionLimits, _ log: Logger,
        _ makeHandler: @escaping @Sendable (Lane) -> any FrameHandler
    ) {
        self.lane = lane
        self.configuration = configuration
        self.limits = limits
        self.log = log
        self.makeHandler = makeHandler
    }

    var settings: TransportSettings { configuration.settings }
    var readsOnlyWhatCanBeAnswered: Bool { true }
    var listenerName: String { configuration.name }

    /// Takes a connection in, which was counted.
    func begin(_ socket: Socket) {
        let connection = Connection(socket, on: lane, self, isConnecting: false)
        connection.begin()
    }

    /// A connection that was counted is gone.
    func forget(_ host: HostAddress) {
        lane.connectionLoadChanged(by: -1)
        limits.release(host)
    }

    private func knownHandler() -> any FrameHandler {
        if let handler { return handler }
        let made = makeHandler(lane)
        handler = made
        return made
    }

    func connectionOpened(_ connection: Connection) { knownHandler().connectionOpened(connection) }

    func frameArrived(_ frame: BufferSlice, _ connection: Connection) {
        let ticket = ResponseTicket(connection: connection, sequence: connection.responses.add())
        handler?.frameArrived(frame, ticket)
    }

    func adoptHTTP(_ connection: Connection) -> Bool {
        guard let http = configuration.http, let socket = connection.socket else { return false }
        http.adopt(socket, listener: configuration.name)
        return true
    }

    func connectionClosed(_ connection: Connection, _ reason: CloseReason, wasOpen: Bool) {
        forget(connection.peer.host)
        log.log(
            .debug, "connection closed",
            [
                LogField("listener", listenerName), LogField("peer", connection.peer),
                LogField("reason", reason),
            ])
        if wasOpen { handler?.connectionClosed(connection, reason) }
    }
}
