public import Base
public import ClusterMetadata
public import KafkaProtocol
public import RecordFormat

/// Something that the controller is asked to do. Deciding is a pure function: of the metadata, of the command
/// and of what the context hands in; it changes nothing.
public protocol ControllerCommand: Sendable {
    /// What whoever asked is told once the records are committed.
    associatedtype Outcome: Sendable

    /// - Throws: why the command as a whole is refused; then nothing is written.
    func decide(
        _ image: MetadataImage, _ context: inout DecisionContext
    ) throws(CommandRefusal) -> Decision<Outcome>
}

/// Why something was not done: Kafka's code, and a sentence that says what was wrong and what to do.
public struct CommandRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    public let code: ErrorCode
    public let message: String

    public init(_ code: ErrorCode, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code): \(message)" }
}

/// Records to be written, and what is answered when they are committed.
public struct Decision<Outcome: Sendable>: Sendable {
    public var records: [MetadataRecord]
    public var outcome: Outcome
    /// Whether the records must be committed as a whole. If not, a crash may leave the first of them.
    public var isAtomic: Bool

    public init(_ outcome: Outcome, records: [MetadataRecord] = [], isAtomic: Bool = true) {
        self.records = records
        self.outcome = outcome
        self.isAtomic = isAtomic
    }
}

/// Rules of the settings table, which the modules here do not know.
public struct ConfigurationRules: Sendable {
    /// Looks at all settings of a resource as they would be; nil when they are good, else what is wrong.
    public var problem: @Sendable (ConfigurationResource, [String: String]) -> String?
    /// Whether a setting is a list, to which something can be added.
    public var isList: @Sendable (ConfigurationResourceType, String) -> Bool
    /// The value that holds while nobody sets one.
    public var defaultValue: @Sendable (ConfigurationResourceType, String) -> String?

    public init(
        problem: @escaping @Sendable (ConfigurationResource, [String: String]) -> String?,
        isList: @escaping @Sendable (ConfigurationResourceType, String) -> Bool,
        defaultValue: @escaping @Sendable (ConfigurationResourceType, String) -> String?
    ) {
        self.problem = problem
        self.isList = isList
        self.defaultValue = defaultValue
    }

    /// Takes everything; every setting may be a list.
    public static let permissive = ConfigurationRules(
        problem: { _, _ in nil }, isList: { _, _ in true }, defaultValue: { _, _ in nil })
}

/// What commands are bounded by, and what they leave to the cluster.
public struct CommandPolicy: Sendable {
    /// `num.partitions`.
    public var defaultPartitionCount: Int32 = 1
    /// `default.replication.factor`; nil: one for each broker, at most 3.
    public var defaultReplicationFactor: Int16?
    /// `auto.create.topics` and the like are the broker's; `delete.topic.enable`.
    public var allowsDeletion = true
    /// The most records that one command may write: Kafka's bound, so that one request cannot hold up the
    /// quorum.
    public var maximumRecordCount = 10_000
    /// What the broker can hold; nil: any number.
    public var partitionLimit: PartitionLimit?
    /// `unclean.leader.election.enable` where the topic says nothing.
    public var allowsUncleanLeaders = false
    public var rules: ConfigurationRules

    public init(rules: ConfigurationRules) { self.rules = rules }
}

/// What a decision may use beside the metadata.
public struct DecisionContext {
    /// The offset of the first record that the decision will write.
    public let nextOffset: Offset
    /// The wall clock.
    public let now: Timestamp
    public let policy: CommandPolicy
    /// Draws IDs and breaks ties.
    public var generator: SeededGenerator

    public init(
        nextOffset: Offset, now: Timestamp, policy: CommandPolicy, generator: SeededGenerator
    ) {
        self.nextOffset = nextOffset
        self.now = now
        self.policy = policy
        self.generator = generator
    }

    /// 128 random bits.
    mutating func newID() -> UniqueID { UniqueID(high: generator.next(), low: generator.next()) }

    /// An ID that no topic has.
    mutating func newTopicID(_ topics: TopicsImage) -> TopicID {
        while true {
            let id = TopicID(newID())
            // A dash in front looks like an option on command lines.
            if !id.isReserved, topics[id] == nil, !id.description.hasPrefix("-") { return id }
        }
    }

    /// Refuses what would write too much at once.
    func checkCount(_ count: Int) throws(CommandRefusal) {
        guard count <= policy.maximumRecordCount else {
            throw CommandRefusal(
                .policyViolation,
                "the request would change \(count) things at once, more than the "
                    + "\(policy.maximumRecordCount) that one may; split it")
        }
    }
}
