public import Base
public import RecordFormat
public import SystemIO

/// How log directories are opened.
public struct LogStoreConfiguration: Sendable {
    /// `log.dirs`: absolute paths, one a disk.
    public var directoryPaths: [String]
    /// `node.id`.
    public var nodeID: Int32 = 1
    /// Of the cluster that the data belongs to; nil: whatever the directories say.
    public var clusterID: String?
    /// `dmq.disk.reserve.bytes`.
    public var reserveByteCount: Int64 = 0
    /// `dmq.segment.recycle.bytes`, per directory; 0 switches recycling off.
    public var recycleByteCount: Int64 = 0
    /// `num.recovery.threads.per.data.dir`.
    public var recoveryThreadsPerDirectory = 2

    public init(directoryPaths: [String]) { self.directoryPaths = directoryPaths }
}

/// Why log directories could not be opened. Says what to do.
public enum LogStoreError: Error, Sendable, CustomStringConvertible {
    case noDirectory
    case duplicateDirectory(String)
    /// Another process uses the directory.
    case locked(path: String, reason: String)
    case wrongNode(path: String, found: Int32, expected: Int32)
    case wrongCluster(path: String, found: String, expected: String)
    case duplicateDirectoryID(String, String)
    /// No directory is left to work with.
    case allOffline(reason: String)
    case malformed(StateFileError)

    public var description: String {
        switch self {
        case .noDirectory: "log.dirs names no directory"
        case .duplicateDirectory(let path): "log.dirs names \(path) twice"
        case .locked(let path, let reason):
            "log directory \(path) is in use by another process (\(reason)); stop it or "
                + "choose another directory"
        case .wrongNode(let path, let found, let expected):
            "log directory \(path) belongs to node \(found), this is node \(expected); "
                + "set node.id = \(found) or "
                + "choose another directory"
        case .wrongCluster(let path, let found, let expected):
            "log directory \(path) belongs to cluster \(found), this node to cluster "
                + "\(expected); choose another directory"
        case .duplicateDirectoryID(let one, let other):
            "log directories \(one) and \(other) have the same directory.id: "
                + "one is a copy of the other; remove one"
        case .allOffline(let reason): "no log directory can be used: \(reason)"
        case .malformed(let error): "\(error)"
        }
    }
}

/// One opened log directory.
public final class OpenedDirectory: Sendable {
    public let directory: LogDirectory
    public let checkpoints: DirectoryCheckpoints
    public let properties: MetaProperties
    /// The broker that used it last was stopped in order.
    public let wasShutDownCleanly: Bool
    private let lock: Locked<(any DirectoryLock)?>
    private let isUnclean = Locked(false)

    init(
        directory: LogDirectory, checkpoints: DirectoryCheckpoints, properties: MetaProperties,
        wasShutDownCleanly: Bool,
        lock: any DirectoryLock
    ) {
        self.directory = directory
        self.checkpoints = checkpoints
        self.properties = properties
        self.wasShutDownCleanly = wasShutDownCleanly
        self.lock = Locked(lock)
    }

    /// A log of the directory could not be closed in order: all will be recovered at the next start.
    func noteUnclean() { isUnclean.withLock { $0 = true } }

    /// Others may open the directory from now on.
    func unlock() { lock.withLock { $0 = nil } }

    var mayBeMarkedClean: Bool { directory.failure == nil && !isUnclean.withLock { $0 } }
}

/// The log directories of one broker: opened together, each failing on its own.
public final class LogStore: Sendable {
    public let directories: [OpenedDirectory]
    public let clusterID: String
    let logger: Logger
    let configuration: LogStoreConfiguration
    let timeSource: any TimeSource
    private let interrupted = Locked<[InterruptedMove]>([])

    /// Moves of logs that the last stop or crash interrupted: known when the logs are recovered.
    public internal(set) var interruptedMoves: [InterruptedMove] {
        get { interrupted.withLock { $0 } }
        set { interrupted.withLock { $0 = newValue } }
    }

    /// Locks the directories, creating them where they are missing, checks whose they are and reads their
    /// checkpoints. A directory whose disk fails is left out, with the reason in the log, as long as another
    /// one works.
    ///
    /// - Parameter newID: makes IDs for a new directory or cluster.
    public init(
        _ configuration: LogStoreConfiguration, fileSystem: any FileSystem, timeSource: any TimeSource,
        logger: Logger,
        newID: () -> UniqueID
    ) throws(LogStoreError) {
        self.configuration = configuration
        self.timeSource = timeSource
        self.logger = logger.named("store")
        guard !configuration.directoryPaths.isEmpty else { throw .noDirectory }
        var opened: [OpenedDirectory] = []
        var clusterID = configuration.clusterID
        var failure = ""
        for path in configuration.directoryPaths {
            guard !opened.contains(where: { $0.directory.path == path }) else {
                throw .duplicateDirectory(path)
            }
            let opener = DirectoryOpener(
                path: path, configuration: configuration, fileSystem: fileSystem, logger: logger)
            do throws(DirectoryOpener.Failure) {
                let next = try opener.open(clusterID: &clusterID, newID: newID)
                if let twin = opened.first(where: { $0.properties.directoryID == next.properties.directoryID }
                ) {
                    throw .refused(.duplicateDirectoryID(twin.directory.path, path))
                }
                opened.append(next)
            } catch {
                switch error {
                case .refused(let reason): throw reason
                case .disk(let reason):
                    failure = "\(path): \(reason)"
                    self.logger.log(
                        .error, "log directory left out",
                        [LogField("path", path), LogField("reason", reason)])
                }
            }
        }
        guard !opened.isEmpty else { throw .allOffline(reason: failure) }
        directories = opened
        self.clusterID = clusterID ?? ""
    }

    /// The directory that `log` lives in.
    public func opened(_ directory: LogDirectory) -> OpenedDirectory? {
        directories.first { $0.directory === directory }
    }

    /// Directories that work.
    public var onlineDirectories: [OpenedDirectory] { directories.filter { $0.directory.failure == nil } }

    /// Removes a directory with the files in it: a partition's that was deleted.
    func removeDirectory(_ path: String, of directory: LogDirectory) {
        do {
            for entry in try directory.fileSystem.contents(ofDirectory: path) {
                try directory.fileSystem.remove(LogLayout.path(path, entry.name))
            }
            try directory.fileSystem.removeDirectory(path)
        } catch {
            logger.log(
                .warn, "deleted log not removed yet", [LogField("path", path), LogField("reason", error)])
        }
    }

    /// Writes the checkpoints and, in each directory that works, the mark that everything was closed in
    /// order; then gives up the locks. The logs must be closed.
    public func markCleanShutdown() {
        for opened in directories where opened.mayBeMarkedClean {
            do {
                try opened.checkpoints.write()
                try CleanShutdownMarker().write(
                    to: LogLayout.path(opened.directory.path, LogLayout.cleanShutdownMarker),
                    opened.directory.fileSystem)
            } catch {
                logger.log(
                    .error, "shutdown not clean",
                    [LogField("path", opened.directory.path), LogField("reason", "\(error)")])
            }
        }
        for opened in directories { opened.unlock() }
    }
}

/// Opens one log directory.
private struct DirectoryOpener {
    enum Failure: Error {
        case refused(LogStoreError)
        case disk(String)
    }

    let path: String
    let configuration: LogStoreConfiguration
    let fileSystem: any FileSystem
    let logger: Logger

    func open(clusterID: inout String?, newID: () -> UniqueID) throws(Failure) -> OpenedDirectory {
        let lock = try takeLock()
        let properties = try ownerProperties(clusterID: &clusterID, newID: newID)
        do {
            let marker = LogLayout.path(path, LogLayout.cleanShutdownMarker)
            let wasClean = try isMarkedClean(marker)
            // Before anything is appended: a crash from here on is not a clean shutdown.
            try CleanShutdownMarker.remove(marker, fileSystem)
            let directory = LogDirectory(
                path: path, fileSystem: fileSystem, logger: logger,
                reserveByteCount: configuration.reserveByteCount,
                recycleByteCount: configuration.recycleByteCount)
            directory.recycledFiles.removeLeftovers()
            directory.refreshSpace()
            return OpenedDirectory(
                directory: directory, checkpoints: try DirectoryCheckpoints(directory: directory),
                properties: properties, wasShutDownCleanly: wasClean, lock: lock)
        } catch {
            throw .disk("\(error)")
        }
    }

    private func isMarkedClean(_ marker: String) throws(StateFileError) -> Bool {
        do throws(StateFileError) {
            return try CleanShutdownMarker.read(marker, fileSystem) != nil
        } catch {
            if case .io = error { throw error }
            return false
        }
    }

    private func takeLock() throws(Failure) -> any DirectoryLock {
        do throws(IOError) {
            try createDurably(path)
            return try fileSystem.lock(LogLayout.path(path, LogLayout.lockFile))
        } catch {
            if error.errno == .busy { throw .refused(.locked(path: path, reason: "\(error)")) }
            throw .disk("\(error)")
        }
    }

    /// Creates a directory and what is missing above it, so that they survive a power cut.
    private func createDurably(_ path: String) throws(IOError) {
        guard try fileSystem.attributes(of: path) == nil else { return }
        let parent = LogLayout.parent(of: path)
        if parent != path { try createDurably(parent) }
        try fileSystem.createDirectory(path)
        try fileSystem.syncDirectory(parent)
    }

    /// Reads `meta.properties`, or writes it for a new directory.
    private func ownerProperties(
        clusterID: inout String?, newID: () -> UniqueID
    ) throws(Failure) -> MetaProperties {
        let file = LogLayout.path(path, LogLayout.metaProperties)
        let found = try attempt { () throws(StateFileError) in try MetaProperties.read(file, fileSystem) }
        guard var properties = found else {
            let cluster = clusterID ?? newID().description
            clusterID = cluster
            let made = MetaProperties(
                clusterID: cluster, nodeID: configuration.nodeID, directoryID: DirectoryID(newID()))
            try attempt { () throws(StateFileError) in try made.write(to: file, fileSystem) }
            return made
        }
        guard properties.nodeID == configuration.nodeID else {
            throw .refused(.wrongNode(path: path, found: properties.nodeID, expected: configuration.nodeID))
        }
        if let clusterID, clusterID != properties.clusterID {
            throw .refused(.wrongCluster(path: path, found: properties.clusterID, expected: clusterID))
        }
        clusterID = properties.clusterID
        if properties.directoryID == nil {
            properties.setDirectoryID(DirectoryID(newID()))
            try attempt { () throws(StateFileError) in try properties.write(to: file, fileSystem) }
        }
        return properties
    }

    /// A disk that fails leaves the directory out; a file that says nonsense stops the start.
    private func attempt<Result>(_ body: () throws(StateFileError) -> Result) throws(Failure) -> Result {
        do throws(StateFileError) {
            return try body()
        } catch {
            if case .io(let cause) = error { throw .disk("\(cause)") }
            throw .refused(.malformed(error))
        }
    }
}
