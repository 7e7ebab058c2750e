import Base
import Synchronization
import SystemIO

/// What one producer or consumer counts, and others look at meanwhile.
final class TrafficCounters: Sendable {
    let records = Atomic<Int>(0)
    /// Of keys and values.
    let bytes = Atomic<Int>(0)
    let failures = Atomic<Int>(0)
    /// Nanoseconds: of acknowledgements where records are written, of whole ways where they are read.
    private let histogram = Locked(LatencyHistogram())
    /// What is from before it is not timed.
    private let begin = Atomic<UInt64>(0)
    private let firstError = Locked<String?>(nil)

    func count(_ number: Int, byteCount: Int) {
        records.add(number, ordering: .relaxed)
        bytes.add(byteCount, ordering: .relaxed)
    }

    func time(from start: UInt64, to end: UInt64) {
        if start < begin.load(ordering: .relaxed) { return }
        histogram.withLock { $0.record(end > start ? end - start : 0) }
    }

    func fail(_ error: String) {
        failures.add(1, ordering: .relaxed)
        firstError.withLock { if $0 == nil { $0 = error } }
    }

    var error: String? { firstError.withLock { $0 } }

    func merge(into other: inout LatencyHistogram) { histogram.withLock { other.merge($0) } }

    /// Begins anew: what was counted until now is none of the result.
    func restart(at now: UInt64) {
        begin.store(now, ordering: .relaxed)
        histogram.withLock { $0.removeAll() }
        records.store(0, ordering: .relaxed)
        bytes.store(0, ordering: .relaxed)
    }
}

extension [TrafficCounters] {
    var recordCount: Int { reduce(0) { $0 + $1.records.load(ordering: .relaxed) } }
    var byteCount: Int { reduce(0) { $0 + $1.bytes.load(ordering: .relaxed) } }
    var failureCount: Int { reduce(0) { $0 + $1.failures.load(ordering: .relaxed) } }
    var firstError: String? { lazy.compactMap(\.error).first }

    var latency: LatencyHistogram {
        var all = LatencyHistogram()
        for counters in self { counters.merge(into: &all) }
        return all
    }
}

/// CPU time of a process, in seconds.
struct ProcessorTime: Sendable {
    var user: Double
    var system: Double

    static func - (later: ProcessorTime, earlier: ProcessorTime) -> ProcessorTime {
        ProcessorTime(user: later.user - earlier.user, system: later.system - earlier.system)
    }

    var total: Double { user + system }

    static func ofThisProcess() -> ProcessorTime {
        let usage = ProcessUsage.ofProcess()
        return ProcessorTime(user: usage.userSeconds, system: usage.systemSeconds)
    }

    /// Of another process, by `/proc`, to the nearest hundredth of a second.
    static func of(pid: Int) throws -> ProcessorTime {
        let path = "/proc/\(pid)/stat"
        let buffer = IOBuffer(byteCount: 4096)
        let count: Int
        do {
            count = try PosixFileSystem().open(path, .read).read(into: buffer, 0..<buffer.byteCount, at: 0)
        } catch {
            throw BenchmarkError.broker("--broker-pid \(pid): \(error)")
        }
        let span = buffer.bytes(0..<count)
        let bytes = (0..<count).map { span.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        guard let time = parse(String(decoding: bytes, as: UTF8.self)) else {
            throw BenchmarkError.broker("\(path) is not as expected")
        }
        return time
    }

    /// The line of `/proc/PID/stat`: the name in parentheses may hold anything, behind it stand 12 fields and
    /// then the times in hundredths of a second (proc(5)).
    static func parse(_ line: String) -> ProcessorTime? {
        guard let end = line.lastIndex(of: ")") else { return nil }
        let fields = line[line.index(after: end)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            return nil
        }
        return ProcessorTime(user: user / 100, system: system / 100)
    }
}
