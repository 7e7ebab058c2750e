/// Names a log directory for as long as it exists, wherever it is mounted (KIP-858).
public struct DirectoryID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UniqueID

    @inlinable public init(rawValue: UniqueID) { self.rawValue = rawValue }
    @inlinable public init(_ value: UniqueID) { rawValue = value }

    /// Nil unless `text` is 22 characters of base64url with the spare bits zero.
    public init?(_ text: some StringProtocol) {
        guard let value = UniqueID(text) else { return nil }
        rawValue = value
    }

    /// Not assigned to a directory yet.
    public static let unassigned = DirectoryID(.zero)
    /// In a directory that is offline.
    public static let lost = DirectoryID(UniqueID(high: 0, low: 1))

    static let reservedCount: UInt64 = 100

    /// Whether it means something special: no directory may have it.
    public var isReserved: Bool { rawValue.high == 0 && rawValue.low < Self.reservedCount }

    public var description: String { rawValue.description }
}
