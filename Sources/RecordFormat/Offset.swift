/// The place of a record in a partition: 0, 1, 2, ... without regard to bytes.
public struct Offset: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: Int64

    @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }
    @inlinable public init(_ value: Int64) { rawValue = value }

    public static let zero = Offset(0)

    @inlinable public static func < (left: Offset, right: Offset) -> Bool { left.rawValue < right.rawValue }
    @inlinable public static func + (left: Offset, right: Int64) -> Offset { Offset(left.rawValue + right) }
    @inlinable public static func - (left: Offset, right: Int64) -> Offset { Offset(left.rawValue - right) }
    /// The number of offsets from `right` up to, not including, `left`.
    @inlinable public static func - (left: Offset, right: Offset) -> Int64 { left.rawValue - right.rawValue }

    public var description: String { String(rawValue) }
}
