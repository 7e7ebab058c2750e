internal import Base
public import SystemIO

/// What a connection belongs to: a listener's side of a lane, or a channel that the process opened itself.
protocol ConnectionOwner: AnyObject {
    var settings: TransportSettings { get }
    /// Whether what waits to be sent holds back what is read. Not where the peer answers: both ends would
    /// wait for each other.
    var readsOnlyWhatCanBeAnswered: Bool { get }
    /// The first bytes showed what the peer speaks, or the connection that was begun came about.
    func connectionOpened(_ connection: Connection)
    func frameArrived(_ frame: BufferSlice, _ connection: Connection)
    /// The first bytes are HTTP: whether somebody else takes the socket over.
    func adoptHTTP(_ connection: Connection) -> Bool
    func connectionClosed(_ connection: Connection, _ reason: CloseReason, wasOpen: Bool)
}

/// A TCP connection that carries frames, on one lane from its beginning to its end.
///
/// | phase | what is read | left when |
/// | --- | --- | --- |
/// | connecting | nothing | the kernel says how it went |
/// | opening | nothing: the first four bytes are looked at | they are there |
/// | open | frames | the peer or we end it |
/// | http | a request's head, thrown away | its answer is sent |
/// | closed | nothing | never |
///
/// Nothing is read while any of these bounds is reached: requests in flight, bytes waiting to be sent, memory
/// of requests; and while `pauseReading` lasts.
public final class Connection: @unchecked Sendable {
    // @unchecked: everything is touched by the thread of `lane` only.

    enum Phase { case connecting, opening, open, http, closed }

    public let lane: Lane
    /// For whoever stands above: what it knows of the peer.
    public var context: AnyObject?
    /// The address that the peer connects from; of a connection that the process began, the one it went to.
    public let peer: SocketAddress
    /// Nil when the connection is closed, so that the peer learns of it also while tickets are held.
    private(set) var socket: Socket?
    let settings: TransportSettings
    private(set) var owner: (any ConnectionOwner)?
    let readsOnlyWhatCanBeAnswered: Bool
    var phase: Phase
    private var channel: ChannelID?
    var tableIndex = -1

    // Receiving; see Connection+Receiving.swift.
    var decoder: FrameDecoder
    /// A frame that is received into memory of its own, and how much of it there is.
    var partial: BufferSlice?
    var partialByteCount = 0
    /// Bytes that came and were not looked at yet.
    var unread: BufferSlice?
    var isReceiving = false
    /// Has been told to go on, which the lane will do.
    var isResumeNoted = false
    var isStarving = false
    var pauseDeadline: UInt64 = 0
    var pauseTimer: TimerID?
    /// Bytes of the last frame, as the next is likely to be.
    var lastFrameByteCount = 0
    var isDraining = false
    var http = HTTPHead()

    // Sending; see Connection+Sending.swift.
    var responses = ResponseQueue()
    var outQueue = Backlog<OutboundPiece>()
    /// Bytes of the first piece that are sent.
    var outSkip = 0
    var outMemoryByteCount = 0
    var isDirty = false
    /// The kernel takes nothing more until it says so.
    var isBlocked = false
    var closesWhenSent: CloseReason?

    // Time; in nanoseconds of the monotonic clock.
    private(set) var lastActivity: UInt64
    /// When the frame that is not whole began.
    var frameBegan: UInt64?
    /// Since when the kernel has taken nothing.
    var blockedSince: UInt64?

    init(_ socket: Socket, on lane: Lane, _ owner: any ConnectionOwner, isConnecting: Bool) {
        self.socket = socket
        peer = socket.socketAddress
        self.lane = lane
        self.owner = owner
        settings = owner.settings
        readsOnlyWhatCanBeAnswered = owner.readsOnlyWhatCanBeAnswered
        phase = isConnecting ? .connecting : .opening
        decoder = FrameDecoder(maximumByteCount: owner.settings.maximumFrameByteCount)
        lastActivity = lane.now
        if isConnecting { frameBegan = lane.now }
    }

    /// The address on this machine that the peer connected to; nil when the connection has come to an end.
    public var localAddress: SocketAddress? { isClosed ? nil : try? socket?.localAddress() }

    /// On its lane: no frames come any more, and nothing is sent.
    public var isClosed: Bool { phase == .closed }

    /// Requests whose responses are due or wait for an earlier one.
    public var requestsInFlight: Int { responses.count }

    // MARK: Beginning and end

    /// Puts the connection on its lane.
    func begin() {
        lane.add(self)
        guard let socket else { return }
        do {
            try socket.apply(settings.socket)
            channel = try lane.backend.add(socket, self)
        } catch {
            close(.failed(error.errno))
            return
        }
        if phase == .connecting { awaitWritable() } else { awaitReadable(isMoreNeeded: false) }
    }

    /// Ends the connection at once: what was not sent is lost.
    public func close(_ reason: CloseReason) {
        invariant(lane.isCurrent, "a connection is closed on another thread than its lane's")
        if phase == .closed { return }
        let wasOpen = phase == .open
        phase = .closed
        if let channel { lane.backend.remove(channel) }
        if let pauseTimer { lane.cancel(pauseTimer) }
        channel = nil
        socket = nil
        unread = nil
        partial = nil
        outQueue = Backlog()
        outMemoryByteCount = 0
        responses.removeAll()
        lane.remove(self)
        let owner = self.owner
        self.owner = nil
        owner?.connectionClosed(self, reason, wasOpen: wasOpen)
    }

    /// Ends the connection at once, with words for the log.
    public func close(because words: String) { close(.requested(words)) }

    /// Reads no more requests; ends when those that came are answered and the answers are sent.
    public func drain() {
        if phase != .open {
            close(.shutdown)
            return
        }
        isDraining = true
        closeIfDrained()
    }

    func closeIfDrained() {
        if isDraining && responses.count == 0 && outQueue.isEmpty { close(.shutdown) }
    }

    // MARK: Time

    func noteActivity() { lastActivity = lane.now }

    /// When the connection runs out of time, as things stand.
    var deadline: UInt64 {
        var deadline = UInt64.max
        if let frameBegan { deadline = frameBegan.adding(milliseconds: frameMilliseconds) }
        if let blockedSince {
            deadline = min(deadline, blockedSince.adding(milliseconds: settings.stallMilliseconds))
        }
        if responses.count == 0 && outQueue.isEmpty {
            deadline = min(deadline, lastActivity.adding(milliseconds: settings.idleMilliseconds))
        }
        return deadline
    }

    private var frameMilliseconds: Int64 {
        let byteCount = Int64(partial?.byteCount ?? 0)
        return settings.frameMilliseconds + byteCount * 1000 / Int64(max(settings.leastBytesPerSecond, 1))
    }

    /// The deadline has passed.
    func timeOut() {
        if phase == .connecting { return close(.connectTimedOut) }
        if phase == .http { return close(.http) }
        if let frameBegan, frameBegan.adding(milliseconds: frameMilliseconds) <= lane.now {
            return refuse(.frameTooSlow, .frameTooSlow)
        }
        if let blockedSince, blockedSince.adding(milliseconds: settings.stallMilliseconds) <= lane.now {
            return refuse(.stalled, .stalled)
        }
        lane.counters.countRefusal(.idle)
        close(.idle)
    }

    /// Ends the connection for something that the peer did or left undone, with a line in the log.
    func refuse(_ refusal: RefusalReason, _ reason: CloseReason) {
        lane.counters.countRefusal(refusal)
        lane.refusals.write(
            .warn, "connection given up", now: lane.now,
            [LogField("peer", peer), LogField("reason", reason)])
        close(reason)
    }

    // MARK: Asking the back end

    func awaitReadable(isMoreNeeded: Bool) {
        if let channel { lane.backend.awaitReadable(channel, isMoreNeeded: isMoreNeeded) }
    }

    func awaitWritable() {
        if let channel { lane.backend.awaitWritable(channel) }
    }

    func receive(into own: BufferSlice?, sharedLimit: Int) {
        guard let channel, !isReceiving else { return }
        isReceiving = true
        lane.backend.receive(channel, into: own, sharedLimit: sharedLimit)
    }

    /// Hands a frame to the owner.
    func dispatch(_ frame: BufferSlice) {
        lane.counters.requests.add(1)
        owner?.frameArrived(frame, self)
    }

    func tellOpened() { owner?.connectionOpened(self) }

    var isAdoptedByHTTP: Bool { owner?.adoptHTTP(self) ?? false }
}

extension UInt64 {
    /// The moment so many milliseconds later; the end of time when that is too far.
    func adding(milliseconds: Int64) -> UInt64 {
        let (length, overflows) = UInt64(Swift.max(milliseconds, 0)).multipliedReportingOverflow(
            by: 1_000_000)
        let (sum, isPast) = addingReportingOverflow(length)
        return overflows || isPast ? .max : sum
    }
}
