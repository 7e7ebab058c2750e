internal import Base
internal import CLiburing
internal import CLinux
internal import Glibc

/// What the process, or a thread of it, has used of the machine so far (getrusage).
public struct ProcessUsage: Sendable {
    /// CPU time in the program's own code.
    public let userSeconds: Double
    /// CPU time in the kernel on the program's behalf; of a ring's kernel workers too, for the process.
    public let systemSeconds: Double
    /// The most memory that was resident at once; of the process also where a thread was asked about.
    public let peakResidentByteCount: Int

    public var cpuSeconds: Double { userSeconds + systemSeconds }

    /// Of all threads of the process.
    public static func ofProcess() -> ProcessUsage { ProcessUsage(RUSAGE_SELF.rawValue) }

    /// Of the calling thread.
    public static func ofThread() -> ProcessUsage {
        // RUSAGE_THREAD, which the C library declares only under _GNU_SOURCE.
        ProcessUsage(1)
    }

    private init(_ who: __rusage_who_t) {
        var usage = rusage()
        let error = SystemCall.once { getrusage(who, &usage) }
        invariant(error == nil, "getrusage: \(String(describing: error))")
        userSeconds = Double(usage.ru_utime.tv_sec) + Double(usage.ru_utime.tv_usec) / 1e6
        systemSeconds = Double(usage.ru_stime.tv_sec) + Double(usage.ru_stime.tv_usec) / 1e6
        // Linux counts in KiB.
        peakResidentByteCount = Int(usage.ru_maxrss) * 1024
    }
}
