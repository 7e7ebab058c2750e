import Foundation
import Testing

/// Files of a library or program that nothing else mentions: none of the names they declare occurs in another
/// file.
func deadFileFaults(_ files: [ProjectFile]) -> [Fault] {
    let declaration =
        /\b(?:struct|class|enum|protocol|actor|typealias|func|case|let|var)\s+(?<name>[A-Za-z_]\w*)/
        .wordBoundaryKind(.simple)
    var words: [(path: String, words: Set<Substring>)] = []
    for file in files {
        let code = file.code.joined(separator: "\n")
        words.append(
            (file.path, Set(code.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map { Substring($0) })))
    }
    return files.filter { $0.path.hasPrefix("Sources/") && $0.name != "main.swift" }.compactMap { file in
        let code = file.code.joined(separator: "\n")
        let names = Set(code.matches(of: declaration).map(\.name))
        let isAlive = words.contains { $0.path != file.path && !$0.words.isDisjoint(with: names) }
        return isAlive
            ? nil : Fault(path: file.path, line: 0, message: "nothing uses what it declares: remove it")
    }
}

/// Folders of sources that are no target, and files that only hold a place.
///
/// - Parameter folders: where targets have their sources.
func deadFolderFaults(_ files: [ProjectFile], folders: [String]) -> [Fault] {
    var faults: [Fault] = []
    for file in files {
        if file.target != nil, !folders.contains(where: { file.path.hasPrefix($0 + "/") }) {
            faults.append(
                Fault(path: file.path, line: 0, message: "its folder is no target of Package.swift"))
        }
        if file.name == "Placeholder.swift" {
            faults.append(Fault(path: file.path, line: 0, message: "holds a place for nothing: remove it"))
        }
    }
    return faults
}

/// Files in tools that neither the documentation nor another script mentions.
func unmentionedToolFaults(_ files: [ProjectFile]) -> [Fault] {
    let readers = files.filter {
        $0.path.hasSuffix(".md") || $0.path.hasPrefix("tools/") || $0.path.hasPrefix(".ci/")
            || $0.path.hasPrefix("Tests/")
    }
    return files.filter { $0.path.hasPrefix("tools/") }.compactMap { tool in
        let isMentioned = readers.contains { $0.path != tool.path && ($0.text ?? "").contains(tool.path) }
        return isMentioned
            ? nil : Fault(path: tool.path, line: 0, message: "nobody mentions it: document or remove it")
    }
}

/// Paths of somebody's machine, and what only somebody's tools know.
func foreignPathFaults(_ files: [ProjectFile]) -> [Fault] {
    // Put together here so that this file does not contain them.
    let folders = ["wo" + "rk", "ho" + "me", "ro" + "ot", "Us" + "ers", "opt/sw" + "ift", "mn" + "t"]
    let patterns = folders.map { "/" + $0 + "/" }
    return files.flatMap { file in
        file.lines.enumerated().compactMap { number, line in
            patterns.first { line.contains($0) }.map {
                Fault(path: file.path, line: number + 1, message: "\($0) is a path of one machine only")
            }
        }
    }
}

/// Files too large for a repository that lives long.
func blobFaults(_ files: [ProjectFile]) -> [Fault] {
    files.filter { $0.byteCount > ProjectFile.largestTextByteCount }.map {
        Fault(
            path: $0.path, line: 0,
            message: "has \($0.byteCount) bytes, at most 1 MiB belongs here: generate it")
    }
}

/// Scripts that cannot be run, and other files that could.
func executableFaults(_ files: [ProjectFile]) -> [Fault] {
    files.compactMap { file in
        let isScript = file.path.hasPrefix("tools/") || file.path.hasPrefix(".ci/")
        let isRunnable = isScript && !file.path.contains(".") || file.path == ".ci/run"
        if isRunnable && !file.isExecutable {
            return Fault(path: file.path, line: 0, message: "is a script and needs its executable bit")
        }
        if isRunnable && !(file.text ?? "").hasPrefix("#!/usr/bin/env ") {
            return Fault(path: file.path, line: 1, message: "must start with #!/usr/bin/env")
        }
        if !isScript && file.isExecutable {
            return Fault(path: file.path, line: 0, message: "is no script: take its executable bit away")
        }
        return nil
    }
}

/// Manifests beside the one: the package manager would take the one that is named for its version, and
/// whoever reads the other would not know.
func manifestFaults(_ files: [ProjectFile]) -> [Fault] {
    let found = files.map(\.path).filter { path in
        let name = path.split(separator: "/").last ?? ""
        return name.hasPrefix("Package") && name.hasSuffix(".swift")
    }
    if !found.contains("Package.swift") {
        return [Fault(path: "Package.swift", line: 0, message: "the manifest is not there")]
    }
    return found.filter { $0 != "Package.swift" }.map {
        Fault(path: $0, line: 0, message: "there is one manifest, Package.swift: remove this one")
    }
}

/// Decisions that share a number, or have none.
func decisionFaults(_ files: [ProjectFile]) -> [Fault] {
    var holders: [Substring: String] = [:]
    return files.filter { $0.path.hasPrefix("docs/decisions/") }.compactMap { file in
        guard let match = file.name.prefixMatch(of: /([0-9]{4})-[a-z0-9-]+\.md$/) else {
            return Fault(path: file.path, line: 0, message: "is not named NNNN-title.md")
        }
        if let other = holders.updateValue(file.path, forKey: match.1) {
            return Fault(path: file.path, line: 0, message: "has the number of \(other)")
        }
        return nil
    }
}

@Suite struct LayoutTests {
    @Test("every source file is used by another")
    func deadFiles() { expectNone(deadFileFaults(Repository.swiftFiles)) }

    @Test("every folder of sources is a target, and none is empty but for a placeholder")
    func deadFolders() {
        let folders = declaredFolders(in: Repository.text("Package.swift"))
        expectNone(deadFolderFaults(Repository.files, folders: folders))
    }

    @Test("every tool is mentioned somewhere")
    func tools() { expectNone(unmentionedToolFaults(Repository.files)) }

    @Test("no file knows the machine it was written on")
    func foreignPaths() { expectNone(foreignPathFaults(Repository.files)) }

    @Test("no file is larger than 1 MiB")
    func blobs() {
        #expect(Repository.files.count > 50)
        expectNone(blobFaults(Repository.files))
    }

    @Test("scripts can be run, other files cannot")
    func executables() { expectNone(executableFaults(Repository.files)) }

    @Test("the repository has exactly one manifest")
    func manifests() { expectNone(manifestFaults(Repository.files)) }

    @Test("every decision has a number of its own")
    func decisions() {
        #expect(Repository.files.count { $0.path.hasPrefix("docs/decisions/") } > 5)
        expectNone(decisionFaults(Repository.files))
    }

    @Test("a second manifest, and decisions without numbers of their own, are found")
    func findsTwins() {
        let one = ProjectFile(path: "Package.swift", text: "")
        #expect(manifestFaults([one]) == [])
        #expect(manifestFaults([]).count == 1)
        for path in ["Package@swift-6.2.swift", "Package2.swift", "tools/a/Package.swift"] {
            #expect(manifestFaults([one, ProjectFile(path: path, text: "")]).map(\.path) == [path])
        }
        func faults(_ names: String...) -> [String] {
            decisionFaults(names.map { ProjectFile(path: "docs/decisions/" + $0, text: "") }).map(\.path)
        }
        #expect(faults("0001-a.md", "0002-b.md") == [])
        #expect(faults("0001-a.md", "0001-b.md") == ["docs/decisions/0001-b.md"])
        #expect(faults("1-a.md") == ["docs/decisions/1-a.md"])
    }

    @Test("a dead file, a stray folder and a placeholder are found")
    func findsDead() {
        let used = ProjectFile(path: "Sources/Base/A.swift", text: "struct A { let b: Int }")
        let user = ProjectFile(path: "Tests/BaseTests/T.swift", text: "_ = A(b: 1) // Dead")
        let dead = ProjectFile(path: "Sources/Base/Dead.swift", text: "struct Dead { func rot() {} }")
        #expect(deadFileFaults([used, user, dead]).map(\.path) == ["Sources/Base/Dead.swift"])
        let stray = ProjectFile(path: "Sources/Old/A.swift", text: "")
        let holder = ProjectFile(path: "Sources/Base/Placeholder.swift", text: "")
        #expect(
            deadFolderFaults([used, stray, holder], folders: ["Sources/Base"]).map(\.path)
                == ["Sources/Old/A.swift", "Sources/Base/Placeholder.swift"])
    }

    @Test("a tool that nobody mentions is found")
    func findsUnmentionedTools() {
        let files = [
            ProjectFile(path: "tools/a", text: "tools/a"), ProjectFile(path: "tools/b", text: ""),
            ProjectFile(path: "README.md", text: "run tools/b"),
        ]
        #expect(unmentionedToolFaults(files).map(\.path) == ["tools/a"])
    }

    @Test("a machine's path, a large file and wrong executable bits are found")
    func findsOthers() {
        let path = "/ho" + "me/someone/x"
        #expect(foreignPathFaults([ProjectFile(path: "a.md", text: "see \(path)")]).count == 1)
        #expect(foreignPathFaults([ProjectFile(path: "a.md", text: "/usr/bin/env /tmp/x")]) == [])
        let large = String(repeating: "x", count: 1 << 20)
        #expect(blobFaults([ProjectFile(path: "a", text: large)]) == [])
        #expect(blobFaults([ProjectFile(path: "a", text: large + "x")]).count == 1)
        let good = "#!/usr/bin/env bash\n"
        #expect(executableFaults([ProjectFile(path: "tools/a", text: good, isExecutable: true)]) == [])
        #expect(executableFaults([ProjectFile(path: "tools/a", text: good)]).count == 1)
        #expect(executableFaults([ProjectFile(path: "tools/a", text: "echo", isExecutable: true)]).count == 1)
        #expect(executableFaults([ProjectFile(path: "docs/a.md", text: "", isExecutable: true)]).count == 1)
    }
}
