internal import Base

/// Readiness by a ring: connections by polls that stay (multishot), what is watched by its level by polls
/// that are asked for again after each event.
///
/// No request of this ring points to memory: a completion that comes late has nothing to write to, and its
/// number tells that its channel is gone. New watches cost no system call of their own: they go to the kernel
/// with the next wait.
final class RingPoller: ReadinessPoller {
    var name: String { "io_uring" }

    private let ring: SubmissionRing
    private let completions: UnsafeMutableBufferPointer<RingCompletion>
    /// What the queue had no room for while the kernel took nothing.
    private var wishes = Backlog<Wish>()
    /// Sockets that are to stay open until the kernel has what is prepared or wished for.
    private var held = ContiguousArray<Socket>()

    private let enterRing: (SubmissionRing, UInt64?) throws(IOError) -> Bool

    private enum Wish {
        case edges(Int32, UInt64)
        case level(Int32, UInt64)
        case removal(UInt64)
    }

    /// Requests handed over at once, and completions that wait for us. More of them are not lost, but end the
    /// polls they come from, which then are asked for anew.
    private static let entries = 512
    private static let completionEntries = 4096
    /// Events taken at once.
    private static let eventCount = 256
    /// The number of requests whose completion nobody waits for. No channel has it.
    private static let nobody = UInt64.max

    /// - Throws: what the kernel answered when it refuses a ring, or polls that stay (`notSupported`).
    convenience init() throws(IOError) {
        if let refusal = Self.probed { throw refusal }
        try self.init(entries: Self.entries, completionEntries: Self.completionEntries)
    }

    /// With another size, which a test can make overflow, and another way into the kernel, so that a test can
    /// play one that takes nothing.
    init(
        entries: Int, completionEntries: Int,
        enter: @escaping (SubmissionRing, UInt64?) throws(IOError) -> Bool = RingPoller.enterKernel
    ) throws(IOError) {
        ring = try SubmissionRing(entries: entries, completionEntries: completionEntries)
        enterRing = enter
        completions = .allocate(capacity: Self.eventCount)
    }

    deinit { completions.deallocate() }

    /// How the ring was set up, for the log.
    var mode: String { ring.mode }

    // MARK: What the kernel can do

    /// Tried once: a kernel older than 5.13 has rings, but no polls that stay.
    private static let probed: IOError? = {
        if let refusal = SubmissionRing.refusal { return refusal }
        do throws(IOError) {
            return try isServed(by: SubmissionRing(entries: 8))
                ? nil : IOError(.ring, "multishot poll", .notSupported)
        } catch {
            return error
        }
    }()

    /// Whether a poll of the ring tells twice of a descriptor that became readable twice, and is cancelled
    /// while it has something to tell.
    static func isServed(by ring: SubmissionRing) throws(IOError) -> Bool {
        let event = try EventDescriptor()
        let room = UnsafeMutableBufferPointer<RingCompletion>.allocate(capacity: SubmissionRing.drainBatch)
        defer { room.deallocate() }
        _ = ring.prepareEdges(event.descriptor, PollEvent.readable, userData: 1)
        for _ in 0..<2 {
            event.signal()
            _ = try ring.submitAndWait(nanoseconds: probeNanoseconds)
            guard ring.drain(into: room) == 1, room[0].result > 0, room[0].hasMore else { return false }
            event.clear()
        }
        event.signal()
        _ = ring.prepareCancel(1, userData: 2)
        var left = 8
        while ring.outstanding > 0 && left > 0 {
            _ = try ring.submitAndWait(nanoseconds: probeNanoseconds)
            _ = ring.drain(into: room)
            left -= 1
        }
        return ring.outstanding == 0
    }

    /// How long a completion that has to be there already is waited for.
    private static let probeNanoseconds: UInt64 = 1_000_000_000

    // MARK: Asking

    func watch(_ descriptor: Int32, _ mode: WatchMode, _ number: UInt64) throws(IOError) {
        ask(mode == .edges ? .edges(descriptor, number) : .level(descriptor, number))
    }

    func watchAgain(_ descriptor: Int32, _ mode: WatchMode, _ number: UInt64) {
        ask(mode == .edges ? .edges(descriptor, number) : .level(descriptor, number))
    }

    /// Its last event was the last until `watchAgain`.
    func pause(_ descriptor: Int32, _ number: UInt64) {}

    func forget(_ descriptor: Int32, _ number: UInt64, _ socket: Socket?) {
        ask(.removal(number))
        // At once, and the kernel works it off: a poll keeps its file open, and a peer or a port would not
        // learn of the end. What the kernel does not take now it takes later, by a descriptor that must not
        // be somebody else's by then.
        if !handOver(), let socket { held.append(socket) }
    }

    private func ask(_ wish: Wish) {
        if wishes.isEmpty && prepare(wish) { return }
        if wishes.isEmpty && handOver() && prepare(wish) { return }
        wishes.append(wish)
    }

    private func prepare(_ wish: Wish) -> Bool {
        switch wish {
        case .edges(let descriptor, let number):
            ring.prepareEdges(descriptor, PollEvent.edges, userData: number)
        case .level(let descriptor, let number): ring.prepareReadable(descriptor, userData: number)
        // Not the request to remove a poll, which leaves one alone that is just about to tell.
        case .removal(let number): ring.prepareCancel(number, userData: Self.nobody)
        }
    }

    private func prepareWishes() {
        while let wish = wishes.first, prepare(wish) { _ = wishes.removeFirst() }
    }

    /// Gives the kernel what was asked for, and has it work off what it holds back.
    /// - Returns: whether it has everything.
    private func handOver() -> Bool {
        prepareWishes()
        enter(nanoseconds: 0)
        return noteHandedOver()
    }

    private func noteHandedOver() -> Bool {
        if !wishes.isEmpty || ring.preparedCount > 0 { return false }
        if !held.isEmpty { held.removeAll() }
        return true
    }

    /// The ring's own failures leave nothing to go on with: it is used by two threads, or its memory is gone.
    /// What the kernel does not take for now stays prepared.
    private func enter(nanoseconds: UInt64?) {
        do {
            _ = try enterRing(ring, nanoseconds)
        } catch {
            invariantFailed("the ring of a lane, which belongs to one thread, failed: \(error)")
        }
    }

    static func enterKernel(_ ring: SubmissionRing, _ nanoseconds: UInt64?) throws(IOError) -> Bool {
        try ring.submitAndWait(nanoseconds: nanoseconds)
    }

    // MARK: Waiting

    func wait(nanoseconds: UInt64?) -> Int {
        prepareWishes()
        // The kernel may have taken nothing for want of room or memory: no long wait before it has.
        let isOwed = !wishes.isEmpty || !held.isEmpty
        let limit = isOwed ? min(nanoseconds ?? .max, Self.retryNanoseconds) : nanoseconds
        enter(nanoseconds: limit)
        let count = takeCompletions()
        _ = noteHandedOver()
        return count
    }

    /// How long what the kernel did not take waits for another try.
    private static let retryNanoseconds: UInt64 = 1_000_000

    private func takeCompletions() -> Int {
        var count = 0
        while count < completions.count {
            let room = UnsafeMutableBufferPointer(rebasing: completions[count...])
            let taken = ring.drain(into: room)
            count += taken
            if taken < min(room.count, SubmissionRing.drainBatch) { break }
        }
        return count
    }

    func event(_ number: Int) -> PollEvent {
        let completion = completions[number]
        let result = completion.result
        // A poll that was removed, or a removal: nobody is told.
        if result == Self.canceled || completion.userData == Self.nobody {
            return PollEvent(number: Self.nobody, conditions: 0, isLast: false, failure: nil)
        }
        return PollEvent(
            number: completion.userData, conditions: result > 0 ? UInt32(result) : 0,
            isLast: !completion.hasMore, failure: result < 0 ? Errno(rawValue: -result) : nil)
    }

    private static let canceled = -Errno.canceled.rawValue
}
