internal import Base
internal import RecordFormat

/// The latest offset of each key in a stretch of a log, in memory of a fixed size.
///
/// Open addressing with linear probing; a slot holds a key's hash and the offset. Nothing is ever taken out.
struct OffsetMap: ~Copyable {
    private struct Slot {
        var hash = KeyHash(first: 0, second: 0)
        /// The offset + 1; 0 in an empty slot.
        var offsetPlusOne: UInt64 = 0
    }

    /// Bytes that a slot takes: 24.
    static let slotByteCount = MemoryLayout<Slot>.stride

    private var slots: [Slot]
    /// The most keys that are taken: some slots stay empty, so that a search ends, and soon.
    let maximumCount: Int
    /// Keys held.
    private(set) var count = 0

    /// - Parameters:
    ///   - byteCount: the most memory that the slots may take (`log.cleaner.dedupe.buffer.size`).
    ///   - loadFactor: the share of slots that may be used (`log.cleaner.io.buffer.load.factor`).
    ///   - neededCount: how many keys there can be; a map for fewer takes less memory.
    init(byteCount: Int, loadFactor: Double, neededCount: Int64) {
        let affordable = max(2, byteCount / Self.slotByteCount)
        let needed = min(Double(affordable), (Double(max(neededCount, 1)) / loadFactor).rounded(.up) + 1)
        let slotCount = max(2, Int(needed))
        slots = Array(repeating: Slot(), count: slotCount)
        maximumCount = min(max(1, Int(Double(slotCount) * loadFactor)), slotCount - 1)
    }

    /// Notes that the key with `hash` has a record at `offset`, later than those noted before.
    /// - Returns: false when the key is new and the map full; nothing has changed then.
    mutating func put(_ hash: KeyHash, _ offset: Offset) -> Bool {
        let index = place(of: hash)
        if slots[index].offsetPlusOne == 0 {
            guard count < maximumCount else { return false }
            slots[index].hash = hash
            count += 1
        }
        slots[index].offsetPlusOne = UInt64(bitPattern: offset.rawValue) + 1
        return true
    }

    /// The latest offset that was noted for the key with `hash`; nil when there is none.
    func offset(of hash: KeyHash) -> Offset? {
        let slot = slots[place(of: hash)]
        return slot.offsetPlusOne == 0 ? nil : Offset(Int64(bitPattern: slot.offsetPlusOne - 1))
    }

    /// The slot that holds the hash, or the empty one where it belongs.
    @inline(__always)
    private func place(of hash: KeyHash) -> Int {
        // The upper half of the product spreads the hash evenly over any number of slots.
        var index = Int(truncatingIfNeeded: hash.first.multipliedFullWidth(by: UInt64(slots.count)).high)
        while slots[index].offsetPlusOne != 0 && slots[index].hash != hash {
            index += 1
            if index == slots.count { index = 0 }
        }
        return index
    }
}
