/// The hash by which Kafka's Java client finds the partition of a key: MurmurHash2 (Austin Appleby, public
/// domain) of 32 bits, little endian, with a fixed seed.
public enum Murmur2 {
    static let seed: UInt32 = 0x9747_b28c
    private static let multiplier: UInt32 = 0x5bd1_e995

    /// The hash of `bytes`.
    public static func hash(_ bytes: RawSpan) -> UInt32 {
        let count = bytes.byteCount
        var hash = seed ^ UInt32(truncatingIfNeeded: count)
        var position = 0
        while count - position >= 4 {
            let word = bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt32.self)
            var mixed = UInt32(littleEndian: word) &* multiplier
            mixed ^= mixed >> 24
            mixed = mixed &* multiplier
            hash = hash &* multiplier ^ mixed
            position += 4
        }
        if position < count {
            var rest: UInt32 = 0
            var place = count - 1
            while place >= position {
                rest = rest << 8 | UInt32(bytes.unsafeLoad(fromByteOffset: place, as: UInt8.self))
                place -= 1
            }
            hash ^= rest
            hash = hash &* multiplier
        }
        hash ^= hash >> 13
        hash = hash &* multiplier
        return hash ^ hash >> 15
    }

    /// The partition that Kafka's producers choose for a key.
    /// - Parameter partitionCount: of the topic, at least 1.
    public static func partition(ofKey key: RawSpan, partitionCount: Int) -> Int {
        Int(hash(key) & 0x7FFF_FFFF) % partitionCount
    }
}
