internal import Base
internal import Glibc
internal import Synchronization

/// The signals by which a person or a supervisor asks a program to end: SIGTERM, SIGINT and SIGHUP.
///
/// They are caught rather than blocked: which thread runs the program's beginning, and which others there are
/// by then, is the language runtime's affair, and a thread that does not block them would end the process.
public enum StopSignals {
    /// The end of a pipe to which the handler writes the signal's number.
    private static let writer = Atomic<Int32>(-1)
    private static let numbers = [SIGTERM, SIGINT, SIGHUP]

    /// Keeps them from ending the process at once, until `wait` has returned.
    /// - Returns: what `wait` takes.
    public static func catchAll() throws(IOError) -> StopSignalReader {
        var ends: (Int32, Int32) = (-1, -1)
        let status = withUnsafeMutableBytes(of: &ends) { bytes in
            bytes.assumingMemoryBound(to: Int32.self).baseAddress.map { pipe($0) } ?? -1
        }
        guard status == 0 else { throw IOError(.signal, "pipe", Errno(rawValue: errno)) }
        // No child gets them; there are none before.
        _ = fcntl(ends.0, F_SETFD, FD_CLOEXEC)
        _ = fcntl(ends.1, F_SETFD, FD_CLOEXEC)
        writer.store(ends.1, ordering: .releasing)
        setHandler { number in
            // Async-signal-safe: a load and a write.
            let before = errno
            var byte = UInt8(truncatingIfNeeded: number)
            _ = write(StopSignals.writer.load(ordering: .acquiring), &byte, 1)
            errno = before
        }
        return StopSignalReader(descriptor: ends.0)
    }

    /// A second signal ends the process at once, in case that the first does not.
    static func restoreDefaults() { setHandler(SIG_DFL) }

    private static func setHandler(_ handler: __sighandler_t?) {
        for number in numbers {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = handler
            // System calls of whatever thread the signal hits go on.
            action.sa_flags = SA_RESTART
            sigemptyset(&action.sa_mask)
            let status = sigaction(number, &action, nil)
            invariant(status == 0, "sigaction refuses signal \(number)")
        }
    }
}

/// Waits for a stop signal.
public struct StopSignalReader: Sendable {
    fileprivate let descriptor: Int32

    /// Waits for one of them. Another one after that ends the process at once.
    /// - Returns: its name.
    public func wait() -> String {
        var byte: UInt8 = 0
        while read(descriptor, &byte, 1) != 1 {}
        StopSignals.restoreDefaults()
        return switch Int32(byte) {
        case SIGTERM: "SIGTERM"
        case SIGINT: "SIGINT"
        default: "SIGHUP"
        }
    }
}
