public import Base

/// Which append queue to use.
public enum AppendQueueChoice: String, Sendable, CaseIterable {
    /// io_uring, or epoll where the kernel refuses it.
    case auto
    /// io_uring, or an error.
    case ioUring = "io_uring"
    case epoll
}

/// Makes the append queues of the lanes.
public enum AppendQueues {
    /// - Returns: a queue for one thread: the first that submits or polls.
    /// - Throws: what the kernel answered, when the choice leaves nothing else to try.
    public static func make(_ choice: AppendQueueChoice, log: Logger) throws(IOError) -> any AppendQueue {
        try make(choice, log: log) { () throws(IOError) in
            if let refusal = SubmissionRing.refusal { throw refusal }
            return try RingAppendQueue()
        }
    }

    /// The same with another way to a ring, so that a test can play a kernel that refuses it.
    static func make(
        _ choice: AppendQueueChoice, log: Logger, ring: () throws(IOError) -> RingAppendQueue
    ) throws(IOError) -> any AppendQueue {
        if choice == .epoll {
            let queue = try EpollAppendQueue()
            log.log(
                .debug, "append queue chosen",
                [LogField("backend", queue.name), LogField("reason", "setting")])
            return queue
        }
        do {
            let queue = try ring()
            log.log(
                .debug, "append queue chosen",
                [LogField("backend", queue.name), LogField("mode", queue.mode)])
            return queue
        } catch {
            if choice == .ioUring { throw error }
            let queue = try EpollAppendQueue()
            log.log(
                .warn, "the kernel refuses io_uring, appends go another way",
                [
                    LogField("backend", queue.name), LogField("error", error),
                    LogField("hint", SubmissionRing.hint(error.errno)),
                ])
            return queue
        }
    }
}
