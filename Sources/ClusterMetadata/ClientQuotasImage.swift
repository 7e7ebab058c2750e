public import KafkaProtocol

/// Whom a quota is for: a user, a client ID, both, or an address. Nil as a name stands for the default.
public struct ClientQuotaEntity: Hashable, Sendable, CustomStringConvertible {
    /// One of the things that together name the entity.
    public struct Part: Hashable, Sendable {
        /// `user`, `client-id` or `ip`.
        public let type: String
        /// Nil: whoever has no quota of its own.
        public let name: String?

        public init(type: String, name: String?) {
            self.type = type
            self.name = name
        }
    }

    public static let user = "user"
    public static let clientID = "client-id"
    public static let address = "ip"

    /// By type.
    public let parts: [Part]

    public init(_ parts: [Part]) { self.parts = parts.sorted { $0.type < $1.type } }

    public init(user: String?, clientID: String?) {
        self.init([Part(type: Self.user, name: user), Part(type: Self.clientID, name: clientID)])
    }

    /// Nil when no part is of that type.
    public func part(_ type: String) -> Part? { parts.first { $0.type == type } }

    public var description: String {
        parts.map { "\($0.type)=\($0.name ?? "<default>")" }.joined(separator: ",")
    }
}

/// Which entities a description of quotas is about (KIP-546).
public struct ClientQuotaFilter: Hashable, Sendable {
    /// Which names a component takes.
    public enum Match: Hashable, Sendable {
        case exactly(String)
        /// The default entity of the type.
        case defaultName
        /// Any name, and the default.
        case any
    }

    /// What one part of an entity must be.
    public struct Component: Hashable, Sendable {
        public let type: String
        public let match: Match

        public init(type: String, match: Match) {
            self.type = type
            self.match = match
        }
    }

    public var components: [Component]
    /// Entities with parts of other types are left out.
    public var isStrict: Bool

    public init(components: [Component], isStrict: Bool) {
        self.components = components
        self.isStrict = isStrict
    }

    func accepts(_ entity: ClientQuotaEntity) -> Bool {
        if isStrict && entity.parts.count != components.count { return false }
        return components.allSatisfy { component in
            guard let part = entity.part(component.type) else { return false }
            switch component.match {
            case .exactly(let name): return part.name == name
            case .defaultName: return part.name == nil
            case .any: return true
            }
        }
    }
}

/// All quotas of clients.
public struct ClientQuotasImage: Equatable, Sendable {
    private var quotas: [ClientQuotaEntity: [String: Double]] = [:]

    /// Without any quota.
    public init() {}

    public var isEmpty: Bool { quotas.isEmpty }

    /// The quotas of an entity by their keys, such as `producer_byte_rate`.
    public subscript(entity: ClientQuotaEntity) -> [String: Double] { quotas[entity] ?? [:] }

    /// All entities that have quotas, in no order.
    public var all: some Collection<(key: ClientQuotaEntity, value: [String: Double])> & Sendable { quotas }

    /// What a filter selects, in a fixed order.
    public func matching(_ filter: ClientQuotaFilter) -> [(ClientQuotaEntity, [String: Double])] {
        quotas.filter { filter.accepts($0.key) }.map { ($0.key, $0.value) }
            .sorted { $0.0.description < $1.0.description }
    }

    mutating func set(_ record: ClientQuotaRecord) -> ClientQuotaEntity {
        let entity = ClientQuotaEntity(
            record.entity.map { ClientQuotaEntity.Part(type: $0.entityType, name: $0.entityName) })
        quotas[entity, default: [:]][record.key] = record.remove ? nil : record.value
        if quotas[entity]?.isEmpty ?? false { quotas[entity] = nil }
        return entity
    }

    /// The records that make this image, in a fixed order.
    func appendRecords(to records: inout [MetadataRecord]) {
        for (entity, values) in quotas.sorted(by: { $0.key.description < $1.key.description }) {
            for (key, value) in values.sorted(by: { $0.key < $1.key }) {
                records.append(.clientQuota(entity.record(key, value)))
            }
        }
    }
}

extension ClientQuotaEntity {
    /// The record that sets a quota, or, with nil, removes it.
    public func record(_ key: String, _ value: Double?) -> ClientQuotaRecord {
        ClientQuotaRecord(
            entity: parts.map { ClientQuotaRecord.EntityData(entityType: $0.type, entityName: $0.name) },
            key: key, value: value ?? 0, remove: value == nil)
    }
}
