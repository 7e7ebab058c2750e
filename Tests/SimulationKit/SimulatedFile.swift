internal import Base
public import SystemIO

/// An open file of a simulated disk.
public final class SimulatedFile: File, @unchecked Sendable {
    // @unchecked: what changes belongs to the disk and is used under its lock.

    public let path: String
    let disk: SimulatedDisk
    let process: Incarnation
    let inode: SimulatedInode
    private let canWrite: Bool

    init(disk: SimulatedDisk, process: Incarnation, inode: SimulatedInode, path: String, canWrite: Bool) {
        self.disk = disk
        self.process = process
        self.inode = inode
        self.path = path
        self.canWrite = canWrite
        inode.openCount += 1
        disk.noteOpen(1)
    }

    deinit {
        disk.noteOpen(-1)
        disk.close(inode, process)
    }

    public func byteCount() throws(IOError) -> Int64 {
        try disk.perform(.stat, path, process, changes: false) { (_) throws(Refusal) in
            Int64(inode.writtenByteCount)
        }
    }

    public func read(into buffer: IOBuffer, _ range: Range<Int>, at position: Int64) throws(IOError) -> Int {
        try disk.perform(.read, path, process, changes: false, at: position, byteCount: Int64(range.count)) {
            (_) throws(Refusal) -> Int in
            guard position >= 0 else { throw Refusal(.invalidArgument) }
            var target = buffer.mutableBytes(range)
            let count = target.withUnsafeMutableBytes { inode.read(into: $0, at: Int(position)) }
            guard let count else { throw Refusal(.inputOutput) }
            return count
        }
    }

    public func write(_ slices: [BufferSlice], at position: Int64) throws(IOError) {
        var rest = slices
        var position = position
        while true {
            let written = try write(some: rest, at: position, takesTime: true)
            rest = rest.dropping(byteCount: written)
            position += Int64(written)
            if rest.isEmpty { return }
        }
    }

    /// One write as the kernel does it: takes at least one byte, not always all.
    /// - Returns: how many bytes are in the page cache now.
    func write(some slices: [BufferSlice], at position: Int64, takesTime: Bool) throws(IOError) -> Int {
        let byteCount = slices.byteCount
        let cutShort: (Bool) -> Void = { [self] _ in
            guard byteCount > 0 else { return }
            _ = try? store(slices, at: position, limit: Int.random(in: 0...byteCount, using: &disk.generator))
        }
        return try disk.perform(
            .write, path, process, changes: true, at: position, byteCount: Int64(byteCount),
            takesTime: takesTime,
            cutShort: cutShort
        ) { (isShort) throws(Refusal) -> Int in
            guard canWrite else { throw Refusal(.badDescriptor) }
            let isShort = isShort && byteCount > 1
            let limit = isShort ? Int.random(in: 1..<byteCount, using: &disk.generator) : byteCount
            return try store(slices, at: position, limit: limit)
        }
    }

    /// Puts the first `limit` bytes into the page cache, as far as there is room.
    private func store(_ slices: [BufferSlice], at position: Int64, limit: Int) throws(Refusal) -> Int {
        guard position >= 0 else { throw Refusal(.invalidArgument) }
        let maximum = DiskGeometry.maximumFileByteCount
        guard Int(position) + limit <= maximum else { throw Refusal(.fileTooLarge) }
        let limit = roomy(limit, at: Int(position))
        if limit == 0 && slices.byteCount > 0 { throw Refusal(.noSpace) }
        let now = disk.clock.wallClockMilliseconds()
        disk.accounting(inode) {
            var done = 0
            for slice in slices where done < limit {
                slice.bytes.withUnsafeBytes { bytes in
                    let part = UnsafeRawBufferPointer(rebasing: bytes.prefix(limit - done))
                    inode.store(part, at: Int(position) + done, nowMilliseconds: now)
                    done += part.count
                }
            }
        }
        disk.considerWriteBack(inode)
        return limit
    }

    /// How many of `byteCount` bytes the volume has room for.
    private func roomy(_ byteCount: Int, at position: Int) -> Int {
        let range = position..<position + byteCount
        guard inode.allocated.missingCount(DiskGeometry.pages(range)) > disk.availablePages else {
            return byteCount
        }
        var end = position
        var free = disk.availablePages
        for page in DiskGeometry.pages(range) {
            let missing = inode.allocated.missingCount(page..<page + 1)
            guard missing <= free else { break }
            free -= missing
            end = DiskGeometry.bytes(ofPage: page).upperBound
        }
        return max(0, min(end, range.upperBound) - position)
    }

    public func truncate(to byteCount: Int64) throws(IOError) {
        try disk.perform(.truncate, path, process, changes: true, byteCount: byteCount) {
            (_) throws(Refusal) in
            guard canWrite else { throw Refusal(.badDescriptor) }
            guard byteCount >= 0 else { throw Refusal(.invalidArgument) }
            guard byteCount <= Int64(DiskGeometry.maximumFileByteCount) else { throw Refusal(.fileTooLarge) }
            disk.accounting(inode) {
                inode.truncate(to: Int(byteCount), nowMilliseconds: disk.clock.wallClockMilliseconds())
            }
        }
    }

    public func allocate(_ range: Range<Int64>) throws(IOError) {
        try disk.perform(
            .allocate, path, process, changes: true, at: range.lowerBound, byteCount: Int64(range.count)
        ) { (_) throws(Refusal) in
            guard canWrite else { throw Refusal(.badDescriptor) }
            guard range.lowerBound >= 0 else { throw Refusal(.invalidArgument) }
            if range.isEmpty { return }
            guard range.upperBound <= Int64(DiskGeometry.maximumFileByteCount) else {
                throw Refusal(.fileTooLarge)
            }
            let range = Int(range.lowerBound)..<Int(range.upperBound)
            guard inode.allocated.missingCount(DiskGeometry.pages(range)) <= disk.availablePages else {
                throw Refusal(.noSpace)
            }
            disk.accounting(inode) {
                inode.allocate(range, nowMilliseconds: disk.clock.wallClockMilliseconds())
            }
        }
    }

    public func sync(_ kind: SyncKind) throws(IOError) {
        let failed: (Bool) -> Void = { [disk, inode] byPowerLoss in
            guard !byPowerLoss else { return }
            inode.abandon(inode.snapshot())
            disk.considerEviction(inode)
        }
        try disk.perform(.sync, path, process, changes: true, detail: "\(kind)", cutShort: failed) {
            (_) throws(Refusal) in
            disk.accounting(inode) { inode.apply(inode.snapshot()) }
        }
    }

    public func map(byteCount: Int, _ access: MapAccess) throws(IOError) -> MappedRegion {
        try disk.perform(
            .map, path, process, changes: false, byteCount: Int64(byteCount), detail: "\(access)"
        ) { (_) throws(Refusal) -> MappedRegion in
            guard byteCount >= 0, byteCount <= inode.writtenByteCount else { throw Refusal(.invalidArgument) }
            if access == .readWrite && !canWrite { throw Refusal(.accessDenied) }
            // The kernel would raise a signal at the first touch; a simulation cannot, so it refuses the
            // mapping.
            if inode.isUnreadable(0..<byteCount) { throw Refusal(.inputOutput) }
            let owner = SimulatedMapping(self, byteCount: byteCount, access)
            return MappedRegion(base: owner.base, byteCount: byteCount, owner: owner)
        }
    }

    /// Counted, and without effect.
    public func advise(_ advice: AccessAdvice, _ range: Range<Int64>) {
        _ = try? disk.perform(
            .advise, path, process, changes: false, at: range.lowerBound, byteCount: Int64(range.count),
            detail: "\(advice)"
        ) { (_) throws(Refusal) in }
    }
}

/// Keeps the bytes under a mapping where they are.
final class SimulatedMapping: MappingOwner, @unchecked Sendable {
    // @unchecked: what changes belongs to the disk and is used under its lock.
    let base: UnsafeMutableRawPointer
    private let memory: StableMemory
    private let disk: SimulatedDisk
    private let process: Incarnation
    private let inode: SimulatedInode
    private let path: String
    private let access: MapAccess

    init(_ file: SimulatedFile, byteCount: Int, _ access: MapAccess) {
        disk = file.disk
        process = file.process
        inode = file.inode
        path = file.path
        memory = file.inode.written
        base = memory.map(byteCount)
        self.access = access
        inode.openCount += 1
        inode.addMapping(byteCount: byteCount, isWritable: access == .readWrite)
    }

    deinit {
        disk.lock.withLock {
            memory.unmap()
            if process.isAlive { inode.removeMapping(isWritable: access == .readWrite) }
            disk.close(inode, process)
        }
    }

    func sync(_ range: Range<Int>) throws(IOError) {
        let failed: (Bool) -> Void = { [disk, inode] byPowerLoss in
            guard !byPowerLoss else { return }
            inode.abandonMapping(range)
            disk.considerEviction(inode)
        }
        try disk.perform(
            .sync, path, process, changes: true, at: Int64(range.lowerBound), byteCount: Int64(range.count),
            detail: "mapping", cutShort: failed
        ) { (_) throws(Refusal) in
            disk.accounting(inode) { inode.syncMapping(range) }
        }
    }
}

extension SimulatedDisk {
    func noteOpen(_ change: Int) { lock.withLock { openFileCount += change } }

    /// A file or a mapping was let go by its process.
    func close(_ inode: SimulatedInode, _ process: Incarnation) {
        lock.withLock {
            // After a crash nothing of a dead process is counted any more.
            guard process.isAlive else { return }
            accounting(inode) { inode.openCount -= 1 }
        }
    }

    /// After a failed sync: drops what it should have carried from the page cache, where the plan says so.
    func considerEviction(_ inode: SimulatedInode) {
        guard injector.plan.evictsAfterFailedSync else { return }
        inode.evictAbandoned { generator.chance(1, in: 2) }
    }

    /// Lets the kernel write back some sectors by itself, where the plan says so.
    func considerWriteBack(_ inode: SimulatedInode) {
        guard injector.drawsWriteBack(&generator) else { return }
        inode.noticeMappedStores()
        inode.writeBack(pages: inode.dirty.keys.sorted()) { generator.chance(1, in: 2) }
    }
}

extension [BufferSlice] {
    var byteCount: Int { reduce(0) { $0 + $1.byteCount } }

    /// What is left after the first `byteCount` bytes.
    func dropping(byteCount: Int) -> [BufferSlice] {
        var left = byteCount
        var rest: [BufferSlice] = []
        for slice in self {
            let dropped = Swift.min(left, slice.byteCount)
            left -= dropped
            if dropped < slice.byteCount {
                rest.append(
                    BufferSlice(slice.buffer, slice.range.lowerBound + dropped..<slice.range.upperBound))
            }
        }
        return rest
    }
}
