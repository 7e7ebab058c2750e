internal import Base
internal import CLinux

/// The kernel's random bytes: seeds for `SeededGenerator`, identifiers that must never repeat.
public enum SystemRandom {
    /// 64 random bits.
    public static func seed() -> UInt64 {
        var value: UInt64 = 0
        withUnsafeMutableBytes(of: &value) { fill($0) }
        return value
    }

    /// 16 random bytes, as two halves.
    public static func identifier() -> (UInt64, UInt64) { (seed(), seed()) }

    private static func fill(_ bytes: UnsafeMutableRawBufferPointer) {
        // Up to 256 bytes come whole, and only an interrupted wait for the first entropy after boot can fail.
        do {
            let count = try SystemCall.run(.read, "the kernel's random source") {
                getrandom(bytes.baseAddress, bytes.count, 0)
            }
            invariant(count == bytes.count, "\(count) of \(bytes.count) random bytes came")
        } catch {
            invariantFailed("no random bytes: \(error)")
        }
    }
}
