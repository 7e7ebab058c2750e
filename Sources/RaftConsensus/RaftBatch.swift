/// What a batch of the log holds.
public enum RaftPayload: Hashable, Sendable {
    /// As they were proposed or fetched; Raft does not look inside.
    case records([UInt8])
    /// The start of a leader's epoch, for the shell to encode: a record, and where the batch has voters two
    /// more, kraft.version and these.
    case leaderChange(leaderID: Int32, grantingVoters: [Int32])
    /// Voters, for the shell to encode: those of the batch.
    case voters
}

/// Records of one epoch that are appended and replicated together.
public struct RaftBatch: Hashable, Sendable {
    public var baseOffset: RaftOffset
    /// Offsets that it takes, at least 1.
    public var recordCount: Int64
    public var epoch: RaftEpoch
    /// The voters that a record of it names.
    public var voters: Quorum?
    public var payload: RaftPayload

    public init(
        baseOffset: RaftOffset, recordCount: Int64, epoch: RaftEpoch, voters: Quorum? = nil,
        payload: RaftPayload
    ) {
        self.baseOffset = baseOffset
        self.recordCount = recordCount
        self.epoch = epoch
        self.voters = voters
        self.payload = payload
    }

    /// The offset after its last record.
    public var endOffset: RaftOffset { baseOffset + recordCount }
}
