internal import Base
internal import Glibc

/// A small pool of threads that call fdatasync for one `EpollAppendQueue`.
///
/// They are started with the first sync, so that a lane that never syncs has none, and end with `stop`.
final class SyncThreads: @unchecked Sendable {
    // @unchecked: everything that changes is touched only with the monitor's lock held, but for `threads`,
    // which only the owner of the queue touches.

    struct Job {
        let descriptor: Int32
        /// The request's subscript in its queue.
        let index: Int
    }

    struct Outcome {
        let index: Int
        let error: Errno?
    }

    private let monitor = Monitor()
    private var jobs = Backlog<Job>()
    private var outcomes = Backlog<Outcome>()
    private var isStopping = false
    private let event: EventDescriptor
    private var threads: [JoinableThread] = []
    private let limit: Int

    /// - Parameters:
    ///   - limit: the number of threads; syncs of different files go on side by side up to that number.
    ///   - event: signalled when there are outcomes to take.
    init(limit: Int, event: EventDescriptor) {
        self.limit = max(limit, 1)
        self.event = event
    }

    /// Queues a sync. The descriptor must stay open until its outcome is taken.
    /// - Throws: when there is no thread at all and none can be started.
    func add(_ job: Job) throws(IOError) {
        if threads.isEmpty { try startThreads() }
        monitor.locked {
            jobs.append(job)
            monitor.wakeOne()
        }
    }

    private func startThreads() throws(IOError) {
        while threads.count < limit {
            do {
                let thread = try PosixThread(name: "dmq-sync") { [self] in work() }
                threads.append(JoinableThread(thread))
            } catch {
                // Those that there are will do it.
                if threads.isEmpty { throw error }
                return
            }
        }
    }

    private func work() {
        while let job = nextJob() {
            var failure: Errno?
            do throws(IOError) {
                _ = try SystemCall.run(.sync, "") { fdatasync(job.descriptor) }
            } catch {
                failure = error.errno
            }
            let isFirst = monitor.locked {
                outcomes.append(Outcome(index: job.index, error: failure))
                return outcomes.count == 1
            }
            if isFirst { event.signal() }
        }
    }

    private func nextJob() -> Job? {
        monitor.locked {
            while jobs.isEmpty && !isStopping {
                monitor.wait()
            }
            return isStopping ? nil : jobs.removeFirst()
        }
    }

    /// The next outcome, or nil when there is none.
    func takeOutcome() -> Outcome? { monitor.locked { outcomes.removeFirst() } }

    /// Lets each thread finish what it is doing, and joins them. Syncs that were not begun are forgotten.
    func stop() {
        monitor.locked {
            isStopping = true
            monitor.wakeAll()
        }
        for thread in threads { thread.join() }
        threads = []
    }
}
