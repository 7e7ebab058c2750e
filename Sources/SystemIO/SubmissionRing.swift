internal import Base
internal import CLiburing
internal import CShims
internal import Glibc

/// What the kernel says about one request of a ring.
public struct RingCompletion: Sendable {
    /// The number that the request was made with.
    public let userData: UInt64
    /// What the system call would have returned, an error number negated.
    public let result: Int32
    /// The kernel's completion flags (IORING_CQE_F_...).
    public let flags: UInt32

    /// Whether more completions of the same request follow (multishot requests).
    public var hasMore: Bool { flags & 2 != 0 }
}

/// An io_uring: a queue of requests to the kernel and a queue of their completions, both shared memory.
///
/// Owned by one thread, the first that submits or waits; the kernel refuses any other. Requests are
/// *prepared* (they wait in shared memory), *submitted* (the kernel has them) and *completed* (their
/// completion was drained). What a request points to stays in place: vectors until it is submitted, the bytes
/// until it is completed.
public final class SubmissionRing {
    private let ring: UnsafeMutablePointer<io_uring>
    /// Set up disabled and enabled by the first thread that uses it, which thereby becomes the owner.
    private var isEnabled: Bool
    /// Requests that were prepared and whose last completion was not drained yet.
    public private(set) var outstanding = 0
    /// How the kernel runs completions: `deferred`, `cooperative` or `plain`; for the log.
    public let mode: String

    private static let ownCompletionSize: UInt32 = 1 << 3

    /// The ways to set up a ring, the best first; older kernels answer EINVAL to those they do not know.
    private static let modes: [(name: String, flags: UInt32)] = {
        let clamp: UInt32 = 1 << 4
        let disabled: UInt32 = 1 << 6
        let submitAll: UInt32 = 1 << 7
        let cooperative: UInt32 = 1 << 8
        let taskRunFlag: UInt32 = 1 << 9
        let singleIssuer: UInt32 = 1 << 12
        let deferred: UInt32 = 1 << 13
        return [
            // Linux 6.1: completions are worked off when the owner asks for them, never in between.
            ("deferred", clamp | disabled | submitAll | taskRunFlag | singleIssuer | deferred),
            // Linux 5.19: no interrupt for a completion, it is worked off at the next system call.
            ("cooperative", clamp | submitAll | cooperative | taskRunFlag),
            ("plain", clamp),
        ]
    }()

    /// - Parameters:
    ///   - entries: requests that can be prepared between two submissions; rounded up to a power of two.
    ///   - completionEntries: completions that wait to be drained; nil for twice the entries.
    /// - Throws: what io_uring_setup answers: `notPermitted` under a seccomp filter or the sysctl
    ///   kernel.io_uring_disabled, `notImplemented` where the kernel has no io_uring.
    public init(entries: Int, completionEntries: Int? = nil) throws(IOError) {
        ring = UnsafeMutablePointer<io_uring>.allocate(capacity: 1)
        ring.initialize(to: io_uring())
        var refusal = IOError(.ring, "io_uring_setup", .invalidArgument)
        for candidate in Self.modes {
            do {
                let queue = ring
                var parameters = io_uring_params()
                parameters.flags = candidate.flags
                if let completionEntries {
                    parameters.flags |= Self.ownCompletionSize
                    parameters.cq_entries = UInt32(completionEntries)
                }
                _ = try SystemCall.negated(.ring, "io_uring_setup") {
                    io_uring_queue_init_params(UInt32(entries), queue, &parameters)
                }
                mode = candidate.name
                isEnabled = candidate.name != "deferred"
                return
            } catch {
                refusal = error
                if error.errno != .invalidArgument { break }
            }
        }
        ring.deallocate()
        throw refusal
    }

    /// Why rings cannot be used here; nil when they can. Tried once: a seccomp filter may let a ring be made
    /// and forbid its use.
    static let refusal: IOError? = {
        do throws(IOError) {
            let ring = try SubmissionRing(entries: 8)
            _ = ring.prepareNothing(userData: 0)
            _ = try ring.submitAndWait(nanoseconds: nil)
            return nil
        } catch {
            return error
        }
    }()

    /// What to do when the kernel refuses a ring.
    static func hint(_ error: Errno) -> String {
        switch error {
        case .notPermitted, .accessDenied:
            "allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile, and see the"
                + " sysctl kernel.io_uring_disabled"
        case .notImplemented: "the kernel was built without io_uring"
        case .notSupported: "io_uring of this kernel is too old: 5.13 is the first that will do"
        case .noMemory: "raise the limit of locked memory (ulimit -l)"
        case .tooManyOpenFiles: "raise the limit of open files (ulimit -n)"
        default: "see io_uring_setup(2)"
        }
    }

    deinit {
        io_uring_queue_exit(ring)
        ring.deallocate()
    }

    /// Has the kernel signal `event` when there are completions, or some that it holds back until it is
    /// entered. The event must live as long as the ring.
    func signalCompletions(to event: EventDescriptor) throws(IOError) {
        let (queue, number) = (ring, event.descriptor)
        _ = try SystemCall.negated(.ring, "io_uring_register") { io_uring_register_eventfd(queue, number) }
    }

    /// Completions that the kernel can hold without resorting to a list of its own. A caller that never has
    /// more requests outstanding never meets an overflow.
    public var completionCapacity: Int { Int(ring.pointee.cq.ring_entries) }

    /// Requests that can still be prepared before the next submission.
    public var spaceLeft: Int { Int(io_uring_sq_space_left(ring)) }

    /// Requests that were prepared and that the kernel has not taken yet.
    var preparedCount: Int { Int(io_uring_sq_ready(ring)) }

    // MARK: Preparing

    /// A place for one more request; nil when the queue is full until the next submission.
    private func nextEntry(_ userData: UInt64) -> UnsafeMutablePointer<io_uring_sqe>? {
        guard let entry = io_uring_get_sqe(ring) else { return nil }
        outstanding += 1
        entry.pointee.user_data = userData
        return entry
    }

    private static func finish(_ entry: UnsafeMutablePointer<io_uring_sqe>, _ userData: UInt64, linked: Bool)
    {
        // The prep functions of the library do not touch the user data, but they clear the flags.
        entry.pointee.user_data = userData
        if linked { entry.pointee.flags |= 1 << UInt8(IOSQE_IO_LINK_BIT) }
    }

    /// Prepares a write of memory.
    /// - Parameter linked: the next prepared request starts when this one worked in full, and is cancelled
    ///   otherwise.
    /// - Returns: false, and nothing done, when there is no room.
    public func prepareWrite(
        _ descriptor: Int32, _ bytes: UnsafeRawPointer, byteCount: Int, at position: Int64, linked: Bool,
        userData: UInt64
    ) -> Bool {
        guard let entry = nextEntry(userData) else { return false }
        // One request takes 32 bits of length; the rest comes as a short write does.
        let length = UInt32(min(byteCount, Self.maximumByteCount))
        io_uring_prep_write(entry, descriptor, bytes, length, UInt64(bitPattern: position))
        Self.finish(entry, userData, linked: linked)
        return true
    }

    /// The most that the kernel moves in one request (MAX_RW_COUNT). It takes a longer one for one of this
    /// length: what is linked to it goes ahead.
    static let maximumByteCount = 0x7FFF_F000

    /// Prepares a write of several pieces of memory.
    func prepareWrite(
        _ descriptor: Int32, _ vectors: UnsafePointer<iovec>, count: Int, at position: Int64, linked: Bool,
        userData: UInt64
    ) -> Bool {
        guard let entry = nextEntry(userData) else { return false }
        io_uring_prep_writev(entry, descriptor, vectors, UInt32(count), UInt64(bitPattern: position))
        Self.finish(entry, userData, linked: linked)
        return true
    }

    /// Prepares an fdatasync.
    public func prepareDataSync(_ descriptor: Int32, userData: UInt64) -> Bool {
        guard let entry = nextEntry(userData) else { return false }
        let dataOnly: UInt32 = 1
        io_uring_prep_fsync(entry, descriptor, dataOnly)
        Self.finish(entry, userData, linked: false)
        return true
    }

    /// Prepares a request that does nothing and completes.
    public func prepareNothing(userData: UInt64) -> Bool {
        guard let entry = nextEntry(userData) else { return false }
        io_uring_prep_nop(entry)
        Self.finish(entry, userData, linked: false)
        return true
    }

    /// Prepares to be told once when `descriptor` can be read: how an `EventDescriptor` wakes a thread that
    /// waits here.
    public func prepareReadable(_ descriptor: Int32, userData: UInt64) -> Bool {
        guard let entry = nextEntry(userData) else { return false }
        io_uring_prep_poll_add(entry, descriptor, UInt32(POLLIN))
        Self.finish(entry, userData, linked: false)
        return true
    }

    /// Prepares to be told of each change of `descriptor` to one of `conditions` (poll(2)), at once if one
    /// holds already, until a completion says that nothing follows.
    func prepareEdges(_ descriptor: Int32, _ conditions: UInt32, userData: UInt64) -> Bool {
        guard let entry = nextEntry(userData) else { return false }
        io_uring_prep_poll_multishot(entry, descriptor, conditions)
        Self.finish(entry, userData, linked: false)
        return true
    }

    /// Prepares to cancel the requests made with `target`, which then complete with `canceled`.
    public func prepareCancel(_ target: UInt64, userData: UInt64) -> Bool {
        guard let entry = nextEntry(userData) else { return false }
        io_uring_prep_cancel64(entry, target, 0)
        Self.finish(entry, userData, linked: false)
        return true
    }

    // MARK: Submitting and waiting

    private func enable() throws(IOError) {
        if isEnabled { return }
        let number = ring.pointee.ring_fd
        _ = try SystemCall.run(.ring, "io_uring_register") { dmq_enable_ring(number) }
        isEnabled = true
    }

    /// Hands what is prepared to the kernel.
    /// - Returns: false when the kernel cannot take it now (no memory, completions not drained); what it did
    ///   not take stays prepared.
    /// - Throws: what makes the ring unusable, as its use from a second thread (`alreadyExists`).
    public func submit() throws(IOError) -> Bool {
        try enable()
        let queue = ring
        return try accepted { io_uring_submit(queue) }
    }

    private func accepted(_ call: () -> Int32) throws(IOError) -> Bool {
        do {
            _ = try SystemCall.negated(.ring, "io_uring_enter", call)
            return true
        } catch {
            switch error.errno {
            case .wouldBlock, .busy, .noMemory: return false
            case .timedOut: return true
            default: throw error
            }
        }
    }

    /// Submits, then waits until there is a completion, or `nanoseconds` have passed (nil: without limit).
    /// - Returns: as `submit`.
    public func submitAndWait(nanoseconds: UInt64?) throws(IOError) -> Bool {
        try enable()
        let queue = ring
        guard let nanoseconds else { return try accepted { io_uring_submit_and_wait(queue, 1) } }
        if nanoseconds == 0 { return try accepted { io_uring_submit_and_get_events(queue) } }
        var limit = __kernel_timespec(
            tv_sec: Int64(nanoseconds / 1_000_000_000), tv_nsec: Int64(nanoseconds % 1_000_000_000))
        var first: UnsafeMutablePointer<io_uring_cqe>?
        // Not repeated after EINTR with the full time again: the caller looks at its clock and comes back.
        let answer = io_uring_submit_and_wait_timeout(queue, &first, 1, &limit, nil)
        return try accepted { answer == -EINTR ? 0 : answer }
    }

    /// Whether there are completions to drain, or some that the kernel holds back until it is entered.
    public var hasCompletions: Bool {
        let heldBack: UInt32 = 1 << 1 | 1 << 2
        return io_uring_cq_ready(ring) > 0 || ring.pointee.sq.kflags.pointee & heldBack != 0
    }

    /// Takes up to `completions.count` completions off the queue. Asks the kernel for those that did not fit
    /// into it.
    /// - Returns: how many there were.
    public func drain(into completions: UnsafeMutableBufferPointer<RingCompletion>) -> Int {
        withUnsafeTemporaryAllocation(
            of: UnsafeMutablePointer<io_uring_cqe>?.self, capacity: Self.drainBatch
        ) { entries in
            let limit = min(completions.count, Self.drainBatch)
            let count = Int(io_uring_peek_batch_cqe(ring, entries.baseAddress, UInt32(limit)))
            var index = 0
            while index < count {
                guard let entry = entries[index] else {
                    invariantFailed("completion \(index) of \(count) is null")
                }
                let completion = RingCompletion(
                    userData: entry.pointee.user_data, result: entry.pointee.res, flags: entry.pointee.flags)
                completions.initializeElement(at: index, to: completion)
                if !completion.hasMore { outstanding -= 1 }
                index += 1
            }
            io_uring_cq_advance(ring, UInt32(count))
            return count
        }
    }

    /// Completions taken at once: their pointers fit on the stack.
    public static let drainBatch = 64
}
