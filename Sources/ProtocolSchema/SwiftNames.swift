/// How Kafka's names are written in Swift: whole words instead of most abbreviations, and ID, API, ACL in
/// capitals.
enum SwiftNames {
    private static let words: [String: String] = [
        "Id": "ID", "Ids": "IDs", "Api": "API", "Apis": "APIs", "Acl": "ACL", "Acls": "ACLs",
        "Ms": "Milliseconds", "Isr": "InSyncReplicas", "Elr": "EligibleLeaderReplicas",
    ]

    private static let keywords: Set<String> = [
        "default", "internal", "operator", "protocol", "public", "self", "static", "struct", "switch",
        "where",
        "in", "is", "as", "init", "extension", "import", "return", "throws", "true", "false", "nil", "repeat",
    ]

    /// `TopicId` becomes `["Topic", "ID"]`.
    private static func split(_ name: String) -> [String] {
        var parts: [String] = []
        for character in name {
            if character.isUppercase || parts.isEmpty {
                parts.append(String(character))
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        return parts
    }

    /// Of a type: `ApiVersionsRequest` becomes `APIVersionsRequest`, `TopicInfo` `TopicDescription`.
    static func type(_ name: String) -> String {
        split(name).map { $0 == "Info" ? "Description" : words[$0] ?? $0 }.joined()
    }

    /// Of a property: `topicId` becomes `topicID`, `isr` `inSyncReplicas`.
    static func property(_ name: String) -> String {
        let parts = split(name)
        guard let first = parts.first else { return name }
        let capital = first.prefix(1).uppercased() + first.dropFirst()
        let known = words[capital] ?? capital
        let start =
            known.dropFirst().contains { $0.isLowercase } && known != "IDs" && known != "APIs"
            ? known.prefix(1).lowercased() + known.dropFirst() : known.lowercased()
        return start + parts.dropFirst().map { words[$0] ?? $0 }.joined()
    }

    /// A property where a keyword would not do.
    static func escaped(_ property: String) -> String {
        keywords.contains(property) ? "`\(property)`" : property
    }
}
