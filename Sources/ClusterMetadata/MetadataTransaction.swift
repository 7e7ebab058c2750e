/// Keeps back the records of a transaction of the metadata log until it ends (KIP-868), so that an image
/// holds all of them or none.
public struct MetadataTransaction: Sendable {
    private var held: [MetadataRecord]?

    public init() {}

    /// Whether a transaction has begun and not ended.
    public var isOpen: Bool { held != nil }

    /// Takes the next record of the log.
    /// - Returns: the records to be applied now.
    public mutating func take(_ record: MetadataRecord) -> [MetadataRecord] {
        switch record {
        case .beginTransaction:
            held = []
            return []
        case .endTransaction:
            defer { held = nil }
            return held ?? []
        case .abortTransaction:
            held = nil
            return []
        default:
            guard held != nil else { return [record] }
            held?.append(record)
            return []
        }
    }
}
