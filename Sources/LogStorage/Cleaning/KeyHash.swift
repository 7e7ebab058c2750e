/// 128 bits that stand for a record's key in the offset map.
///
/// Two keys with one hash would be taken for one, and the older record be lost. So the hash is SipHash-2-4
/// with 128 bits of output (Aumasson and Bernstein 2012) under a secret key: with a billion keys in a map two
/// of them meet with a probability of 10^-21, and nobody who writes records can look for a pair.
struct KeyHash: Hashable, Sendable {
    let first: UInt64
    let second: UInt64
}

/// Computes the hashes of keys, under a secret of its own.
struct KeyHasher: Sendable {
    private let secret: (UInt64, UInt64)

    /// - Parameter secret: 128 bits that whoever writes records must not know.
    init(secret: (UInt64, UInt64)) { self.secret = secret }

    func hash(_ key: RawSpan) -> KeyHash {
        var state = SipState(secret)
        let wholeByteCount = key.byteCount & ~7
        var position = 0
        while position < wholeByteCount {
            let word = key.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
            state.absorb(UInt64(littleEndian: word))
            position += 8
        }
        var last = UInt64(truncatingIfNeeded: key.byteCount & 0xFF) << 56
        var shift: UInt64 = 0
        while position < key.byteCount {
            last |= UInt64(key.unsafeLoad(fromByteOffset: position, as: UInt8.self)) << shift
            shift += 8
            position += 1
        }
        state.absorb(last)
        return state.finish()
    }
}

/// The four words that SipHash stirs.
private struct SipState {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64

    init(_ secret: (UInt64, UInt64)) {
        v0 = secret.0 ^ 0x736F_6D65_7073_6575
        v1 = secret.1 ^ 0x646F_7261_6E64_6F6D ^ 0xEE
        v2 = secret.0 ^ 0x6C79_6765_6E65_7261
        v3 = secret.1 ^ 0x7465_6462_7974_6573
    }

    @inline(__always)
    mutating func absorb(_ word: UInt64) {
        v3 ^= word
        stir()
        stir()
        v0 ^= word
    }

    mutating func finish() -> KeyHash {
        v2 ^= 0xEE
        for _ in 0..<4 { stir() }
        let first = v0 ^ v1 ^ v2 ^ v3
        v1 ^= 0xDD
        for _ in 0..<4 { stir() }
        return KeyHash(first: first, second: v0 ^ v1 ^ v2 ^ v3)
    }

    @inline(__always)
    private mutating func stir() {
        v0 &+= v1
        v1 = Self.rotated(v1, 13) ^ v0
        v0 = Self.rotated(v0, 32)
        v2 &+= v3
        v3 = Self.rotated(v3, 16) ^ v2
        v0 &+= v3
        v3 = Self.rotated(v3, 21) ^ v0
        v2 &+= v1
        v1 = Self.rotated(v1, 17) ^ v2
        v2 = Self.rotated(v2, 32)
    }

    @inline(__always)
    private static func rotated(_ value: UInt64, _ count: UInt64) -> UInt64 {
        (value &<< count) | (value &>> (64 &- count))
    }
}
