/// Bytes that may stand at a place.
struct ByteSet: Hashable, Sendable {
    private var words: SIMD4<UInt64> = .zero

    static let all = ByteSet(0...255)
    static let digits = ByteSet(UInt8(ascii: "0")...UInt8(ascii: "9"))
    static let lower = ByteSet(UInt8(ascii: "a")...UInt8(ascii: "z"))
    static let upper = ByteSet(UInt8(ascii: "A")...UInt8(ascii: "Z"))
    static let letters = lower.union(upper)
    static let word = letters.union(digits).union(ByteSet(UInt8(ascii: "_")))
    /// Space, tab, line feed, form feed, carriage return: what Perl means by it.
    static let space = ByteSet([9, 10, 12, 13, 32])
    static let newline = ByteSet(10)

    init() {}

    init(_ byte: UInt8) { insert(byte) }

    init(_ range: ClosedRange<UInt8>) { for byte in range { insert(byte) } }

    init(_ bytes: some Sequence<UInt8>) { for byte in bytes { insert(byte) } }

    func contains(_ byte: UInt8) -> Bool { words[Int(byte >> 6)] >> UInt64(byte & 63) & 1 == 1 }

    mutating func insert(_ byte: UInt8) { words[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }

    func union(_ other: ByteSet) -> ByteSet {
        var result = self
        result.words |= other.words
        return result
    }

    var inverted: ByteSet {
        var result = self
        result.words = ~words
        return result
    }

    /// With the other case of each letter.
    var foldingCase: ByteSet {
        var result = self
        for byte in UInt8(ascii: "a")...UInt8(ascii: "z") {
            if contains(byte) { result.insert(byte - 32) }
            if contains(byte - 32) { result.insert(byte) }
        }
        return result
    }
}

/// A regular expression, taken apart.
indirect enum PatternNode: Equatable, Sendable {
    case byte(ByteSet)
    case sequence([PatternNode])
    case choice([PatternNode])
    /// Nil: as often as there are.
    case repetition(PatternNode, least: Int, most: Int?)
    case begin
    case end

    static let nothing = PatternNode.sequence([])
}

/// Why an expression is none, or none that is served.
public enum PatternError: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLong(byteCount: Int, limit: Int)
    case tooDeep
    case tooLarge
    case tooCostly
    case unexpectedEnd
    case unmatchedParenthesis
    case nothingToRepeat(String)
    case badRepetition(String)
    case badRange(String)
    case unsupported(String)

    public var description: String {
        switch self {
        case .tooLong(let count, let limit): "it has \(count) bytes, more than \(limit)"
        case .tooDeep: "its groups are too deep in each other"
        case .tooLarge: "its repetitions make it too large"
        case .tooCostly: "it takes too long to match"
        case .unexpectedEnd: "it ends where more should follow"
        case .unmatchedParenthesis: "a parenthesis has no counterpart"
        case .nothingToRepeat(let operation): "there is nothing that \(operation) could repeat"
        case .badRepetition(let text): "the repetition \(text) is not allowed"
        case .badRange(let text): "the range \(text) is not allowed"
        case .unsupported(let text): "\(text) is not supported"
        }
    }
}
