internal import CLinux

/// What the kernel says about one descriptor.
struct PollEvent {
    /// The number that it is watched under.
    let number: UInt64
    /// As poll(2) has them: POLLIN, POLLOUT, POLLERR, POLLHUP, POLLRDHUP. epoll uses the same bits.
    let conditions: UInt32
    /// The kernel watches no longer, and is to be asked anew (`watchAgain`).
    let isLast: Bool
    /// The kernel could not watch at all.
    let failure: Errno?

    static let readable = EPOLLIN.rawValue
    static let writable = EPOLLOUT.rawValue
    static let ending = EPOLLRDHUP.rawValue
    static let failed = EPOLLERR.rawValue
    static let broken = EPOLLERR.rawValue | EPOLLHUP.rawValue
    /// What is watched of a connection.
    static let edges = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue
}

/// How a descriptor is watched.
enum WatchMode {
    /// Told of each change, in both directions, once.
    case edges
    /// Told as long as it can be read.
    case level
}

/// Where readiness comes from: epoll or a ring.
///
/// Numbers are never used again, and who is told of a number that it has forgotten is to ignore it: what the
/// kernel knew before may still come.
protocol ReadinessPoller: AnyObject {
    /// As settings and logs spell it.
    var name: String { get }

    /// Has a descriptor watched, which stays open until `forget`.
    func watch(_ descriptor: Int32, _ mode: WatchMode, _ number: UInt64) throws(IOError)

    /// Has a level watched again: the last event was its last, or it was paused.
    func watchAgain(_ descriptor: Int32, _ mode: WatchMode, _ number: UInt64)

    /// Tells nothing of a level until `watchAgain`. Called within the delivery of one of its events.
    func pause(_ descriptor: Int32, _ number: UInt64)

    /// Ends the watch. When the call returns the kernel holds nothing that would keep the descriptor's file
    /// open once `socket` is gone, or the poller holds `socket` for as long as it does.
    func forget(_ descriptor: Int32, _ number: UInt64, _ socket: Socket?)

    /// Waits for events up to `nanoseconds` (nil: without limit; 0: not at all).
    /// - Returns: how many there are in `events`, valid until the next call.
    func wait(nanoseconds: UInt64?) -> Int

    /// One of the events of the last wait.
    func event(_ number: Int) -> PollEvent
}
