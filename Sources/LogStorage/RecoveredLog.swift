internal import Base
internal import RecordFormat
internal import SystemIO

/// What recovery puts into a `PartitionLog`.
struct RecoveredLog {
    var segments = SegmentList()
    var producers = ProducerStates()
    var leaderEpochs = LeaderEpochCache()
    var snapshotOffset: Offset?
    var damage: [LogDamage] = []
    var logStartOffset = Offset.zero
    var logEndOffset = Offset.zero
    /// Everything below is on stable storage when `syncs` are done.
    var recoveryPoint = Offset.zero
    var syncs = RecoverySyncs()
    /// Set for a log that has never held a record.
    var birth: LogBirth?
    /// The files are as they were closed in order.
    var isUntouched = false
    /// What the checkpoints said.
    var checkpointedRecoveryPoint = Offset.zero
    var checkpointedLogStartOffset = Offset.zero
}

/// A log that was recovered and waits for its lane. Handed from the thread that recovered it to that of the
/// lane.
public struct RecoveredPartition: @unchecked Sendable {
    // @unchecked: whoever makes it lets go of it, and only one takes it up.
    public let opening: LogOpening
    public let directory: LogDirectory
    let place: LogPlace
    private(set) var contents: RecoveredLog

    public var damage: [LogDamage] { contents.damage }

    /// There is something that `sync` has to do before the log is used.
    var needsSync: Bool { !contents.syncs.isEmpty }

    /// On return what recovery has left is on stable storage. Any thread.
    mutating func sync() throws(LogError) {
        try directory.checkOnline()
        do { try contents.syncs.perform() } catch { throw directory.writeFailed(error) }
    }

    /// Writes down which topic the log is of: at once, or, of one that has never held a record, with the
    /// first.
    mutating func write(_ topicID: TopicID) throws {
        guard contents.birth == nil else {
            contents.birth?.topicID = topicID
            return
        }
        try PartitionMetadata(topicID: topicID).write(
            to: LogLayout.path(place.path, LogLayout.partitionMetadata), directory.fileSystem)
    }
}

extension PartitionLog {
    /// Opens a log, recovering what a crash left (see RecoveryTables.swift), or creates it; see
    /// LogBirth.swift for when it is durable.
    public static func open(
        _ opening: LogOpening, in directory: LogDirectory, lane: LogLane
    ) throws(LogError) -> PartitionLog {
        try PartitionLog(try recover(opening, in: directory, lane.scanContext), lane: lane)
    }

    /// The part of opening that reads the disk; any thread, with a context of its own.
    public static func recover(
        _ opening: LogOpening, in directory: LogDirectory, _ context: ScanContext
    ) throws(LogError) -> RecoveredPartition {
        var recovered = try recoverUnsynced(opening, in: directory, context)
        try recovered.sync()
        return recovered
    }

    /// As `recover`, but for the syncs: `RecoveredPartition.sync` is to be called before the log is used.
    static func recoverUnsynced(
        _ opening: LogOpening, in directory: LogDirectory, _ context: ScanContext
    ) throws(LogError) -> RecoveredPartition {
        try directory.checkOnline()
        let place = LogPlace(directory: directory, path: opening.path)
        var recovery = LogRecovery(opening: opening, place: place, context: context)
        do {
            return RecoveredPartition(
                opening: opening, directory: directory, place: place, contents: try recovery.run())
        } catch {
            throw directory.writeFailed(error)
        }
    }

    /// The part of opening that binds the log to its lane.
    public convenience init(_ recovered: RecoveredPartition, lane: LogLane) throws(LogError) {
        try self.init(
            partition: recovered.opening.partition, configuration: recovered.opening.configuration,
            lane: lane,
            place: recovered.place, contents: recovered.contents)
    }
}
