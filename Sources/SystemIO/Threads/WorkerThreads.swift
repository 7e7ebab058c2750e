internal import Base
internal import Glibc
internal import Synchronization

/// A few threads that work off jobs, for what takes long and must not hold up a lane: recovery, cleaning,
/// deleting.
///
/// `finish` must be called before the last reference is let go of.
public final class WorkerThreads: @unchecked Sendable {
    // @unchecked: everything that changes is touched only with the monitor's lock held.
    private let monitor = Monitor()
    private var jobs = Backlog<@Sendable () -> Void>()
    private var threads: [JoinableThread] = []
    private var idleCount = 0
    /// Jobs that are being run.
    private var busyCount = 0
    private var isFinishing = false
    private var limit: Int
    private let queueLimit: Int
    private let name: String

    /// - Parameters:
    ///   - limit: the most threads; they are started as jobs come.
    ///   - queueLimit: jobs that wait at most, so that who makes them faster than they are done learns of it.
    ///   - name: what ps shows, at most 15 bytes.
    public init(limit: Int, queueLimit: Int = 1024, name: String) {
        self.limit = max(limit, 1)
        self.queueLimit = queueLimit
        self.name = name
    }

    deinit { invariant(threads.isEmpty, "worker threads \(name) were let go of without finish()") }

    /// Queues a job; jobs are begun in their order.
    /// - Returns: false, and the job is not taken, when as many wait as may, or after `finish`.
    /// - Throws: when there is no thread and none can be started.
    public func submit(_ job: @escaping @Sendable () -> Void) throws(IOError) -> Bool {
        let answer: Result<Bool, IOError> = monitor.locked {
            if isFinishing || jobs.count >= queueLimit { return .success(false) }
            if idleCount <= jobs.count && threads.count < limit {
                do throws(IOError) {
                    threads.append(JoinableThread(try PosixThread(name: name) { [self] in work() }))
                } catch {
                    // Those that there are will come to it.
                    if threads.isEmpty { return .failure(error) }
                }
            }
            jobs.append(job)
            monitor.wakeOne()
            return .success(true)
        }
        return try answer.get()
    }

    private func work() {
        var next = nextJob(afterAnother: false)
        while let job = next {
            job()
            next = nextJob(afterAnother: true)
        }
    }

    private func nextJob(afterAnother: Bool) -> (@Sendable () -> Void)? {
        monitor.locked {
            if afterAnother { busyCount -= 1 }
            while (jobs.isEmpty || busyCount >= limit) && !isFinishing {
                idleCount += 1
                monitor.wait()
                idleCount -= 1
            }
            guard let job = jobs.removeFirst() else { return nil }
            busyCount += 1
            return job
        }
    }

    /// How many jobs may be run at once. When it falls, those that are under way go on; threads without work
    /// stay.
    public var threadLimit: Int { monitor.locked { limit } }

    /// Sets how many jobs may be run at once from now on.
    public func setThreadLimit(_ limit: Int) {
        monitor.locked {
            self.limit = max(limit, 1)
            monitor.wakeAll()
        }
    }

    /// Waits until all jobs are done, those that wait included, and ends the threads. Not to be called from a
    /// job.
    public func finish() {
        let started = monitor.locked {
            isFinishing = true
            monitor.wakeAll()
            let all = threads
            threads = []
            return all
        }
        for thread in started { thread.join() }
    }

    /// Runs `body` for 0, 1, ... `count - 1` on up to `threads` threads, the caller's among them, and comes
    /// back when all are done. Each thread takes the next number when it is done with its last.
    public static func forEach(
        _ count: Int, threads: Int, name: String, _ body: @Sendable (Int) -> Void
    ) {
        let turns = Turns()
        withoutActuallyEscaping(body) { escaping in
            var started: [JoinableThread] = []
            for _ in 0..<max(min(threads, count) - 1, 0) {
                // Where no more threads can be had, those that there are do it all.
                guard let thread = try? PosixThread(name: name, { turns.take(count, escaping) }) else {
                    break
                }
                started.append(JoinableThread(thread))
            }
            turns.take(count, escaping)
            for thread in started { thread.join() }
        }
    }

    /// The numbers that `forEach` hands out.
    private final class Turns: Sendable {
        private let next = Atomic<Int>(0)

        func take(_ count: Int, _ body: @Sendable (Int) -> Void) {
            while true {
                let number = next.add(1, ordering: .relaxed).oldValue
                if number >= count { return }
                body(number)
            }
        }
    }
}
