internal import Base
internal import CLinux
internal import Glibc

/// Readiness by epoll. Connections are watched edge-triggered, for reading and writing from the beginning: no
/// system call is spent on changing interests.
final class EpollPoller: ReadinessPoller {
    var name: String { "epoll" }

    private let epoll: OwnedDescriptor
    private let events: UnsafeMutableBufferPointer<epoll_event>

    /// Events taken at once.
    private static let eventCount = 256

    /// - Throws: when the process has no descriptors left.
    init() throws(IOError) {
        epoll = OwnedDescriptor(
            taking: try SystemCall.run(.epoll, "epoll_create1") { epoll_create1(O_CLOEXEC) })
        events = .allocate(capacity: Self.eventCount)
    }

    deinit { events.deallocate() }

    func watch(_ descriptor: Int32, _ mode: WatchMode, _ number: UInt64) throws(IOError) {
        try control(EPOLL_CTL_ADD, descriptor, Self.interest(mode), number)
    }

    func watchAgain(_ descriptor: Int32, _ mode: WatchMode, _ number: UInt64) {
        // Fails only for want of memory, and then the next call tries again.
        _ = try? control(EPOLL_CTL_MOD, descriptor, Self.interest(mode), number)
    }

    func pause(_ descriptor: Int32, _ number: UInt64) {
        _ = try? control(EPOLL_CTL_MOD, descriptor, 0, number)
    }

    func forget(_ descriptor: Int32, _ number: UInt64, _ socket: Socket?) {
        // Closing would do it, but others may hold the socket still.
        _ = try? control(EPOLL_CTL_DEL, descriptor, 0, number)
    }

    private static func interest(_ mode: WatchMode) -> UInt32 {
        switch mode {
        case .edges: PollEvent.edges | EPOLLET.rawValue
        case .level: PollEvent.readable
        }
    }

    private func control(
        _ operation: Int32, _ descriptor: Int32, _ interest: UInt32, _ number: UInt64
    ) throws(IOError) {
        var event = epoll_event(events: interest, data: epoll_data(u64: number))
        let target = epoll.rawValue
        _ = try SystemCall.run(.epoll, "epoll_ctl") { epoll_ctl(target, operation, descriptor, &event) }
    }

    func wait(nanoseconds: UInt64?) -> Int {
        // Rounded up: waiting too short would turn the rest into a busy loop.
        let milliseconds =
            nanoseconds.map { Int32(clamping: $0 / 1_000_000 + ($0 % 1_000_000 == 0 ? 0 : 1)) } ?? -1
        let (number, room) = (epoll.rawValue, events)
        let answer = SystemCall.answerOnce(.epoll) {
            Int(epoll_wait(number, room.baseAddress, Int32(room.count), milliseconds))
        }
        invariant(answer >= 0 || answer == -Int(EINTR), "epoll_wait: \(Errno(rawValue: Int32(-answer)))")
        return max(answer, 0)
    }

    func event(_ number: Int) -> PollEvent {
        let event = events[number]
        return PollEvent(
            number: event.data.u64, conditions: event.events, isLast: false, failure: nil)
    }
}
