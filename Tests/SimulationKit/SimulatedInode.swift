// The content of one file, in three layers.
//
//   written   what reads and mappings show: the page cache
//   synced    what certainly survives a crash
//   damage    bytes of both that decayed; remembered, so that it can be lifted again
//
// Between the first two stand the *dirty* pages (written since they were last synced) and the *abandoned*
// ones (a sync of them failed: the kernel takes them for clean, no later sync carries them, and nobody knows
// whether they reached the disk). A crash decides for each of their sectors. See SimulatedInode+Sync and
// +Crash.

internal import Base

final class SimulatedInode {
    /// Unique on the disk, in the order of creation.
    let number: Int
    let reservations: ReservationCount
    var written: StableMemory
    var synced: StableMemory
    var writtenByteCount = 0
    var syncedByteCount = 0

    /// Raised by every change, so that changes and snapshots of them can be put in order.
    var sequence: UInt64 = 0
    /// The sequence of the newest whole snapshot that reached the synced layer.
    var appliedSequence: UInt64 = 0
    /// Written since last synced; the value is the sequence of the last change.
    var dirty: [Int: UInt64] = [:]
    /// Lost to a failed sync.
    var abandoned: [Int: AbandonedPage] = [:]
    /// The sizes that the file went through since it was last synced, merged where it only grew or only
    /// shrank.
    var sizeChanges: [SizeChange] = []
    /// Snapshots on their way to the disk.
    var outstandingSnapshots = 0
    /// Bytes that were made durable while older snapshots were on their way, to be laid over those again.
    var patches: [DurablePatch] = []

    /// Pages with a place on the volume.
    var allocated = PageSet()
    /// How far writable mappings reach that may have stored since the last comparison.
    var mappedByteCount = 0
    var writableMappings = 0
    /// Mappings of any kind, and how far the furthest of them reaches.
    var mappings = 0
    var furthestMapping = 0
    /// Pages that a sync compared with the synced layer, and pages that it carried there: what syncs have
    /// cost.
    var comparedPages = 0
    var carriedPages = 0
    var openCount = 0
    /// There is a name for it in the tree that processes see.
    var isLinked = false
    /// The process that holds it as a lock file.
    var lockHolder: Incarnation?
    var modifiedMilliseconds: Int64
    /// Bytes that decayed in both layers, with what they were.
    var bitRot: [BitRot] = []
    /// Ranges that the disk cannot read until they are written again.
    var unreadable: [Range<Int>] = []

    init(number: Int, modifiedMilliseconds: Int64, _ reservations: ReservationCount) {
        self.number = number
        self.reservations = reservations
        written = StableMemory(reservations)
        synced = StableMemory(reservations)
        self.modifiedMilliseconds = modifiedMilliseconds
    }

    struct AbandonedPage {
        /// Changes up to this one are lost.
        let sequence: UInt64
        /// What was in the page, to see whether a mapping stored to it since.
        let fingerprint: UInt64
    }

    struct SizeChange {
        let sequence: UInt64
        let byteCount: Int
    }

    /// Bytes on the synced layer that are newer than snapshots still on their way.
    struct DurablePatch {
        let position: Int
        let bytes: [UInt8]
        let sequence: UInt64
    }

    /// The pages for which `written` and `synced` may differ, in order.
    var unsyncedPages: [Int] { Set(dirty.keys).union(abandoned.keys).sorted() }

    /// The smallest size since the last sync: synced bytes after it are gone once that is durable.
    var lowestByteCount: Int { sizeChanges.reduce(syncedByteCount) { min($0, $1.byteCount) } }

    // MARK: - Changes to the written layer

    /// Stores bytes in the page cache. The caller has checked the size and the room.
    func store(_ bytes: UnsafeRawBufferPointer, at position: Int, nowMilliseconds: Int64) {
        guard !bytes.isEmpty else { return }
        let range = position..<position + bytes.count
        sequence += 1
        guardMappings(beyond: max(range.upperBound, writtenByteCount))
        written.store(bytes, at: position)
        for page in DiskGeometry.pages(range) {
            dirty[page] = sequence
            if !abandoned.isEmpty { abandoned[page] = nil }
        }
        allocated.insert(DiskGeometry.pages(range))
        forgetDamage(range)
        if range.upperBound > writtenByteCount { changeSize(to: range.upperBound) }
        modifiedMilliseconds = nowMilliseconds
    }

    func truncate(to byteCount: Int, nowMilliseconds: Int64) {
        guard byteCount != writtenByteCount else { return }
        sequence += 1
        if byteCount < writtenByteCount {
            noticeMappedStores()
            written.zero(byteCount..<writtenByteCount)
            let firstGone = (byteCount + DiskGeometry.pageByteCount - 1) / DiskGeometry.pageByteCount
            dirty = dirty.filter { $0.key < firstGone }
            abandoned = abandoned.filter { $0.key < firstGone }
            allocated.removeAll(from: firstGone)
            forgetDamage(byteCount..<writtenByteCount)
        }
        guardMappings(beyond: byteCount)
        changeSize(to: byteCount)
        modifiedMilliseconds = nowMilliseconds
    }

    /// Gives pages a place on the volume and extends the file over them.
    func allocate(_ range: Range<Int>, nowMilliseconds: Int64) {
        allocated.insert(DiskGeometry.pages(range))
        if range.upperBound > writtenByteCount {
            sequence += 1
            guardMappings(beyond: range.upperBound)
            changeSize(to: range.upperBound)
            modifiedMilliseconds = nowMilliseconds
        }
    }

    private func changeSize(to byteCount: Int) {
        let grows = byteCount > writtenByteCount
        if let last = sizeChanges.last {
            let before =
                sizeChanges.count > 1 ? sizeChanges[sizeChanges.count - 2].byteCount : syncedByteCount
            if (last.byteCount > before) == grows { sizeChanges.removeLast() }
        }
        sizeChanges.append(SizeChange(sequence: sequence, byteCount: byteCount))
        writtenByteCount = byteCount
    }

    // MARK: - Mappings

    func addMapping(byteCount: Int, isWritable: Bool) {
        mappings += 1
        furthestMapping = max(furthestMapping, byteCount)
        guard isWritable else { return }
        writableMappings += 1
        mappedByteCount = max(mappedByteCount, byteCount)
        written.touch(byteCount)
    }

    /// What it stored is found by the next comparison.
    func removeMapping(isWritable: Bool) {
        mappings -= 1
        if isWritable { writableMappings -= 1 }
        if mappings == 0 {
            furthestMapping = 0
            written.forbid(0..<0)
        }
    }

    /// Whoever touches a mapping past the file's end is stopped by a signal here as everywhere.
    private func guardMappings(beyond byteCount: Int) {
        guard mappings > 0 else { return }
        written.forbid(byteCount..<max(byteCount, furthestMapping))
        guard byteCount > writtenByteCount, furthestMapping > writtenByteCount else { return }
        // What was stored past the end within the last page was never part of the file.
        let page = DiskGeometry.pageByteCount
        let pageEnd = (writtenByteCount + page - 1) / page * page
        written.zero(writtenByteCount..<min(pageEnd, byteCount))
    }

    /// Finds by comparison which pages were stored to through mappings and marks them dirty. Costs a
    /// comparison for each page that a mapping covers and that has memory behind it.
    func noticeMappedStores() {
        guard mappedByteCount > 0 else { return }
        let covered = 0..<min(mappedByteCount, writtenByteCount)
        var noticed = false
        for page in written.residentPages(covered) {
            let bytes = DiskGeometry.bytes(ofPage: page).clamped(to: 0..<writtenByteCount)
            comparedPages += 1
            if let lost = abandoned[page] {
                if lost.fingerprint == fingerprint(page) { continue }
                abandoned[page] = nil
            } else if written.equals(synced, bytes) {
                continue
            }
            if !noticed { sequence += 1 }
            noticed = true
            dirty[page] = sequence
            allocated.insert(page..<page + 1)
        }
        if writableMappings == 0 { mappedByteCount = 0 }
    }

    /// A number that changes when the bytes of a page do.
    func fingerprint(_ page: Int) -> UInt64 {
        Fingerprint.of(written.bytes(DiskGeometry.bytes(ofPage: page)))
    }

    // MARK: - Reading

    /// Copies bytes of the page cache.
    /// - Returns: how many there were; nil when some of them cannot be read.
    func read(into target: UnsafeMutableRawBufferPointer, at position: Int) -> Int? {
        let end = min(writtenByteCount, position + target.count)
        guard position < end else { return 0 }
        if isUnreadable(position..<end) { return nil }
        target.copyMemory(from: written.bytes(position..<end))
        return end - position
    }
}

/// FNV-1a over words: tells whether bytes changed, quickly enough for a debug build.
enum Fingerprint {
    static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        var position = 0
        while position + 8 <= bytes.count {
            hash = (hash ^ bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)) &* 0x100_0000_01B3
            hash ^= hash >> 29
            position += 8
        }
        while position < bytes.count {
            hash = (hash ^ UInt64(bytes[position])) &* 0x100_0000_01B3
            position += 1
        }
        return hash
    }
}
