/// Names a topic for as long as it exists (KIP-516); a topic created again under the same name has another
/// one.
public struct TopicID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UniqueID

    @inlinable public init(rawValue: UniqueID) { self.rawValue = rawValue }
    @inlinable public init(_ value: UniqueID) { rawValue = value }

    /// Nil unless `text` is 22 characters of base64url with the spare bits zero.
    public init?(_ text: some StringProtocol) {
        guard let value = UniqueID(text) else { return nil }
        rawValue = value
    }

    /// No topic.
    public static let none = TopicID(.zero)
    /// `__cluster_metadata` has had this one since before there were topic IDs.
    public static let clusterMetadata = TopicID(UniqueID(high: 0, low: 1))

    /// Whether no ordinary topic may have it.
    public var isReserved: Bool { self == .none || self == .clusterMetadata }

    public static func < (left: TopicID, right: TopicID) -> Bool { left.rawValue < right.rawValue }

    public var description: String { rawValue.description }
}
