import Foundation
import ProtocolSchema
import Testing

/// The schema files and the generated files of the repository.
enum SchemaFiles {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The files with a suffix below a folder of the repository, by their paths relative to it.
    static func texts(_ folder: String, suffix: String) throws -> [String: String] {
        let url = root.appendingPathComponent(folder)
        var result: [String: String] = [:]
        for path in try FileManager.default.subpathsOfDirectory(atPath: url.path) where path.hasSuffix(suffix)
        {
            result[path] = try String(contentsOf: url.appendingPathComponent(path), encoding: .utf8)
        }
        return result
    }

    static func schemaTexts() throws -> [String: String] {
        try texts("Sources/KafkaProtocol/Schemas", suffix: ".schema")
    }

    /// All messages by Kafka's name.
    static let messages: [String: MessageSchema] = {
        do {
            var result: [String: MessageSchema] = [:]
            for (path, text) in try schemaTexts() {
                for message in try SchemaParser.parse(text, file: path).messages {
                    result[message.name] = message
                }
            }
            return result
        } catch {
            Issue.record("the schemas cannot be read: \(error)")
            return [:]
        }
    }()
}
