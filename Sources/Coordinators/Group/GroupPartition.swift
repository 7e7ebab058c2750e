/// Which partition of a coordinator's topic a name belongs to.
public enum GroupPartition {
    /// Kafka's topics.
    public static let offsetsTopic = "__consumer_offsets"
    public static let transactionsTopic = "__transaction_state"

    /// The partition that Kafka gives it: Java's hash of the name.
    ///
    /// - Parameter count: of the topic's partitions, at least 1.
    public static func partition(of name: String, count: Int32) -> Int32 {
        var hash: Int32 = 0
        for unit in name.utf16 { hash = hash &* 31 &+ Int32(unit) }
        return (hash == .min ? 0 : abs(hash)) % count
    }
}
