internal import Base
public import SystemIO

/// An append queue on a simulated disk. Requests in flight are carried out one at a time, each at a moment of
/// virtual time that is drawn when it is submitted, so that writes and syncs overtake each other as far as
/// the contract allows: only the sync of a write follows that write. A sync covers what was in the file when
/// it was asked for and nothing more. Owned by one thread.
public final class SimulatedAppendQueue: AppendQueue {
    /// How long requests take, in nanoseconds of virtual time.
    public struct Pace: Sendable {
        public var write: ClosedRange<UInt64>
        public var sync: ClosedRange<UInt64>

        public init(
            write: ClosedRange<UInt64> = 5_000...200_000, sync: ClosedRange<UInt64> = 50_000...2_000_000
        ) {
            self.write = write
            self.sync = sync
        }

        /// Everything is done as soon as it is submitted, in the order of the requests.
        public static let immediate = Pace(write: 0...0, sync: 0...0)
    }

    public let name = "simulated"
    private let disk: SimulatedDisk
    private let process: Incarnation
    private let pace: Pace
    private var generator: SeededGenerator
    private var queued: [Request] = []
    private var inFlight: [Request] = []
    private var nextNumber: UInt64 = 0

    /// - Parameters:
    ///   - fileSystem: the process that the queue belongs to; all files come from it.
    ///   - seed: draws the order and the delays.
    public init(_ fileSystem: SimulatedFileSystem, seed: UInt64, pace: Pace = Pace()) {
        disk = fileSystem.disk
        process = fileSystem.process
        self.pace = pace
        generator = SeededGenerator(seed: seed)
        disk.lock.withLock { process.queues.append(.init(value: self)) }
    }

    deinit {
        // Snapshots belong to the disk: let go of them under its lock.
        disk.lock.withLock {
            queued.removeAll()
            inFlight.removeAll()
        }
    }

    public var pendingCount: Int { queued.count + inFlight.count }

    public func write(
        _ slices: [BufferSlice], to file: any File, at position: Int64, thenSync: Bool,
        _ token: CompletionToken,
        _ handler: any AppendCompletionHandler
    ) {
        let request = makeRequest(file, token, handler)
        request.slices = slices
        request.fingerprint = Self.fingerprint(slices)
        request.position = position
        request.stage = .writing(thenSync: thenSync)
        if thenSync { takeSnapshot(request) }
        queued.append(request)
    }

    public func sync(_ file: any File, _ token: CompletionToken, _ handler: any AppendCompletionHandler) {
        let request = makeRequest(file, token, handler)
        request.stage = .syncing
        takeSnapshot(request)
        queued.append(request)
    }

    private func makeRequest(
        _ file: any File, _ token: CompletionToken, _ handler: any AppendCompletionHandler
    ) -> Request {
        guard let file = file as? SimulatedFile, file.disk === disk, file.process === process else {
            invariantFailed("\(file.path) is not a file of the process that this append queue belongs to")
        }
        nextNumber += 1
        return Request(nextNumber, file, token, handler)
    }

    private func takeSnapshot(_ request: Request) {
        disk.lock.withLock {
            if process.isAlive && !disk.hasLostPower { request.snapshot = request.file.inode.snapshot() }
        }
    }

    public func submit() {
        for request in queued { schedule(request) }
        inFlight += queued
        queued.removeAll(keepingCapacity: true)
    }

    private func schedule(_ request: Request) {
        let range: ClosedRange<UInt64> =
            if case .writing = request.stage { pace.write } else { pace.sync }
        request.dueNanoseconds =
            disk.clock.monotonicNanoseconds() + UInt64.random(in: range, using: &generator)
    }

    @discardableResult
    public func poll(waitNanoseconds: UInt64?) -> Int {
        submit()
        var delivered = 0
        var wait = waitNanoseconds
        // Again when all that was due was a short write: the rest of it is waited for as anything else.
        while delivered == 0, let first = nextIndex() {
            let now = disk.clock.monotonicNanoseconds()
            let due = inFlight[first].dueNanoseconds
            if due > now {
                if let left = wait {
                    guard due - now <= left else {
                        disk.clock.advance(nanoseconds: left)
                        return 0
                    }
                    wait = left - (due - now)
                }
                disk.clock.advance(toMonotonicNanoseconds: due)
            }
            delivered = deliverAllDue()
        }
        return delivered
    }

    private func deliverAllDue() -> Int {
        var delivered = 0
        let moment = disk.clock.monotonicNanoseconds()
        while let index = nextIndex(), inFlight[index].dueNanoseconds <= moment {
            if advance(at: index) { delivered += 1 }
        }
        return delivered
    }

    /// Submits, then carries out one stage of one request in flight, drawn without regard to time: any order
    /// that the contract allows is possible.
    /// - Returns: false when nothing was in flight.
    @discardableResult
    public func step() -> Bool {
        submit()
        guard let index = inFlight.indices.randomElement(using: &generator) else { return false }
        disk.clock.advance(toMonotonicNanoseconds: inFlight[index].dueNanoseconds)
        advance(at: index)
        return true
    }

    /// Carries out everything that is queued or in flight, also what completions ask for.
    public func drain() {
        while pendingCount > 0 { poll(waitNanoseconds: nil) }
    }

    /// The request that is due first; of those due together the one that was asked for first.
    private func nextIndex() -> Int? {
        inFlight.indices.min {
            (inFlight[$0].dueNanoseconds, inFlight[$0].number) < (
                inFlight[$1].dueNanoseconds, inFlight[$1].number
            )
        }
    }

    // MARK: - Carrying out

    /// - Returns: whether an event was delivered.
    @discardableResult
    private func advance(at index: Int) -> Bool {
        let request = inFlight[index]
        switch request.stage {
        case .writing(let thenSync): return advanceWrite(request, at: index, thenSync: thenSync)
        case .syncing:
            inFlight.remove(at: index)
            deliver(.synced, request, carryOutSync(request))
            return true
        }
    }

    private func advanceWrite(_ request: Request, at index: Int, thenSync: Bool) -> Bool {
        invariant(
            Self.fingerprint(request.slices) == request.fingerprint,
            "a buffer was changed while its write to \(request.file.path) was in flight")
        let (written, failure) = carryOutWrite(request)
        if failure == nil && written < request.slices.byteCount {
            request.advance(by: written)
            request.fingerprint = Self.fingerprint(request.slices)
            schedule(request)
            return false
        }
        request.slices = thenSync ? request.slices : []
        if failure == nil && thenSync {
            request.finishWrite()
            request.stage = .syncing
            schedule(request)
        } else {
            inFlight.remove(at: index)
        }
        deliver(.written, request, failure)
        return true
    }

    private func carryOutWrite(_ request: Request) -> (written: Int, failure: IOError?) {
        disk.lock.withLock {
            do throws(IOError) {
                let file = request.file
                let written = try file.write(some: request.slices, at: request.position, takesTime: false)
                request.writtenSequence = file.inode.sequence
                return (written, nil)
            } catch {
                return (0, error)
            }
        }
    }

    private func carryOutSync(_ request: Request) -> IOError? {
        let file = request.file
        let failed: (Bool) -> Void = { [disk] byPowerLoss in
            guard !byPowerLoss else { return }
            request.abandon()
            disk.considerEviction(file.inode)
        }
        return disk.lock.withLock {
            defer { request.snapshot = nil }
            do throws(IOError) {
                try disk.perform(
                    .sync, file.path, process, changes: true, detail: "queued", takesTime: false,
                    cutShort: failed
                ) { (_) throws(Refusal) in
                    disk.accounting(file.inode) { request.makeDurable() }
                }
                return nil
            } catch {
                return error
            }
        }
    }

    private func deliver(_ event: AppendEvent, _ request: Request, _ failure: IOError?) {
        if failure != nil { disk.lock.withLock { request.snapshot = nil } }
        request.handler.appendQueue(completed: event, request.token, failure: failure)
    }

    /// The process ends: what is in flight may have been carried out in part, what was not submitted has not.
    /// The events that are still polled are failures. Called under the disk's lock.
    func carryOutInPart(_ generator: inout SeededGenerator) {
        for request in inFlight.shuffled(using: &generator) {
            guard case .writing = request.stage else { continue }
            request.writeSomeSectors(&generator)
        }
        for request in inFlight + queued { request.snapshot = nil }
    }

    private static func fingerprint(_ slices: [BufferSlice]) -> UInt64 {
        var result: UInt64 = 0
        for slice in slices {
            slice.bytes.withUnsafeBytes { result = (result &* 31) ^ Fingerprint.of($0) }
        }
        return result
    }
}

/// A request of an append queue.
final class AppendRequest {
    enum Stage {
        case writing(thenSync: Bool)
        case syncing
    }

    let number: UInt64
    let file: SimulatedFile
    let token: CompletionToken
    let handler: any AppendCompletionHandler
    var stage = Stage.syncing
    /// What is still to be written, and where.
    var slices: [BufferSlice] = []
    var position: Int64 = 0
    /// Of the bytes, when they were handed over.
    var fingerprint: UInt64 = 0
    var dueNanoseconds: UInt64 = 0
    /// What was in the file when the request was made, for its sync.
    var snapshot: SyncSnapshot?
    /// The bytes of its own write, which its sync covers too.
    var own: [(position: Int, bytes: [UInt8], sequence: UInt64)] = []
    var writtenSequence: UInt64 = 0

    init(
        _ number: UInt64, _ file: SimulatedFile, _ token: CompletionToken,
        _ handler: any AppendCompletionHandler
    ) {
        self.number = number
        self.file = file
        self.token = token
        self.handler = handler
    }

    /// The first `byteCount` bytes were written.
    func advance(by byteCount: Int) {
        if case .writing(thenSync: true) = stage { keepOwn(byteCount) }
        slices = slices.dropping(byteCount: byteCount)
        position += Int64(byteCount)
    }

    /// The rest was written; its sync comes next.
    func finishWrite() {
        keepOwn(slices.byteCount)
        slices = []
    }

    private func keepOwn(_ byteCount: Int) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        for slice in slices where bytes.count < byteCount {
            slice.bytes.withUnsafeBytes { bytes.append(contentsOf: $0.prefix(byteCount - bytes.count)) }
        }
        own.append((Int(position), bytes, writtenSequence))
    }

    func makeDurable() {
        if let snapshot { file.inode.apply(snapshot) }
        for part in own {
            part.bytes.withUnsafeBytes {
                file.inode.makeDurable($0, at: part.position, writtenAt: part.sequence)
            }
        }
    }

    /// Its sync failed.
    func abandon() {
        if let snapshot { file.inode.abandon(snapshot) }
        for part in own {
            for page in DiskGeometry.pages(part.position..<part.position + part.bytes.count) {
                file.inode.abandon(page: page, through: part.sequence)
            }
        }
    }

    /// Puts some of the sectors into the page cache, in no order, as far as the volume has room.
    func writeSomeSectors(_ generator: inout SeededGenerator) {
        let inode = file.inode
        let now = file.disk.clock.wallClockMilliseconds()
        let chance = UInt64.random(in: 0...8, using: &generator)
        var start = Int(position)
        for slice in slices {
            slice.bytes.withUnsafeBytes { bytes in
                var offset = 0
                while offset < bytes.count {
                    let sector = DiskGeometry.sectorByteCount
                    let end = min(bytes.count, offset + sector - (start + offset) % sector)
                    if generator.chance(chance, in: 8), start + end <= DiskGeometry.maximumFileByteCount {
                        let part = UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
                        inode.store(part, at: start + offset, nowMilliseconds: now)
                    }
                    offset = end
                }
                start += bytes.count
            }
        }
    }
}

extension SimulatedAppendQueue {
    typealias Request = AppendRequest
}
