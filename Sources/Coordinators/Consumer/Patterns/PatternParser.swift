/// Reads regular expressions in the syntax of RE2, as far as names of topics need it:
///
///     xy x|y x* x+ x? x{n,m}   with ? behind a repetition, which changes nothing here
///     (x) (?:x) (?<name>x) (?P<name>x) (?i) (?i:x)      flags i m s U
///     . [a-z] [^a-z] [[:alpha:]] \d \w \s \D \W \S
///     ^ $ \A \z
///     \. and other punctuation, \a \f \n \r \t \v, \x41, \x{41}, \Q...\E
///
/// What would take more than linear time (backward references, looking around) is no part of that syntax.
/// Word boundaries and Unicode's classes are refused, as no name of a topic needs them.
struct PatternParser {
    private struct Flags {
        var foldsCase = false
        var dotIsAll = false
    }

    private let text: [UInt8]
    private var place = 0
    private var flags = Flags()
    private var depth = 0

    static let byteLimit = 4_096
    private static let depthLimit = 100
    /// RE2's.
    private static let repetitionLimit = 1_000

    static func parse(_ pattern: String) throws(PatternError) -> PatternNode {
        let bytes = Array(pattern.utf8)
        guard bytes.count <= byteLimit else { throw .tooLong(byteCount: bytes.count, limit: byteLimit) }
        var parser = PatternParser(text: bytes)
        let node = try parser.choice()
        if parser.place < bytes.count { throw .unmatchedParenthesis }
        return node
    }

    private init(text: [UInt8]) { self.text = text }

    // MARK: Reading

    private var next: UInt8? { place < text.count ? text[place] : nil }

    private mutating func take() throws(PatternError) -> UInt8 {
        guard let byte = next else { throw .unexpectedEnd }
        place += 1
        return byte
    }

    private mutating func take(_ expected: StaticString) -> Bool {
        let bytes = Array("\(expected)".utf8)
        guard text[place...].starts(with: bytes) else { return false }
        place += bytes.count
        return true
    }

    private func quote(from start: Int) -> String { String(decoding: text[start..<place], as: UTF8.self) }

    // MARK: Structure

    private mutating func choice() throws(PatternError) -> PatternNode {
        depth += 1
        if depth > Self.depthLimit { throw .tooDeep }
        defer { depth -= 1 }
        var branches = [try sequence()]
        while take("|") { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .choice(branches)
    }

    private mutating func sequence() throws(PatternError) -> PatternNode {
        var nodes: [PatternNode] = []
        while let byte = next, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
            if take("\\Q") {
                quoted(&nodes)
                // What follows repeats the last character.
                if let last = nodes.popLast() { nodes.append(try repeated(last)) }
                continue
            }
            let atom = try atom()
            nodes.append(try repeated(atom))
        }
        return nodes.count == 1 ? nodes[0] : .sequence(nodes)
    }

    /// Up to \E everything is what it is.
    private mutating func quoted(_ nodes: inout [PatternNode]) {
        while place < text.count && !take("\\E") {
            nodes.append(literal(text[place]))
            place += 1
        }
    }

    private func literal(_ byte: UInt8) -> PatternNode {
        .byte(flags.foldsCase ? ByteSet(byte).foldingCase : ByteSet(byte))
    }

    private mutating func atom() throws(PatternError) -> PatternNode {
        let start = place
        let byte = try take()
        switch byte {
        case UInt8(ascii: "("): return try group()
        case UInt8(ascii: "["): return try bracket()
        case UInt8(ascii: "."): return .byte(flags.dotIsAll ? .all : ByteSet.newline.inverted)
        case UInt8(ascii: "^"): return .begin
        case UInt8(ascii: "$"): return .end
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"):
            throw .nothingToRepeat(quote(from: start))
        case UInt8(ascii: "\\"): return try escape()
        default:
            // A character of several bytes is repeated as a whole.
            var nodes = [literal(byte)]
            while byte >= 0xC0, let more = next, more & 0xC0 == 0x80 {
                nodes.append(literal(more))
                place += 1
            }
            return nodes.count == 1 ? nodes[0] : .sequence(nodes)
        }
    }

    // MARK: Repetition

    private mutating func repeated(_ atom: PatternNode) throws(PatternError) -> PatternNode {
        let start = place
        let bounds: (Int, Int?)
        if take("*") {
            bounds = (0, nil)
        } else if take("+") {
            bounds = (1, nil)
        } else if take("?") {
            bounds = (0, 1)
        } else if let counted = counts() {
            bounds = counted
        } else {
            return atom
        }
        _ = take("?")
        let (least, most) = bounds
        guard least <= Self.repetitionLimit, most.map({ $0 <= Self.repetitionLimit && $0 >= least }) ?? true
        else { throw .badRepetition(quote(from: start)) }
        // One behind another means something else in other syntaxes.
        let end = place
        if take("*") || take("+") || take("?") || counts() != nil { throw .badRepetition(quote(from: start)) }
        place = end
        return .repetition(atom, least: least, most: most)
    }

    /// {n}, {n,} or {n,m}; what looks otherwise is an ordinary brace.
    private mutating func counts() -> (Int, Int?)? {
        let start = place
        guard take("{"), let least = number() else {
            place = start
            return nil
        }
        if take("}") { return (least, least) }
        guard take(",") else {
            place = start
            return nil
        }
        if take("}") { return (least, nil) }
        guard let most = number(), take("}") else {
            place = start
            return nil
        }
        return (least, most)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let byte = next, ByteSet.digits.contains(byte) {
            value = min((value ?? 0) * 10 + Int(byte - UInt8(ascii: "0")), Self.repetitionLimit + 1)
            place += 1
        }
        return value
    }

    // MARK: Groups

    private mutating func group() throws(PatternError) -> PatternNode {
        let outer = flags
        if take("?") {
            if take("P<") || take("<") {
                try groupName()
            } else if try readFlags() {
                // The flags hold for the rest of the group that they stand in.
                return .nothing
            }
        }
        let node = try choice()
        guard take(")") else { throw next == nil ? .unmatchedParenthesis : .unexpectedEnd }
        flags = outer
        return node
    }

    private mutating func groupName() throws(PatternError) {
        let start = place
        while let byte = next, ByteSet.word.contains(byte) { place += 1 }
        guard place > start, take(">") else {
            if next != nil { place += 1 }
            throw .unsupported("(?<" + quote(from: start))
        }
    }

    /// - Returns: whether that was all, and no group follows.
    private mutating func readFlags() throws(PatternError) -> Bool {
        let start = place
        var isOn = true
        while true {
            switch try take() {
            case UInt8(ascii: "i"): flags.foldsCase = isOn
            case UInt8(ascii: "s"): flags.dotIsAll = isOn
            // Lines there are none, and who is greedy does not matter.
            case UInt8(ascii: "m"), UInt8(ascii: "U"): break
            case UInt8(ascii: "-") where isOn: isOn = false
            case UInt8(ascii: ":"): return false
            case UInt8(ascii: ")") where place - start > 1: return true
            default: throw .unsupported("(?" + quote(from: start))
            }
        }
    }
}

// MARK: - Characters

extension PatternParser {
    private mutating func escape() throws(PatternError) -> PatternNode {
        let start = place - 1
        let byte = try take()
        switch byte {
        case UInt8(ascii: "A"): return .begin
        case UInt8(ascii: "z"): return .end
        default:
            if let known = Self.perlClass(byte) { return .byte(known) }
            guard let value = try escaped(byte) else { throw .unsupported(quote(from: start)) }
            return literal(value)
        }
    }

    private static func perlClass(_ byte: UInt8) -> ByteSet? {
        switch byte {
        case UInt8(ascii: "d"): .digits
        case UInt8(ascii: "D"): ByteSet.digits.inverted
        case UInt8(ascii: "w"): .word
        case UInt8(ascii: "W"): ByteSet.word.inverted
        case UInt8(ascii: "s"): .space
        case UInt8(ascii: "S"): ByteSet.space.inverted
        default: nil
        }
    }

    /// The byte that stands behind a backslash; nil for what is no single one.
    private mutating func escaped(_ byte: UInt8) throws(PatternError) -> UInt8? {
        switch byte {
        case UInt8(ascii: "a"): return 7
        case UInt8(ascii: "t"): return 9
        case UInt8(ascii: "n"): return 10
        case UInt8(ascii: "v"): return 11
        case UInt8(ascii: "f"): return 12
        case UInt8(ascii: "r"): return 13
        case UInt8(ascii: "x"): return try hexadecimal()
        default:
            // Punctuation only: letters and digits may come to mean something.
            return byte < 0x80 && !ByteSet.word.contains(byte) || byte == UInt8(ascii: "_") ? byte : nil
        }
    }

    private mutating func hexadecimal() throws(PatternError) -> UInt8? {
        let isBraced = take("{")
        var value = 0
        var count = 0
        while let byte = next, let digit = Character(UnicodeScalar(byte)).hexDigitValue,
            count < (isBraced ? 6 : 2)
        {
            value = value << 4 | digit
            count += 1
            place += 1
        }
        if isBraced && !take("}") { return nil }
        // Beyond ASCII there is no name that it could match.
        return count > 0 && (isBraced || count == 2) && value < 0x80 ? UInt8(value) : nil
    }

    /// What is in brackets.
    private mutating func bracket() throws(PatternError) -> PatternNode {
        let start = place - 1
        let isInverted = take("^")
        var set = ByteSet()
        var isFirst = true
        while isFirst || next != UInt8(ascii: "]") {
            isFirst = false
            if take("[:") {
                set = set.union(try namedClass())
                continue
            }
            if next == UInt8(ascii: "\\"), place + 1 < text.count, let known = Self.perlClass(text[place + 1])
            {
                place += 2
                set = set.union(known)
                continue
            }
            let low = try bracketByte(start)
            let isRange =
                next == UInt8(ascii: "-") && place + 1 < text.count && text[place + 1] != UInt8(ascii: "]")
            guard isRange else {
                set.insert(low)
                continue
            }
            place += 1
            let high = try bracketByte(start)
            guard low <= high else { throw .badRange(quote(from: start)) }
            set = set.union(ByteSet(low...high))
        }
        place += 1
        if flags.foldsCase { set = set.foldingCase }
        return .byte(isInverted ? set.inverted : set)
    }

    private mutating func bracketByte(_ start: Int) throws(PatternError) -> UInt8 {
        let byte = try take()
        guard byte == UInt8(ascii: "\\") else { return byte }
        guard let value = try escaped(try take()) else { throw .unsupported(quote(from: start)) }
        return value
    }

    private mutating func namedClass() throws(PatternError) -> ByteSet {
        let start = place
        let isInverted = take("^")
        let name = place
        while let byte = next, ByteSet.letters.contains(byte) { place += 1 }
        let found = Self.namedClasses[quote(from: name)]
        guard let found, take(":]") else { throw .unsupported("[:" + quote(from: start)) }
        return isInverted ? found.inverted : found
    }

    private static let graphical = ByteSet(33...126)

    private static let namedClasses: [String: ByteSet] = [
        "alnum": ByteSet.letters.union(.digits), "alpha": .letters, "ascii": ByteSet(0...127),
        "blank": ByteSet([9, 32]), "cntrl": ByteSet(0...31).union(ByteSet(127)), "digit": .digits,
        "graph": graphical, "lower": .lower, "print": ByteSet(32...126),
        "punct": ByteSet((UInt8(33)...126).filter { !ByteSet.letters.union(.digits).contains($0) }),
        "space": ByteSet(9...13).union(ByteSet(32)), "upper": .upper, "word": .word,
        "xdigit": ByteSet.digits.union(ByteSet("abcdefABCDEF".utf8)),
    ]
}
