// Text of the kind that Java's Properties class reads and writes, one `key=value` a line:
//
//   - lines end with LF, CR or CR LF; a line that ends with an odd number of backslashes goes on in the next
//     one, whose leading white space does not count
//   - a line that begins with `#` or `!`, after white space, is a comment; an empty one means nothing
//   - the key ends at the first `=`, `:` or white space without a backslash before it; white space around the
//     separator does not count
//   - \t \n \r \f and \uXXXX (a UTF-16 unit) stand for what they name, a backslash before any other character
//     for it
//   - bytes are ISO 8859-1
//
// Stricter than Java: a key may not occur twice, and \u must be followed by four digits that make up whole
// characters.

/// What a properties file has that cannot be taken.
public struct JavaPropertiesError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Counted from 1: where the property begins.
    public let line: Int
    /// What was found.
    public let reason: String

    public var description: String { "line \(line): \(reason)" }
}

/// The lines of a properties file, in their order.
public struct JavaProperties: Hashable, Sendable {
    private enum Line: Hashable, Sendable {
        /// A comment or an empty line, as it stands.
        case other([UInt8])
        case property(key: String, value: String)
    }

    private var lines: [Line] = []

    public init() {}

    /// The keys in the order of the file.
    public var keys: [String] { entries.map(\.key) }

    /// Keys and values in the order of the file; no key occurs twice.
    public var entries: [(key: String, value: String)] {
        lines.compactMap { line in
            if case .property(let key, let value) = line { return (key, value) }
            return nil
        }
    }

    /// Setting replaces the value where the key stands, or adds a line at the end; setting nil removes the
    /// line.
    public subscript(key: String) -> String? {
        get {
            for case .property(key, let value) in lines { return value }
            return nil
        }
        set {
            let place = lines.firstIndex { line in
                if case .property(key, _) = line { return true }
                return false
            }
            switch (place, newValue) {
            case (let place?, let value?): lines[place] = .property(key: key, value: value)
            case (let place?, nil): lines.remove(at: place)
            case (nil, let value?): lines.append(.property(key: key, value: value))
            case (nil, nil): break
            }
        }
    }

    /// Adds a comment; `text` may have no line ends and only ASCII characters.
    public mutating func addComment(_ text: String) { lines.append(.other(Array("#\(text)".utf8))) }

    public init(parsing bytes: [UInt8]) throws(JavaPropertiesError) {
        var seen: Set<String> = []
        var rest = bytes[...]
        var number = 0
        while !rest.isEmpty {
            let first = number + 1
            var line = Self.takeLine(&rest, &number)
            let content = line.drop(while: Self.isSpace)
            if content.isEmpty || content.first == UInt8(ascii: "#") || content.first == UInt8(ascii: "!") {
                lines.append(.other(Array(line)))
                continue
            }
            var logical = Array(content)
            while Self.endsWithOpenBackslash(logical) {
                logical.removeLast()
                guard !rest.isEmpty else { break }
                line = Self.takeLine(&rest, &number)
                logical += line.drop(while: Self.isSpace)
            }
            guard let (key, value) = Self.property(logical) else {
                throw JavaPropertiesError(
                    line: first, reason: "\(quotedText(logical[...])) has a bad \\u escape")
            }
            guard seen.insert(key).inserted else {
                throw JavaPropertiesError(
                    line: first, reason: "\(quotedText(Array(key.utf8)[...])) is set a second time")
            }
            lines.append(.property(key: key, value: value))
        }
    }

    /// The content of a file that says the same.
    public func encoded() -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(256)
        for line in lines {
            switch line {
            case .other(let bytes): text += bytes
            case .property(let key, let value):
                Self.escape(key, isKey: true, into: &text)
                text.append(UInt8(ascii: "="))
                Self.escape(value, isKey: false, into: &text)
            }
            text.append(UInt8(ascii: "\n"))
        }
        return text
    }

    private static func takeLine(_ rest: inout ArraySlice<UInt8>, _ number: inout Int) -> ArraySlice<UInt8> {
        number += 1
        let end = rest.firstIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") } ?? rest.endIndex
        let line = rest[rest.startIndex..<end]
        rest = rest[end...]
        if let terminator = rest.popFirst(), terminator == UInt8(ascii: "\r"),
            rest.first == UInt8(ascii: "\n")
        {
            rest = rest.dropFirst()
        }
        return line
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0C }

    private static func endsWithOpenBackslash(_ line: [UInt8]) -> Bool {
        line.reversed().prefix { $0 == UInt8(ascii: "\\") }.count % 2 == 1
    }

    /// Takes a line apart; nil for a bad escape.
    private static func property(_ line: [UInt8]) -> (String, String)? {
        var end = 0
        while end < line.count && !isSpace(line[end]) && !isSeparator(line[end]) {
            end += line[end] == UInt8(ascii: "\\") ? 2 : 1
        }
        end = min(end, line.count)
        var rest = line[end...].drop(while: isSpace)
        if let first = rest.first, isSeparator(first) { rest = rest.dropFirst().drop(while: isSpace) }
        guard let key = unescaped(line[..<end]), let value = unescaped(rest) else { return nil }
        return (key, value)
    }

    private static func isSeparator(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "=") || byte == UInt8(ascii: ":")
    }

    private static func unescaped(_ bytes: ArraySlice<UInt8>) -> String? {
        var units: [UInt16] = []
        units.reserveCapacity(bytes.count)
        var rest = bytes
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() else {
                units.append(UInt16(byte))
                continue
            }
            switch escaped {
            case UInt8(ascii: "t"): units.append(0x09)
            case UInt8(ascii: "n"): units.append(0x0A)
            case UInt8(ascii: "r"): units.append(0x0D)
            case UInt8(ascii: "f"): units.append(0x0C)
            case UInt8(ascii: "u"):
                let digits = rest.prefix(4)
                guard digits.count == 4, let unit = hexadecimal(digits) else { return nil }
                units.append(unit)
                rest = rest.dropFirst(4)
            default: units.append(UInt16(escaped))
            }
        }
        return String(validating: units, as: UTF16.self)
    }

    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt16? {
        var value: UInt16 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt16(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"):
                value = value << 4 | UInt16(digit - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"):
                value = value << 4 | UInt16(digit - UInt8(ascii: "A") + 10)
            default: return nil
            }
        }
        return value
    }

    /// As Java writes it: spaces are escaped in keys and at the beginning of values.
    private static func escape(_ text: String, isKey: Bool, into output: inout [UInt8]) {
        for (index, unit) in text.utf16.enumerated() {
            switch unit {
            case 0x20:
                output += (isKey || index == 0 ? "\\ " : " ").utf8
            case 0x09: output += "\\t".utf8
            case 0x0A: output += "\\n".utf8
            case 0x0D: output += "\\r".utf8
            case 0x0C: output += "\\f".utf8
            case UInt16(UInt8(ascii: "\\")), UInt16(UInt8(ascii: "=")), UInt16(UInt8(ascii: ":")),
                UInt16(UInt8(ascii: "#")), UInt16(UInt8(ascii: "!")):
                output.append(UInt8(ascii: "\\"))
                output.append(UInt8(truncatingIfNeeded: unit))
            case 0x21..<0x7F: output.append(UInt8(truncatingIfNeeded: unit))
            default:
                let digits = String(unit, radix: 16, uppercase: true)
                output += ("\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits).utf8
            }
        }
    }
}
