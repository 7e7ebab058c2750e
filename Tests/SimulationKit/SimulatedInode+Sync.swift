// How bytes get from the written to the synced layer: a snapshot of what is dirty is taken when a sync is
// asked for and applied when it is done. What is written in between is not in it, even on the same page, so
// that nothing is durable that was not promised (but by a crash or by write-back, which both may keep more).

/// What a sync that was asked for at some moment makes durable.
final class SyncSnapshot {
    let inode: SimulatedInode
    let sequence: UInt64
    let byteCount: Int
    /// Synced bytes from here on were cut off before the snapshot.
    let lowestByteCount: Int
    let pages: [(page: Int, sequence: UInt64)]
    /// The pages' bytes, one page after the other.
    let bytes: [UInt8]

    init(of inode: SimulatedInode, pages: [Int]) {
        self.inode = inode
        sequence = inode.sequence
        byteCount = inode.writtenByteCount
        lowestByteCount = inode.lowestByteCount
        self.pages = pages.map { ($0, inode.dirty[$0] ?? 0) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(pages.count * DiskGeometry.pageByteCount)
        for page in pages { bytes.append(contentsOf: inode.written.bytes(DiskGeometry.bytes(ofPage: page))) }
        self.bytes = bytes
        inode.outstandingSnapshots += 1
    }

    deinit {
        inode.outstandingSnapshots -= 1
        if inode.outstandingSnapshots == 0 { inode.patches.removeAll() }
    }
}

extension SimulatedInode {
    /// Takes down what a sync from now must carry. Costs a copy of each dirty page.
    func snapshot() -> SyncSnapshot {
        noticeMappedStores()
        return SyncSnapshot(of: self, pages: dirty.keys.sorted())
    }

    /// The sync succeeded: what the snapshot holds survives from now on.
    func apply(_ snapshot: SyncSnapshot) {
        guard snapshot.sequence > appliedSequence else { return }
        if snapshot.lowestByteCount < syncedByteCount {
            synced.zero(snapshot.lowestByteCount..<syncedByteCount)
        }
        snapshot.bytes.withUnsafeBytes { bytes in
            for (index, entry) in snapshot.pages.enumerated() {
                if let lost = abandoned[entry.page], entry.sequence <= lost.sequence { continue }
                let page = DiskGeometry.bytes(ofPage: index)
                synced.store(
                    UnsafeRawBufferPointer(rebasing: bytes[page]), at: entry.page * DiskGeometry.pageByteCount
                )
                carriedPages += 1
                if let last = dirty[entry.page], last <= snapshot.sequence { dirty[entry.page] = nil }
            }
        }
        syncedByteCount = snapshot.byteCount
        appliedSequence = snapshot.sequence
        sizeChanges.removeAll { $0.sequence <= snapshot.sequence }
        patches.removeAll { $0.sequence <= snapshot.sequence }
        for patch in patches { lay(patch) }
    }

    /// These bytes, written at `sequence`, survive from now on: a write followed by its own sync, or the
    /// pages of a mapping's sync.
    func makeDurable(_ bytes: UnsafeRawBufferPointer, at position: Int, writtenAt sequence: UInt64) {
        guard sequence > appliedSequence, !bytes.isEmpty else { return }
        // A crash may go back to any size since the last sync, but not to one from before these bytes.
        if wasCut(below: position + bytes.count, before: sequence) { return apply(snapshot()) }
        let patch = DurablePatch(position: position, bytes: Array(bytes), sequence: sequence)
        guard outstandingSnapshots > 0 else { return lay(patch) }
        // What was written later may have come to its sync sooner: it stays on top.
        let index = patches.firstIndex { $0.sequence > sequence } ?? patches.count
        patches.insert(patch, at: index)
        for patch in patches[index...] { lay(patch) }
    }

    /// Whether the file, since it was last synced, was shorter than `byteCount` before the change `sequence`.
    private func wasCut(below byteCount: Int, before sequence: UInt64) -> Bool {
        var last = syncedByteCount
        for change in sizeChanges where change.sequence < sequence {
            if change.byteCount < min(last, byteCount) { return true }
            last = change.byteCount
        }
        return false
    }

    private func lay(_ patch: DurablePatch) {
        patch.bytes.withUnsafeBytes { synced.store($0, at: patch.position) }
        syncedByteCount = max(syncedByteCount, patch.position + patch.bytes.count)
    }

    /// Makes the stores to a range of a mapping durable, by whole pages, with the size.
    func syncMapping(_ range: Range<Int>) {
        noticeMappedStores()
        // A snapshot on its way would bring back an older size and what was cut off since: no patch tells it.
        if outstandingSnapshots > 0, !sizeChanges.isEmpty { return apply(snapshot()) }
        let pages = DiskGeometry.pages(range.clamped(to: 0..<writtenByteCount))
        let lowest = lowestByteCount
        if lowest < syncedByteCount { synced.zero(lowest..<syncedByteCount) }
        syncedByteCount = writtenByteCount
        sizeChanges.removeAll()
        for page in pages where dirty[page] != nil {
            let bytes = DiskGeometry.bytes(ofPage: page).clamped(to: 0..<writtenByteCount)
            makeDurable(written.bytes(bytes), at: bytes.lowerBound, writtenAt: sequence)
            carriedPages += 1
            if outstandingSnapshots == 0 { dirty[page] = nil }
        }
    }

    /// A mapping's sync of this range failed.
    func abandonMapping(_ range: Range<Int>) {
        noticeMappedStores()
        for page in DiskGeometry.pages(range.clamped(to: 0..<writtenByteCount)) {
            abandon(page: page, through: sequence)
        }
    }

    /// The sync failed: the pages are taken for clean although nobody knows what reached the disk.
    func abandon(_ snapshot: SyncSnapshot) {
        for entry in snapshot.pages { abandon(page: entry.page, through: snapshot.sequence) }
    }

    func abandon(page: Int, through sequence: UInt64) {
        guard let last = dirty[page], last <= sequence else { return }
        dirty[page] = nil
        abandoned[page] = AbandonedPage(sequence: last, fingerprint: fingerprint(page))
    }

    /// Drops the pages that no sync will carry any more from the page cache: from now on they read as the
    /// disk has them, each sector with what was synced or, if `reached`, with what the failed sync was to
    /// carry.
    func evictAbandoned(whereReached reached: () -> Bool) {
        for page in abandoned.keys.sorted() {
            for sector in page * DiskGeometry.sectorsPerPage..<(page + 1) * DiskGeometry.sectorsPerPage {
                let start = sector * DiskGeometry.sectorByteCount
                guard start < writtenByteCount else { break }
                let bytes = start..<min(start + DiskGeometry.sectorByteCount, writtenByteCount)
                if reached() && bytes.upperBound <= syncedByteCount {
                    synced.copy(bytes, from: written)
                } else {
                    written.copy(bytes, from: synced)
                }
            }
        }
        abandoned.removeAll()
    }

    /// The kernel writes some sectors back by itself: they survive, though nobody was promised so.
    func writeBack(pages: [Int], choosing keep: () -> Bool) {
        for page in pages {
            for sector in 0..<DiskGeometry.sectorsPerPage where keep() {
                let start = page * DiskGeometry.pageByteCount + sector * DiskGeometry.sectorByteCount
                guard start < writtenByteCount else { break }
                let bytes = start..<min(start + DiskGeometry.sectorByteCount, writtenByteCount)
                synced.copy(bytes, from: written)
                syncedByteCount = max(syncedByteCount, bytes.upperBound)
            }
        }
    }
}
