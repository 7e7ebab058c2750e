public import Base
internal import Synchronization
public import SystemIO

/// One entry of `log.dirs`: a disk's worth of logs, which fails as a whole.
///
/// The first failed write or sync takes it offline, once, with the reason: after a failed sync nobody knows
/// what is on the disk, so going on would acknowledge what may be lost. A full disk is no failure: appends
/// are refused until there is room.
public final class LogDirectory: @unchecked Sendable {
    // @unchecked: mutable state is behind `state`, a lock, or atomic.
    public let path: String
    public let fileSystem: any FileSystem
    public let logger: Logger
    /// `dmq.disk.reserve.bytes`: appends are refused while the volume has less room than this.
    public let reserveByteCount: Int64
    /// Deleted segments' files, kept for reuse.
    public let recycledFiles: RecycledFiles

    private struct State {
        var failure: IOError?
        var isFull = false
        /// It has been said that descriptors are wanting; again only when there was one in between.
        var lacksDescriptors = false
        /// Directories of logs made so far, and how many of them have their names on stable storage.
        var childCount = 0
        var syncedChildCount = 0
        var supportsAllocation = true
    }

    private let state = Locked(State())
    /// Whether `state` has a reason to refuse something: all that appends and reads look at while it has
    /// none.
    private let isTroubled = Atomic(false)
    private let onFailure: (@Sendable (LogDirectory, IOError) -> Void)?

    /// - Parameters:
    ///   - recycleByteCount: the most that deleted segments' files may hold for reuse; 0 switches reuse off.
    ///   - onFailure: called once, by the thread that met the failure.
    public init(
        path: String, fileSystem: any FileSystem, logger: Logger = .silent, reserveByteCount: Int64 = 0,
        recycleByteCount: Int64 = 0, onFailure: (@Sendable (LogDirectory, IOError) -> Void)? = nil
    ) {
        self.path = path
        self.fileSystem = fileSystem
        self.logger = logger
        self.reserveByteCount = reserveByteCount
        self.onFailure = onFailure
        recycledFiles = RecycledFiles(
            directoryPath: path, fileSystem: fileSystem, limitByteCount: recycleByteCount)
    }

    /// The failure that took the directory offline, nil while it is online.
    public var failure: IOError? { state.withLock { $0.failure } }

    /// True while appends are refused for want of room.
    public var isFull: Bool { state.withLock { $0.isFull } }

    var supportsAllocation: Bool { state.withLock { $0.supportsAllocation } }

    func noteAllocationUnsupported() { state.withLock { $0.supportsAllocation = false } }

    /// Changes the state, and `isTroubled` with it.
    private func change<Result>(_ body: (inout State) -> Result) -> Result {
        state.withLock { state in
            let result = body(&state)
            isTroubled.store(state.failure != nil || state.isFull, ordering: .releasing)
            return result
        }
    }

    /// Throws when the directory is offline.
    @inline(__always)
    func checkOnline() throws(LogError) {
        guard isTroubled.load(ordering: .acquiring) else { return }
        if let failure { throw .directoryOffline(path: path, reason: "\(failure)") }
    }

    /// Throws when nothing may be appended.
    func checkAcceptsAppends() throws(LogError) {
        guard isTroubled.load(ordering: .acquiring) else { return }
        let (failure, isFull) = state.withLock { ($0.failure, $0.isFull) }
        if let failure { throw .directoryOffline(path: path, reason: "\(failure)") }
        if isFull { throw .noSpace(path: path) }
    }

    /// Takes the directory offline; only the first call has an effect. Returns the error to throw on.
    @discardableResult
    public func fail(_ error: IOError) -> LogError {
        let isFirst = change { state in
            if state.failure != nil { return false }
            state.failure = error
            return true
        }
        if isFirst {
            logger.log(.error, "log directory offline", [LogField("path", path), LogField("reason", error)])
            onFailure?(self, error)
        }
        return .directoryOffline(path: path, reason: "\(error)")
    }

    /// What a failed write, sync or change of names means: a full disk refuses appends, want of descriptors
    /// refuses what was asked for and nothing else, anything else is final. Also final is a sync for which
    /// there was no room: nobody knows then what is on the disk.
    func writeFailed(_ error: IOError) -> LogError {
        if error.errno.meansNoDescriptor { return noteDescriptorsWanting(error) }
        let isSync = error.operation == .sync || error.operation == .syncDirectory
        guard error.errno.meansNoSpace, !isSync else { return fail(error) }
        noteFull()
        return .noSpace(path: path)
    }

    /// The same for an error of any of the kinds that writing meets.
    func writeFailed(_ error: any Error) -> LogError {
        switch error {
        case let error as IOError: return writeFailed(error)
        case StateFileError.io(let error): return writeFailed(error)
        default: return LogError(reading: error)
        }
    }

    // MARK: Directories of logs

    /// Makes a log's directory, to be made durable by `syncChildren`.
    /// - Returns: the number to call that with.
    func createChild(_ path: String) throws(IOError) -> Int {
        try fileSystem.createDirectory(path)
        return state.withLock { state in
            state.childCount += 1
            return state.childCount
        }
    }

    /// How many directories of logs this process has made.
    var childCount: Int { state.withLock { $0.childCount } }

    /// On return the names of all directories up to this number are on stable storage: those of a request's
    /// partitions share a sync.
    func syncChildren(upTo number: Int) throws(IOError) {
        let (made, synced) = state.withLock { ($0.childCount, $0.syncedChildCount) }
        guard synced < number else { return }
        try fileSystem.syncDirectory(path)
        state.withLock { $0.syncedChildCount = max($0.syncedChildCount, made) }
    }

    private func noteDescriptorsWanting(_ error: IOError) -> LogError {
        let isNews = state.withLock { state in
            defer { state.lacksDescriptors = true }
            return !state.lacksDescriptors
        }
        if isNews {
            logger.log(
                .warn, "no descriptor left, files cannot be opened; raise the limit of open files",
                [LogField("path", path), LogField("reason", error)])
        }
        return .tooManyOpenFiles(path: path)
    }

    /// Looks whether there are descriptors again, where they were wanting.
    private func refreshDescriptors() {
        guard state.withLock({ $0.lacksDescriptors }),
            (try? fileSystem.openDirectory(path)) != nil
        else { return }
        state.withLock { $0.lacksDescriptors = false }
    }

    func noteFull() {
        let isNews = change { state in
            defer { state.isFull = true }
            return !state.isFull
        }
        if isNews {
            logger.log(.warn, "log directory full, appends refused", [LogField("path", path)])
        }
    }

    /// Looks at the volume's room: refuses appends below the reserve, accepts them again above it. Called by
    /// the maintenance of `LogManager`, about once a second.
    public func refreshSpace() {
        refreshDescriptors()
        guard failure == nil, let space = try? fileSystem.space(at: path) else { return }
        // Without a reserve a little room is still asked for, so that one freed block does not flap the
        // state.
        let needed = isFull ? max(reserveByteCount, Self.reopenByteCount) : reserveByteCount
        let lacksRoom = space.available < needed
        let changed = change { state in
            defer { state.isFull = lacksRoom }
            return state.isFull != lacksRoom
        }
        guard changed else { return }
        if lacksRoom { recycledFiles.removeAll() }
        logger.log(
            lacksRoom ? .warn : .info,
            lacksRoom ? "log directory full, appends refused" : "log directory has room again",
            [
                LogField("path", path), LogField("availableBytes", space.available),
                LogField("reserveBytes", reserveByteCount),
            ])
    }

    /// Room that must be there before appends are accepted again after the disk was full.
    static let reopenByteCount: Int64 = 1 << 20
}
