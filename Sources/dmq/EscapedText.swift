import Base

/// Text with `\n`, `\t`, `\r`, `\0`, `\\` and `\x41`, as separators and formats are written.
enum EscapedText {
    /// Nil where an escape is none of these.
    static func bytes(_ text: String) -> [UInt8]? {
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                continue
            }
            guard let escaped = escape(&rest) else { return nil }
            result.append(escaped)
        }
        return result
    }

    /// The byte that stands behind a backslash.
    static func escape(_ rest: inout ArraySlice<UInt8>) -> UInt8? {
        guard let letter = rest.popFirst() else { return nil }
        switch letter {
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "0"): return 0
        case UInt8(ascii: "\\"): return UInt8(ascii: "\\")
        case UInt8(ascii: "x"):
            let digits = rest.prefix(2)
            guard digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
            else {
                return nil
            }
            rest.removeFirst(2)
            return value
        default: return nil
        }
    }

    /// The value of an option that separates things.
    static func option(_ command: ParsedCommand, _ name: String) throws(CommandLineError) -> [UInt8]? {
        guard let text = command.textIfGiven(name) else { return nil }
        guard let bytes = bytes(text), !bytes.isEmpty else {
            throw .badValue(
                option: "--\(name)", value: text, reason: "write text, with \\n, \\t, \\r, \\0, \\\\ or \\x41"
            )
        }
        return bytes
    }
}
