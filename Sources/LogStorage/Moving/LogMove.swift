internal import Base
public import RecordFormat
public import SystemIO

/// A log on its way into another log directory while it is in use (KIP-113). On its lane.
///
/// | state of the disk | what a start makes of it |
/// | --- | --- |
/// | `<topic>-<partition>` here, `...-future` there | the copy is removed, the move begins anew |
/// | `<topic>-<partition>` in both | the log that goes further stays, the other becomes `-stray` |
/// | `<topic>-<partition>` there, `...-delete` here | the move is over |
///
/// The copy is a log of its own, which takes batches as a follower does. It becomes the partition's when it
/// has all that the other has, on stable storage; nothing is appended in between. So whichever of two logs of
/// one partition goes further has everything that was ever acknowledged.
public final class LogMove: @unchecked Sendable {
    // @unchecked: carried through other threads, touched on the lane of its logs.

    public let source: PartitionLog
    /// The copy.
    public let future: PartitionLog
    let target: OpenedDirectory

    init(of source: PartitionLog, to target: OpenedDirectory, future: PartitionLog) {
        self.source = source
        self.target = target
        self.future = future
    }

    public var partition: TopicPartition { source.partition }
    public var targetPath: String { target.directory.path }
    /// Records that are not copied yet.
    public var lag: Int64 { max(source.logEndOffset.rawValue - future.logEndOffset.rawValue, 0) }

    /// What is to be copied next; nil when all that is written is.
    /// - Parameter maximumByteCount: but at least one batch.
    public func nextSlice(maximumByteCount: Int) throws(LogError) -> LogSlice? {
        if future.logEndOffset < source.logStartOffset {
            // Retention was faster.
            try begin()
        }
        // The log may start within the first batch, which the copy has to have whole.
        return try source.read(
            from: max(future.logEndOffset, source.logStartOffset), maximumByteCount: maximumByteCount,
            limit: .logEnd
        ).slice
    }

    /// Begins with the first batch of the source.
    func begin() throws(LogError) {
        let first = try source.read(from: source.logStartOffset, maximumByteCount: 1, limit: .logEnd)
        let start = first.slice?.firstOffset ?? source.writtenEndOffset
        if future.logEndOffset != start || future.logStartOffset != start {
            try future.truncateFullyAndStart(at: start)
        }
    }

    /// Takes the bytes of `nextSlice`, queued on return.
    public func append(_ batches: BufferSlice) throws(LogError) {
        _ = try future.appendAsFollower(batches, durably: false)
    }

    /// Whether what is left is within one slice: the rest may be copied in one go.
    public func isNearEnd(maximumByteCount: Int) throws(LogError) -> Bool {
        guard let slice = try nextSlice(maximumByteCount: maximumByteCount) else { return true }
        return slice.nextOffset >= source.writtenEndOffset
    }

    /// Copies what is left while the lane does nothing else, and brings both logs to stable storage.
    /// - Returns: false when somebody appended meanwhile.
    func finishCopying() throws(LogError) -> Bool {
        try source.syncNow()
        while let slice = try nextSlice(maximumByteCount: Self.restByteCount) {
            try append(try Self.bytes(of: slice))
            try future.syncNow()
        }
        try future.syncNow()
        let end = source.logEndOffset
        return source.syncedEndOffset == end && future.syncedEndOffset == end
    }

    private static let restByteCount = 1 << 20

    /// Reads a slice; any thread.
    public static func bytes(of slice: LogSlice) throws(LogError) -> BufferSlice {
        let buffer = IOBuffer(byteCount: slice.byteCount)
        var have = 0
        while have < slice.byteCount {
            do {
                let count = try slice.file.read(
                    into: buffer, have..<slice.byteCount, at: slice.position + Int64(have))
                if count == 0 {
                    throw LogError.corrupt(
                        path: slice.file.path, position: slice.position, reason: "the file is too short")
                }
                have += count
            } catch {
                throw LogError(reading: error)
            }
        }
        return BufferSlice(buffer, 0..<slice.byteCount)
    }
}

extension PartitionLog {
    /// Takes over from a log with the same batches what does not follow from them, or does only as far as
    /// they are still there: producers, epochs without records, where it starts.
    func takeOver(_ source: PartitionLog) throws(LogError) {
        updateConfiguration(source.configuration)
        advanceHighWatermark(to: source.highWatermark)
        try advanceLogStart(to: source.logStartOffset)
        producers = source.producers
        leaderEpochs = source.leaderEpochs
        try writeLeaderEpochs()
    }
}
