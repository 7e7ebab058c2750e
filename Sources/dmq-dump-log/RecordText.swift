/// How keys, values and headers are shown.
enum ByteFormat: String, CaseIterable {
    case text, hex, json, base64

    /// `bytes` in this format; bytes that are not JSON are shown as text where JSON is asked for.
    func value(_ bytes: [UInt8]?) -> DumpValue {
        guard let bytes else { return .null }
        switch self {
        case .text: return .text(String(decoding: bytes, as: UTF8.self))
        case .hex: return .text(Self.hexadecimal(bytes))
        case .base64: return .text(Self.base64(bytes))
        case .json:
            if let json = CompactJSON.text(bytes) { return .json(json) }
            return .text(String(decoding: bytes, as: UTF8.self))
        }
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            result.append(digits[Int(byte >> 4)])
            result.append(digits[Int(byte & 0x0F)])
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// Base64 of RFC 4648, section 4, with padding.
    private static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var result: [UInt8] = []
        result.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = 0
            for index in start..<start + 3 {
                bits = bits << 8 | (index < bytes.count ? Int(bytes[index]) : 0)
            }
            for place in 0..<4 {
                result.append(
                    place <= group.count ? alphabet[bits >> (18 - 6 * place) & 0x3F] : UInt8(ascii: "="))
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}

/// Checks that bytes are JSON (RFC 8259) and writes them without white space between the parts, so that
/// they fit a line. The depth is bounded.
struct CompactJSON {
    private static let maximumDepth = 256

    private let bytes: [UInt8]
    private var position = 0
    private var output: [UInt8] = []

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Nil when `bytes` are not one JSON value in UTF-8.
    static func text(_ bytes: [UInt8]) -> String? {
        var reader = CompactJSON(bytes)
        reader.output.reserveCapacity(bytes.count)
        guard reader.value(depth: 0) else { return nil }
        reader.skipSpace()
        guard reader.position == bytes.count else { return nil }
        return String(validating: reader.output, as: UTF8.self)
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || (0x09...0x0A).contains(byte) || byte == 0x0D { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        output.append(UInt8(ascii: character))
        position += 1
        return true
    }

    private mutating func take(word: String) -> Bool {
        for scalar in word.unicodeScalars where !take(scalar) { return false }
        return true
    }

    private mutating func value(depth: Int) -> Bool {
        guard depth < Self.maximumDepth else { return false }
        skipSpace()
        guard let byte = next else { return false }
        switch byte {
        case UInt8(ascii: "{"): return members(closing: "}", depth: depth, named: true)
        case UInt8(ascii: "["): return members(closing: "]", depth: depth, named: false)
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "t"): return take(word: "true")
        case UInt8(ascii: "f"): return take(word: "false")
        case UInt8(ascii: "n"): return take(word: "null")
        default: return number()
        }
    }

    private mutating func members(closing: Unicode.Scalar, depth: Int, named: Bool) -> Bool {
        output.append(bytes[position])
        position += 1
        skipSpace()
        if take(closing) { return true }
        while true {
            if named {
                skipSpace()
                guard string() else { return false }
                skipSpace()
                guard take(":") else { return false }
            }
            guard value(depth: depth + 1) else { return false }
            skipSpace()
            if take(closing) { return true }
            guard take(",") else { return false }
        }
    }

    private mutating func string() -> Bool {
        guard take("\"") else { return false }
        while let byte = next {
            if byte < 0x20 { return false }
            position += 1
            output.append(byte)
            if byte == UInt8(ascii: "\"") { return true }
            guard byte == UInt8(ascii: "\\") else { continue }
            guard let escape = next, "\"\\/bfnrtu".utf8.contains(escape) else { return false }
            position += 1
            output.append(escape)
            guard escape == UInt8(ascii: "u") else { continue }
            for _ in 0..<4 {
                guard let digit = next, Self.isHexadecimal(digit) else { return false }
                position += 1
                output.append(digit)
            }
        }
        return false
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private mutating func number() -> Bool {
        _ = take("-")
        if !take("0") {
            guard digits() else { return false }
        }
        if take("."), !digits() { return false }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            return digits()
        }
        return true
    }

    private mutating func digits() -> Bool {
        let start = position
        while let byte = next, Self.isDigit(byte) {
            output.append(byte)
            position += 1
        }
        return position > start
    }
}
