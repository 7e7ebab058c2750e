internal import KafkaProtocol

/// What the members of a group read.
enum SubscribedTopics {
    case these(Set<String>)
    /// A member has said it in a way that nobody but members understands.
    case unknown

    func contains(_ topic: String) -> Bool {
        switch self {
        case .these(let topics): topics.contains(topic)
        case .unknown: true
        }
    }
}

extension ClassicGroup {
    /// The topics that any member has subscribed to.
    var subscribedTopics: SubscribedTopics {
        if members.isEmpty { return .these([]) }
        var topics: Set<String> = []
        for member in members.all {
            // Between two generations, the protocol that the member likes best says the same.
            let metadata = protocolName.map(member.metadata) ?? member.protocols.first?.metadata ?? []
            guard let own = Self.topics(metadata) else { return .unknown }
            topics.formUnion(own)
        }
        return .these(topics)
    }

    private static func topics(_ metadata: [UInt8]) -> [String]? {
        let bytes = metadata.span.bytes
        guard let version = try? MessageReader.leadingVersion(of: bytes)
        else { return nil }
        return try? ConsumerProtocolSubscription(
            decoding: bytes, version: version, from: MemoryLayout<Int16>.size
        ).topics
    }
}
