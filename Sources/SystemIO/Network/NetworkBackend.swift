public import Base

/// Names a connection, a listener or a descriptor under watch within one back end. Never used again.
public struct ChannelID: Hashable, Sendable {
    let index: UInt32
    let generation: UInt32

    var number: UInt64 { UInt64(generation) << 32 | UInt64(index) }
}

/// Told what happens to a connection, on the thread that polls. May call the back end from within.
public protocol ChannelHandler: AnyObject {
    /// The receive that was asked for brought bytes: `ownByteCount` in the buffer that came with it, filled
    /// first, and the rest in memory of the back end. Nothing is received until it is asked for again.
    func channelReceived(ownByteCount: Int, shared: BufferSlice?)

    /// Nothing more comes. No further call of this channel follows.
    /// - Parameter error: nil when the peer has finished sending.
    func channelEnded(_ error: Errno?)

    /// The receive that was asked for is dropped: the pool has no memory for it now. To be asked for again
    /// when some came back (`BufferPool.whenMemoryReturns`).
    func channelStarved()

    /// `awaitReadable`: there are bytes, or the end.
    func channelReadable()

    /// `awaitWritable`: the kernel takes bytes again, or the connection that was begun has come to something.
    func channelWritable()
}

/// Told of connections to a listener, on the thread that polls.
public protocol AcceptHandler: AnyObject {
    func accepted(_ socket: Socket)
    /// The kernel refuses to accept for now (`tooManyOpenFiles`, `noMemory`, ...): nothing is accepted until
    /// `resumeAccepting`.
    func acceptFailed(_ error: Errno)
}

/// Told that a descriptor under watch can be read, on the thread that polls; again and again until it has
/// been, or once for each time that it becomes so.
public protocol ReadinessHandler: AnyObject {
    func descriptorReady()
}

/// How a lane learns of the network: one wait in the kernel for all connections, listeners and descriptors.
///
/// Owned by one thread, the first that polls. Sending needs no back end: `Socket.sendNow` does not wait, and
/// who is refused asks for `awaitWritable`.
public protocol NetworkBackend: AnyObject {
    /// As settings and logs spell it: `io_uring` or `epoll`.
    var name: String { get }

    /// Takes a connection in. The handler is held until `remove`.
    func add(_ socket: Socket, _ handler: any ChannelHandler) throws(IOError) -> ChannelID

    /// Takes a listening socket in, which is accepted from at once.
    func accept(from listener: Socket, _ handler: any AcceptHandler) throws(IOError) -> ChannelID

    /// Goes on accepting after `acceptFailed`.
    func resumeAccepting(_ channel: ChannelID)

    /// Watches a descriptor that stays open until `remove`.
    /// - Parameter changesOnly: each signal of an event descriptor is told of once, whether the ones before
    ///   it were taken off or not; once without one is possible.
    func watch(
        _ descriptor: Int32, changesOnly: Bool, _ handler: any ReadinessHandler
    ) throws(IOError) -> ChannelID

    /// Forgets a channel: its handler is not called again. The socket is closed with its last reference.
    func remove(_ channel: ChannelID)

    /// Asks for the next bytes of a connection, once: into `own` as far as it reaches, then, at most
    /// `sharedLimit` bytes, into memory of the back end. One of them must have room. A back end may stop
    /// short at the end of `own`.
    func receive(_ channel: ChannelID, into own: BufferSlice?, sharedLimit: Int)

    /// Asks to be told once when there are bytes to receive, without taking them.
    /// - Parameter isMoreNeeded: those that are there were looked at and are too few. The socket must know
    ///   how many are enough (`Socket.setReadableByteCount`).
    func awaitReadable(_ channel: ChannelID, isMoreNeeded: Bool)

    /// Asks to be told once when the kernel takes bytes again. To be asked after a send that would have
    /// blocked, or after a connect was begun.
    func awaitWritable(_ channel: ChannelID)

    /// Delivers what has happened; when nothing has, waits for it up to `waitNanoseconds` (nil: without
    /// limit; 0: not at all). Does not wait while asked-for bytes are known to be there.
    /// - Returns: whether anything has.
    @discardableResult
    func poll(waitNanoseconds: UInt64?) -> Bool
}

extension NetworkBackend {
    /// Watches a descriptor that is told of for as long as it can be read.
    func watch(_ descriptor: Int32, _ handler: any ReadinessHandler) throws(IOError) -> ChannelID {
        try watch(descriptor, changesOnly: false, handler)
    }
}

/// Which network back end to use.
public enum NetworkChoice: String, Sendable, CaseIterable {
    /// io_uring, or epoll where the kernel refuses it.
    case auto
    /// io_uring, or an error.
    case ioUring = "io_uring"
    case epoll
}

/// Makes the network back ends of the lanes.
public enum NetworkBackends {
    /// - Parameter pool: where memory to receive into comes from.
    /// - Returns: a back end for one thread: the first that polls.
    /// - Throws: what the kernel answered, when the choice leaves nothing else to try.
    public static func make(
        _ choice: NetworkChoice, pool: BufferPool, log: Logger
    ) throws(IOError) -> any NetworkBackend {
        try make(choice, pool: pool, log: log) { () throws(IOError) in try RingPoller() }
    }

    /// The same with another way to a ring, so that a test can play a kernel that refuses it.
    static func make(
        _ choice: NetworkChoice, pool: BufferPool, log: Logger, ring: () throws(IOError) -> RingPoller
    ) throws(IOError) -> any NetworkBackend {
        if choice == .epoll {
            log.log(
                .debug, "network back end chosen",
                [LogField("backend", choice.rawValue), LogField("reason", "setting")])
            return ReadinessNetwork(try EpollPoller(), pool: pool)
        }
        do {
            let poller = try ring()
            log.log(
                .debug, "network back end chosen",
                [LogField("backend", poller.name), LogField("mode", poller.mode)])
            return ReadinessNetwork(poller, pool: pool)
        } catch {
            if choice == .ioUring { throw error }
            let poller = try EpollPoller()
            log.log(
                .warn, "the kernel refuses io_uring, the network goes another way",
                [
                    LogField("backend", poller.name), LogField("error", error),
                    LogField("hint", SubmissionRing.hint(error.errno)),
                ])
            return ReadinessNetwork(poller, pool: pool)
        }
    }
}

/// The memory that frames are received into many at a time: one buffer after the other, each filled from its
/// start to its end, and over again when nobody holds a slice of it any more.
struct SharedReceiveMemory {
    private let pool: BufferPool
    private var current: IOBuffer?
    private var filled = 0
    /// The size of a buffer, and what must be left of it for a receive to begin.
    static let bufferByteCount = 512 << 10
    static let leastByteCount = 64 << 10

    init(pool: BufferPool) { self.pool = pool }

    /// A buffer and where its room begins; nil when the pool is exhausted.
    mutating func room() -> (buffer: IOBuffer, position: Int)? {
        if filled > 0 && isKnownUniquelyReferenced(&current) { filled = 0 }
        if let current, current.byteCount - filled >= Self.leastByteCount { return (current, filled) }
        // Where memory is scarce, as much as whoever waits for some is told of.
        guard
            let fresh = pool.take(byteCount: Self.bufferByteCount)
                ?? pool.take(byteCount: Self.leastByteCount)
        else { return nil }
        current = fresh
        filled = 0
        return (fresh, 0)
    }

    /// Notes that `byteCount` bytes were received into the room.
    mutating func advance(by byteCount: Int) { filled += byteCount }
}
