internal import Base
internal import RecordFormat
internal import SystemIO

/// Told about the progress of a log's appends, on the lane.
protocol GroupCommitOwner: AnyObject {
    /// `writtenEndOffset` or `syncedEndOffset` grew.
    func groupCommitAdvanced()
    /// What was appended behind `writtenEndOffset` is not in the log and never will be.
    func groupCommitFailed(_ error: IOError)
    /// Something waits for `flush`.
    func groupCommitNeedsFlush()
}

/// The way of appended bytes to the disk: collects what is appended during a turn of the lane, writes it with
/// one call, and lets everything that waits for durability share one fdatasync.
///
/// Three ends of the log, each at most the one before:
///
///     queued   the next offset to be assigned; bytes may still be in memory only
///     written  readers see everything before it (page cache)
///     synced   survives a power cut
///
/// At most one queued write and one sync of the active segment are in flight; what comes meanwhile joins the
/// next. Syncs of rolled segments run beside; `synced` passes the end of a segment only after that segment's
/// own sync.
final class GroupCommit: AppendCompletionHandler {
    private(set) var queuedEndOffset: Offset
    private(set) var writtenEndOffset: Offset
    private(set) var syncedEndOffset: Offset

    /// The file of the active segment and the position that the next pending byte goes to.
    private var file: any File
    private(set) var pendingPosition: Int64
    private var pending: [BufferSlice] = []
    /// What the write in flight writes: trades places with `pending`, so that neither is ever made anew.
    private var inFlight: [BufferSlice] = []
    private(set) var pendingByteCount = 0
    /// Something that was appended and is not synced has been promised durability.
    private var wantsSync = false
    private var isFlushNoted = false
    /// Bytes were written between two flushes, which the owner has not been told.
    private var hasNews = false
    /// Why that failed. Told with the next flush as well: who appends right now does not know its offset yet.
    private var earlyFailure: IOError?

    /// Nil once the log is not used any more. The queue holds us as long as it has requests of ours: holding
    /// it too then would keep both, and every file and buffer of theirs, for ever.
    private var queue: (any AppendQueue)?
    private let road: AppendRoad
    private let owner: any GroupCommitOwner

    /// A write in flight (queued road only) and where it ends.
    private var writeInFlight: (token: CompletionToken, endOffset: Offset, byteCount: Int)?
    /// Syncs in flight, oldest first.
    private var tickets: [SyncTicket] = []
    private var activeSyncIsInFlight = false {
        didSet {
            if activeSyncIsInFlight != oldValue { wave.count += activeSyncIsInFlight ? 1 : -1 }
        }
    }
    /// Counts that sync among the others of its lane and disk.
    let wave: SyncWave
    private var nextToken: UInt64 = 0
    private var failure: IOError?
    /// Somebody waited for a sync when the failure came.
    private var owesSync = false

    private struct SyncTicket {
        let token: UInt64
        let endOffset: Offset
        let isActiveSegment: Bool
        var isDone = false
    }

    /// A turn's appends are written early when they reach this: more would hold memory, and leave the
    /// processor's cache before they are copied.
    static let flushByteCount = 1 << 20
    /// As above, for many small appends; below the kernel's limit of 1,024 pieces a call.
    static let flushSliceCount = 512

    init(
        file: any File, position: Int64, endOffset: Offset, syncedEndOffset: Offset, queue: any AppendQueue,
        road: AppendRoad, wave: SyncWave, owner: any GroupCommitOwner
    ) {
        self.file = file
        pendingPosition = position
        queuedEndOffset = endOffset
        writtenEndOffset = endOffset
        self.syncedEndOffset = min(syncedEndOffset, endOffset)
        self.queue = queue
        self.road = road
        self.wave = wave
        self.owner = owner
    }

    /// With the first append: of thousands of logs most are idle.
    private func reserveRoom() {
        pending.reserveCapacity(Self.flushSliceCount)
        if road == .queued { inFlight.reserveCapacity(Self.flushSliceCount) }
        tickets.reserveCapacity(8)
    }

    /// What may be written down as the recovery point: like `syncedEndOffset`, but within a segment until
    /// that segment's end, its final size included, is durable.
    var recoveryPoint: Offset {
        guard let unfinished = tickets.first(where: { !$0.isActiveSegment }) else { return syncedEndOffset }
        return min(syncedEndOffset, unfinished.endOffset - 1)
    }

    /// Appends were lost, and `reset` has to say where the log goes on.
    var hasFailed: Bool { failure != nil }

    var isIdle: Bool { pending.isEmpty && writeInFlight == nil && tickets.isEmpty }

    /// Takes over `slice`, whose offsets are assigned, behind everything before it.
    ///
    /// On return it is queued. It is written after the next `flush` (at once on the direct road), synced some
    /// completions later when `durably`.
    func append(_ slice: BufferSlice, endOffset: Offset, durably: Bool) {
        if pending.capacity == 0 { reserveRoom() }
        pending.append(slice)
        pendingByteCount += slice.byteCount
        queuedEndOffset = endOffset
        if durably { wantsSync = true }
        // The sync is left to the flush: the whole turn shares it.
        if road == .direct, pendingByteCount >= Self.flushByteCount || pending.count >= Self.flushSliceCount {
            writeEarly()
        }
        noteFlush()
    }

    private func writeEarly() {
        guard failure == nil, earlyFailure == nil else { return }
        do {
            try writePending()
        } catch {
            earlyFailure = error
        }
    }

    /// Asks for everything written so far to be synced.
    func requestSync() {
        guard syncedEndOffset < queuedEndOffset else { return }
        wantsSync = true
        noteFlush()
    }

    private func noteFlush() {
        guard !isFlushNoted else { return }
        isFlushNoted = true
        owner.groupCommitNeedsFlush()
    }

    /// Writes (direct road) or hands to the queue (queued road) what is pending, and asks for a sync where
    /// one is owed.
    ///
    /// - Parameter holdsSync: on the direct road, no sync of the active segment begins.
    /// - Returns: whether one would have: then another flush has to follow, though nobody asks for it.
    @discardableResult
    func flush(holdsSync: Bool = false) -> Bool {
        isFlushNoted = false
        guard failure == nil, let queue else { return false }
        switch road {
        case .direct: return flushDirectly(queue, holdsSync)
        case .queued:
            flushThroughQueue(queue)
            return false
        }
    }

    /// - Returns: whether a sync is left to the next flush.
    private func flushDirectly(_ queue: any AppendQueue, _ holdsSync: Bool) -> Bool {
        do throws(IOError) {
            if let earlyFailure { throw earlyFailure }
            try writePending()
        } catch {
            fail(error)
            return false
        }
        let isHeld = holdsSync && canSync
        if isHeld { isFlushNoted = true } else { syncActiveSegment(queue) }
        if hasNews {
            hasNews = false
            owner.groupCommitAdvanced()
        }
        return isHeld
    }

    /// Whether there is a sync to begin.
    private var canSync: Bool { wantsSync && !activeSyncIsInFlight && syncedEndOffset < writtenEndOffset }

    private func writePending() throws(IOError) {
        if pending.isEmpty { return }
        try file.write(pending, at: pendingPosition)
        pendingPosition += Int64(pendingByteCount)
        writtenEndOffset = queuedEndOffset
        forgetPending()
        hasNews = true
    }

    private func forgetPending() {
        pending.removeAll(keepingCapacity: true)
        pendingByteCount = 0
    }

    /// One sync for all that is written, unless one is in flight: then another follows it.
    private func syncActiveSegment(_ queue: any AppendQueue) {
        guard wantsSync, !activeSyncIsInFlight else { return }
        wantsSync = false
        guard syncedEndOffset < writtenEndOffset else { return }
        activeSyncIsInFlight = true
        queue.sync(file, addTicket(endOffset: writtenEndOffset, isActiveSegment: true), self)
    }

    private func flushThroughQueue(_ queue: any AppendQueue) {
        guard writeInFlight == nil else { return }
        if pending.isEmpty { return syncActiveSegment(queue) }
        // While a sync of earlier bytes is in flight, the new bytes wait for it: that is what forms the
        // group.
        guard !activeSyncIsInFlight else { return }
        let durably = wantsSync
        wantsSync = false
        let token: CompletionToken
        if durably {
            activeSyncIsInFlight = true
            token = addTicket(endOffset: queuedEndOffset, isActiveSegment: true)
        } else {
            token = newToken()
        }
        writeInFlight = (token, queuedEndOffset, pendingByteCount)
        swap(&pending, &inFlight)
        pendingByteCount = 0
        queue.write(inFlight, to: file, at: pendingPosition, thenSync: durably, token, self)
    }

    private func newToken() -> CompletionToken {
        nextToken += 1
        return CompletionToken(rawValue: nextToken)
    }

    private func addTicket(endOffset: Offset, isActiveSegment: Bool) -> CompletionToken {
        let token = newToken()
        tickets.append(
            SyncTicket(token: token.rawValue, endOffset: endOffset, isActiveSegment: isActiveSegment))
        return token
    }

    func appendQueue(completed event: AppendEvent, _ token: CompletionToken, failure error: IOError?) {
        // Completions of requests made before a failure and the truncation that followed name nothing any
        // more.
        let isCurrent = writeInFlight?.token == token || ticketIndex(token) != nil
        guard isCurrent, failure == nil else { return }
        if let error { return fail(error) }
        switch event {
        case .written:
            guard let write = writeInFlight, write.token == token else { return }
            writeInFlight = nil
            inFlight.removeAll(keepingCapacity: true)
            pendingPosition += Int64(write.byteCount)
            writtenEndOffset = write.endOffset
        case .synced:
            completeSync(token)
        }
        owner.groupCommitAdvanced()
        if !pending.isEmpty || wantsSync { noteFlush() }
    }

    /// Not `firstIndex(where:)`, which allocates in a debug build, as other functions of collections do:
    /// tests hold appends to allocating nothing there too.
    private func ticketIndex(_ token: CompletionToken) -> Int? {
        var index = 0
        while index < tickets.count {
            if tickets[index].token == token.rawValue { return index }
            index += 1
        }
        return nil
    }

    private func completeSync(_ token: CompletionToken) {
        guard let index = ticketIndex(token) else { return }
        tickets[index].isDone = true
        if tickets[index].isActiveSegment { activeSyncIsInFlight = false }
        // Few are in flight: one, and those of rolled segments.
        while !tickets.isEmpty, tickets[0].isDone {
            syncedEndOffset = max(syncedEndOffset, min(tickets[0].endOffset, writtenEndOffset))
            tickets.remove(at: 0)
        }
    }

    private func fail(_ error: IOError) {
        guard failure == nil else { return }
        failure = error
        owesSync = wantsSync || !tickets.isEmpty
        activeSyncIsInFlight = false
        earlyFailure = nil
        writeInFlight = nil
        inFlight.removeAll(keepingCapacity: true)
        tickets.removeAll()
        forgetPending()
        queuedEndOffset = writtenEndOffset
        owner.groupCommitFailed(error)
    }

    /// Waits until everything queued is written. Throws what failed meanwhile.
    func drainWrites() throws(IOError) {
        while failure == nil, !pending.isEmpty || writeInFlight != nil {
            flush()
            if pending.isEmpty && writeInFlight == nil { break }
            queue?.poll(waitNanoseconds: nil)
        }
        if let failure { throw failure }
    }

    /// Waits until everything queued is written and every sync in flight has ended. Throws what failed
    /// meanwhile.
    func drain() throws(IOError) {
        try drainWrites()
        while failure == nil, !tickets.isEmpty { queue?.poll(waitNanoseconds: nil) }
        if let failure { throw failure }
    }

    /// Continues with another segment's file. Nothing may be pending or in flight but syncs of rolled
    /// segments.
    ///
    /// - Parameter rolledFile: the segment so far, synced in the background; the log's synced end waits for
    ///   it.
    func switchFile(to file: any File, position: Int64, rolledFile: (any File)?) {
        invariant(
            pending.isEmpty && writeInFlight == nil, "switching files with \(pendingByteCount) bytes pending")
        // Also when all its batches are synced: what was allocated ahead has just been cut off.
        if let rolledFile {
            queue?.sync(rolledFile, addTicket(endOffset: writtenEndOffset, isActiveSegment: false), self)
        }
        wantsSync = false
        self.file = file
        pendingPosition = position
    }

    /// After a truncation: the log now ends at `endOffset`, at `position` of `file`, all of it written.
    /// Clears a failure, whose appends the truncation has removed.
    func reset(file: any File, position: Int64, endOffset: Offset, syncedEndOffset: Offset? = nil) {
        invariant(isIdle, "resetting a log with appends in flight")
        self.file = file
        pendingPosition = position
        queuedEndOffset = endOffset
        writtenEndOffset = endOffset
        self.syncedEndOffset = min(syncedEndOffset ?? self.syncedEndOffset, endOffset)
        // Whoever waited for a sync of what is still here when an append was lost gets another.
        wantsSync = owesSync
        owesSync = false
        failure = nil
        if wantsSync { noteFlush() }
    }

    /// The log is not used any more: nothing more is written, asked for or told. Requests in flight end
    /// unheard.
    func abandon() {
        queue = nil
        writeInFlight = nil
        inFlight = []
        pending = []
        pendingByteCount = 0
        tickets.removeAll()
        activeSyncIsInFlight = false
        wantsSync = false
    }

    /// Everything up to `offset` was synced by other means.
    func noteSynced(through offset: Offset) {
        syncedEndOffset = max(syncedEndOffset, min(offset, writtenEndOffset))
    }
}
