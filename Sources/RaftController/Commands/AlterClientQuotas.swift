public import ClusterMetadata
internal import KafkaProtocol

/// Changes quotas of clients, each entity on its own (KIP-546).
public struct AlterClientQuotas: ControllerCommand {
    /// What is to become of the quotas of one entity.
    public struct Change: Hashable, Sendable {
        public var entity: ClientQuotaEntity
        /// The quotas by their keys; nil removes one.
        public var values: [String: Double?]

        public init(_ entity: ClientQuotaEntity, _ values: [String: Double?]) {
            self.entity = entity
            self.values = values
        }
    }

    /// What became of the changes of one entity.
    public struct EntityOutcome: Sendable {
        public let entity: ClientQuotaEntity
        /// Nil: done.
        public let refusal: CommandRefusal?
    }

    public var changes: [Change]
    /// Nothing is changed.
    public var validateOnly: Bool

    public init(_ changes: [Change], validateOnly: Bool = false) {
        self.changes = changes
        self.validateOnly = validateOnly
    }

    /// The outcomes are in the order of the changes; an entity that is named twice has one outcome.
    public func decide(
        _ image: MetadataImage, _ context: inout DecisionContext
    ) throws(CommandRefusal) -> Decision<[EntityOutcome]> {
        try context.checkCount(changes.count)
        var counts: [ClientQuotaEntity: Int] = [:]
        for change in changes { counts[change.entity, default: 0] += 1 }
        var records: [MetadataRecord] = []
        var outcomes: [EntityOutcome] = []
        for change in changes {
            guard let count = counts.removeValue(forKey: change.entity) else { continue }
            do throws(CommandRefusal) {
                if count > 1 {
                    throw CommandRefusal(
                        .invalidRequest, "the quotas of \(change.entity) are changed \(count) times")
                }
                let kind = try QuotaEntityKind(change.entity)
                let current = image.clientQuotas[change.entity]
                for (key, value) in change.values.sorted(by: { $0.key < $1.key }) {
                    try kind.check(key, value)
                    // Only what differs is written.
                    if current[key] != value {
                        records.append(.clientQuota(change.entity.record(key, value)))
                    }
                }
                try context.checkCount(records.count)
                outcomes.append(EntityOutcome(entity: change.entity, refusal: nil))
            } catch {
                outcomes.append(EntityOutcome(entity: change.entity, refusal: error))
            }
        }
        return Decision(outcomes, records: validateOnly ? [] : records)
    }
}

/// What a quota may be for, and which keys go with that.
private enum QuotaEntityKind {
    case userOrClient
    case address

    private static let clientKeys: [String: Bool] = [
        // Whether the value must be a whole number.
        "producer_byte_rate": true, "consumer_byte_rate": true, "request_percentage": false,
        "controller_mutation_rate": false,
    ]
    private static let addressKeys: [String: Bool] = ["connection_creation_rate": true]

    init(_ entity: ClientQuotaEntity) throws(CommandRefusal) {
        guard !entity.parts.isEmpty else {
            throw CommandRefusal(.invalidRequest, "a quota is for nobody; name a user, a client-id or an ip")
        }
        var types: Set<String> = []
        for part in entity.parts {
            guard types.insert(part.type).inserted else {
                throw CommandRefusal(.invalidRequest, "the quota entity has two parts \(part.type)")
            }
            guard part.name?.isEmpty != true else {
                throw CommandRefusal(.invalidRequest, "the quota entity has a \(part.type) without a name")
            }
        }
        if types == [ClientQuotaEntity.address] {
            self = .address
            if let name = entity.part(ClientQuotaEntity.address)?.name, !Self.isAddress(name) {
                throw CommandRefusal(
                    .invalidRequest, "\(TopicName.quoted(name)) is no IP address for a quota")
            }
        } else if types.isSubset(of: [ClientQuotaEntity.user, ClientQuotaEntity.clientID]) {
            self = .userOrClient
        } else {
            throw CommandRefusal(
                .invalidRequest,
                "quotas are for a user, a client-id, both, or an ip; not for "
                    + types.sorted().map { TopicName.quoted($0) }.joined(separator: " and "))
        }
    }

    /// Whether text is shaped as an address of IPv4 or IPv6.
    private static func isAddress(_ text: String) -> Bool {
        if text.utf8.contains(UInt8(ascii: ":")) {
            return text.utf8.count <= 45
                && text.unicodeScalars.allSatisfy { $0.properties.isASCIIHexDigit || $0 == ":" || $0 == "." }
        }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
    }

    func check(_ key: String, _ value: Double?) throws(CommandRefusal) {
        let keys = self == .address ? Self.addressKeys : Self.clientKeys
        guard let isWhole = keys[key] else {
            throw CommandRefusal(
                .invalidRequest,
                "\(TopicName.quoted(key)) is no quota of such an entity; there are "
                    + keys.keys.sorted().joined(separator: ", "))
        }
        guard let value else { return }
        guard value.isFinite, value > 0 else {
            throw CommandRefusal(.invalidRequest, "\(key) must be above 0, not \(value)")
        }
        // As Kafka, which allows for what arithmetic leaves.
        if isWhole, abs(value - value.rounded()) > 1e-6 {
            throw CommandRefusal(.invalidRequest, "\(key) must be a whole number, not \(value)")
        }
    }
}
