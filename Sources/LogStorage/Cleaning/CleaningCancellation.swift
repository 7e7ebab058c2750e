internal import Synchronization

/// Shared by a log and the round that compacts it: the log's lane cancels, the round looks.
public final class CleaningCancellation: Sendable {
    private let flag = Atomic<Bool>(false)

    init() {}

    /// True when the round's work is of no use any more.
    public var isCancelled: Bool { flag.load(ordering: .relaxed) }

    func cancel() { flag.store(true, ordering: .relaxed) }
}

/// What reading and writing of a round goes through: it may be too fast, or of no use any more.
struct CleaningGate: Sendable {
    let cancellation: CleaningCancellation
    let throttle: DiskThrottle

    /// Returns when `byteCount` bytes may be read or written.
    func admit(_ byteCount: Int) throws(CleaningError) {
        throttle.admit(byteCount, unless: { cancellation.isCancelled })
        if cancellation.isCancelled { throw .cancelled }
    }
}
