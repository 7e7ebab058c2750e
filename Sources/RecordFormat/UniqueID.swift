/// 128 bits that name something, mostly random. Kafka's Uuid: written as 22 characters of base64url (RFC
/// 4648, section 5) without padding, kept as 16 bytes, big endian.
public struct UniqueID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Size as bytes: 16.
    public static let byteCount = 16
    /// Length as text: 22.
    public static let characterCount = 22

    public let high: UInt64
    public let low: UInt64

    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public static let zero = UniqueID(high: 0, low: 0)

    public static func < (left: UniqueID, right: UniqueID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    /// Six bits a character, the highest first; the last character has four bits to spare, which are zero.
    public var description: String {
        var text: [UInt8] = []
        text.reserveCapacity(Self.characterCount)
        for index in 0..<Self.characterCount {
            text.append(Self.character(UInt8(truncatingIfNeeded: sixBits(index))))
        }
        return String(decoding: text, as: UTF8.self)
    }

    private func sixBits(_ index: Int) -> UInt64 {
        let shift = 128 - 6 * (index + 1)
        switch shift {
        case 64...: return high >> UInt64(shift - 64) & 0x3F
        case 0..<64: return (low >> UInt64(shift) | (shift > 58 ? high << UInt64(64 - shift) : 0)) & 0x3F
        default: return low << UInt64(-shift) & 0x3F
        }
    }

    /// Nil unless `text` is what `description` makes of an ID: 22 characters, spare bits zero.
    public init?(_ text: some StringProtocol) { self.init(base64: text.utf8) }

    /// As `init(_:)`, from ASCII.
    public init?(base64 bytes: some Collection<UInt8>) {
        guard bytes.count == Self.characterCount else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        var used = 0
        for byte in bytes {
            guard let value = Self.value(byte) else { return nil }
            let width = min(6, 128 - used)
            let bits = UInt64(value) >> UInt64(6 - width)
            if width < 6 && UInt64(value) != bits << UInt64(6 - width) { return nil }
            high = high << UInt64(width) | low >> UInt64(64 - width)
            low = low << UInt64(width) | bits
            used += width
        }
        self.init(high: high, low: low)
    }

    private static func character(_ value: UInt8) -> UInt8 {
        switch value {
        case 0..<26: UInt8(ascii: "A") + value
        case 26..<52: UInt8(ascii: "a") + (value - 26)
        case 52..<62: UInt8(ascii: "0") + (value - 52)
        case 62: UInt8(ascii: "-")
        default: UInt8(ascii: "_")
        }
    }

    private static func value(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
