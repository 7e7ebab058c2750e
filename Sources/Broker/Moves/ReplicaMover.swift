internal import Base
internal import KafkaProtocol
internal import LogStorage
internal import RecordFormat
internal import Replication
internal import Settings
internal import SystemIO

/// Moves replicas of one lane between log directories, one after the other (KIP-113). The bytes are read on a
/// thread of the node, as fast as `replica.alter.log.dirs.io.max.bytes.per.second` allows, and appended to
/// the copy on the lane, a piece at a time.
final class ReplicaMover: @unchecked Sendable {
    // @unchecked: touched on the lane only, but for what never changes.

    private unowned let broker: BrokerLane
    /// Where to, of those that wait or are at it; bounded by the partitions of the lane.
    private var targets: [TopicPartition: OpenedDirectory] = [:]
    private var waiting: [TopicPartition] = []
    private var current: LogMove?

    /// Of one piece: what the lane writes in one turn.
    private static let pieceByteCount = 1 << 20

    init(_ broker: BrokerLane) { self.broker = broker }

    /// Has a replica moved to the log directory at `path`; nothing is to be done where it is there already.
    func move(_ partition: TopicPartition, to path: String) -> ErrorCode {
        let store = broker.logs.store
        guard broker.node.configuration.directoryPaths.contains(path) else { return .logDirNotFound }
        guard let target = store.directories.first(where: { $0.directory.path == path }),
            target.directory.failure == nil
        else { return .kafkaStorageError }
        guard let log = broker.logs[partition] else { return .replicaNotAvailable }
        if log.directory === target.directory {
            forget(partition)
            return .none
        }
        guard log.directory.failure == nil else { return .kafkaStorageError }
        if targets[partition] === target { return .none }
        forget(partition)
        targets[partition] = target
        waiting.append(partition)
        beginNext()
        return .none
    }

    /// Ends a move that is not wanted any more.
    private func forget(_ partition: TopicPartition) {
        guard targets.removeValue(forKey: partition) != nil else { return }
        waiting.removeAll { $0 == partition }
        broker.logs.cancelMove(of: partition)
        if current?.partition == partition { current = nil }
    }

    private func beginNext() {
        while current == nil, !waiting.isEmpty {
            let partition = waiting.removeFirst()
            guard let target = targets[partition], broker.logs[partition] != nil else {
                targets[partition] = nil
                continue
            }
            let (high, low) = SystemRandom.identifier()
            do throws(LogError) {
                let move = try broker.logs.beginMove(of: partition, to: target, id: (high, low))
                current = move
                copyNext(move)
            } catch {
                fail(partition, error)
            }
        }
    }

    private func copyNext(_ move: LogMove) {
        // The partition may have been deleted, or the move given up.
        guard broker.logs.move(of: move.partition) === move else { return abandon(move) }
        do throws(LogError) {
            if try move.isNearEnd(maximumByteCount: Self.pieceByteCount) { return try finish(move) }
            guard let slice = try move.nextSlice(maximumByteCount: Self.pieceByteCount) else { return }
            let isSent = broker.node.copier.read(slice) { [self] result in
                broker.perform { [self] _ in take(result, of: move) }
            }
            if !isSent { abandon(move) }
        } catch {
            fail(move.partition, error)
        }
    }

    private func take(_ result: Result<BufferSlice, LogError>, of move: LogMove) {
        guard broker.logs.move(of: move.partition) === move else { return abandon(move) }
        do throws(LogError) {
            try move.append(try result.get())
            copyNext(move)
        } catch {
            fail(move.partition, error)
        }
    }

    private func finish(_ move: LogMove) throws(LogError) {
        let (high, low) = SystemRandom.identifier()
        guard let log = try broker.logs.finishMove(of: move.partition, id: (high, low)) else {
            return copyNext(move)
        }
        broker.replicas.noteMoved(to: log)
        abandon(move)
    }

    /// Goes on with the next.
    private func abandon(_ move: LogMove) {
        if current === move {
            current = nil
            targets[move.partition] = nil
        }
        beginNext()
    }

    private func fail(_ partition: TopicPartition, _ error: LogError) {
        broker.logger.log(
            .error, "log not moved", [LogField("partition", partition), LogField("reason", error)])
        forget(partition)
        beginNext()
    }
}

/// The thread that reads what is copied between log directories. Any thread.
final class ReplicaCopier: Sendable {
    private let workers = WorkerThreads(limit: 1, name: "dmq-copier")
    private let throttle: DiskThrottle
    private let pause: Pause
    private let isEnding = Locked(false)

    init(timeSource: any TimeSource) {
        let pause = Pause()
        throttle = DiskThrottle(
            bytesPerSecond: nil, timeSource: timeSource, wait: { pause.wait(nanoseconds: $0) })
        self.pause = pause
    }

    /// - Parameter bytesPerSecond: all that there are: without limit.
    func setRate(_ bytesPerSecond: Int64) {
        throttle.setRate(bytesPerSecond == .max ? nil : Double(max(bytesPerSecond, 1)))
    }

    /// In bytes a second; nil: without limit.
    var rate: Double? { throttle.bytesPerSecond }

    /// Reads a slice, and hands it on from the thread.
    /// - Returns: false when the node stops.
    func read(
        _ slice: LogSlice, _ done: @escaping @Sendable (Result<BufferSlice, LogError>) -> Void
    ) -> Bool {
        let isSent = try? workers.submit { [throttle, isEnding] in
            throttle.admit(slice.byteCount, unless: { isEnding.withLock { $0 } })
            do throws(LogError) {
                done(.success(try LogMove.bytes(of: slice)))
            } catch {
                done(.failure(error))
            }
        }
        return isSent ?? false
    }

    func stop() {
        isEnding.withLock { $0 = true }
        pause.end()
        workers.finish()
    }
}
