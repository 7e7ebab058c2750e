internal import Glibc

/// The end of the process.
public enum ProcessExit {
    /// Ends the process with `status`, which others see modulo 256.
    public static func end(status: Int32) -> Never { exit(status) }
}
