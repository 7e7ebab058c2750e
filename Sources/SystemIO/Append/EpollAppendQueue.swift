internal import Base
internal import CLinux
internal import Glibc

/// The append queue for where the kernel refuses io_uring: the lane writes with pwritev when it submits, a
/// few threads call fdatasync, and their outcomes come back through an eventfd that epoll waits for.
public final class EpollAppendQueue: AppendQueue {
    public var name: String { "epoll" }
    public var pendingCount: Int { requests.count }
    public var completionDescriptor: Int32? { event.descriptor }
    public var hasDeliverableEvents: Bool { !ready.isEmpty || !backlog.isEmpty }

    private let requests = AppendRequestPool(givesVectors: false)
    /// Subscripts of requests that were not begun.
    private var backlog = Backlog<Int>()
    private var ready = Backlog<ReadyEvent>()
    /// Syncs that a thread has.
    private var syncsUnderWay = 0
    private let event: EventDescriptor
    private let epoll: OwnedDescriptor
    private let threads: SyncThreads
    private let clock = SystemClock()

    /// - Parameter syncThreads: syncs that go on side by side; a sync holds a thread while the disk works.
    /// - Throws: when the process has no descriptors left.
    public init(syncThreads: Int = 8) throws(IOError) {
        event = try EventDescriptor()
        epoll = OwnedDescriptor(
            taking: try SystemCall.run(.epoll, "epoll_create1") { epoll_create1(O_CLOEXEC) })
        threads = SyncThreads(limit: syncThreads, event: event)
        var interest = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: 0))
        let (number, eventNumber) = (epoll.rawValue, event.descriptor)
        _ = try SystemCall.run(.epoll, "epoll_ctl") {
            epoll_ctl(number, EPOLL_CTL_ADD, eventNumber, &interest)
        }
    }

    deinit { threads.stop() }

    public func write(
        _ slices: [BufferSlice], to file: any File, at position: Int64, thenSync: Bool,
        _ token: CompletionToken, _ handler: any AppendCompletionHandler
    ) {
        backlog.append(requests.add(slices, file, at: position, wantsSync: thenSync, token, handler))
    }

    public func sync(_ file: any File, _ token: CompletionToken, _ handler: any AppendCompletionHandler) {
        backlog.append(requests.add(nil, file, at: 0, wantsSync: true, token, handler))
    }

    public func submit() {
        while let index = backlog.removeFirst() {
            if requests.places[index].isWrite {
                requests.writeNow(index)
                ready.append(ReadyEvent(event: .written, index: index))
                if requests.places[index].failure != nil { continue }
            }
            if requests.places[index].wantsSync { startSync(index) }
        }
    }

    private func startSync(_ index: Int) {
        guard let file = requests.places[index].file else { return }
        do {
            try threads.add(SyncThreads.Job(descriptor: file.descriptor, index: index))
            syncsUnderWay += 1
        } catch {
            invariantFailed("no thread can be started to sync files: \(error)")
        }
    }

    @discardableResult
    public func poll(waitNanoseconds: UInt64?) -> Int {
        submit()
        // Before the outcomes are taken, as in `wait`; who waits elsewhere sees it no longer readable.
        if waitNanoseconds == 0 { event.clear() }
        var delivered = deliverReady() + deliverOutcomes()
        if delivered > 0 || syncsUnderWay == 0 || waitNanoseconds == 0 { return delivered }
        let deadline = waitNanoseconds.map { clock.monotonicNanoseconds().addingSaturated($0) }
        while delivered == 0 && syncsUnderWay > 0 {
            var left: UInt64?
            if let deadline {
                let now = clock.monotonicNanoseconds()
                left = deadline > now ? deadline - now : 0
            }
            if left == 0 { break }
            wait(left)
            delivered = deliverOutcomes()
        }
        return delivered
    }

    /// Waits until a thread has signalled, or the time has passed.
    private func wait(_ nanoseconds: UInt64?) {
        var found = epoll_event()
        // Rounded up: waiting too short would turn the rest into a busy loop.
        let milliseconds = nanoseconds.map { Int32(min(($0 + 999_999) / 1_000_000, UInt64(Int32.max))) } ?? -1
        let number = epoll.rawValue
        // An interrupted wait is as good as one that found nothing: the caller looks at its clock.
        let error = SystemCall.once { epoll_wait(number, &found, 1, milliseconds) }
        invariant(error == nil || error == .interrupted, "epoll_wait: \(String(describing: error))")
        // Before the outcomes are taken: what comes after the last of them signals again.
        if found.events != 0 { event.clear() }
    }

    private func deliverReady() -> Int {
        var count = 0
        var left = ready.count
        while left > 0, let next = ready.removeFirst() {
            requests.deliver(next.event, next.index)
            count += 1
            left -= 1
        }
        return count
    }

    private func deliverOutcomes() -> Int {
        if syncsUnderWay == 0 { return 0 }
        var count = 0
        var left = syncsUnderWay
        while left > 0, let outcome = threads.takeOutcome() {
            left -= 1
            syncsUnderWay -= 1
            if let error = outcome.error {
                let path = requests.places[outcome.index].file?.path ?? ""
                requests.places[outcome.index].failure = SystemCall.failure(.sync, path, error)
            }
            requests.deliver(.synced, outcome.index)
            count += 1
        }
        return count
    }
}
