internal import KafkaProtocol
internal import RecordFormat

/// Who may do what, and how they prove who they are: kept for the broker's security, and so that no snapshot
/// loses it.
public struct CredentialsImage: Equatable, Sendable {
    var accessControlEntries: [UniqueID: AccessControlEntryRecord] = [:]
    var delegationTokens: [String: DelegationTokenRecord] = [:]
    var scramCredentials: [ScramName: UserScramCredentialRecord] = [:]

    struct ScramName: Hashable {
        let user: String
        let mechanism: Int8
    }

    public var isEmpty: Bool {
        accessControlEntries.isEmpty && delegationTokens.isEmpty && scramCredentials.isEmpty
    }

    mutating func set(_ record: UserScramCredentialRecord) {
        scramCredentials[ScramName(user: record.name, mechanism: record.mechanism)] = record
    }

    mutating func remove(_ record: RemoveUserScramCredentialRecord) {
        scramCredentials[ScramName(user: record.name, mechanism: record.mechanism)] = nil
    }

    /// The records that make this image, in a fixed order.
    func appendRecords(to records: inout [MetadataRecord]) {
        records += scramCredentials.values.sorted { ($0.name, $0.mechanism) < ($1.name, $1.mechanism) }
            .map { .userScramCredential($0) }
        records += delegationTokens.values.sorted { $0.tokenID < $1.tokenID }.map { .delegationToken($0) }
        records += accessControlEntries.values.sorted { $0.id < $1.id }.map { .accessControlEntry($0) }
    }
}
