import Foundation
import Testing

/// An `import` line.
struct ImportLine: Equatable {
    let module: String
    let line: Int
}

func importLines(in code: [String]) -> [ImportLine] {
    let pattern =
        #/
        ^\s* (@\w+\s+)* ((public|package|internal|fileprivate|private)\s+)? import\s+
        ((struct|class|enum|func|var|let|typealias|protocol)\s+)? (?<module>\w+)
        /#
    return code.enumerated().compactMap { number, line in
        guard line.holds("import") else { return nil }
        return line.firstMatch(of: pattern).map { ImportLine(module: String($0.module), line: number + 1) }
    }
}

/// The targets that a package manifest declares, with the dependencies of each. Understands the few forms
/// that ours uses; a target that it cannot read is missed and then missing from the table's point of view.
func declaredTargets(in manifest: String) -> [String: [String]] {
    func words(_ list: Substring) -> [String] { list.matches(of: /"([^"]+)"/).map { String($0.1) } }
    var named: [Substring: [String]] = [:]
    for match in manifest.matches(of: /let (\w+): \[Target\.Dependency\] = \[([^\]]*)\]/) {
        named[match.1] = words(match.2)
    }
    var targets: [String: [String]] = [:]
    let short = /\b(library|executable|tests)\(\s*"([^"]+)"(,\s*\[([^\]]*)\])?/
    for match in manifest.matches(of: short) { targets[String(match.2)] = words(match.4 ?? "") }
    let long =
        #/
        \.(systemLibrary|target|testTarget)\(\s* name:\s*"([^"]+)"
        (,\s*dependencies:\s*(\[([^\]]*)\]|(\w+)))?
        /#
    for match in manifest.matches(of: long) {
        targets[String(match.2)] = match.6.flatMap { named[$0] } ?? words(match.5 ?? "")
    }
    return targets
}

/// The folders that a package manifest takes sources from: those it names, and for each target those of its
/// name.
func declaredFolders(in manifest: String) -> [String] {
    let named = manifest.matches(of: /\bpath:\s*"([^"]+)"/).map { String($0.1) }
    return named + declaredTargets(in: manifest).keys.flatMap { ["Sources/\($0)", "Tests/\($0)"] }
}

/// Imports that the table forbids or that the manifest does not declare.
func importFaults(
    _ files: [ProjectFile], rules: [ModuleRule], targets: [String: [String]]
) -> [Fault] {
    var faults: [Fault] = []
    let ownModules = Set(rules.map { moduleName($0.name) })
    for file in files {
        guard let target = file.target, let rule = rules.first(where: { $0.name == target }) else { continue }
        let declared = Set((targets[target] ?? []).map(moduleName))
        for found in importLines(in: file.code) {
            let isOwn = ownModules.contains(found.module)
            let allowed = isOwn ? rule.imports.map(moduleName) : rule.systemImports
            if !allowed.contains(found.module) {
                faults.append(
                    Fault(
                        path: file.path, line: found.line,
                        message: "\(target) may not import \(found.module); it may import "
                            + (rule.imports + rule.systemImports).joined(separator: ", ")))
            } else if isOwn && !declared.contains(found.module) {
                faults.append(
                    Fault(
                        path: file.path, line: found.line,
                        message: "Package.swift does not declare that \(target) depends on \(found.module)"))
            }
        }
    }
    return faults
}

/// Where table and manifest disagree, or the table breaks its own rule.
func tableFaults(rules: [ModuleRule], targets: [String: [String]]) -> [Fault] {
    func fault(_ message: String) -> Fault { Fault(path: "Package.swift", line: 0, message: message) }
    var faults: [Fault] = []
    let levels = Dictionary(rules.map { ($0.name, $0.level) }, uniquingKeysWith: { first, _ in first })
    for rule in rules {
        guard let dependencies = targets[rule.name] else {
            faults.append(fault("the table of imports names \(rule.name), which is no target"))
            continue
        }
        for name in dependencies where !rule.imports.contains(name) {
            faults.append(fault("\(rule.name) depends on \(name), which the table of imports does not allow"))
        }
        for name in rule.imports {
            guard let level = levels[name] else {
                faults.append(fault("the table lets \(rule.name) import \(name), which it does not know"))
                continue
            }
            if level >= rule.level {
                faults.append(
                    fault(
                        "\(rule.name) (level \(rule.level)) may not import \(name) "
                            + "(level \(level)): not lower"
                    ))
            }
        }
    }
    for name in targets.keys.sorted() where levels[name] == nil {
        faults.append(fault("the target \(name) has no row in the table of imports"))
    }
    return faults
}

/// Declared dependencies of libraries and programs that no file imports.
func unusedDependencyFaults(_ files: [ProjectFile], targets: [String: [String]]) -> [Fault] {
    var imported: [String: Set<String>] = [:]
    for file in files {
        if let target = file.target {
            imported[target, default: []].formUnion(importLines(in: file.code).map(\.module))
        }
    }
    return targets.sorted { $0.key < $1.key }.flatMap { target, dependencies in
        guard let modules = imported[target] else { return [Fault]() }
        return dependencies.filter { !modules.contains(moduleName($0)) }.map {
            Fault(path: "Package.swift", line: 0, message: "\(target) depends on \($0) and never imports it")
        }
    }
}

private func moduleName(_ target: String) -> String { target.replacing("-", with: "_") }

@Suite struct ImportTests {
    private let targets = declaredTargets(in: Repository.text("Package.swift"))

    @Test("every import is allowed by the table and declared in Package.swift")
    func imports() {
        #expect(Repository.swiftFiles.count > 20)
        expectNone(importFaults(Repository.swiftFiles, rules: moduleRules, targets: targets))
    }

    @Test("the table of imports and Package.swift name the same targets, and imports go strictly downward")
    func table() {
        expectNone(tableFaults(rules: moduleRules, targets: targets))
    }

    @Test("no library or program depends on a module that it does not import")
    func unused() {
        expectNone(unusedDependencyFaults(Repository.sources, targets: targets))
    }

    @Test("a forbidden, an undeclared and a foreign import are found")
    func findsBadImports() {
        let rules = [
            ModuleRule("Low", level: 0, []),
            ModuleRule("High", level: 1, ["Low"], system: ["Synchronization"]),
        ]
        func messages(_ text: String, _ target: String, declared: [String]) -> Int {
            let file = ProjectFile(path: "Sources/\(target)/A.swift", text: text)
            return importFaults([file], rules: rules, targets: [target: declared]).count
        }
        #expect(messages("internal import Low", "High", declared: ["Low"]) == 0)
        #expect(messages("@testable import Low", "High", declared: []) == 1)
        #expect(messages("public import High", "Low", declared: []) == 1)
        #expect(messages("  import Foundation", "High", declared: []) == 1)
        #expect(messages("import struct Foundation.Date", "High", declared: []) == 1)
        #expect(messages("import Synchronization", "High", declared: []) == 0)
        #expect(messages("// import Foundation", "High", declared: []) == 0)
    }

    @Test("a table that disagrees with the manifest or points upward is found")
    func findsBadTables() {
        let rules = [
            ModuleRule("A", level: 1, ["B"]), ModuleRule("B", level: 1, []), ModuleRule("C", level: 0, []),
        ]
        let faults = tableFaults(rules: rules, targets: ["A": ["B", "C"], "B": [], "D": []]).map(\.message)
        #expect(faults.contains { $0.contains("A depends on C") })
        #expect(faults.contains { $0.contains("not lower") })
        #expect(faults.contains { $0.contains("names C, which is no target") })
        #expect(faults.contains { $0.contains("target D has no row") })
        let unused = unusedDependencyFaults(
            [ProjectFile(path: "Sources/A/A.swift", text: "import C")], targets: ["A": ["B", "C"]])
        #expect(unused.map(\.message) == ["A depends on B and never imports it"])
    }

    @Test("the manifest's forms of targets are read")
    func readsManifests() {
        let targets = declaredTargets(
            in: """
                let shared: [Target.Dependency] = ["A", "B"]
                library("A"), library("B", ["A"]),
                tests(
                    "BTests", ["A", "B"], resources: [.copy("Data")]),
                .systemLibrary(name: "CX", pkgConfig: "x"),
                .target(
                    name: "C", dependencies: ["A"], path: "Else"),
                .testTarget(name: "D", dependencies: shared, exclude: ["E"])
                """)
        #expect(declaredFolders(in: #"library("A"), .target(name: "C", path: "Else")"#).contains("Else"))
        #expect(declaredFolders(in: #"library("A")"#) == ["Sources/A", "Tests/A"])
        #expect(
            targets == ["A": [], "B": ["A"], "BTests": ["A", "B"], "CX": [], "C": ["A"], "D": ["A", "B"]])
    }
}
