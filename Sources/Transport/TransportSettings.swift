public import SystemIO

/// What bounds the connections of a listener. Kafka's name of a setting stands in parentheses where it has
/// one.
public struct TransportSettings: Sendable {
    /// The longest frame that is received; what announces more is refused before memory is taken for it
    /// (socket.request.max.bytes).
    public var maximumFrameByteCount = 100 << 20
    /// Requests of one connection whose responses are due; then nothing more is read from it.
    public var requestsInFlightPerConnection = 256
    /// Bytes in memory that wait to be sent on one connection; above, nothing more is read from it.
    public var pendingOutByteCount = 1 << 20
    /// A connection without a request in flight ends after so long without a byte (connections.max.idle.ms).
    public var idleMilliseconds: Int64 = 600_000
    /// A frame that was begun must be whole after so long, and the time that its length takes at
    /// `leastBytesPerSecond`.
    public var frameMilliseconds: Int64 = 30_000
    public var leastBytesPerSecond = 64 << 10
    /// A connection whose peer takes none of what waits to be sent ends after so long.
    public var stallMilliseconds: Int64 = 60_000
    /// Of the sockets (socket.send.buffer.bytes, socket.receive.buffer.bytes, and the watch over peers that
    /// are gone).
    public var socket = SocketOptions()
    /// Connections that the kernel holds until they are accepted (socket.listen.backlog.size).
    public var listenBacklog = 1024

    public init() {}
}

/// What a group of lanes is made of.
public struct LaneSettings: Sendable {
    /// Threads.
    public var laneCount: Int
    public var backend = NetworkChoice.auto
    /// Memory for requests in flight, of all lanes together (queued.max.request.bytes). Never less than one
    /// longest frame and a receive buffer for each lane take.
    public var requestMemoryByteCount = 256 << 20
    /// Free memory that is kept for the next requests.
    public var keptMemoryByteCount = 64 << 20

    public init(laneCount: Int) { self.laneCount = laneCount }
}
