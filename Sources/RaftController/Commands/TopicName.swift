internal import ClusterMetadata
internal import KafkaProtocol
internal import LogStorage

/// Kafka's rules for the names of topics.
enum TopicName {
    static let maximumByteCount = 249

    /// What is wrong with a name for a new topic; nil when it is good.
    static func problem(_ name: String) -> String? {
        if LogLayout.isValidTopic(name) { return nil }
        if name.isEmpty { return "a topic's name may not be empty" }
        if name == "." || name == ".." { return "a topic may not be named \(name)" }
        if name.utf8.count > maximumByteCount {
            return "a topic's name may have at most \(maximumByteCount) characters, this one has "
                + "\(name.utf8.count)"
        }
        return "topic name \(quoted(name)) has a character that is none of a-z, A-Z, 0-9, '.', '_' and '-'"
    }

    /// Untrusted text for messages: as it is where it is printable ASCII.
    static func quoted(_ name: String) -> String {
        let text = name.unicodeScalars.prefix(maximumByteCount).map { scalar in
            scalar.value >= 0x20 && scalar.value < 0x7F ? String(scalar) : "?"
        }
        return "\"\(text.joined())\""
    }
}
