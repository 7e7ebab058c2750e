// Decay of what is on the disk, laid over the true bytes in such a way that it can be lifted again.

/// Flipped bits. They are flipped in place, since a mapping shows them too; what was there is kept beside.
struct BitRot {
    let position: Int
    /// Which bits are flipped; zero where the file has been written since.
    var mask: [UInt8]
    let trueWritten: [UInt8]
    let trueSynced: [UInt8]

    var range: Range<Int> { position..<position + mask.count }
}

extension SimulatedInode {
    /// Flips the bits of `mask` from `position` on.
    func rot(at position: Int, mask: [UInt8]) {
        let range = position..<position + mask.count
        bitRot.append(
            BitRot(
                position: position, mask: mask, trueWritten: Array(written.bytes(range)),
                trueSynced: Array(synced.bytes(range))))
        for (index, flips) in mask.enumerated() where flips != 0 {
            flip(written, position + index, flips)
            flip(synced, position + index, flips)
        }
    }

    func makeUnreadable(_ range: Range<Int>) { unreadable.append(range) }

    func isUnreadable(_ range: Range<Int>) -> Bool { unreadable.contains { $0.overlaps(range) } }

    /// Brings back the true bytes wherever they were not overwritten since.
    func liftDamage() {
        for rot in bitRot.reversed() {
            for (index, flips) in rot.mask.enumerated() where flips != 0 {
                restore(written, rot.position + index, rot.trueWritten[index], flips)
                restore(synced, rot.position + index, rot.trueSynced[index], flips)
            }
        }
        bitRot.removeAll()
        unreadable.removeAll()
    }

    /// A range was written or cut off: nothing of it is damaged any more.
    func forgetDamage(_ range: Range<Int>) {
        if !unreadable.isEmpty {
            unreadable = unreadable.flatMap { old -> [Range<Int>] in
                guard old.overlaps(range) else { return [old] }
                let before = old.lowerBound..<max(old.lowerBound, range.lowerBound)
                let after = min(old.upperBound, range.upperBound)..<old.upperBound
                return [before, after].filter { !$0.isEmpty }
            }
        }
        for index in bitRot.indices {
            for position in bitRot[index].range.clamped(to: range) {
                bitRot[index].mask[position - bitRot[index].position] = 0
            }
        }
    }

    private func flip(_ memory: StableMemory, _ position: Int, _ flips: UInt8) {
        let byte = memory.bytes(position..<position + 1)[0] ^ flips
        withUnsafeBytes(of: byte) { memory.store($0, at: position) }
    }

    private func restore(_ memory: StableMemory, _ position: Int, _ byte: UInt8, _ flips: UInt8) {
        guard memory.bytes(position..<position + 1)[0] == byte ^ flips else { return }
        withUnsafeBytes(of: byte) { memory.store($0, at: position) }
    }
}
