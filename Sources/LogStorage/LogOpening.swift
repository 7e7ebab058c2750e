public import RecordFormat

/// What is known of a log before its directory is looked at.
public struct LogOpening: Sendable {
    public let partition: TopicPartition
    /// The partition's directory; created when it is not there.
    public let path: String
    public let configuration: LogConfiguration
    /// From the recovery point checkpoint; nil: everything is suspect.
    public let recoveryPoint: Offset?
    /// From the log start offset checkpoint; nil: where the first segment begins.
    public let logStartOffset: Offset?
    /// From the cleaner offset checkpoint: compaction has left gaps only below it; nil: nowhere.
    public let cleanerOffset: Offset?
    /// The broker was stopped in order, after the checkpoints were written.
    public let wasShutDownCleanly: Bool

    public init(
        partition: TopicPartition, path: String, configuration: LogConfiguration = LogConfiguration(),
        recoveryPoint: Offset? = nil, logStartOffset: Offset? = nil, cleanerOffset: Offset? = nil,
        wasShutDownCleanly: Bool = false
    ) {
        self.partition = partition
        self.path = path
        self.configuration = configuration
        self.recoveryPoint = recoveryPoint
        self.logStartOffset = logStartOffset
        self.cleanerOffset = cleanerOffset
        self.wasShutDownCleanly = wasShutDownCleanly
    }
}
