import Foundation
import Testing

/// Functions that were longer than the limit when the rule came, with their lengths: they may only get
/// shorter, and leave this list when they fit. Nothing is added. Keys are `path function`.
let knownLongFunctions: [String: Int] = [:]

enum LengthLimit {
    /// A function fits a screen.
    static let functionLines = 70
    /// A file is about one noun.
    static let fileLines = 500
    static let columns = 110
}

/// A function, initializer, subscript or computed property with a body.
struct FunctionSpan: Equatable {
    /// The word after `func`, or `init`, `deinit`, `subscript`, or a property's name.
    let name: String
    /// Where it starts, from 1.
    let line: Int
    /// Lines from its first to the one with the closing brace.
    let lineCount: Int
}

/// The functions of a source, nested ones too.
func functionSpans(in lines: [String]) -> [FunctionSpan] {
    let start =
        #/
        (?:^|\s)(?:func\s+(?<function>[^\s(<]+)|(?<kind>init|deinit|subscript)[?!]?(?=[\s(<{])
        |var\s+(?<property>\w+))
        /#
    let words = ["func", "init", "subscript", "var"]
    return lines.enumerated().compactMap { number, line in
        guard words.contains(where: line.holds), let match = line.firstMatch(of: start),
            let end = bodyEnd(
                lines, from: number, column: line.distance(from: line.startIndex, to: match.range.upperBound))
        else { return nil }
        let name = match.function ?? match.kind ?? match.property ?? ""
        return FunctionSpan(name: String(name), line: number + 1, lineCount: end - number + 1)
    }
}

/// The line on which the body closes that belongs to a declaration; nil when it has none.
private func bodyEnd(_ lines: [String], from first: Int, column: Int) -> Int? {
    var round = 0
    var curly = 0
    for number in first..<lines.count {
        for character in lines[number].dropFirst(number == first ? column : 0) {
            switch character {
            case "(", "[": round += 1
            case ")", "]": round -= 1
            case "{": curly += 1
            case "}":
                curly -= 1
                if curly < 0 { return nil }
                if curly == 0 && round == 0 { return number }
            default: break
            }
        }
        // Without an open bracket the declaration ends with its line, unless the next one goes on with it.
        if curly == 0 && round <= 0 {
            let next = number + 1 < lines.count ? lines[number + 1].drop { $0 == " " } : ""
            if !next.hasPrefix("where ") && !next.hasPrefix("{") && !next.hasPrefix("->") { return nil }
        }
    }
    return nil
}

func functionLengthFaults(_ files: [ProjectFile], known: [String: Int]) -> [Fault] {
    var faults: [Fault] = []
    var longest: [String: Int] = [:]
    for file in files {
        for span in functionSpans(in: file.code) where span.lineCount > LengthLimit.functionLines {
            let key = "\(file.path) \(span.name)"
            longest[key] = max(longest[key] ?? 0, span.lineCount)
            if span.lineCount > known[key] ?? LengthLimit.functionLines {
                faults.append(
                    Fault(
                        path: file.path, line: span.line,
                        message: "\(span.name) has \(span.lineCount) lines, at most "
                            + "\(known[key] ?? LengthLimit.functionLines) fit: split it"))
            }
        }
    }
    for (key, length) in known.sorted(by: { $0.key < $1.key }) where longest[key] ?? 0 < length {
        faults.append(
            Fault(
                path: "Tests/TidyTests/LengthTests.swift", line: 0,
                message: "\(key) has shrunk to \(longest[key] ?? 0) lines: lower or remove its entry"))
    }
    return faults
}

/// Files past the limit whose first comment does not give the reason ("This file is long because ...").
func fileLengthFaults(_ files: [ProjectFile]) -> [Fault] {
    files.compactMap { file in
        let count = file.lines.count
        let reason = file.lines.prefix(30).contains { $0.contains("//") && $0.contains("long because") }
        if count <= LengthLimit.fileLines || reason { return nil }
        return Fault(
            path: file.path, line: 0,
            message:
                "has \(count) lines, at most \(LengthLimit.fileLines) unless its first comment says "
                + "that it is \"long because\" of something: split it")
    }
}

func lineLengthFaults(_ files: [ProjectFile]) -> [Fault] {
    files.flatMap { file in
        file.lines.enumerated().compactMap { number, line in
            line.count <= LengthLimit.columns
                ? nil
                : Fault(
                    path: file.path, line: number + 1,
                    message: "has \(line.count) columns, at most \(LengthLimit.columns) fit")
        }
    }
}

@Suite struct LengthTests {
    /// Code in Swift, C and shell.
    private var code: [ProjectFile] {
        Repository.files.filter { file in
            file.isSwift || file.path.hasSuffix(".c") || file.path.hasSuffix(".h")
                || file.path.hasPrefix("tools/")
                || file.path.hasPrefix(".ci/")
        }
    }

    @Test("functions fit a screen, and those that did not only get shorter")
    func functions() { expectNone(functionLengthFaults(Repository.swiftFiles, known: knownLongFunctions)) }

    @Test("files past 500 lines say why")
    func files() { expectNone(fileLengthFaults(code)) }

    @Test("lines stop at 110 columns")
    func lines() { expectNone(lineLengthFaults(code)) }

    @Test("functions are found with their lengths, also nested, wrapped and without a body")
    func findsFunctions() {
        let spans = functionSpans(
            in: MaskedSource.lines(
                of: """
                    protocol P { func none() throws
                        var some: Int { get }
                    }
                    func one() { "}" }
                    func two(
                        a: [Int]
                    ) -> Int
                    where Int: P {
                        func inner() {
                        }
                        return 1
                    }
                    var stored = 5
                    var computed: Int {
                        // }
                        5
                    }
                    init?(x: Int) { }
                    """))
        #expect(
            spans == [
                FunctionSpan(name: "some", line: 2, lineCount: 1),
                FunctionSpan(name: "one", line: 4, lineCount: 1),
                FunctionSpan(name: "two", line: 5, lineCount: 8),
                FunctionSpan(name: "inner", line: 9, lineCount: 2),
                FunctionSpan(name: "computed", line: 14, lineCount: 4),
                FunctionSpan(name: "init", line: 18, lineCount: 1),
            ])
    }

    @Test("a long function, a grown one and a shrunken entry are found")
    func findsLongFunctions() {
        func file(_ lines: Int) -> [ProjectFile] {
            [
                ProjectFile(
                    path: "Sources/Base/A.swift",
                    text: "func f() {\n" + String(repeating: "x()\n", count: lines - 2) + "}")
            ]
        }
        let key = "Sources/Base/A.swift f"
        #expect(functionLengthFaults(file(70), known: [:]) == [])
        #expect(functionLengthFaults(file(71), known: [:]).count == 1)
        #expect(functionLengthFaults(file(80), known: [key: 80]) == [])
        #expect(functionLengthFaults(file(81), known: [key: 80]).count == 1)
        #expect(functionLengthFaults(file(79), known: [key: 80]).count == 1)
        #expect(functionLengthFaults(file(5), known: [key: 80]).count == 1)
    }

    @Test("a long file and a long line are found")
    func findsLongFiles() {
        let long = String(repeating: "x\n", count: 501)
        #expect(fileLengthFaults([ProjectFile(path: "a.swift", text: long)]).count == 1)
        let explained = "// This file is long because it is a table.\n" + long
        #expect(fileLengthFaults([ProjectFile(path: "a.swift", text: explained)]) == [])
        let wide = String(repeating: "é", count: 110)
        #expect(lineLengthFaults([ProjectFile(path: "a.swift", text: "a\n" + wide)]) == [])
        let wider = ProjectFile(path: "a.swift", text: "a\n" + wide + "é")
        #expect(lineLengthFaults([wider]).map(\.line) == [2])
    }
}
