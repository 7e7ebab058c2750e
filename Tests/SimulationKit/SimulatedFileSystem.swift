internal import Base
public import SystemIO

/// A mount of a simulated disk by one process: paths begin at the disk's root. Dead after
/// `SimulatedDisk.crash` or `killProcesses`: every operation then throws `inputOutput`.
public final class SimulatedFileSystem: FileSystem, @unchecked Sendable {
    // @unchecked: what changes belongs to the disk and is used under its lock.

    public let disk: SimulatedDisk
    let process: Incarnation

    init(disk: SimulatedDisk, process: Incarnation) {
        self.disk = disk
        self.process = process
    }

    /// False once the process was killed or lost power.
    public var isAlive: Bool { disk.lock.withLock { process.isAlive && !disk.powerIsOff } }

    public func open(_ path: String, _ mode: OpenMode) throws(IOError) -> any File {
        let exists = disk.lock.withLock { disk.node(path) != nil }
        let creates = !exists && (mode == .createNew || mode == .createOrOpen)
        return try disk.perform(.open, path, process, changes: creates, detail: "\(mode)") {
            (_) throws(Refusal) -> SimulatedFile in
            let inode = try findOrCreate(path, mode)
            return SimulatedFile(
                disk: disk, process: process, inode: inode, path: path, canWrite: mode != .read)
        }
    }

    private func findOrCreate(_ path: String, _ mode: OpenMode) throws(Refusal) -> SimulatedInode {
        guard !disk.components(path).isEmpty else { throw Refusal(.isADirectory) }
        let (directory, name) = try disk.parent(path)
        switch directory.entries[name] {
        case .directory: throw Refusal(mode == .createNew ? .alreadyExists : .isADirectory)
        case .file(let inode):
            if mode == .createNew { throw Refusal(.alreadyExists) }
            return inode
        case nil:
            guard mode == .createNew || mode == .createOrOpen else { throw Refusal(.noSuchFile) }
            let inode = SimulatedInode(
                number: disk.takeNumber(), modifiedMilliseconds: disk.clock.wallClockMilliseconds(),
                disk.reservations)
            inode.isLinked = true
            disk.journal.record([.init(directory: directory, name: name, node: .file(inode))])
            return inode
        }
    }

    public func createDirectory(_ path: String) throws(IOError) {
        let exists = disk.lock.withLock { disk.node(path) != nil }
        try disk.perform(.createDirectory, path, process, changes: !exists) { (_) throws(Refusal) in
            var directory = disk.root
            for part in disk.components(path) {
                switch directory.entries[part] {
                case .directory(let next): directory = next
                case .file: throw Refusal(.notADirectory)
                case nil:
                    let next = SimulatedDirectory(number: disk.takeNumber())
                    disk.journal.record([.init(directory: directory, name: part, node: .directory(next))])
                    directory = next
                }
            }
        }
    }

    public func contents(ofDirectory path: String) throws(IOError) -> [DirectoryEntry] {
        try disk.perform(.list, path, process, changes: false) { (_) throws(Refusal) in
            // Shuffled, since nobody may rely on an order.
            try disk.directory(path).sortedEntries.shuffled(using: &disk.generator).map {
                DirectoryEntry(name: $0.name, kind: $0.node.isDirectory ? .directory : .regular)
            }
        }
    }

    public func attributes(of path: String) throws(IOError) -> FileAttributes? {
        try disk.perform(.stat, path, process, changes: false) { (_) throws(Refusal) -> FileAttributes? in
            switch disk.node(path) {
            case nil: nil
            case .directory:
                FileAttributes(
                    kind: .directory, byteCount: Int64(DiskGeometry.pageByteCount),
                    modifiedMilliseconds: disk.clock.wallClockMilliseconds())
            case .file(let inode):
                FileAttributes(
                    kind: .regular, byteCount: Int64(inode.writtenByteCount),
                    modifiedMilliseconds: inode.modifiedMilliseconds)
            }
        }
    }

    public func rename(_ source: String, to target: String) throws(IOError) {
        try disk.perform(.rename, source, process, changes: true, detail: "to \(target)") {
            (_) throws(Refusal) in
            let (sourceDirectory, sourceName) = try disk.parent(source)
            let (targetDirectory, targetName) = try disk.parent(target)
            guard let node = sourceDirectory.entries[sourceName] else { throw Refusal(.noSuchFile) }
            if sourceDirectory === targetDirectory && sourceName == targetName { return }
            let replaced = targetDirectory.entries[targetName]
            switch (node, replaced) {
            case (.file, .directory): throw Refusal(.isADirectory)
            case (.directory, .file): throw Refusal(.notADirectory)
            case (.directory(let moved), .directory(let below)):
                if moved !== below && !below.entries.isEmpty { throw Refusal(.notEmpty) }
            case (.file(let moved), .file(let below)): if moved === below { return }
            case (_, nil): break
            }
            let sourceParts = disk.components(source)
            if node.isDirectory && disk.components(target).starts(with: sourceParts) {
                throw Refusal(.invalidArgument)
            }
            disk.journal.record([
                .init(directory: sourceDirectory, name: sourceName, node: nil),
                .init(directory: targetDirectory, name: targetName, node: node),
            ])
            if case .file(let inode) = replaced { unlink(inode) }
        }
    }

    public func remove(_ path: String) throws(IOError) {
        try disk.perform(.remove, path, process, changes: true) { (_) throws(Refusal) in
            let (directory, name) = try disk.parent(path)
            switch directory.entries[name] {
            case nil: throw Refusal(.noSuchFile)
            case .directory: throw Refusal(.isADirectory)
            case .file(let inode):
                disk.journal.record([.init(directory: directory, name: name, node: nil)])
                unlink(inode)
            }
        }
    }

    private func unlink(_ inode: SimulatedInode) { disk.accounting(inode) { inode.isLinked = false } }

    public func removeDirectory(_ path: String) throws(IOError) {
        try disk.perform(.removeDirectory, path, process, changes: true) { (_) throws(Refusal) in
            let (directory, name) = try disk.parent(path)
            switch directory.entries[name] {
            case nil: throw Refusal(.noSuchFile)
            case .file: throw Refusal(.notADirectory)
            case .directory(let below):
                guard below.entries.isEmpty else { throw Refusal(.notEmpty) }
                disk.journal.record([.init(directory: directory, name: name, node: nil)])
            }
        }
    }

    public func openDirectory(_ path: String) throws(IOError) -> any OpenDirectory {
        try disk.perform(.open, path, process, changes: false, detail: "directory") {
            (_) throws(Refusal) -> SimulatedOpenDirectory in
            SimulatedOpenDirectory(
                disk: disk, process: process, directory: try disk.directory(path), path: path)
        }
    }

    public func space(at path: String) throws(IOError) -> VolumeSpace {
        try disk.perform(.space, path, process, changes: false) { (_) throws(Refusal) in
            guard disk.node(path) != nil else { throw Refusal(.noSuchFile) }
            let page = Int64(DiskGeometry.pageByteCount)
            return VolumeSpace(
                available: Int64(disk.availablePages) * page, total: Int64(disk.totalPages) * page)
        }
    }

    public func lock(_ path: String) throws(IOError) -> any DirectoryLock {
        let exists = disk.lock.withLock { disk.node(path) != nil }
        return try disk.perform(.lock, path, process, changes: !exists) {
            (_) throws(Refusal) -> SimulatedLock in
            let inode = try findOrCreate(path, .createOrOpen)
            if inode.lockHolder?.isAlive ?? false { throw Refusal(.busy) }
            inode.lockHolder = process
            return SimulatedLock(disk: disk, process: process, inode: inode)
        }
    }
}

/// A directory held open by a process; it follows the directory to another name.
final class SimulatedOpenDirectory: OpenDirectory, @unchecked Sendable {
    // @unchecked: the directory is used under the disk's lock.
    let path: String
    private let disk: SimulatedDisk
    private let process: Incarnation
    private let directory: SimulatedDirectory

    init(disk: SimulatedDisk, process: Incarnation, directory: SimulatedDirectory, path: String) {
        self.disk = disk
        self.process = process
        self.directory = directory
        self.path = path
    }

    func sync() throws(IOError) {
        let failed: (Bool) -> Void = { [disk, directory] byPowerLoss in
            if !byPowerLoss { disk.journal.abandon(directory) }
        }
        try disk.perform(.syncDirectory, path, process, changes: true, cutShort: failed) {
            (_) throws(Refusal) in
            disk.journal.sync(directory)
        }
    }
}

/// A lock file held by a process; given back with the last reference, or with the process.
final class SimulatedLock: DirectoryLock, @unchecked Sendable {
    // @unchecked: the inode is used under the disk's lock.
    private let disk: SimulatedDisk
    private let process: Incarnation
    private let inode: SimulatedInode

    init(disk: SimulatedDisk, process: Incarnation, inode: SimulatedInode) {
        self.disk = disk
        self.process = process
        self.inode = inode
    }

    deinit {
        disk.lock.withLock {
            if inode.lockHolder === process { inode.lockHolder = nil }
        }
    }
}
