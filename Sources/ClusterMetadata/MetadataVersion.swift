/// What a cluster's nodes have agreed to write: the level of the feature `metadata.version` (KIP-584).
/// Kafka's numbers.
public struct MetadataVersion: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: Int16

    @inlinable public init(rawValue: Int16) { self.rawValue = rawValue }
    @inlinable public init(_ value: Int16) { rawValue = value }

    /// The feature's name.
    public static let featureName = "metadata.version"

    /// Kafka 3.3, the first release whose KRaft was meant for use.
    public static let oldest = MetadataVersion(7)
    /// Partitions know their log directories (Kafka 3.7, KIP-858).
    static let withDirectories = MetadataVersion(17)
    /// What new clusters begin with: Kafka 3.9.
    public static let standard = MetadataVersion(21)
    /// Partitions know who may still become leader when nobody is in sync (Kafka 4.0, KIP-966).
    static let withEligibleLeaders = MetadataVersion(23)
    /// Kafka 4.1.
    public static let newest = MetadataVersion(27)
    static let withMigration = MetadataVersion(8)

    /// What can be read and written.
    public static let supported = oldest...newest

    public static func < (left: MetadataVersion, right: MetadataVersion) -> Bool {
        left.rawValue < right.rawValue
    }

    public var description: String { String(rawValue) }

    /// The version in which a record is written.
    func version(of record: MetadataRecord) -> Int16 {
        switch record {
        case .registerBroker:
            if self >= Self.withDirectories { return 3 }
            return self >= Self.withMigration ? 2 : 1
        case .partition, .partitionChange:
            if self >= Self.withEligibleLeaders { return 2 }
            return self >= Self.withDirectories ? 1 : 0
        case .brokerRegistrationChange(let change):
            // As Kafka: the first version that has the fields.
            if !change.logDirs.isEmpty { return 2 }
            return change.inControlledShutdown == 0 ? 0 : 1
        default: return 0
        }
    }

    /// Whether partitions and brokers say in which log directories replicas are.
    public var hasDirectories: Bool { self >= Self.withDirectories }
}
