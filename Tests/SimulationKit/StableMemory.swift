// Memory whose address never changes while a mapping shows it, so that a mapping can be the file's very
// bytes.
//
// Glibc is imported here, and only here in this module, because only mmap hands out address space without
// memory behind it: a range is reserved for every layer of every file, and a page costs something when it is
// first stored to. Most files get by with a small range; a file that outgrows it moves to one of the largest
// size. Reservations are pooled, since a simulation opens millions of small files.

internal import Base
internal import Glibc

/// The sizes that the simulated disk works with.
public enum DiskGeometry {
    /// What the page cache tracks and a sync carries, in bytes.
    public static let pageByteCount = 4096
    /// What a disk writes whole or not at all, in bytes.
    public static let sectorByteCount = 512
    /// The largest file, in bytes.
    public static let maximumFileByteCount = 1 << 30
    /// What is reserved for one layer of a file at first. Under the thread sanitizer a process has 1.5 TiB of
    /// address space, which many thousand files share. A file that is mapped does not outgrow it.
    static let firstReservationByteCount = 64 << 20

    static let sectorsPerPage = pageByteCount / sectorByteCount

    /// The pages that a range of bytes lies on.
    static func pages(_ bytes: Range<Int>) -> Range<Int> {
        bytes.isEmpty
            ? 0..<0
            : bytes.lowerBound / pageByteCount..<(bytes.upperBound + pageByteCount - 1) / pageByteCount
    }

    /// The bytes of a page.
    static func bytes(ofPage page: Int) -> Range<Int> { page * pageByteCount..<(page + 1) * pageByteCount }
}

/// Bytes of a file, up to `DiskGeometry.maximumFileByteCount`, all zero in the beginning; returned to the
/// pool with the last reference. Guarded by the lock of the disk that uses it.
final class StableMemory {
    private var base: UnsafeMutableRawPointer
    private var capacity = DiskGeometry.firstReservationByteCount
    /// Those who have the address.
    private var mappings = 0
    /// Nothing was ever stored at or after this position.
    private(set) var touchedByteCount = 0
    private(set) var forbidden = 0..<0
    private let reservations: ReservationCount

    init(_ reservations: ReservationCount) {
        self.reservations = reservations
        base = ReservationPool.take(capacity)
        reservations.add(1)
    }

    deinit {
        giveBack()
        reservations.add(-1)
    }

    private func giveBack() {
        forbid(0..<0)
        zero(0..<touchedByteCount)
        ReservationPool.give(base, capacity)
    }

    /// The address of the bytes, for a mapping of the first `byteCount`. It stays the same until `unmap`.
    func map(_ byteCount: Int) -> UnsafeMutableRawPointer {
        reserve(byteCount)
        mappings += 1
        return base
    }

    func unmap() { mappings -= 1 }

    /// Sees to it that the bytes before `end` have their place.
    private func reserve(_ end: Int) {
        guard end > capacity else { return }
        invariant(end <= DiskGeometry.maximumFileByteCount, "a simulated file of \(end) bytes")
        invariant(mappings == 0, "a mapped file grows to \(end) bytes, past what is reserved for it")
        let larger = ReservationPool.take(DiskGeometry.maximumFileByteCount)
        let page = DiskGeometry.pageByteCount
        for number in residentPages(0..<touchedByteCount) {
            memcpy(larger + number * page, base + number * page, page)
        }
        let touched = touchedByteCount
        giveBack()
        base = larger
        capacity = DiskGeometry.maximumFileByteCount
        touchedByteCount = touched
    }

    /// Says that bytes before `end` may be stored to by others (a mapping).
    func touch(_ end: Int) {
        reserve(end)
        touchedByteCount = max(touchedByteCount, end)
    }

    func store(_ bytes: UnsafeRawBufferPointer, at position: Int) {
        guard let source = bytes.baseAddress, !bytes.isEmpty else { return }
        touch(position + bytes.count)
        memcpy(base + position, source, bytes.count)
    }

    func copy(_ range: Range<Int>, from other: StableMemory) {
        guard !range.isEmpty else { return }
        touch(range.upperBound)
        other.reserve(range.upperBound)
        memcpy(base + range.lowerBound, other.base + range.lowerBound, range.count)
    }

    func equals(_ other: StableMemory, _ range: Range<Int>) -> Bool {
        reserve(range.upperBound)
        other.reserve(range.upperBound)
        return memcmp(base + range.lowerBound, other.base + range.lowerBound, range.count) == 0
    }

    /// Valid until the file grows.
    func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        reserve(range.upperBound)
        return UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
    }

    /// Zeroes a range. Whole pages of a long one are given back to the kernel, which hands out zeros again.
    func zero(_ range: Range<Int>) {
        let range = range.clamped(to: 0..<touchedByteCount)
        guard range.count > Self.memsetLimit else {
            if !range.isEmpty { memset(base + range.lowerBound, 0, range.count) }
            return
        }
        let page = DiskGeometry.pageByteCount
        let first = (range.lowerBound + page - 1) / page * page
        let last = range.upperBound / page * page
        memset(base + range.lowerBound, 0, first - range.lowerBound)
        let result = madvise(base + first, last - first, MADV_DONTNEED)
        invariant(result == 0, "madvise of \(last - first) bytes failed with errno \(errno)")
        memset(base + last, 0, range.upperBound - last)
    }

    /// The pages of `range` that may hold something other than zeros: all of a short range, of a long one
    /// those that have memory behind them.
    func residentPages(_ range: Range<Int>) -> [Int] {
        let pages = DiskGeometry.pages(range.clamped(to: 0..<touchedByteCount))
        guard pages.count > Self.residencyThreshold else { return Array(pages) }
        return PageMap.residentPages(base, pages)
    }

    /// Makes the pages of exactly this range trap when they are touched, as the kernel does with pages of a
    /// mapping that the file no longer reaches.
    func forbid(_ range: Range<Int>) {
        let page = DiskGeometry.pageByteCount
        let first = (range.lowerBound + page - 1) / page * page
        let wanted = first..<max(first, (range.upperBound + page - 1) / page * page)
        guard wanted != forbidden, !(wanted.isEmpty && forbidden.isEmpty) else { return }
        protect(forbidden, PROT_READ | PROT_WRITE)
        protect(wanted, PROT_NONE)
        forbidden = wanted
    }

    private func protect(_ range: Range<Int>, _ protection: Int32) {
        guard !range.isEmpty else { return }
        let result = mprotect(base + range.lowerBound, range.count, protection)
        invariant(result == 0, "mprotect of \(range) failed with errno \(errno)")
    }

    /// Up to here memset beats giving the pages back and faulting them in again.
    private static let memsetLimit = 64 << 10
    /// Up to here comparing all pages beats asking which ones there are.
    private static let residencyThreshold = 64
}

/// How many reservations the files of one disk hold. Outlives the disk, to show that none is left behind it.
public final class ReservationCount: Sendable {
    private let held = Locked(0)

    init() {}

    /// Each layer of a file that is there, or that somebody still holds, is one.
    public var count: Int { held.withLock { $0 } }

    func add(_ change: Int) { held.withLock { $0 += change } }
}

/// Which pages of this process have memory behind them, as /proc/self/pagemap tells: also those swapped out.
private enum PageMap {
    private static let descriptor = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)
    private static let presentOrSwapped: UInt64 = 0b11 << 62

    static func residentPages(_ base: UnsafeMutableRawPointer, _ pages: Range<Int>) -> [Int] {
        var entries = [UInt64](repeating: 0, count: pages.count)
        let first = Int(bitPattern: base) / DiskGeometry.pageByteCount + pages.lowerBound
        let wanted = entries.count * MemoryLayout<UInt64>.size
        let got = entries.withUnsafeMutableBytes {
            pread(descriptor, $0.baseAddress, wanted, off_t(first * 8))
        }
        guard got == wanted else { return Array(pages) }
        return pages.filter { entries[$0 - pages.lowerBound] & presentOrSwapped != 0 }
    }
}

/// Zeroed reservations of one size that wait for their next file.
private final class ReservationPool: @unchecked Sendable {
    // @unchecked: what changes is used under `lock`, one that the thread sanitizer knows.
    private static let small = ReservationPool(DiskGeometry.firstReservationByteCount, keeping: 256)
    private static let large = ReservationPool(DiskGeometry.maximumFileByteCount, keeping: 16)

    private let byteCount: Int
    /// Bounds the memory that waits: each may hold `memsetLimit` bytes of resident zeros.
    private let maximumCount: Int
    private let lock = RecursiveLock()
    private var free: [UnsafeMutableRawPointer] = []

    private init(_ byteCount: Int, keeping maximumCount: Int) {
        self.byteCount = byteCount
        self.maximumCount = maximumCount
    }

    private static func pool(_ byteCount: Int) -> ReservationPool {
        byteCount == small.byteCount ? small : large
    }

    static func take(_ byteCount: Int) -> UnsafeMutableRawPointer { pool(byteCount).take() }

    static func give(_ base: UnsafeMutableRawPointer, _ byteCount: Int) { pool(byteCount).give(base) }

    private func take() -> UnsafeMutableRawPointer {
        if let pooled = lock.withLock({ free.popLast() }) { return pooled }
        let base = mmap(
            nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let base, base != MAP_FAILED else {
            invariantFailed("no address space for a simulated file, errno \(errno)")
        }
        // A huge page would make the first store to a small file cost 2 MiB of zeroing.
        _ = madvise(base, byteCount, MADV_NOHUGEPAGE)
        return base
    }

    private func give(_ base: UnsafeMutableRawPointer) {
        let kept = lock.withLock {
            guard free.count < maximumCount else { return false }
            free.append(base)
            return true
        }
        if !kept { munmap(base, byteCount) }
    }
}

/// A lock that its holder may take again: releasing a file or a mapping while the disk works re-enters it.
final class RecursiveLock: @unchecked Sendable {
    // @unchecked: the mutex is made for threads; its address never changes.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    init() {
        var attributes = pthread_mutexattr_t()
        pthread_mutexattr_init(&attributes)
        pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_RECURSIVE))
        let result = pthread_mutex_init(mutex, &attributes)
        invariant(result == 0, "pthread_mutex_init failed with \(result)")
        pthread_mutexattr_destroy(&attributes)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    func withLock<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }
}
