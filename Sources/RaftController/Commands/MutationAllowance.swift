internal import KafkaProtocol

/// How many partitions a client may have made or deleted at the moment (KIP-599): what is left in its bucket.
/// A change is let through while the bucket is not overdrawn, and may overdraw it: one that is larger than
/// the bucket would never come through otherwise.
public struct MutationAllowance: Hashable, Sendable {
    /// Partitions; below zero nothing is let through.
    public private(set) var tokens: Double

    public init(tokens: Double) { self.tokens = tokens }

    /// Takes the partitions of one topic.
    mutating func take(_ partitionCount: Int) throws(CommandRefusal) {
        guard tokens >= 0 else {
            throw CommandRefusal(
                .throttlingQuotaExceeded,
                "the quota controller_mutation_rate is exceeded; try again after the time that the answer "
                    + "says")
        }
        tokens -= Double(partitionCount)
    }
}

/// A command that makes or deletes partitions, which clients may have a quota for.
public protocol MutatingCommand: ControllerCommand {
    /// What is left of the quota; nil: nothing is refused for it.
    var allowance: MutationAllowance? { get set }

    /// How many partitions are made or deleted with `outcome`.
    func mutationCount(_ outcome: Outcome) -> Int

    /// The refusals of single topics in `outcome`.
    func refusals(in outcome: Outcome) -> [CommandRefusal]
}
