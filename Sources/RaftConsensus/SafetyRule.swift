/// The rules that Raft's safety rests on, one by one.
///
/// A test can have a node ignore one of them and must then see the simulator catch it: a rule that can be
/// ignored without anyone noticing is a rule that nobody tests. Only who imports `@_spi(Canaries)` gets
/// there.
@_spi(Canaries) public enum SafetyRule: String, CaseIterable, Sendable {
    /// A voter gives one vote in an epoch.
    case oneVotePerEpoch
    /// A voter votes only for a log that has all that its own has.
    case upToDateCandidate
    /// Whoever has lost its disk does not vote as the one it was.
    case diskIdentity
    /// What has left a node rests on promises that are on stable storage.
    case promiseBeforeMessage
    /// A fetch says that all before its offset is synced.
    case fetchFromSyncedEnd
    /// A leader counts of its own log what is synced.
    case countSyncedEnd
    /// A report that an append is synced means nothing for what has been put in its place.
    case syncedMeansThisRecord
    /// Records of earlier epochs are committed by one of the leader's own epoch only.
    case commitOwnEpoch
    /// A fetch counts, and is answered with records, when the logs agree up to its offset.
    case divergenceCheck
    /// An answer is taken once, and by who asked.
    case answerOnce
    /// A vote counts in the epoch in which it was given.
    case voteOfItsEpoch
    /// Voters change one at a time.
    case oneVoterChange
    /// Voters change only when the leader has committed in its own epoch.
    case committedBeforeVoterChange
    /// Voters count from when they are appended, and no longer when that is cut off.
    case votersFollowTheLog
}
