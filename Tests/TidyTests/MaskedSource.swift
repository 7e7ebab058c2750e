import Foundation

/// Swift source with comments and the contents of string literals turned to spaces, so that a search meets
/// only code. Lines stay, and so do columns but for letters beyond ASCII. Interpolated code counts as part of
/// its string.
struct MaskedSource {
    private enum State {
        case code
        case lineComment
        /// Block comments nest.
        case blockComment(depth: Int)
        /// - Parameter ending: the quotes and `#` that close it.
        case string(ending: [UInt8], pounds: Int, isMultiline: Bool)
    }

    private static let newline = UInt8(ascii: "\n")
    private static let quote = UInt8(ascii: "\"")
    private static let pound = UInt8(ascii: "#")
    private static let backslash = UInt8(ascii: "\\")
    private static let slash = UInt8(ascii: "/")
    private static let star = UInt8(ascii: "*")

    private let bytes: [UInt8]
    private var masked: [UInt8] = []
    private var position = 0
    private var state = State.code

    /// - Parameter text: Swift source.
    /// - Returns: the lines of code in it.
    static func lines(of text: String) -> [String] {
        var source = MaskedSource(text)
        while source.position < source.bytes.count { source.step() }
        return source.masked.split(separator: newline, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    private init(_ text: String) {
        bytes = Array(text.utf8)
        masked.reserveCapacity(bytes.count)
    }

    private mutating func step() {
        switch state {
        case .code:
            if isNext(Self.slash, Self.slash) {
                state = .lineComment
            } else if isNext(Self.slash, Self.star) {
                state = .blockComment(depth: 1)
                take(2, masking: true)
            } else if bytes[position] == Self.quote || bytes[position] == Self.pound {
                beginString()
            } else {
                take(1, masking: false)
            }
        case .lineComment:
            if bytes[position] == Self.newline { state = .code }
            take(1, masking: true)
        case .blockComment(let depth):
            if isNext(Self.star, Self.slash) {
                state = depth == 1 ? .code : .blockComment(depth: depth - 1)
                take(2, masking: true)
            } else if isNext(Self.slash, Self.star) {
                state = .blockComment(depth: depth + 1)
                take(2, masking: true)
            } else {
                take(1, masking: true)
            }
        case .string(let ending, let pounds, let isMultiline):
            if bytes[position...].starts(with: ending) {
                state = .code
                take(ending.count, masking: false)
            } else if bytes[position] == Self.backslash
                && bytes[(position + 1)...].prefix(pounds).allSatisfy({ $0 == Self.pound })
            {
                take(2 + pounds, masking: true)
            } else {
                // A plain string cannot pass a line's end: what seemed one was something else, a regex
                // perhaps.
                if !isMultiline && bytes[position] == Self.newline { state = .code }
                take(1, masking: true)
            }
        }
    }

    /// Begins a string literal where there is one: `"`, `"""`, and both after `#` signs.
    private mutating func beginString() {
        let pounds = bytes[position...].prefix { $0 == Self.pound }.count
        let quotes = bytes[(position + pounds)...].prefix(3).prefix { $0 == Self.quote }.count
        guard quotes > 0 else { return take(pounds, masking: false) }
        // Two quotes are an empty string: one opens it, the other closes it.
        let length = quotes == 3 ? 3 : 1
        let ending =
            [UInt8](repeating: Self.quote, count: length) + [UInt8](repeating: Self.pound, count: pounds)
        state = .string(ending: ending, pounds: pounds, isMultiline: quotes == 3)
        take(pounds + length, masking: false)
    }

    private func isNext(_ first: UInt8, _ second: UInt8) -> Bool {
        bytes[position] == first && position + 1 < bytes.count && bytes[position + 1] == second
    }

    private mutating func take(_ count: Int, masking: Bool) {
        let end = min(position + count, bytes.count)
        for byte in bytes[position..<end] {
            masked.append(masking && byte != Self.newline ? UInt8(ascii: " ") : byte)
        }
        position = end
    }
}

extension String {
    /// Whether the bytes of `word` occur. Far faster than a regex, to be asked before one.
    func holds(_ word: String) -> Bool { strstr(self, word) != nil }
}
