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
    /// Everything below is on stable storage.
    var recoveryPoint = Offset.zero
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
    let contents: RecoveredLog

    public var damage: [LogDamage] { contents.damage }
}
