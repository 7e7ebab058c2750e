internal import Base
internal import Glibc

/// A mapping of the kernel's: unmaps when the last `MappedRegion` on it is gone.
final class PosixMapping: MappingOwner, @unchecked Sendable {
    // @unchecked: nothing changes after init; what the pointer points to follows the rule of `MappedRegion`.
    private let base: UnsafeMutableRawPointer
    private let byteCount: Int
    private let path: String

    private init(base: UnsafeMutableRawPointer, byteCount: Int, path: String) {
        self.base = base
        self.byteCount = byteCount
        self.path = path
    }

    /// Maps the first `byteCount` bytes of an open file, shared. Zero bytes map nothing, which the kernel
    /// would refuse.
    static func region(
        descriptor: Int32, path: String, byteCount: Int, _ access: MapAccess
    ) throws(IOError) -> MappedRegion {
        let protection = access == .read ? PROT_READ : PROT_READ | PROT_WRITE
        let base: UnsafeMutableRawPointer
        if byteCount == 0 {
            base = noBytes
        } else {
            base = try SystemCall.map(path) { mmap(nil, byteCount, protection, MAP_SHARED, descriptor, 0) }
        }
        let owner = PosixMapping(base: base, byteCount: byteCount, path: path)
        return MappedRegion(base: base, byteCount: byteCount, owner: owner)
    }

    /// Where an empty mapping points: an address that is never read.
    nonisolated(unsafe) private static let noBytes = UnsafeMutableRawPointer.allocate(
        byteCount: 1, alignment: 1)

    deinit {
        if byteCount == 0 { return }
        let error = SystemCall.once { munmap(base, byteCount) }
        invariant(
            error == nil, "unmapping \(byteCount) bytes of \(path) failed: \(String(describing: error))")
    }

    func sync(_ range: Range<Int>) throws(IOError) {
        invariant(
            range.lowerBound >= 0 && range.upperBound <= byteCount,
            "sync of \(range) in a mapping of \(byteCount) bytes")
        if range.isEmpty { return }
        // msync wants its start on a page.
        let start = range.lowerBound & ~(Self.pageByteCount - 1)
        _ = try SystemCall.run(.sync, path) { msync(base + start, range.upperBound - start, MS_SYNC) }
    }

    private static let pageByteCount = Int(sysconf(Int32(_SC_PAGESIZE)))
}
