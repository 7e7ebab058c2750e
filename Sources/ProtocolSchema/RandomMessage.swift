internal import Base

/// Writes random messages as bytes, straight from a schema: a second, slow and obvious encoder for tests and
/// fuzzers, which shares nothing with the generated one.
public struct RandomMessage {
    private var generator: SeededGenerator
    /// Whether values keep within what kio can hold: known error codes, times that fit a calendar.
    public var isTame = false
    /// Whether structures get tagged fields that no schema knows.
    public var hasUnknownTags = false

    public init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    /// The fields of a random message, without a header.
    public mutating func bytes(of message: MessageSchema, version: Int) -> [UInt8] {
        structure(message.structures[0], message, version, depth: 0)
    }

    private mutating func below(_ bound: Int) -> Int { Int(generator.next() % UInt64(bound)) }

    // MARK: - Structures

    private mutating func structure(
        _ structure: Structure, _ message: MessageSchema, _ version: Int, depth: Int
    ) -> [UInt8] {
        var result: [UInt8] = []
        let present = structure.fields.filter { $0.versions.contains(version) }
        for field in present where field.tag == nil { result += value(of: field, message, version, depth) }
        if message.isFlexible(version) { result += tags(present, message, version, depth) }
        return result
    }

    private mutating func tags(
        _ fields: [Field], _ message: MessageSchema, _ version: Int, _ depth: Int
    ) -> [UInt8] {
        var values: [(tag: Int, bytes: [UInt8])] = []
        for field in fields {
            guard let tag = field.tag, generator.chance(2, in: 3) else { continue }
            let bytes = value(of: field, message, version, depth)
            // What has its default is left out.
            if bytes != Self.defaultBytes(of: field, message, version) { values.append((tag, bytes)) }
        }
        if hasUnknownTags && generator.chance(1, in: 3) {
            let taken = Set(fields.compactMap(\.tag))
            for tag in [11, 500, 2_000_000_000] where !taken.contains(tag) && generator.chance(1, in: 2) {
                values.append((tag, (0..<below(3)).map { UInt8($0) }))
            }
        }
        values.sort { $0.tag < $1.tag }
        return Self.varint(values.count)
            + values.flatMap { Self.varint($0.tag) + Self.varint($0.bytes.count) + $0.bytes }
    }

    // MARK: - Values

    private mutating func value(
        of field: Field, _ message: MessageSchema, _ version: Int, _ depth: Int
    ) -> [UInt8] {
        let isFlexible = message.isFlexible(version)
        let mayBeNull = field.nullable?.contains(version) ?? false
        if mayBeNull && generator.chance(1, in: 5) { return Self.null(field.type, isFlexible) }
        switch field.type {
        case .array(let element):
            let count = below(depth < 3 ? 4 : 2)
            return Self.length(count, .bytes, isFlexible)
                + (0..<count).flatMap { _ in scalar(element, field, message, version, depth) }
        case .structure:
            return (mayBeNull ? [1] : []) + scalar(field.type, field, message, version, depth)
        default: return scalar(field.type, field, message, version, depth)
        }
    }

    private mutating func scalar(
        _ type: FieldType, _ field: Field, _ message: MessageSchema, _ version: Int, _ depth: Int
    ) -> [UInt8] {
        let isFlexible = message.isFlexible(version)
        switch type {
        case .bool: return [UInt8(below(2))]
        case .int8: return integer(1)
        case .int16:
            if field.meaning == .errorCode && isTame { return Self.big(UInt64(below(134)), 2) }
            return integer(2)
        case .int32: return integer(4)
        case .int64: return isTame ? Self.big(generator.next() >> UInt64(24 + below(40)), 8) : integer(8)
        case .uint16: return integer(2)
        case .float64: return Self.big(Double(below(1000)).bitPattern, 8)
        case .uuid:
            return generator.chance(1, in: 4) ? [UInt8](repeating: 0, count: 16) : integer(8) + integer(8)
        case .string:
            let text = Array(text().utf8)
            return Self.length(text.count, .string, isFlexible) + text
        case .bytes, .records:
            let count = [0, 1, 20, 200][below(4)]
            return Self.length(count, type, isFlexible)
                + (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        case .structure(let name):
            guard let inner = message.structure(name) else { return [] }
            return structure(inner, message, version, depth: depth + 1)
        case .array: return []
        }
    }

    private mutating func integer(_ byteCount: Int) -> [UInt8] {
        let values: [UInt64] = [
            0, 1, .max, 1 << UInt64(8 * byteCount - 1), generator.next(), generator.next(),
        ]
        return Self.big(values[below(values.count)], byteCount)
    }

    private mutating func text() -> String {
        let count = [0, 1, 5, 130][below(4)]
        return String((0..<count).map { _ in Array("abcXYZ._-é中🙂")[below(12)] })
    }

    // MARK: - Parts

    static func big(_ value: UInt64, _ byteCount: Int) -> [UInt8] {
        (0..<byteCount).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (byteCount - 1 - $0))) }
    }

    static func varint(_ value: Int) -> [UInt8] {
        value < 128 ? [UInt8(value)] : [UInt8(value & 127) | 128] + varint(value >> 7)
    }

    private static func length(_ count: Int, _ type: FieldType, _ isFlexible: Bool) -> [UInt8] {
        if isFlexible { return varint(count + 1) }
        return big(UInt64(bitPattern: Int64(count)), type == .string ? 2 : 4)
    }

    private static func null(_ type: FieldType, _ isFlexible: Bool) -> [UInt8] {
        if case .structure = type { return [0xFF] }
        return isFlexible ? [0] : length(-1, type, false)
    }

    /// The bytes of a field at its default.
    static func defaultBytes(of field: Field, _ message: MessageSchema, _ version: Int) -> [UInt8] {
        let isFlexible = message.isFlexible(version)
        if field.defaultText == "null" { return null(field.type, isFlexible) }
        let number = field.defaultText.flatMap { Int64($0) }.map { UInt64(bitPattern: $0) } ?? 0
        switch field.type {
        case .bool: return [field.defaultText == "true" ? 1 : 0]
        case .int8: return big(number, 1)
        case .int16, .uint16: return big(number, 2)
        case .int32: return big(number, 4)
        case .int64: return big(number, 8)
        case .float64: return big(0, 8)
        case .uuid: return big(0, 16)
        case .string:
            let text = Array((field.defaultText ?? "").utf8)
            return length(text.count, .string, isFlexible) + text
        case .bytes, .records, .array: return length(0, field.type, isFlexible)
        case .structure(let name):
            let inner = message.structure(name)?.fields.filter { $0.versions.contains(version) } ?? []
            let presence: [UInt8] = field.nullable?.contains(version) ?? false ? [1] : []
            return presence
                + inner.filter { $0.tag == nil }.flatMap { defaultBytes(of: $0, message, version) }
                + (isFlexible ? [0] : [])
        }
    }
}
