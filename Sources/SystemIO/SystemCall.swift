internal import Base
internal import Glibc

/// The one gate to the kernel: every system call of the program passes through one of these functions.
///
/// They read `errno` before anything else can change it, repeat a call that a signal interrupted (EINTR), and
/// stop the process on EBADF and EFAULT, which only a bug of ours can cause: going on with a wrong descriptor
/// or address would sooner or later write into somebody else's file. Every other error is thrown.
///
/// The call itself comes in as a closure that does not escape, so that a test can script what the kernel
/// answers; it costs nothing once inlined. No other file reads `errno`.
enum SystemCall {
    /// For calls that answer a negative number when they fail.
    /// - Returns: what the call returned, zero or more.
    @inline(__always)
    static func run<Value: SignedInteger>(
        _ operation: IOOperation, _ subject: @autoclosure () -> String, _ call: () -> Value
    ) throws(IOError) -> Value {
        while true {
            let value = call()
            if value >= 0 { return value }
            let error = Errno(rawValue: errno)
            if error == .interrupted { continue }
            throw failure(operation, subject(), error)
        }
    }

    /// For calls that must not be repeated after EINTR (close, connect): on Linux they went on all the same.
    /// - Returns: nil when it worked.
    @inline(__always)
    static func once(_ call: () -> Int32) -> Errno? {
        if call() >= 0 { return nil }
        return trapped(Errno(rawValue: errno))
    }

    /// For calls that return their error number instead of setting `errno` (the `posix_` and `pthread_`
    /// families).
    @inline(__always)
    static func status(
        _ operation: IOOperation, _ subject: @autoclosure () -> String, _ call: () -> Int32
    ) throws(IOError) {
        while true {
            let error = Errno(rawValue: call())
            if error.rawValue == 0 { return }
            if error == .interrupted { continue }
            throw failure(operation, subject(), error)
        }
    }

    /// For calls that answer their error number negated instead of setting `errno` (liburing), and for
    /// completions.
    /// - Returns: what the call returned, zero or more.
    @inline(__always)
    static func negated(
        _ operation: IOOperation, _ subject: @autoclosure () -> String, _ call: () -> Int32
    ) throws(IOError) -> Int32 {
        while true {
            let value = call()
            if value >= 0 { return value }
            let error = Errno(rawValue: -value)
            if error == .interrupted { continue }
            throw failure(operation, subject(), error)
        }
    }

    /// For calls of hot paths to which an error is an ordinary answer (a socket that would block).
    /// - Returns: what the call returned, or the error number negated.
    @inline(__always)
    static func answer(_ operation: IOOperation, _ call: () -> Int) -> Int {
        while true {
            let value = call()
            if value >= 0 { return value }
            let error = errno
            if error == EINTR { continue }
            if error == EBADF || error == EFAULT { _ = failure(operation, "", Errno(rawValue: error)) }
            return -Int(error)
        }
    }

    /// The same for waits, which an interruption ends.
    @inline(__always)
    static func answerOnce(_ operation: IOOperation, _ call: () -> Int) -> Int {
        let value = call()
        if value >= 0 { return value }
        let error = errno
        if error == EBADF || error == EFAULT { _ = failure(operation, "", Errno(rawValue: error)) }
        return -Int(error)
    }

    /// For calls that answer a null pointer when they fail. `readdir` also answers null at its end, which is
    /// told from an error only by an `errno` that stayed zero.
    /// - Returns: nil when the call answered null without an error.
    @inline(__always)
    static func pointer<Pointee>(
        _ operation: IOOperation, _ subject: @autoclosure () -> String, _ call: () -> Pointee?
    ) throws(IOError) -> Pointee? {
        while true {
            errno = 0
            if let value = call() { return value }
            let error = Errno(rawValue: errno)
            if error.rawValue == 0 { return nil }
            if error == .interrupted { continue }
            throw failure(operation, subject(), error)
        }
    }

    /// mmap, which answers all ones when it fails.
    static func map(
        _ subject: @autoclosure () -> String, _ call: () -> UnsafeMutableRawPointer?
    ) throws(IOError) -> UnsafeMutableRawPointer {
        while true {
            let value = call()
            if let value, value != MAP_FAILED { return value }
            let error = Errno(rawValue: errno)
            if error == .interrupted { continue }
            throw failure(.map, subject(), error)
        }
    }

    /// The error of an operation whose result came some other way than `errno` (a ring's completion), under
    /// the same rule as the others: a bug of ours stops the process.
    static func failure(_ operation: IOOperation, _ subject: String, _ error: Errno) -> IOError {
        if error == .badDescriptor || error == .badAddress {
            invariantFailed(
                "\(operation.rawValue) \(subject) was given a bad descriptor or address: \(error)")
        }
        return IOError(operation, subject, error)
    }

    private static func trapped(_ error: Errno) -> Errno {
        failure(.close, "descriptor", error).errno
    }
}
