/// The voters at some place of the log, and what a majority of them is.
public struct Quorum: Hashable, Sendable, CustomStringConvertible {
    /// In the order of their IDs, each of which stands here once.
    public let voters: [Voter]

    /// - Parameter voters: with IDs that differ; of two with one ID the first is taken.
    public init(_ voters: [Voter]) {
        var seen: Set<Int32> = []
        self.voters = voters.filter { seen.insert($0.key.id).inserted }.sorted { $0.key.id < $1.key.id }
    }

    /// The least number of voters that any two majorities have one in common of.
    public var majorityCount: Int { voters.count / 2 + 1 }

    /// The voter with a node ID, whatever its disk.
    public func voter(_ id: Int32) -> Voter? { voters.first { $0.key.id == id } }

    /// Whether a replica is one of the voters.
    public func contains(_ replica: ReplicaKey) -> Bool { voters.contains { $0.matches(replica) } }

    /// Whether enough voters are among `ids` to decide. No voters never decide.
    public func isMajority(_ ids: Set<Int32>) -> Bool {
        !voters.isEmpty && voters.count { ids.contains($0.key.id) } >= majorityCount
    }

    /// Whether so many voters are among `ids` that the others are no majority.
    public func isBlocked(by ids: Set<Int32>) -> Bool {
        voters.count - voters.count { ids.contains($0.key.id) } < majorityCount
    }

    /// The highest value that a majority of voters has reached; nil without voters.
    /// - Parameter value: what a voter has reached.
    public func majorityValue<Value: Comparable>(_ value: (Voter) -> Value) -> Value? {
        if voters.isEmpty { return nil }
        return voters.map(value).sorted(by: >)[majorityCount - 1]
    }

    /// The voters after a change of one of them.
    func replacing(_ id: Int32, with voter: Voter?) -> Quorum {
        Quorum(voters.filter { $0.key.id != id } + (voter.map { [$0] } ?? []))
    }

    public var description: String { "[" + voters.map { "\($0.key.id)" }.joined(separator: " ") + "]" }
}
