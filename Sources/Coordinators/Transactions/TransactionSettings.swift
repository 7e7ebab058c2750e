/// The settings that a transaction coordinator goes by. Times are milliseconds.
public struct TransactionSettings: Hashable, Sendable {
    /// `transaction.max.timeout.ms`
    public var maximumTimeout: Int64 = 900_000
    /// `transactional.id.expiration.ms`
    public var idExpiration: Int64 = 604_800_000
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    public var timeoutCheck: Int64 = 10_000
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    public var expirationCheck: Int64 = 3_600_000
    /// Bytes of UTF-8 in a transactional ID. Frameworks put together some hundred.
    public var maximumIDByteCount = 1_024
    /// Transactional IDs of one partition, a million with the usual number of partitions; some 300 bytes
    /// each.
    public var maximumIDCount = 20_000
    /// Partitions of one transaction; each costs a marker.
    public var maximumPartitionCount = 10_000
    /// Bytes of the partitions of one transaction as the log has them. They are in one record, which has to
    /// fit a batch whatever becomes of the transaction.
    public var maximumPartitionByteCount = 512 << 10
    /// When a completion that the log refused is tried again.
    public var retry: Int64 = 1_000

    public init() {}
}
