internal import Base
internal import CLiburing
internal import CLinux
internal import Glibc

/// How many descriptors the process may have: every partition, older segment and connection is one.
public enum OpenFileLimit {
    /// The limit as it is.
    public static func current() throws(IOError) -> Int {
        var limits = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        _ = try SystemCall.run(.limit, "open files") { getrlimit(resource, &limits) }
        return Int(clamping: limits.rlim_cur)
    }

    /// Raises the limit as far as the process itself may.
    /// - Returns: the limit from now on.
    @discardableResult
    public static func raise() throws(IOError) -> Int {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limits = rlimit()
        _ = try SystemCall.run(.limit, "open files") { getrlimit(resource, &limits) }
        if limits.rlim_cur < limits.rlim_max {
            limits.rlim_cur = limits.rlim_max
            _ = try SystemCall.run(.limit, "open files") { setrlimit(resource, &limits) }
        }
        return Int(clamping: limits.rlim_cur)
    }
}
