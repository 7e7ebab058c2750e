// What tests do to a disk from outside, behind the backs of processes.

public import Base
internal import SystemIO

extension SimulatedDisk {
    /// Flips bits of a file on the disk and in the page cache, as bit rot found by the next read would show.
    /// Undone by `liftDamage` wherever the file is not written before.
    ///
    /// - Parameter mask: which bits to flip, byte by byte from `position` on; must lie within the file.
    public func flipBits(of path: String, at position: Int, mask: [UInt8]) {
        lock.withLock {
            let inode = existingInode(path)
            let end = position + mask.count
            invariant(
                position >= 0 && end <= inode.writtenByteCount,
                "\(path) has \(inode.writtenByteCount) bytes, none to flip in \(position)..<\(end)")
            invariant(inode.outstandingSnapshots == 0, "\(path) is being synced: what to flip is on its way")
            inode.rot(at: position, mask: mask)
            trace?.note("flip bits", detail: "\(path) at \(position), \(mask.count) bytes")
        }
    }

    /// Flips one bit in each of `count` places of a range (nil: of the whole file), drawn.
    public func flipRandomBits(
        of path: String, count: Int, in range: Range<Int>? = nil, _ generator: inout SeededGenerator
    ) {
        let range = range ?? 0..<(writtenBytes(path)?.count ?? 0)
        for _ in 0..<count {
            guard let position = range.randomElement(using: &generator) else { return }
            flipBits(of: path, at: position, mask: [1 << UInt8.random(in: 0...7, using: &generator)])
        }
    }

    /// Reads of the range fail with `inputOutput`, and so does a new mapping over it, until it is written or
    /// the damage is lifted. Mappings that exist go on as they are.
    public func makeUnreadable(_ path: String, _ range: Range<Int>) {
        lock.withLock {
            existingInode(path).makeUnreadable(range)
            trace?.note("make unreadable", detail: "\(path) \(range)")
        }
    }

    /// Brings back the true bytes of all files, wherever they were not written since.
    public func liftDamage() {
        lock.withLock {
            for inode in liveInodes() { inode.liftDamage() }
            trace?.note("lift damage")
        }
    }

    /// Puts a file on the disk that was always there: its bytes, its name and the directories above are
    /// durable. Replaces what is under the path.
    public func plant(_ path: String, _ bytes: [UInt8]) {
        lock.withLock {
            var directory = root
            let parts = components(path)
            guard let name = parts.last else { invariantFailed("a file needs a name, \(path) has none") }
            for part in parts.dropLast() {
                if case .directory(let next) = directory.entries[part] {
                    directory.syncedEntries[part] = .directory(next)
                    directory = next
                    continue
                }
                let next = SimulatedDirectory(number: takeNumber())
                directory.entries[part] = .directory(next)
                directory.syncedEntries[part] = .directory(next)
                directory = next
            }
            let inode = SimulatedInode(
                number: takeNumber(), modifiedMilliseconds: clock.wallClockMilliseconds(), reservations)
            inode.isLinked = true
            bytes.withUnsafeBytes { inode.store($0, at: 0, nowMilliseconds: clock.wallClockMilliseconds()) }
            inode.apply(inode.snapshot())
            directory.entries[name] = .file(inode)
            directory.syncedEntries[name] = .file(inode)
            recountUsage()
            trace?.note("plant", detail: "\(path), \(bytes.count) bytes")
        }
    }

    /// What a process would read now; nil when there is no such file. Not counted, never fails.
    public func writtenBytes(_ path: String) -> [UInt8]? {
        lock.withLock {
            guard case .file(let inode) = node(path) else { return nil }
            return Array(inode.written.bytes(0..<inode.writtenByteCount))
        }
    }

    /// What is left of the file's content, whatever its name is then, when a crash loses all that it may
    /// lose; nil when there is no such file now.
    public func syncedBytes(_ path: String) -> [UInt8]? {
        lock.withLock {
            guard case .file(let inode) = node(path) else { return nil }
            return Array(inode.synced.bytes(0..<inode.syncedByteCount))
        }
    }

    /// What the syncs of a file have cost so far: pages that were compared because a mapping covers them, and
    /// pages that were carried to the synced layer. Nil when there is no such file.
    public func syncCost(of path: String) -> (comparedPages: Int, carriedPages: Int)? {
        lock.withLock {
            guard case .file(let inode) = node(path) else { return nil }
            return (inode.comparedPages, inode.carriedPages)
        }
    }

    /// The paths of all files that processes see, in order.
    public var allPaths: [String] {
        lock.withLock {
            var paths: [String] = []
            var directories = [("", root)]
            while let (path, directory) = directories.popLast() {
                for (name, node) in directory.sortedEntries {
                    switch node {
                    case .file: paths.append("\(path)/\(name)")
                    case .directory(let below): directories.append(("\(path)/\(name)", below))
                    }
                }
            }
            return paths.sorted()
        }
    }

    private func existingInode(_ path: String) -> SimulatedInode {
        guard case .file(let inode) = node(path) else {
            invariantFailed("there is no file \(path) to damage")
        }
        return inode
    }
}
