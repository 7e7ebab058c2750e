internal import KafkaProtocol

/// How many partitions a node can hold, each of which keeps its log's active file open. More are refused when
/// they are asked for: once the process has no descriptor left, partitions that were taken would be offline.
public struct PartitionLimit: Hashable, Sendable {
    /// The process's limit of open files.
    public let openFileLimit: Int

    public init(openFileLimit: Int) { self.openFileLimit = openFileLimit }

    /// A quarter is kept for connections, older segments that are read, and files that are written anew.
    public var count: Int { openFileLimit - openFileLimit / 4 }

    /// Refuses `added` partitions beside `present` ones.
    func check(_ added: Int, besides present: Int) throws(CommandRefusal) {
        guard present + added > count else { return }
        throw CommandRefusal(
            .policyViolation,
            "\(added) partitions cannot be added to \(present): the broker may have \(openFileLimit) files "
                + "open, which is enough for \(count) partitions; raise the limit of open files (ulimit -n, "
                + "LimitNOFILE) and restart the broker, or ask for fewer partitions")
    }
}
