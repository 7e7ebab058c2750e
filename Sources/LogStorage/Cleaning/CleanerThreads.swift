public import Base
internal import RecordFormat
public import SystemIO

/// A `LogCleaner` with threads of its own.
///
/// Lanes call `LogManager.compact(with: threads.cleaner, lane:)`. `stop` must be called before the last
/// reference is let go of.
public final class CleanerThreads: Sendable {
    public let cleaner: LogCleaner
    private let workers: WorkerThreads
    private let pause: Pause

    /// - Parameters:
    ///   - secret: makes 128 random bits, for the hashes of keys.
    ///   - hasOutcome: wakes the lane to call `compact`; called on a thread of the cleaner.
    public init(
        configuration: CleanerConfiguration = CleanerConfiguration(), timeSource: any TimeSource,
        logger: Logger = .silent,
        secret: @escaping @Sendable () -> (UInt64, UInt64) = SystemRandom.identifier,
        hasOutcome: @escaping @Sendable (_ lane: Int) -> Void
    ) {
        let workers = WorkerThreads(limit: configuration.threadCount, name: "dmq-cleaner")
        let pause = Pause()
        let logger = logger.named("cleaner")
        cleaner = LogCleaner(
            configuration: configuration,
            throttle: DiskThrottle(
                bytesPerSecond: configuration.bytesPerSecond, timeSource: timeSource,
                wait: { pause.wait(nanoseconds: $0) }),
            timeSource: timeSource, logger: logger, secret: secret,
            hasWork: { cleaner in
                do throws(IOError) {
                    // Refused only when the threads are ending. One step a job, so that rounds take turns.
                    _ = try workers.submit { cleaner.runNext() }
                } catch {
                    logger.log(.error, "no thread for compaction", [LogField("reason", error)])
                }
            }, hasOutcome: hasOutcome)
        self.workers = workers
        self.pause = pause
    }

    /// How many rounds are run at once.
    public var threadCount: Int { workers.threadLimit }

    /// Takes other settings; see `LogCleaner.reconfigure`.
    public func reconfigure(_ configuration: CleanerConfiguration) {
        guard configuration != cleaner.configuration else { return }
        workers.setThreadLimit(configuration.threadCount)
        cleaner.reconfigure(configuration)
    }

    /// Ends all compaction, and returns when no thread is at it any more.
    public func stop() {
        cleaner.stop()
        pause.end()
        workers.finish()
    }
}
