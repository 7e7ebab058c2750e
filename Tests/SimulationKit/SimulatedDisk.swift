public import Base
public import SystemIO

/// A disk in memory that outlives the simulated processes that mount it. What they write is in the page cache
/// until it is synced; a crash loses or keeps the rest by chance; faults come by plan. All of it is a
/// function of seeds and of the order of calls.
///
/// ```
/// let disk = SimulatedDisk(seed: seed)
/// let process = disk.mount()               // a SimulatedFileSystem
/// ...                                      // the code under test works on `process`
/// disk.crash(&generator)                   // the power goes; `process` and all its files are dead
/// let next = disk.mount()                  // what survived
/// ```
///
/// Stricter than Linux on purpose: a sync of a file does not make its name durable, a sync of a directory
/// makes the names in it durable but not its own name in the directory above.
public final class SimulatedDisk: @unchecked Sendable {
    // @unchecked: all that changes is used under `lock`.

    public let clock: SimulatedClock
    /// Nil unless the disk was made with a trace.
    public let trace: OperationTrace?
    /// What its files hold of this process's address space.
    public let reservations = ReservationCount()

    let lock = RecursiveLock()
    var generator: SeededGenerator
    var root = SimulatedDirectory(number: 0)
    var journal = DirectoryJournal()
    var injector = FaultInjector()
    var usedPages = 0
    /// Files that are open now, mappings not counted: the descriptors of all processes.
    public internal(set) var openFileCount = 0
    private(set) var powerIsOff = false
    private var capacityPages: Int?
    private var nextNumber = 1
    private var pathComponents: [String: [String]] = [:]
    private var processes: [Incarnation] = []

    /// - Parameters:
    ///   - seed: what the disk draws itself: the orders of listings, how far a failing write gets.
    ///   - capacity: the size of the volume in bytes; nil: larger than anything.
    public init(
        seed: UInt64 = 0, clock: SimulatedClock = SimulatedClock(), capacity: Int64? = nil,
        trace: OperationTrace? = nil
    ) {
        self.clock = clock
        self.trace = trace
        generator = SeededGenerator(seed: seed)
        capacityPages = capacity.map { Int($0) / DiskGeometry.pageByteCount }
    }

    /// Starts a process: a file system of its own, with nothing open. Several may be mounted side by side.
    public func mount() -> SimulatedFileSystem {
        lock.withLock {
            invariant(!powerIsOff, "the power is off: crash the disk before mounting it again")
            let process = Incarnation(number: nextNumber)
            nextNumber += 1
            processes.append(process)
            return SimulatedFileSystem(disk: self, process: process)
        }
    }

    // MARK: - Ends of processes

    /// The power goes and comes back: every process is dead, every operation on what it held throws, and what
    /// was not synced survives or not as `mode` says (nil: drawn). Requests in flight have been carried out
    /// in part.
    @discardableResult
    public func crash(_ generator: inout SeededGenerator, mode: CrashMode? = nil) -> CrashReport {
        lock.withLock {
            let mode = mode ?? CrashMode.random(&generator)
            endProcesses(&generator)
            var report = CrashReport(mode: mode)
            journal.losePower(mode.directories, &generator, &report)
            for inode in survivingInodes() {
                let data = mode.data ?? CrashMode.Data.allCases.randomElement(using: &generator) ?? .loseAll
                inode.losePower(data, &generator, &report)
            }
            recountUsage()
            powerIsOff = false
            trace?.note("crash", detail: report.description)
            return report
        }
    }

    /// Every process is killed (SIGKILL); the page cache stays. Requests in flight have been carried out in
    /// part.
    public func killProcesses(_ generator: inout SeededGenerator) {
        lock.withLock {
            endProcesses(&generator)
            for inode in liveInodes() {
                inode.openCount = 0
                inode.detachMappings()
            }
            recountUsage()
            trace?.note("kill")
        }
    }

    private func endProcesses(_ generator: inout SeededGenerator) {
        for process in processes where process.isAlive {
            process.isAlive = false
            for queue in process.queues { queue.value?.carryOutInPart(&generator) }
        }
        processes.removeAll()
    }

    /// The names that are durable become the names that there are.
    private func survivingInodes() -> [SimulatedInode] {
        var inodes: [SimulatedInode] = []
        var directories = [root]
        while let directory = directories.popLast() {
            directory.entries = directory.syncedEntries
            for (_, node) in directory.sortedEntries {
                switch node {
                case .file(let inode): inodes.append(inode)
                case .directory(let below): directories.append(below)
                }
            }
        }
        for inode in inodes { inode.isLinked = true }
        return inodes
    }

    /// All files that have a name, in an order that depends on nothing but the names.
    func liveInodes() -> [SimulatedInode] {
        var inodes: [SimulatedInode] = []
        var directories = [root]
        while let directory = directories.popLast() {
            for (_, node) in directory.sortedEntries {
                switch node {
                case .file(let inode): inodes.append(inode)
                case .directory(let below): directories.append(below)
                }
            }
        }
        return inodes
    }

    // MARK: - Faults

    /// Replaces the plan and starts to count its operations from 1.
    public func install(_ plan: DiskFaultPlan) { lock.withLock { injector.install(plan) } }

    /// Nothing goes wrong from now on; what is damaged stays so.
    public func liftFaults() { install(.none) }

    /// Operations so far that changed something on the disk or made it durable, counted from the last
    /// `install`.
    public var changeCount: Int { lock.withLock { injector.changeCount } }

    /// Operations of a kind so far, counted from the beginning.
    public func count(_ operation: IOOperation) -> Int { lock.withLock { injector.counts[operation] ?? 0 } }

    /// The power went by plan: every operation throws until `crash`.
    public var hasLostPower: Bool { lock.withLock { powerIsOff } }

    /// Cuts the power now: every operation throws until `crash`, and nothing more takes effect.
    public func losePower() { lock.withLock { powerIsOff = true } }

    /// Counts an operation, decides by plan what becomes of it, lets its time pass, carries it out and traces
    /// it.
    ///
    /// - Parameters:
    ///   - changes: it changes something on the disk or makes it durable.
    ///   - takesTime: false for requests of an append queue, which has waited already.
    ///   - cutShort: leaves what a failing or interrupted operation leaves behind; nil: a failing operation
    ///     leaves
    ///     nothing, an interrupted one all or nothing.
    ///   - body: carries it out; is told whether a write must be short.
    func perform<Result>(
        _ operation: IOOperation, _ path: String, _ process: Incarnation, changes: Bool,
        at position: Int64 = 0,
        byteCount: Int64 = 0, detail: @autoclosure () -> String = "", takesTime: Bool = true,
        cutShort: ((_ byPowerLoss: Bool) -> Void)? = nil, _ body: (_ isShort: Bool) throws(Refusal) -> Result
    ) throws(IOError) -> Result {
        let outcome: Swift.Result<Result, Refusal> = lock.withLock {
            () -> Swift.Result<Result, Refusal> in
            guard process.isAlive, !powerIsOff else { return .failure(Refusal(.inputOutput)) }
            let (verdict, delay) = injector.judge(operation, path, changes: changes, &generator)
            let latency = takesTime ? injector.latency(operation, &generator) : 0
            if delay + latency > 0 { clock.advance(nanoseconds: delay + latency) }
            let outcome: Swift.Result<Result, Refusal>
            switch verdict {
            case .proceed, .short:
                outcome = Swift.Result { () throws(Refusal) in try body(verdict == .short) }
                if changes, injector.drawsWriteBack(&generator) { writeBackNames() }
            case .fail(let errno):
                cutShort?(false)
                outcome = .failure(Refusal(errno))
            case .losePower:
                if let cutShort { cutShort(true) } else if generator.chance(1, in: 2) { _ = try? body(false) }
                powerIsOff = true
                outcome = .failure(Refusal(.inputOutput))
            }
            let errno: Errno? = if case .failure(let refusal) = outcome { refusal.errno } else { nil }
            trace?.record(
                OperationTrace.Entry(
                    operation: operation, subject: path, position: position, byteCount: byteCount,
                    detail: detail(),
                    errno: errno))
            return outcome
        }
        switch outcome {
        case .success(let result): return result
        case .failure(let refusal): throw IOError(operation, path, refusal.errno)
        }
    }

    private func writeBackNames() {
        journal.writeBack(Int.random(in: 0...journal.changes.count, using: &generator))
    }

    // MARK: - Room

    /// Bytes that are still free.
    var availablePages: Int { max(0, (capacityPages ?? Self.unlimitedPages) - usedPages) }

    var totalPages: Int { capacityPages ?? Self.unlimitedPages }

    private static let unlimitedPages = (1 << 42) / DiskGeometry.pageByteCount

    /// Makes the volume larger or smaller; nil: larger than anything. What is on it stays.
    public func setCapacity(_ byteCount: Int64?) {
        lock.withLock { capacityPages = byteCount.map { Int($0) / DiskGeometry.pageByteCount } }
    }

    /// Bytes that files take up on the volume.
    public var usedByteCount: Int64 { lock.withLock { Int64(usedPages * DiskGeometry.pageByteCount) } }

    /// Runs a change of a file and keeps the books of the room that it takes.
    func accounting<Result>(_ inode: SimulatedInode, _ change: () -> Result) -> Result {
        let before = inode.occupiedPages
        let result = change()
        usedPages += inode.occupiedPages - before
        return result
    }

    func recountUsage() { usedPages = liveInodes().reduce(0) { $0 + $1.occupiedPages } }

    func takeNumber() -> Int {
        defer { nextNumber += 1 }
        return nextNumber
    }

    // MARK: - Paths

    /// The parts of a path; all paths begin at the root.
    func components(_ path: String) -> [String] {
        if let known = pathComponents[path] { return known }
        let parts = path.split(separator: "/").filter { $0 != "." }.map(String.init)
        if pathComponents.count >= Self.maximumKnownPaths { pathComponents.removeAll() }
        pathComponents[path] = parts
        return parts
    }

    private static let maximumKnownPaths = 4096

    func node(_ path: String) -> SimulatedNode? {
        var node = SimulatedNode.directory(root)
        for part in components(path) {
            guard case .directory(let directory) = node, let next = directory.entries[part] else {
                return nil
            }
            node = next
        }
        return node
    }

    func directory(_ path: String) throws(Refusal) -> SimulatedDirectory {
        switch node(path) {
        case .directory(let directory): return directory
        case .file: throw Refusal(.notADirectory)
        case nil: throw Refusal(.noSuchFile)
        }
    }

    /// The directory that holds the last part of a path, and that part.
    func parent(_ path: String) throws(Refusal) -> (directory: SimulatedDirectory, name: String) {
        let parts = components(path)
        guard let name = parts.last, name != ".." else { throw Refusal(.invalidArgument) }
        var directory = root
        for part in parts.dropLast() {
            switch directory.entries[part] {
            case .directory(let next): directory = next
            case .file: throw Refusal(.notADirectory)
            case nil: throw Refusal(.noSuchFile)
            }
        }
        return (directory, name)
    }
}

/// One life of a process. What it opened is dead when it is.
final class Incarnation {
    let number: Int
    var isAlive = true
    var queues: [WeakQueue] = []

    init(number: Int) { self.number = number }

    struct WeakQueue { weak var value: SimulatedAppendQueue? }
}

/// Why an operation did not happen, before it is known by which name the caller called the file.
struct Refusal: Error {
    let errno: Errno
    init(_ errno: Errno) { self.errno = errno }
}

extension SimulatedInode {
    /// The room that it takes: none once it has no name and nobody holds it.
    var occupiedPages: Int { isLinked || openCount > 0 ? allocated.count : 0 }
}
