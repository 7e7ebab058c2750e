internal import Glibc

/// A file descriptor with exactly one owner, closed when the owner lets go of it.
///
/// Close errors are not reported here: on Linux the descriptor is gone whatever close answers, and what was
/// written is known to be on the disk only after a sync, which reports its own errors.
struct OwnedDescriptor: ~Copyable, Sendable {
    let rawValue: Int32

    /// Takes over a descriptor that nobody else closes.
    init(taking rawValue: Int32) { self.rawValue = rawValue }

    deinit {
        _ = SystemCall.once { close(rawValue) }
    }
}
