internal import Base
internal import CLiburing
internal import CLinux
internal import Glibc

/// The append queue on io_uring.
///
/// | request | what the kernel is asked for |
/// | --- | --- |
/// | sync | fdatasync |
/// | write | write |
/// | write then sync, road `linked` | write, linked to fdatasync |
/// | write then sync, road `inline` | pwritev by the lane at `submit`, then fdatasync by the ring |
///
/// A write that comes back short, which also cancels the sync linked to it, is continued with what is left,
/// linked again. Requests wait in a backlog while as many are under way as the completion queue holds, so it
/// cannot overflow.
public final class RingAppendQueue: AppendQueue {
    /// How the bytes of a write get into the page cache.
    public enum WriteRoad: Sendable {
        /// By a kernel worker, linked to the sync: the lane never blocks in a write.
        case linked
        /// By the lane itself, when it submits: less CPU for buffered files.
        case inline
    }

    public var name: String { "io_uring" }
    public var pendingCount: Int { requests.count }
    public var hasDeliverableEvents: Bool { !ready.isEmpty || !backlog.isEmpty || ring.hasCompletions }

    let ring: SubmissionRing
    private let road: WriteRoad
    private let requests = AppendRequestPool(givesVectors: true)
    /// Subscripts of requests that the kernel has not been asked for.
    private var backlog = Backlog<Int>()
    /// Events of requests that needed no ring to end: inline writes, and writes that failed before the kernel
    /// was asked.
    private var ready = Backlog<ReadyEvent>()
    /// Whether requests of before the last submission still wait: for room, or with the rest of a short
    /// write.
    private var isSubmissionOwed = false
    private let completions: UnsafeMutableBufferPointer<RingCompletion>
    private let clock = SystemClock()

    /// - Parameters:
    ///   - entries: requests handed over at once; more wait for the next batch.
    ///   - road: how writes are made.
    /// - Throws: when the kernel refuses a ring.
    public init(entries: Int = 256, road: WriteRoad = .linked) throws(IOError) {
        ring = try SubmissionRing(entries: max(entries, 8))
        self.road = road
        completions = .allocate(capacity: SubmissionRing.drainBatch)
    }

    deinit {
        // The kernel may still read from our buffers. Wait for it; if we are on a thread that may not, the
        // memory is rather lost than freed under the kernel.
        while ring.outstanding > 0 {
            do throws(IOError) {
                _ = try ring.submitAndWait(nanoseconds: nil)
                _ = ring.drain(into: completions)
            } catch {
                _ = Unmanaged.passRetained(requests)
                break
            }
        }
        completions.deallocate()
    }

    /// Signalled by the kernel; made when somebody first asks for it.
    private var event: EventDescriptor?

    /// To be asked for before the ring is used, or by the thread that uses it.
    public var completionDescriptor: Int32? {
        if let event { return event.descriptor }
        do {
            let made = try EventDescriptor()
            try ring.signalCompletions(to: made)
            event = made
            return made.descriptor
        } catch {
            invariantFailed("no event for the completions of an append queue: \(error)")
        }
    }

    /// How the ring was set up, for the log.
    public var mode: String { ring.mode }

    // MARK: Requests

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
        while true {
            let isAllPrepared = prepareBacklog()
            guard isAllPrepared || ring.spaceLeft < Self.entriesPerRequest else { break }
            // Full but for what the completion queue can hold: hand over and go on.
            let wasTaken = enter { () throws(IOError) in try ring.submit() }
            if isAllPrepared || !wasTaken { return }
        }
        _ = enter { () throws(IOError) in try ring.submit() }
    }

    /// The ring's own failures leave nothing to go on with: it is used by two threads, or its memory is gone.
    private func enter(_ call: () throws(IOError) -> Bool) -> Bool {
        do {
            return try call()
        } catch {
            invariantFailed("the ring of an append queue, which belongs to one thread, failed: \(error)")
        }
    }

    /// A write and the sync linked to it.
    private static let entriesPerRequest = 2

    /// Turns what waits into entries of the ring, as far as they fit.
    /// - Returns: whether nothing waits any more.
    private func prepareBacklog() -> Bool {
        while let index = backlog.first {
            guard ring.spaceLeft >= Self.entriesPerRequest,
                ring.outstanding + Self.entriesPerRequest <= ring.completionCapacity
            else { return false }
            _ = backlog.removeFirst()
            start(index)
        }
        return true
    }

    /// Asks for the next step of a request: there is room for two entries.
    private func start(_ index: Int) {
        guard let file = requests.places[index].file else { return }
        if !requests.places[index].isWrite || requests.places[index].isWritten {
            startSync(index, file.descriptor)
        } else if requests.places[index].cursor.remaining == 0 {
            requests.places[index].isWritten = true
            finishInline(index)
        } else if road == .inline || !file.isWritable {
            requests.writeNow(index)
            finishInline(index)
        } else {
            startWrite(index, file.descriptor)
        }
    }

    /// Passes on a write that is already made, or has failed.
    private func finishInline(_ index: Int) {
        ready.append(ReadyEvent(event: .written, index: index))
        guard let file = requests.places[index].file, requests.places[index].failure == nil else { return }
        if requests.places[index].wantsSync { startSync(index, file.descriptor) }
    }

    private func startSync(_ index: Int, _ descriptor: Int32) {
        requests.places[index].isSyncInFlight = true
        let taken = ring.prepareDataSync(descriptor, userData: userData(index, .sync))
        invariant(taken, "no room for a sync, though there was room for two requests")
    }

    private func startWrite(_ index: Int, _ descriptor: Int32) {
        let number = userData(index, .write)
        let position = requests.places[index].position
        guard let vectors = requests.places[index].vectors else {
            invariantFailed("no vectors in place \(index) of a ring's requests")
        }
        let count = requests.places[index].cursor.fill(vectors, from: requests.places[index].slices)
        // All that is left has to be in this entry for the sync to follow it.
        let byteCount = Self.byteCount(vectors, count)
        let isWhole =
            byteCount == requests.places[index].cursor.remaining
            && byteCount <= SubmissionRing.maximumByteCount
        let linked = requests.places[index].wantsSync && isWhole
        let taken: Bool
        if count == 1, let start = vectors[0].iov_base {
            taken = ring.prepareWrite(
                descriptor, start, byteCount: vectors[0].iov_len, at: position, linked: linked,
                userData: number)
        } else if let base = vectors.baseAddress {
            taken = ring.prepareWrite(
                descriptor, base, count: count, at: position, linked: linked, userData: number)
        } else {
            taken = false
        }
        invariant(taken, "no room for a write, though there was room for two requests")
        requests.places[index].isWriteInFlight = true
        if linked { startSync(index, descriptor) }
    }

    private static func byteCount(_ vectors: UnsafeMutableBufferPointer<iovec>, _ count: Int) -> Int {
        var total = 0
        var index = 0
        while index < count {
            total += vectors[index].iov_len
            index += 1
        }
        return total
    }

    // MARK: Completions

    private enum Step: UInt64 { case write = 1, sync = 2 }

    /// What comes back with a completion: the step in the top byte, then 24 bits of generation, then the
    /// subscript.
    private func userData(_ index: Int, _ step: Step) -> UInt64 {
        step.rawValue << 56 | UInt64(requests.places[index].generation) << 32 | UInt64(index)
    }

    @discardableResult
    public func poll(waitNanoseconds: UInt64?) -> Int {
        // Before the completions are taken: what comes after the last of them signals again.
        if waitNanoseconds == 0 { event?.clear() }
        isSubmissionOwed = !prepareBacklog()
        var delivered = 0
        if !ready.isEmpty || ring.hasCompletions {
            // The kernel works on what is new while the handlers run.
            _ = enter { () throws(IOError) in try ring.submit() }
            delivered = deliverReady() + drain()
        }
        if delivered == 0 { delivered = waitForEvent(waitNanoseconds) }
        // What was asked for before this call does not wait for the next.
        if isSubmissionOwed { submit() }
        return delivered
    }

    /// Submits and waits in one system call, and again while what completes is no event (a short write).
    private func waitForEvent(_ waitNanoseconds: UInt64?) -> Int {
        var delivered = 0
        var deadline: UInt64?
        var left = waitNanoseconds
        while delivered == 0 && pendingCount > 0 {
            if let waitNanoseconds, waitNanoseconds > 0 {
                let now = clock.monotonicNanoseconds()
                let end = deadline ?? now.addingSaturated(waitNanoseconds)
                deadline = end
                left = end > now ? end - now : 0
            }
            isSubmissionOwed = !prepareBacklog()
            if !ready.isEmpty { left = 0 }
            _ = enter { () throws(IOError) in try ring.submitAndWait(nanoseconds: left) }
            delivered += deliverReady() + drain()
            if left == 0 { break }
        }
        return delivered
    }

    private func deliverReady() -> Int {
        var count = 0
        // Only what was ready at the beginning: a handler that always asks for more must not keep us here.
        var left = ready.count
        while left > 0, let next = ready.removeFirst() {
            requests.deliver(next.event, next.index)
            count += 1
            left -= 1
        }
        return count
    }

    /// Works off all completions there are.
    /// - Returns: the events delivered.
    private func drain() -> Int {
        var delivered = 0
        var left = ring.outstanding
        while left > 0 {
            let count = ring.drain(into: completions)
            var number = 0
            while number < count {
                delivered += take(completions[number])
                number += 1
            }
            left -= max(count, 1)
            if count < completions.count { break }
        }
        return delivered
    }

    private func take(_ completion: RingCompletion) -> Int {
        let index = Int(completion.userData & 0xFFFF_FFFF)
        let generation = UInt32(completion.userData >> 32) & AppendRequestPool.generationMask
        guard let step = Step(rawValue: completion.userData >> 56), index < requests.places.count,
            requests.places[index].generation == generation
        else { invariantFailed("a completion of no request of ours: \(completion)") }
        switch step {
        case .write: return takeWrite(completion.result, index)
        case .sync: return takeSync(completion.result, index)
        }
    }

    private func takeWrite(_ result: Int32, _ index: Int) -> Int {
        requests.places[index].isWriteInFlight = false
        let path = requests.places[index].file?.path ?? ""
        if result > 0 {
            requests.places[index].advance(by: Int(result))
            if requests.places[index].isWritten {
                let owesSync = requests.places[index].wantsSync && !requests.places[index].isSyncInFlight
                if owesSync { goOn(index) }
                requests.deliver(.written, index)
                return 1
            }
        } else if result == 0 {
            requests.places[index].failure = IOError(.write, path, .inputOutput)
        } else {
            let error = Errno(rawValue: -result)
            if error != .interrupted && error != .wouldBlock {
                requests.places[index].failure = SystemCall.failure(.write, path, error)
            }
        }
        return continueOrFail(index)
    }

    private func takeSync(_ result: Int32, _ index: Int) -> Int {
        requests.places[index].isSyncInFlight = false
        let error = Errno(rawValue: result < 0 ? -result : 0)
        if requests.places[index].isWrite && !requests.places[index].isWritten {
            // The write before it fell short or failed, and took the link with it.
            invariant(
                error == .canceled || requests.places[index].isWriteInFlight,
                "a linked sync answered \(result) though its write was not whole")
            return continueOrFail(index)
        }
        if error == .interrupted || error == .canceled {
            goOn(index)
            return 0
        }
        if error.rawValue != 0 {
            let path = requests.places[index].file?.path ?? ""
            requests.places[index].failure = SystemCall.failure(.sync, path, error)
        }
        requests.deliver(.synced, index)
        return 1
    }

    /// Goes on with a write that is not whole, or reports its failure, once the kernel owes nothing of it any
    /// more.
    private func continueOrFail(_ index: Int) -> Int {
        if requests.places[index].isWriteInFlight || requests.places[index].isSyncInFlight { return 0 }
        if requests.places[index].failure == nil {
            goOn(index)
            return 0
        }
        requests.deliver(.written, index)
        return 1
    }

    private func goOn(_ index: Int) {
        backlog.append(index)
        isSubmissionOwed = true
    }
}

extension UInt64 {
    /// The sum, or the greatest number when there is no room for it.
    func addingSaturated(_ other: UInt64) -> UInt64 {
        let (sum, isTooBig) = addingReportingOverflow(other)
        return isTooBig ? .max : sum
    }
}
