internal import CLinux
internal import Glibc

/// A counter in the kernel (eventfd) with which one thread wakes another that waits in a ring or in epoll.
public final class EventDescriptor: Sendable {
    private let owned: OwnedDescriptor

    public init() throws(IOError) {
        owned = OwnedDescriptor(
            taking: try SystemCall.run(.eventDescriptor, "eventfd") {
                eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
            })
    }

    /// The kernel's number, valid for as long as this object lives.
    public var descriptor: Int32 { owned.rawValue }

    /// Makes the descriptor readable. Any thread may call, as often as it likes.
    public func signal() {
        // Fails only when the counter is full, and then the descriptor is readable already.
        _ = try? SystemCall.run(.eventDescriptor, "eventfd") { eventfd_write(descriptor, 1) }
    }

    /// Makes the descriptor unreadable until the next signal.
    public func clear() {
        var count: eventfd_t = 0
        // Fails only when there was no signal.
        _ = try? SystemCall.run(.eventDescriptor, "eventfd") { eventfd_read(descriptor, &count) }
    }
}
