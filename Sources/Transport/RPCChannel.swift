internal import Base
public import SystemIO

/// Told what happens to an `RPCChannel`, on its lane.
public protocol RPCChannelDelegate: AnyObject {
    /// Frames can be sent.
    func channelConnected(_ channel: RPCChannel)

    /// A whole frame, without its length. Kafka answers in the order of the requests.
    func channel(_ channel: RPCChannel, received frame: BufferSlice)

    /// Nothing comes any more, or the connection did not come about. Called once.
    func channelClosed(_ channel: RPCChannel, _ reason: CloseReason)
}

/// A connection that the program opens: frames out, frames in. Which answer belongs to which request is the
/// caller's matter. On one lane.
public final class RPCChannel: ConnectionOwner {
    public let lane: Lane
    let settings: TransportSettings
    var readsOnlyWhatCanBeAnswered: Bool { false }
    private var connection: Connection?
    private weak var delegate: (any RPCChannelDelegate)?
    private var connectTimer: TimerID?
    /// Frames can be sent, though they may wait in memory.
    public private(set) var isConnected = false

    /// Begins to connect, and tells `delegate` how it goes.
    /// - Parameters:
    ///   - connectMilliseconds: after so long without a connection it is given up.
    ///   - delegate: is not held.
    /// - Throws: what shows at once: no route, no descriptors.
    public init(
        to address: SocketAddress, on lane: Lane, settings: TransportSettings = TransportSettings(),
        connectMilliseconds: Int64 = 10_000, delegate: any RPCChannelDelegate
    ) throws(IOError) {
        invariant(lane.isCurrent, "a channel is made on another thread than its lane's")
        self.lane = lane
        self.settings = settings
        self.delegate = delegate
        let socket = try Socket.beginConnecting(to: address, options: settings.socket)
        let connection = Connection(socket, on: lane, self, isConnecting: true)
        self.connection = connection
        connectTimer = lane.schedule(afterMilliseconds: connectMilliseconds) { [weak connection] in
            connection?.close(.connectTimedOut)
        }
        connection.begin()
    }

    /// The address that it was made for.
    public var peer: SocketAddress? { connection?.peer }

    /// Bytes in memory that wait to be sent: who sends without end looks here.
    public var pendingByteCount: Int { connection?.outMemoryByteCount ?? 0 }

    /// Sends a frame, at the end of the turn. Before the connection is there it waits.
    /// - Returns: false when the channel is closed.
    @discardableResult
    public func send(_ payload: OutboundPayload) -> Bool {
        guard let connection else { return false }
        connection.enqueue(payload)
        return true
    }

    /// Ends the connection at once.
    public func close() { connection?.close(.requested("closed")) }

    /// Reads no more answers until `resumeReading`.
    public func pauseReading(milliseconds: Int64) { connection?.pauseReading(milliseconds: milliseconds) }

    // MARK: ConnectionOwner

    func connectionOpened(_ connection: Connection) {
        if let connectTimer { lane.cancel(connectTimer) }
        connectTimer = nil
        isConnected = true
        delegate?.channelConnected(self)
        connection.flush()
    }

    func frameArrived(_ frame: BufferSlice, _ connection: Connection) {
        delegate?.channel(self, received: frame)
    }

    func adoptHTTP(_ connection: Connection) -> Bool { false }

    func connectionClosed(_ connection: Connection, _ reason: CloseReason, wasOpen: Bool) {
        if let connectTimer { lane.cancel(connectTimer) }
        connectTimer = nil
        self.connection = nil
        isConnected = false
        delegate?.channelClosed(self, reason)
    }
}
