import Foundation
import Testing

/// Something that code may not say, where, and what to say instead.
struct BannedCall: Sendable {
    /// One of them is in every line that the pattern matches.
    let words: [String]
    /// Looked for in code without comments and strings.
    let pattern: @Sendable () -> Regex<Substring>
    let replacement: String
    /// Whether the rule holds in a file.
    let applies: @Sendable (ProjectFile) -> Bool

    init(
        _ words: [String], _ pattern: @autoclosure @escaping @Sendable () -> Regex<Substring>,
        _ replacement: String, in applies: @escaping @Sendable (ProjectFile) -> Bool
    ) {
        self.words = words
        self.pattern = pattern
        self.replacement = replacement
        self.applies = applies
    }
}

private let executables = ["dmq", "dmq-dump-log", "dmq-bench", "dmq-schema"]

/// The rules themselves stand in this file.
@Sendable private func everywhere(_ file: ProjectFile) -> Bool {
    file.target != nil && file.name != "BannedCallTests.swift"
}
/// SystemIO's clock is tested against others.
@Sendable private func outsideClocks(_ file: ProjectFile) -> Bool {
    everywhere(file) && file.target != "SystemIO" && file.target != "SystemIOTests"
}
/// Locked is made of one.
@Sendable private func outsideLocked(_ file: ProjectFile) -> Bool {
    everywhere(file) && file.name != "Locked.swift"
}
@Sendable private func inSources(_ file: ProjectFile) -> Bool { file.path.hasPrefix("Sources/") }
@Sendable private func inLibraries(_ file: ProjectFile) -> Bool {
    inSources(file) && !executables.contains(file.target ?? "")
}
@Sendable private func inTests(_ file: ProjectFile) -> Bool { file.path.hasPrefix("Tests/") }
@Sendable private func outsideSystemIO(_ file: ProjectFile) -> Bool {
    inSources(file) && file.target != "SystemIO"
}

let bannedCalls: [BannedCall] = [
    BannedCall(["Date"], /\bDate\(\)/, "take the time from a TimeSource", in: outsideClocks),
    BannedCall(
        ["Clock", "DispatchTime"], /\b(?:ContinuousClock|SuspendingClock|DispatchTime)\b/,
        "take the time from a TimeSource",
        in: everywhere),
    BannedCall(
        ["SystemRandom"], /\bSystemRandomNumberGenerator\b/,
        "use a SeededGenerator, so that the run can be replayed",
        in: outsideSystemIO),
    BannedCall(
        [".random", ".shuffle"],
        /\.random\((?:in: *[^(),]*)?\)|\.shuffled\(\)|\.shuffle\(\)|\.randomElement\(\)/,
        "pass a SeededGenerator, so that the run can be replayed", in: everywhere),
    BannedCall(
        ["Mutex"], /\bMutex\b/, "use Locked, which the thread sanitizer understands", in: outsideLocked),
    BannedCall(["try!"], /\btry!/, "handle or pass on the error", in: inSources),
    BannedCall(["as!"], /\bas!/, "use as? and handle nil", in: inSources),
    BannedCall(
        ["print("], /(?:^|[^.\w])print\(/, "libraries log with Logger, only programs print", in: inLibraries),
    BannedCall(
        ["precondition", "assert"],
        /(?:^|[^.\w])(?:precondition|preconditionFailure|assert|assertionFailure)\(/,
        "use invariant, which also tells its message in release builds", in: inSources),
    BannedCall(
        ["fatalError"], /\bfatalError\(/, "use invariant or invariantFailed",
        in: { inSources($0) && $0.name != "Invariant.swift" }),
    BannedCall(
        ["Unsafe"], /\bUnsafe(?:Mutable)?(?:Raw)?(?:Buffer)?Pointer\b|\bwithUnsafe\w+/,
        "use Span or RawSpan; unsafe pointers stay in SystemIO and RecordFormat",
        in: { inLibraries($0) && $0.target != "SystemIO" && $0.target != "RecordFormat" }),
    BannedCall(
        ["package"], /\bpackage +(?:func|var|let|struct|class|enum|protocol|init|final|static)\b/,
        "front doors are public: package members do not inline across modules", in: everywhere),
    BannedCall(
        ["sleep"], /\b(?:Thread|Task)\.sleep\b|\busleep\(|\bnanosleep\(/,
        "wait for what happens, not for time to pass",
        in: everywhere),
    BannedCall(
        ["abled", "withKnownIssue", "severity"],
        /\.disabled\(|\.enabled\(if:|\bwithKnownIssue\b|Issue\.record\(.*severity/,
        "a test runs and fails, it is not skipped", in: inTests),
    BannedCall(
        ["Helper", "Util", "Impl", "Info", "Processor"],
        /\b(?:struct|class|enum|protocol|actor|typealias) +\w*(?:Helpers?|Utils?|Impl|Info|Processor)\b/,
        "name it by what it is", in: everywhere),
    BannedCall(["Ounchecked"], /-Ounchecked/, "checks stay on in release builds", in: everywhere),
]

func bannedCallFaults(_ files: [ProjectFile], rules: [BannedCall] = bannedCalls) -> [Fault] {
    files.flatMap { file -> [Fault] in
        let applying = rules.filter { $0.applies(file) }
        guard file.isSwift, !applying.isEmpty else { return [] }
        return applying.flatMap { rule -> [Fault] in
            // Simple boundaries: in `a.b` the default of Unicode sees one word.
            let pattern = rule.pattern().wordBoundaryKind(.simple)
            return file.code.enumerated().compactMap { number, line in
                guard rule.words.contains(where: line.holds) else { return nil }
                return line.firstMatch(of: pattern).map { match in
                    let found = match.output.trimmingCharacters(in: .whitespaces)
                    return Fault(path: file.path, line: number + 1, message: "\(found): \(rule.replacement)")
                }
            }
        }
    }
}

/// Conformances declared without the compiler's proof and without ours in a comment nearby.
func unprovenSendableFaults(_ files: [ProjectFile]) -> [Fault] {
    let mark = "@" + "unchecked Sendable"
    let proof =
        /(?i)\/\/.*(?:@unchecked:|thread|lock|lane|immutable|atomic|constant|never change|mutex|once|owned)/
    return files.flatMap { file -> [Fault] in
        let code = file.code
        let lines = file.lines
        return code.indices.filter { code[$0].holds(mark) }.compactMap { place in
            let around = lines[max(0, place - 8)...min(lines.count - 1, place + 3)]
            if around.contains(where: { $0.firstMatch(of: proof) != nil }) { return nil }
            return Fault(
                path: file.path, line: place + 1,
                message: "\(mark): a comment on the lines around it must say why it is safe")
        }
    }
}

/// Marks of unfinished work.
func unfinishedFaults(_ files: [ProjectFile]) -> [Fault] {
    let marks = ["TO" + "DO", "FIX" + "ME", "HA" + "CK:"]
    return files.flatMap { file -> [Fault] in
        file.lines.enumerated().compactMap { number, line in
            marks.first { String(line).holds($0) }.map {
                Fault(
                    path: file.path, line: number + 1, message: "\($0): finish it, or record it as an issue")
            }
        }
    }
}

@Suite struct BannedCallTests {
    @Test("no file calls what is banned in it")
    func banned() { expectNone(bannedCallFaults(Repository.swiftFiles)) }

    @Test("every unchecked Sendable says why it is safe")
    func sendable() { expectNone(unprovenSendableFaults(Repository.swiftFiles)) }

    @Test("nothing is marked as unfinished")
    func unfinished() { expectNone(unfinishedFaults(Repository.files)) }

    @Test(
        "a banned call is found where it is banned",
        arguments: [
            ("Sources/LogStorage/A.swift", "let now = Date()"),
            ("Tests/BaseTests/A.swift", "let now = ContinuousClock.now"),
            ("Sources/Base/A.swift", "var g = SystemRandomNumberGenerator()"),
            ("Sources/Base/A.swift", "let x = Int.random(in: 0..<5)"),
            ("Sources/Base/A.swift", "let x = list.shuffled()"),
            ("Tests/BaseTests/A.swift", "let x = Mutex(0)"),
            ("Sources/Base/A.swift", "let x = try! open()"),
            ("Sources/Base/A.swift", "let x = y as! Int"),
            ("Sources/Base/A.swift", "    print(x)"),
            ("Sources/Base/A.swift", "precondition(x > 0)"),
            ("Sources/dmq-bench/A.swift", "fatalError(text)"),
            ("Sources/LogStorage/A.swift", "func f(_ p: UnsafeRawPointer) {}"),
            ("Sources/LogStorage/A.swift", "x.withUnsafeBytes { $0 }"),
            ("Sources/Base/A.swift", "package func f() {}"),
            ("Tests/BaseTests/A.swift", "try await Task.sleep(for: .seconds(1))"),
            ("Tests/BaseTests/A.swift", "@Test(.disabled()) func f() {}"),
            ("Sources/Base/A.swift", "struct LogHelper {}"),
        ])
    func findsBanned(path: String, text: String) {
        #expect(bannedCallFaults([ProjectFile(path: path, text: text)]).count == 1)
    }

    @Test(
        "what only looks like a banned call is left alone",
        arguments: [
            ("Sources/Base/A.swift", "// let now = Date()"),
            ("Sources/Base/A.swift", "let text = \"try! print(x)\""),
            ("Sources/dmq-bench/A.swift", "print(x)"),
            ("Sources/Base/A.swift", "fingerprint(x); log.print(y)"),
            ("Sources/Base/A.swift", "let x = Int.random(in: 0..<5, using: &generator)"),
            ("Sources/SystemIO/A.swift", "func f(_ p: UnsafeRawPointer) {}"),
            ("Sources/Base/Invariant.swift", "fatalError(text)"),
            ("Tests/BaseTests/A.swift", "let x = y as! Int"),
        ])
    func leavesOthers(path: String, text: String) {
        #expect(bannedCallFaults([ProjectFile(path: path, text: text)]) == [])
    }

    @Test("an unchecked Sendable without a reason and unfinished work are found")
    func findsOthers() {
        let bare = "final class A: @" + "unchecked Sendable {}"
        #expect(unprovenSendableFaults([ProjectFile(path: "Sources/Base/A.swift", text: bare)]).count == 1)
        let proven = "/// Only the lane's thread touches it.\n" + bare
        #expect(unprovenSendableFaults([ProjectFile(path: "Sources/Base/A.swift", text: proven)]) == [])
        let unfinished = ProjectFile(path: "docs/a.md", text: "fine\nTO" + "DO: write\n")
        #expect(unfinishedFaults([unfinished]).map(\.line) == [2])
    }

    @Test("comments and strings are masked, code is not")
    func masking() {
        let lines = MaskedSource.lines(
            of:
                """
                let a = "x // y" // z
                /* b /* c */ d */ let e = #"\\"f"# + g
                let h = \"\"\"
                    i
                    \"\"\"; j
                """)
        #expect(
            lines == [
                "let a = \"      \"     ", "                  let e = #\"   \"# + g", "let h = \"\"\"",
                "     ",
                "    \"\"\"; j",
            ])
    }
}
