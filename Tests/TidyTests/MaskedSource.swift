/// Swift source with comments and the contents of string literals turned to spaces, so that a search meets
/// only code. Lines and columns stay. Interpolated code counts as part of its string.
struct MaskedSource {
    private enum State: Equatable {
        case code
        case lineComment
        /// Block comments nest.
        case blockComment(depth: Int)
        /// - Parameters:
        ///   - pounds: the number of `#` around it.
        ///   - isMultiline: three quotes.
        case string(pounds: Int, isMultiline: Bool)
    }

    let lines: [String]

    init(_ text: String) {
        let characters = Array(text)
        var masked: [Character] = []
        masked.reserveCapacity(characters.count)
        var state = State.code
        var position = 0

        func matches(_ word: String, at start: Int) -> Bool {
            let letters = Array(word)
            return start + letters.count <= characters.count
                && characters[start..<start + letters.count].elementsEqual(letters)
        }
        func take(_ count: Int, masking: Bool) {
            for _ in 0..<count where position < characters.count {
                let character = characters[position]
                masked.append(masking && character != "\n" ? " " : character)
                position += 1
            }
        }

        while position < characters.count {
            switch state {
            case .code:
                if matches("//", at: position) {
                    state = .lineComment
                } else if matches("/*", at: position) {
                    state = .blockComment(depth: 1)
                    take(2, masking: true)
                } else if let start = Self.stringStart(characters, position) {
                    state = .string(pounds: start.pounds, isMultiline: start.isMultiline)
                    take(start.length, masking: false)
                } else {
                    take(1, masking: false)
                }
            case .lineComment:
                if characters[position] == "\n" { state = .code }
                take(1, masking: true)
            case .blockComment(let depth):
                if matches("*/", at: position) {
                    state = depth == 1 ? .code : .blockComment(depth: depth - 1)
                    take(2, masking: true)
                } else if matches("/*", at: position) {
                    state = .blockComment(depth: depth + 1)
                    take(2, masking: true)
                } else {
                    take(1, masking: true)
                }
            case .string(let pounds, let isMultiline):
                let ending =
                    String(repeating: "\"", count: isMultiline ? 3 : 1)
                    + String(repeating: "#", count: pounds)
                if matches(ending, at: position) {
                    state = .code
                    take(ending.count, masking: false)
                } else if matches("\\" + String(repeating: "#", count: pounds), at: position) {
                    take(2 + pounds, masking: true)
                } else {
                    // A plain string cannot pass a line's end: what seemed one was something else, a regex
                    // perhaps.
                    if !isMultiline && characters[position] == "\n" { state = .code }
                    take(1, masking: true)
                }
            }
        }
        lines = String(masked).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// The opening of a string literal at a position: `"`, `"""`, and both after `#` signs.
    private static func stringStart(
        _ characters: [Character], _ position: Int
    ) -> (pounds: Int, isMultiline: Bool, length: Int)? {
        var pounds = 0
        while position + pounds < characters.count, characters[position + pounds] == "#" { pounds += 1 }
        let quote = position + pounds
        guard quote < characters.count, characters[quote] == "\"" else { return nil }
        let isMultiline =
            quote + 2 < characters.count && characters[quote + 1] == "\"" && characters[quote + 2] == "\""
        return (pounds, isMultiline, pounds + (isMultiline ? 3 : 1))
    }
}
