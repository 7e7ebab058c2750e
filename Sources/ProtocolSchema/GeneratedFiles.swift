/// Everything that is generated.
public enum GeneratedFiles {
    /// - Parameter texts: the schema files, by their paths relative to the folder of all schemas.
    /// - Returns: the Swift files, by their paths relative to the folder of what is generated.
    public static func all(from texts: [String: String]) throws(SchemaError) -> [String: String] {
        var result: [String: String] = [:]
        var schemas: [Schema] = []
        var keys: Set<Int> = []
        for (path, text) in texts.sorted(by: { $0.key < $1.key }) {
            let schema = try SchemaParser.parse(text, file: path)
            let expected = path.split(separator: "/").last.map { $0.dropLast(".schema".count) } ?? ""
            if schema.name != expected {
                throw SchemaError(file: path, line: 0, reason: "describes \(schema.name): rename one of both")
            }
            if schema.kind == .api, let key = schema.key, !keys.insert(key).inserted {
                throw SchemaError(file: path, line: 0, reason: "another API has the key \(key)")
            }
            schemas.append(schema)
            result["\(path.dropLast(".schema".count)).swift"] = SwiftWriter.file(for: schema)
        }
        result["APIKey.swift"] = SwiftWriter.apiKeys(for: schemas)
        result["MessageCatalog.swift"] = SwiftWriter.catalog(for: schemas)
        return result
    }
}
