// What a loss of power leaves of a file: a size that it had since it was last synced, the synced bytes under
// that size, zeros where it grew, and the unsynced sectors that happened to be written back.

internal import Base

extension SimulatedInode {
    /// Decides what survives and makes it the content of both layers. Nothing that was synced is lost; no
    /// byte is made up but zeros.
    func losePower(_ mode: CrashMode.Data, _ generator: inout SeededGenerator, _ report: inout CrashReport) {
        noticeMappedStores()
        let sectors = unsyncedSectors()
        let survivors = choose(mode, of: sectors, &generator)
        let (byteCount, lowest) = chooseSize(mode, survivors, all: sectors, &generator)
        report.keptSectors += survivors.count
        report.lostSectors += sectors.count - survivors.count

        let changed = unsyncedPages
        let reach = max(writtenByteCount, syncedByteCount)
        if lowest < syncedByteCount { synced.zero(lowest..<syncedByteCount) }
        for sector in survivors {
            let start = sector * DiskGeometry.sectorByteCount
            synced.copy(start..<min(start + DiskGeometry.sectorByteCount, writtenByteCount), from: written)
        }
        if byteCount < reach { synced.zero(byteCount..<reach) }
        let cutFrom = min(lowest, byteCount, lowestByteCount)
        syncedByteCount = byteCount
        rereadPageCache(changedPages: changed, from: cutFrom, to: reach)
    }

    /// The process that held it is gone, the page cache is not: its mappings may show this file no longer.
    func detachMappings() {
        noticeMappedStores()
        forgetMappings()
        guard !isKnownUniquelyReferenced(&written) else { return }
        let fresh = StableMemory(reservations)
        copyResident(of: written, to: fresh, writtenByteCount)
        written = fresh
    }

    /// Makes the written layer equal to the synced one, in new memory if a mapping of a dead process still
    /// shows the old.
    private func rereadPageCache(changedPages: [Int], from cut: Int, to reach: Int) {
        if isKnownUniquelyReferenced(&written) {
            written.forbid(0..<0)
            for page in changedPages { written.copy(DiskGeometry.bytes(ofPage: page), from: synced) }
            if cut < reach {
                let tail = cut..<reach
                written.zero(tail)
                for page in synced.residentPages(tail) {
                    written.copy(DiskGeometry.bytes(ofPage: page).clamped(to: tail), from: synced)
                }
            }
        } else {
            let fresh = StableMemory(reservations)
            copyResident(of: synced, to: fresh, syncedByteCount)
            written = fresh
        }
        writtenByteCount = syncedByteCount
        dirty.removeAll()
        abandoned.removeAll()
        sizeChanges.removeAll()
        patches.removeAll()
        forgetMappings()
        openCount = 0
        let firstGone = (writtenByteCount + DiskGeometry.pageByteCount - 1) / DiskGeometry.pageByteCount
        allocated.removeAll(from: firstGone)
    }

    private func forgetMappings() {
        mappings = 0
        furthestMapping = 0
        writableMappings = 0
        mappedByteCount = 0
    }

    private func copyResident(of source: StableMemory, to target: StableMemory, _ byteCount: Int) {
        for page in source.residentPages(0..<byteCount) {
            target.copy(DiskGeometry.bytes(ofPage: page), from: source)
        }
    }

    /// The sectors in which the layers differ, in order.
    private func unsyncedSectors() -> [Int] {
        let lowest = lowestByteCount
        var sectors: [Int] = []
        for page in unsyncedPages {
            for sector in page * DiskGeometry.sectorsPerPage..<(page + 1) * DiskGeometry.sectorsPerPage {
                let start = sector * DiskGeometry.sectorByteCount
                guard start < writtenByteCount else { break }
                let bytes = start..<min(start + DiskGeometry.sectorByteCount, writtenByteCount)
                // A sector that was zeroed by a cut and written with what was there before counts as well.
                if bytes.upperBound > lowest || !written.equals(synced, bytes) { sectors.append(sector) }
            }
        }
        return sectors
    }

    private func choose(
        _ mode: CrashMode.Data, of sectors: [Int], _ generator: inout SeededGenerator
    ) -> [Int] {
        guard !sectors.isEmpty else { return [] }
        switch mode {
        case .loseAll: return []
        case .keepAll: return sectors
        case .prefix: return Array(sectors.prefix(Int.random(in: 0...sectors.count, using: &generator)))
        case .subset:
            let eighths = UInt64.random(in: 1...7, using: &generator)
            return sectors.filter { _ in generator.chance(eighths, in: 8) }
        case .torn:
            let tear = Int.random(in: 0..<sectors.count, using: &generator)
            var end = tear + 1
            while end < sectors.count, sectors[end] == sectors[end - 1] + 1 { end += 1 }
            return Array(sectors[..<tear]) + Array(sectors[end...])
        }
    }

    /// Picks the moment at which the size was last made durable.
    /// - Returns: the size, and how many of the synced bytes no cut before that moment had taken away.
    private func chooseSize(
        _ mode: CrashMode.Data, _ survivors: [Int], all sectors: [Int], _ generator: inout SeededGenerator
    ) -> (byteCount: Int, lowest: Int) {
        if mode == .loseAll || sizeChanges.isEmpty { return (syncedByteCount, syncedByteCount) }
        if mode == .keepAll { return (writtenByteCount, lowestByteCount) }
        let moment =
            generator.chance(1, in: 2)
            ? sizeChanges.count : Int.random(in: 0...sizeChanges.count, using: &generator)
        let sizes = [syncedByteCount] + sizeChanges[..<moment].map(\.byteCount)
        let lowest = sizes.min() ?? syncedByteCount
        let last = sizes[sizes.count - 1]
        guard moment > 0, last > sizes[sizes.count - 2], generator.chance(1, in: 2) else {
            return (last, lowest)
        }
        // It grew in steps that are not remembered one by one: any page boundary may have been such a step.
        let from = sizes[sizes.count - 2]
        let step = Int.random(in: from...last, using: &generator)
        return (max(from, step / DiskGeometry.pageByteCount * DiskGeometry.pageByteCount), lowest)
    }
}
