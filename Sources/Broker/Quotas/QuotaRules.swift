internal import ClusterMetadata

/// What a client is limited in.
enum QuotaKind: String, Sendable, CaseIterable {
    /// Bytes of produce requests a second.
    case produce = "producer_byte_rate"
    /// Bytes of fetched records a second.
    case fetch = "consumer_byte_rate"
    /// Time of the lanes that requests take, in percent of one lane.
    case request = "request_percentage"
    /// Partitions made and deleted a second (KIP-599).
    case mutation = "controller_mutation_rate"
}

/// Who shares a quota: all clients of a user, all users of a client ID, or a client ID of a user.
struct QuotaScope: Hashable, Sendable {
    /// Nil: of any user.
    let user: String?
    /// Nil: any.
    let clientID: String?
}

/// Which quota holds for whom.
struct QuotaRules: Sendable {
    private let image: ClientQuotasImage
    private let kinds: Set<String>

    init(_ image: ClientQuotasImage) {
        self.image = image
        kinds = Set(image.all.flatMap { $0.value.keys })
    }

    /// Whether anybody has a quota of that kind.
    func has(_ kind: QuotaKind) -> Bool { kinds.contains(kind.rawValue) }

    /// The quota of a client and who it shares it with: the first of these that has one (KIP-55).
    ///
    /// | | user | client ID | shared by |
    /// | --- | --- | --- | --- |
    /// | 1 | its own | its own | the user's clients of that ID |
    /// | 2 | its own | default | the same |
    /// | 3 | its own | - | the user's clients |
    /// | 4 | default | its own | the user's clients of that ID |
    /// | 5 | default | default | the same |
    /// | 6 | default | - | the user's clients |
    /// | 7 | - | its own | all clients of that ID |
    /// | 8 | - | default | the same |
    func limit(
        _ kind: QuotaKind, user: String, clientID: String
    ) -> (perSecond: Double, scope: QuotaScope)? {
        guard has(kind) else { return nil }
        func value(_ entity: ClientQuotaEntity) -> Double? { image[entity][kind.rawValue] }
        func only(_ type: String, _ name: String?) -> ClientQuotaEntity {
            ClientQuotaEntity([ClientQuotaEntity.Part(type: type, name: name)])
        }
        for name in [user, nil] {
            for id in [clientID, nil] {
                if let found = value(ClientQuotaEntity(user: name, clientID: id)) {
                    return (found, QuotaScope(user: user, clientID: clientID))
                }
            }
            if let found = value(only(ClientQuotaEntity.user, name)) {
                return (found, QuotaScope(user: user, clientID: nil))
            }
        }
        for id in [clientID, nil] {
            if let found = value(only(ClientQuotaEntity.clientID, id)) {
                return (found, QuotaScope(user: nil, clientID: clientID))
            }
        }
        return nil
    }
}
