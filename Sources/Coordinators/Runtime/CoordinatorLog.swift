public import KafkaProtocol
public import RecordFormat

/// Why a coordinator's records were not appended.
public enum CoordinatorLogError: Error, Hashable, Sendable {
    /// The partition is led elsewhere, or its disk has failed.
    case notLeader
    /// There is no room, or too few replicas are in sync: another attempt may do.
    case unavailable
    /// The records are more than the topic takes in a batch.
    case tooLarge
    /// The log takes nothing like it of this producer: it is fenced, or its transaction is not known.
    case refused(ErrorCode)

    /// What whoever asked is told.
    public var code: ErrorCode {
        switch self {
        case .notLeader: .notCoordinator
        case .unavailable: .coordinatorNotAvailable
        case .tooLarge: .recordListTooLarge
        case .refused(let code): code
        }
    }
}

/// Where a coordinator writes: the leader of a partition of its topic, or what stands for it in a simulation.
public protocol CoordinatorLog: AnyObject {
    /// How far the log is committed.
    var highWatermark: Offset { get }

    /// Appends the records as one batch, which counts as a whole or not at all; queued on return. Whether it
    /// was committed or lost is told to the runtime: `CoordinatorRuntime.advance`, `end`.
    ///
    /// - Returns: the offset after them.
    func append(
        _ records: [CoordinatorRecordBytes], _ kind: CoordinatorBatchKind, at timestamp: Timestamp
    ) throws(CoordinatorLogError) -> Offset
}
