import Foundation

/// A file of the project.
struct ProjectFile: Sendable {
    /// From the repository's root, with `/`.
    let path: String
    let byteCount: Int
    let isExecutable: Bool
    /// Nil where the bytes are no UTF-8 text, and for test data.
    let text: String?
    let lines: [Substring]
    /// Of Swift sources the lines with comments and strings masked (see `MaskedSource`).
    let code: [String]

    var isSwift: Bool { path.hasSuffix(".swift") }
    var name: String { path.split(separator: "/").last.map(String.init) ?? path }

    /// The target that the file belongs to, nil for files outside `Sources` and `Tests`.
    var target: String? {
        let parts = path.split(separator: "/")
        guard parts.count >= 3, parts[0] == "Sources" || parts[0] == "Tests" || parts[0] == "Benchmarks"
        else {
            return nil
        }
        return String(parts[1])
    }

    /// Made up, for the tests of the checks themselves.
    init(path: String, text: String, isExecutable: Bool = false) {
        self.path = path
        self.text = text
        self.isExecutable = isExecutable
        byteCount = text.utf8.count
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        code = path.hasSuffix(".swift") ? MaskedSource.lines(of: text) : []
    }

    fileprivate init(path: String, url: URL, attributes: [FileAttributeKey: Any]) {
        self.path = path
        byteCount = (attributes[.size] as? NSNumber)?.intValue ?? 0
        isExecutable = ((attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0) & 0o111 != 0
        let isData = path.hasPrefix("Tests/FormatTests/Golden/") || byteCount > Self.largestTextByteCount
        let read = isData ? nil : (try? Data(contentsOf: url)).flatMap { String(data: $0, encoding: .utf8) }
        text = read
        lines = (read ?? "").split(separator: "\n", omittingEmptySubsequences: false)
        code = path.hasSuffix(".swift") ? MaskedSource.lines(of: read ?? "") : []
    }

    /// Files beyond this are not read as text; they are faults of their own.
    static let largestTextByteCount = 1 << 20
}

/// The project's own files, read once: everything but version control, build output and editors' folders.
enum Repository {
    static let files: [ProjectFile] = load()
    static var swiftFiles: [ProjectFile] { files.filter(\.isSwift) }
    static var sources: [ProjectFile] { swiftFiles.filter { $0.path.hasPrefix("Sources/") } }

    static func text(_ path: String) -> String { files.first { $0.path == path }?.text ?? "" }

    static let root: URL = {
        var directory = URL(fileURLWithPath: #filePath)
        repeat {
            directory.deleteLastPathComponent()
        } while directory.path != "/"
            && !FileManager.default.fileExists(atPath: directory.appendingPathComponent("Package.swift").path)
        return directory
    }()

    private static func load() -> [ProjectFile] {
        var files: [ProjectFile] = []
        var folders = [""]
        while let folder = folders.popLast() {
            let names = try? FileManager.default.contentsOfDirectory(
                atPath: root.appendingPathComponent(folder).path)
            for name in (names ?? []).sorted() where !isForeign(name) {
                let path = folder.isEmpty ? name : "\(folder)/\(name)"
                let url = root.appendingPathComponent(path)
                guard let attributes = try? FileManager.default.attributesOfItem(atPath: url.path) else {
                    continue
                }
                if attributes[.type] as? FileAttributeType == .typeDirectory {
                    folders.append(path)
                } else {
                    files.append(ProjectFile(path: path, url: url, attributes: attributes))
                }
            }
        }
        return files.sorted { $0.path < $1.path }
    }

    private static func isForeign(_ name: String) -> Bool {
        name == ".git" || name.hasPrefix(".build") || name == "__pycache__" || name.hasSuffix(".pyc")
            || [".swiftpm", ".vscode", ".idea", ".DS_Store"].contains(name)
    }
}
