public import Base
internal import Synchronization
public import SystemIO

/// One thread, one event loop: owns connections, timers and whatever of the program belongs to it.
///
/// Everything is called on the lane's thread, which is the first that calls `run` or `turn`, but for
/// `submit`, `stop` and the counters. A turn: wait in the kernel, deliver what the network brought, run what
/// other threads submitted, fire timers, `turnEnded`, send what there is to send. A lane with nothing to do
/// sleeps in the kernel.
public final class Lane: @unchecked Sendable {
    // @unchecked: what changes is touched by the lane's thread only (`isCurrent`), but for the inbox, which
    // has a lock, and the atomics.

    public let index: Int
    public let timeSource: any TimeSource
    public let log: Logger
    public let counters = LaneCounters()
    /// Memory of requests, shared with the other lanes of the group.
    public let requestMemory: BufferPool
    /// Called at the end of every turn that brought anything, before what is due is sent: what was collected
    /// in the turn is flushed here.
    public var turnEnded: () -> Void = {}

    /// Called once, when `run` comes to its end: whatever the lane owns is closed here, on its thread.
    public var ended: () -> Void = {}

    let backend: any NetworkBackend
    private let wake: EventDescriptor
    private let owner = Atomic<UInt>(0)
    private let isAsleep = Atomic<Bool>(false)
    private let isStopping = Atomic<Bool>(false)
    /// Connections that were handed to the lane and not closed since.
    private let load = Atomic<Int>(0)
    private let inbox = Locked(Inbox())
    private var working = Backlog<@Sendable () -> Void>()
    private var timers = LaneTimers()
    private var knownNow: UInt64?
    private var mustLookAgain = false
    /// In `turnEnded`: the turn has brought nothing from the network or other threads.
    public private(set) var isQuiet = false
    private var watches: [DescriptorWatch] = []
    private var appendQueue: (any AppendQueue)?
    private var pollAppendQueue: () -> Void = {}

    /// Connections with something to send, and such that may go on reading; those noted in a turn, and those
    /// that are being worked off.
    private var dirty = ContiguousArray<Connection>()
    private var sending = ContiguousArray<Connection>()
    private var resumable = ContiguousArray<Connection>()
    private var resuming = ContiguousArray<Connection>()
    /// Lanes that were found asleep when they were given work, and are to be woken.
    private var sleepers = ContiguousArray<Lane>()
    /// Those that want memory, the first come first.
    private var starving = Backlog<Connection>()
    var connections = ConnectionTable()
    var arena: OutboundArena
    /// What the next send takes; kept for its room.
    var scratch = ContiguousArray<BufferSlice>()
    let refusals: RefusalLog
    /// Connections come to their end, and then the lane does.
    var isDraining = false

    private struct Inbox: Sendable {
        var work = Backlog<@Sendable () -> Void>()
        var isClosed = false
    }

    /// Closures that may wait for the lane: above what all connections with all their requests can cause.
    public static let inboxLimit = 1 << 22

    /// - Parameters:
    ///   - requestMemory: bounds the memory of requests.
    ///   - responseMemory: memory of small responses.
    ///   - logsBackend: says in the log which back end was chosen.
    /// - Throws: when the kernel refuses the back end, or a descriptor.
    public init(
        index: Int, backend choice: NetworkChoice, requestMemory: BufferPool, responseMemory: BufferPool,
        timeSource: any TimeSource, log: Logger, logsBackend: Bool = true
    ) throws(IOError) {
        self.index = index
        self.timeSource = timeSource
        self.log = log
        self.requestMemory = requestMemory
        arena = OutboundArena(pool: responseMemory)
        refusals = RefusalLog(log)
        backend = try NetworkBackends.make(choice, pool: requestMemory, log: logsBackend ? log : .silent)
        wake = try EventDescriptor()
        scratch.reserveCapacity(Socket.slicesPerSend)
        // Never taken off: each signal is told of, and that is all it has to say.
        try watch(wake.descriptor, changesOnly: true) {}
    }

    // MARK: From any thread

    /// Whether the calling thread is the lane's.
    public var isCurrent: Bool { owner.load(ordering: .relaxed) == JoinableThread.currentIdentity }

    /// Has `work` run on the lane, after what was submitted before. A sleeping lane is woken once, however
    /// much is submitted until it looks.
    /// - Returns: false, and `work` will not run, when the lane has stopped or as much waits as may.
    public func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
        let isTaken = put(work)
        if isTaken { wakeUp() }
        return isTaken
    }

    /// The same from the thread of another lane, the `sender`, which wakes this one when it has looked at all
    /// that its turn brought: however much it hands over, and gets back, costs one waking. Waking a sleeping
    /// core costs as much as appending a batch.
    public func submit(from sender: Lane, _ work: @escaping @Sendable () -> Void) -> Bool {
        invariant(sender.isCurrent, "lane \(index) is given work by another thread than its sender's")
        let isTaken = put(work)
        // One that is awake looks into its inbox before it sleeps.
        if isTaken && mustBeWoken { sender.noteSleeper(self) }
        return isTaken
    }

    private func put(_ work: @escaping @Sendable () -> Void) -> Bool {
        inbox.withLock { inbox in
            if inbox.isClosed || inbox.work.count >= Self.inboxLimit { return false }
            inbox.work.append(work)
            return true
        }
    }

    /// Whether the lane waits in the kernel, or is about to, and has to be woken.
    var mustBeWoken: Bool { isAsleep.load(ordering: .sequentiallyConsistent) }

    var connectionLoad: Int { load.load(ordering: .relaxed) }

    func connectionLoadChanged(by amount: Int) { load.add(amount, ordering: .relaxed) }

    private func wakeUp() {
        if isAsleep.exchange(false, ordering: .sequentiallyConsistent) { wake.signal() }
    }

    /// Ends `run` after the turn that is under way. What was submitted until then is done; what is submitted
    /// later is refused.
    public func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        wakeUp()
    }

    // MARK: On the lane

    /// Nanoseconds of the monotonic clock, read once a turn.
    public var now: UInt64 {
        if let knownNow { return knownNow }
        let now = timeSource.monotonicNanoseconds()
        knownNow = now
        return now
    }

    /// Calls `handler` once at the first turn at or after `deadline`, in nanoseconds of the monotonic clock.
    public func schedule(at deadline: UInt64, _ handler: any TimerHandler, tag: UInt64 = 0) -> TimerID {
        timers.add(deadline, handler, tag)
    }

    /// Calls `body` once after so many milliseconds.
    @discardableResult
    public func schedule(afterMilliseconds delay: Int64, _ body: @escaping () -> Void) -> TimerID {
        schedule(at: moment(afterMilliseconds: delay), ClosureTimer(body))
    }

    /// Does nothing when the timer has fired or was cancelled.
    public func cancel(_ timer: TimerID) { timers.cancel(timer) }

    /// `now` and so many milliseconds.
    public func moment(afterMilliseconds delay: Int64) -> UInt64 {
        let (length, overflows) = UInt64(max(delay, 0)).multipliedReportingOverflow(by: 1_000_000)
        let (sum, isPast) = now.addingReportingOverflow(length)
        return overflows || isPast ? UInt64.max : sum
    }

    /// Has the next turn not wait. Whether it `isQuiet` then says whether more has come meanwhile.
    public func lookAgain() { mustLookAgain = true }

    /// Room for bytes that a response will be made of, to be written now. Cheap: many small ones share a
    /// buffer.
    public func outboundRoom(byteCount: Int) -> BufferSlice { arena.take(byteCount) }

    /// Calls `body` in every turn in which `descriptor` can be read, which `body` must see to that it no
    /// longer can. The descriptor stays open as long as the lane lives.
    public func watch(_ descriptor: Int32, _ body: @escaping () -> Void) throws(IOError) {
        try watch(descriptor, changesOnly: false, body)
    }

    private func watch(
        _ descriptor: Int32, changesOnly: Bool, _ body: @escaping () -> Void
    ) throws(IOError) {
        let watch = DescriptorWatch(body)
        _ = try backend.watch(descriptor, changesOnly: changesOnly, watch)
        watches.append(watch)
    }

    /// Has the completions of `queue` end the lane's wait as the network does. `poll` is called when there
    /// are some to deliver, and is to poll the queue without waiting.
    public func attach(_ queue: any AppendQueue, poll: @escaping () -> Void) throws(IOError) {
        invariant(appendQueue == nil, "a second append queue for lane \(index)")
        appendQueue = queue
        pollAppendQueue = poll
        if let descriptor = queue.completionDescriptor { try watch(descriptor, poll) }
    }

    // MARK: The loop

    /// Runs turns until `stop`.
    public func run() {
        while !isStopping.load(ordering: .relaxed) { turn(waitNanoseconds: nil) }
        inbox.withLock { $0.isClosed = true }
        runInbox()
        // Handed over since the lane drained: nobody else would close them, and their peers wait.
        closeConnections()
        turnEnded()
        sendAll()
        ended()
        wakeSleepers()
    }

    /// One turn, which waits for something to do at most `waitNanoseconds` (nil: without limit).
    public func turn(waitNanoseconds: UInt64?) {
        claim()
        knownNow = nil
        let wait = prepareWait(waitNanoseconds)
        mustLookAgain = false
        let broughtEvents = backend.poll(waitNanoseconds: wait)
        isAsleep.store(false, ordering: .relaxed)
        let broughtWork = runInbox()
        isQuiet = !broughtEvents && !broughtWork
        fireTimers()
        resumeAll()
        wakeSleepers()
        turnEnded()
        if let appendQueue, appendQueue.hasDeliverableEvents { pollAppendQueue() }
        wakeSleepers()
        sendAll()
        wakeSleepers()
        counters.turns.add(1)
    }

    private func claim() {
        let current = JoinableThread.currentIdentity
        let known = owner.load(ordering: .relaxed)
        if known == current { return }
        invariant(known == 0, "lane \(index) is run by a second thread")
        owner.store(current, ordering: .relaxed)
    }

    /// How long the kernel may hold us: not at all while there is something to do.
    private func prepareWait(_ limit: UInt64?) -> UInt64? {
        if limit == 0 || mustLookAgain || !dirty.isEmpty || !resumable.isEmpty { return 0 }
        if let appendQueue, appendQueue.hasDeliverableEvents { return 0 }
        var wait = limit
        if let deadline = timers.nextDeadline {
            let left = deadline > now ? deadline - now : 0
            if left == 0 { return 0 }
            wait = min(wait ?? .max, left)
            // The clock has gone on when the wait is over.
            knownNow = nil
        }
        // First say that we sleep, then look: whoever submits later sees it, and wakes us.
        isAsleep.store(true, ordering: .sequentiallyConsistent)
        let hasWork =
            inbox.withLock { !$0.work.isEmpty } || isStopping.load(ordering: .sequentiallyConsistent)
        return hasWork ? 0 : wait
    }

    /// - Returns: whether there was anything in it.
    @discardableResult
    private func runInbox() -> Bool {
        inbox.withLock { swap(&$0.work, &working) }
        let hasWork = !working.isEmpty
        while let work = working.removeFirst() { work() }
        return hasWork
    }

    private func fireTimers() {
        // As many as there are now: one that schedules itself for now again must not keep us here.
        var left = timers.count
        while left > 0, let due = timers.takeDue(now) {
            left -= 1
            due.handler.timerFired(due.tag)
        }
    }

    private func noteSleeper(_ lane: Lane) {
        if sleepers.isEmpty || !sleepers.contains(where: { $0 === lane }) { sleepers.append(lane) }
    }

    private func wakeSleepers() {
        if sleepers.isEmpty { return }
        for lane in sleepers { lane.wakeUp() }
        sleepers.removeAll(keepingCapacity: true)
    }

    // MARK: Connections

    /// The connection's out queue is looked at when the turn ends.
    func noteDirty(_ connection: Connection) { dirty.append(connection) }

    /// The connection goes on with what it has received, in this turn or the next.
    func noteResumable(_ connection: Connection) { resumable.append(connection) }

    /// The connection goes on when memory of requests comes back; it wants `byteCount` bytes.
    func noteStarving(_ connection: Connection, _ byteCount: Int) {
        let isFirst = starving.isEmpty
        starving.append(connection)
        if !isFirst { return }
        requestMemory.whenMemoryReturns { [weak self] in
            _ = self?.submit { [weak self] in self?.feedStarving() }
        }
        // What came back before we asked was told to nobody.
        if requestMemory.canTake(byteCount: byteCount) { feedStarving() }
    }

    private func feedStarving() {
        var left = starving.count
        while left > 0, let connection = starving.removeFirst() {
            left -= 1
            connection.memoryReturned()
        }
    }

    private func resumeAll() {
        // Some may be noted again meanwhile; those have the next turn.
        swap(&resumable, &resuming)
        var number = 0
        while number < resuming.count {
            resuming[number].resume()
            number += 1
        }
        resuming.removeAll(keepingCapacity: true)
    }

    private func sendAll() {
        swap(&dirty, &sending)
        var number = 0
        while number < sending.count {
            sending[number].flush()
            number += 1
        }
        sending.removeAll(keepingCapacity: true)
    }
}

/// A descriptor under watch and what is called for it.
private final class DescriptorWatch: ReadinessHandler {
    private let body: () -> Void

    init(_ body: @escaping () -> Void) { self.body = body }

    func descriptorReady() { body() }
}
