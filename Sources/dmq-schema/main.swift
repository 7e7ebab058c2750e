import Foundation
import ProtocolSchema

// dmq-schema SCHEMAS GENERATED: writes the Swift for all schema files below one folder to another, and
// removes files there that no schema stands for.

/// Ends the program with what went wrong.
func stop(_ message: String) -> Never {
    FileHandle.standardError.write(Data("dmq-schema: \(message)\n".utf8))
    exit(1)
}

guard CommandLine.arguments.count == 3 else { stop("usage: dmq-schema SCHEMAS GENERATED") }
let (source, target) = (CommandLine.arguments[1], CommandLine.arguments[2])

do {
    var texts: [String: String] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: source) where path.hasSuffix(".schema") {
        texts[path] = try String(contentsOfFile: "\(source)/\(path)", encoding: .utf8)
    }
    let files = try GeneratedFiles.all(from: texts)
    let existing = (try? FileManager.default.subpathsOfDirectory(atPath: target)) ?? []
    for path in existing where path.hasSuffix(".swift") && files[path] == nil {
        try FileManager.default.removeItem(atPath: "\(target)/\(path)")
    }
    for (path, text) in files {
        let url = URL(fileURLWithPath: "\(target)/\(path)")
        if (try? String(contentsOf: url, encoding: .utf8)) == text { continue }
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: url, atomically: true, encoding: .utf8)
    }
    print("\(files.count) files from \(texts.count) schemas")
} catch {
    stop("\(error)")
}
