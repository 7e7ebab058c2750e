import KafkaProtocol
import ProtocolSchema
import Testing

/// What the generator makes, and what it refuses.
@Suite("Generator")
struct GeneratorTests {
    @Test("the generated files that are checked in are what the generator makes of the schemas")
    func current() throws {
        let made = try GeneratedFiles.all(from: try SchemaFiles.schemaTexts())
        let found = try SchemaFiles.texts("Sources/KafkaProtocol/Generated", suffix: ".swift")
        #expect(made.count > 150)
        #expect(Set(made.keys) == Set(found.keys), "run tools/schema")
        for (path, text) in made where found[path] != text {
            Issue.record("\(path) is out of date: run tools/schema")
        }
    }

    @Test("the catalogue has every message of every schema, with its versions")
    func catalogue() {
        let named = Dictionary(
            allMessages.map { ("\($0.name)", $0) }, uniquingKeysWith: { first, _ in first })
        #expect(Set(named.keys) == Set(SchemaFiles.messages.keys))
        #expect(named.count == allMessages.count)
        for (name, schema) in SchemaFiles.messages {
            let versions = named[name]?.versions
            #expect(versions.map { Int($0.lowerBound)...Int($0.upperBound) } == schema.versions)
        }
        for (request, response) in zip(MessageCatalog.requests, MessageCatalog.responses) {
            #expect(request.apiKey == response.apiKey && request.versions == response.versions)
            #expect(request.versions == request.apiKey.versions)
            #expect("\(request.name)" == request.apiKey.name + "Request")
            #expect(request.firstFlexibleVersion == request.apiKey.firstFlexibleVersion)
        }
        #expect(MessageCatalog.requests.map { $0.apiKey } == APIKey.allCases)
    }

    private static let head = "# Tries.\napi Try 1\n\nrequest 0-3 flexible 2+\n"
    private static let tail = "\nresponse 0-3 flexible 2+\n"

    @Test("a schema with all words is read as written")
    func words() throws {
        let text =
            Self.head
                + """
                    name: string 1-2 null 2 as topicName = x key ignorable
                    items: [Item]? 0+ = null tag 3
                        id: uuid 2+ as topicId
                    more: Item 0
                """.replacing("tag 3", with: "ignorable") + Self.tail
        let request = try SchemaParser.parse(text, file: "Try.schema").messages[0]
        let name = try #require(request.structures[0].fields.first)
        #expect(name.versions == VersionRange(1, 2) && name.nullable == VersionRange(2, 2))
        #expect(name.meaning == .topicName && name.defaultText == "x" && name.isKey && name.isIgnorable)
        #expect(request.structures.map(\.name) == ["TryRequest", "Item"])
        #expect(request.structures[0].fields[1].type == .array(.structure("Item")))
        #expect(request.isFlexible(2) && !request.isFlexible(1))
    }

    @Test(
        "a schema with a fault is refused with file and line",
        arguments: [
            ("    name string 0+\n", 5), ("    name: text 0+\n", 5), ("    name: string x\n", 5),
            ("    name: string 0+ as nothing\n", 5), ("    name: string 0+ tag\n", 5),
            ("    a: int8 0+\n    a: int8 0+\n", 6), ("    a: int8 0+\n        b: int8 0+\n", 6),
            ("   a: int8 0+\n", 5), ("    a: [[int8]] 0+\n", 5), ("    a: Item 0+\n", 4),
            ("    a: int8 0+ tag 0\n", 4), ("    a: int8 0+ sometimes\n", 5),
        ])
    func faults(fields: String, line: Int) {
        #expect {
            try SchemaParser.parse(Self.head + fields + Self.tail, file: "Try.schema")
        } throws: { error in
            let error = error as? SchemaError
            return error?.file == "Try.schema" && error?.line == line
        }
    }

    @Test("two APIs with one key, and a file under another name, are refused")
    func duplicates() {
        let text = Self.head + Self.tail
        #expect(throws: SchemaError.self) { try GeneratedFiles.all(from: ["Other.schema": text]) }
        let other = text.replacing("api Try", with: "api Other")
        #expect(throws: SchemaError.self) {
            try GeneratedFiles.all(from: ["Try.schema": text, "Other.schema": other])
        }
    }
}
