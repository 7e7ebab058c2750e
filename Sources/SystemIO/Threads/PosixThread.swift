internal import Base
internal import CLiburing
internal import CLinux
internal import Glibc

/// A thread of the operating system with a name. Must be joined, exactly once, before it is let go of.
struct PosixThread: ~Copyable, Sendable {
    private let identifier: pthread_t

    /// Starts a thread that runs `body` and ends.
    /// - Parameter name: shown by ps and debuggers; the kernel keeps 15 bytes.
    /// - Throws: `wouldBlock` when the process may have no more threads.
    init(name: String, _ body: @escaping @Sendable () -> Void) throws(IOError) {
        var started = pthread_t()
        let box = Unmanaged.passRetained(Body(name: name, run: body))
        do {
            try SystemCall.status(.thread, name) {
                pthread_create(&started, nil, { argument in PosixThread.enter(argument) }, box.toOpaque())
            }
        } catch {
            box.release()
            throw error
        }
        identifier = started
    }

    /// Waits until the body has returned.
    consuming func join() {
        let status = pthread_join(identifier, nil)
        invariant(status == 0, "pthread_join: \(Errno(rawValue: status))")
    }

    private final class Body: Sendable {
        let name: String
        let run: @Sendable () -> Void

        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    private static func enter(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let argument else { return nil }
        let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
        // Signals are for the threads that wait for them; a thread of a pool would only be interrupted.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, nil)
        _ = pthread_setname_np(pthread_self(), String(decoding: body.name.utf8.prefix(15), as: UTF8.self))
        body.run()
        return nil
    }
}

/// A thread in a list: lists of the standard library hold only what can be copied.
public final class JoinableThread {
    private var thread: PosixThread?

    init(_ thread: consuming PosixThread) { self.thread = consume thread }

    /// Starts a thread that runs `body` and ends. Must be joined before it is let go of.
    /// - Parameter name: shown by ps and debuggers; the kernel keeps 15 bytes.
    /// - Throws: `wouldBlock` when the process may have no more threads.
    public convenience init(name: String, _ body: @escaping @Sendable () -> Void) throws(IOError) {
        self.init(try PosixThread(name: name, body))
    }

    /// A number that no other thread of the process has while the calling one lives; never zero.
    public static var currentIdentity: UInt { UInt(pthread_self()) }

    /// Waits for the thread's end; at once when somebody did before.
    public func join() {
        if let started = thread.take() { started.join() }
    }
}
