// Roles and the ways between them (KIP-595, KIP-996):
//
//   from          to            when
//   any           unattached    a higher epoch without a known leader
//   any           follower      a higher epoch with its leader; no leader was known and now is
//   unattached    prospective   a voter's election time-out
//   follower      prospective   a voter's fetch time-out
//   follower      unattached    an observer's fetch time-out; the leader has told that it goes
//   prospective   candidate     a majority would vote: the next epoch begins, with the own vote
//   prospective   follower      a majority would not, or time is up, and a leader is known
//   prospective   unattached    the same, and none is known
//   candidate     leader        a majority has voted
//   candidate     prospective   time is up, or a majority has refused and a pause is over
//   leader        resigned      told to go; no majority fetches; it is no voter and that is committed
//   resigned      prospective   a voter's election time-out
//   resigned      unattached    an observer's election time-out

/// What a node is in its epoch.
public enum RaftRole: String, Hashable, Sendable {
    /// Follows nobody: looks for the leader, and waits.
    case unattached
    /// Asks whether it would be elected.
    case prospective
    /// Asks for votes.
    case candidate
    case leader
    case follower
    /// Led this epoch and does so no longer.
    case resigned
}

/// What became of the requests for votes.
struct Ballot: Hashable, Sendable {
    var granted: Set<Int32>
    var refused: Set<Int32> = []
}
