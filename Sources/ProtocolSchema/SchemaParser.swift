// The grammar of schema files, by lines. Four spaces an indentation.
//
//     # What it is for. May take several lines.
//     api Produce 0                       the API and its key; or "record TopicRecord 2", the key optional
//
//     request 0-13 flexible 9+            also "response", for records "data"; "flexible none"
//         transactionalId: string? 3+ as transactionalId = null
//         topicData: [TopicProduceData] 0+
//             name: string 0-12           the fields of the structure that the field above names
//         struct Shared                   a structure that several fields name, at the end of the message
//             id: int32 0+
//
// A field is "name: type versions", then in any order: "null VERSIONS" (a type with ? is nullable in all its
// versions), "as MEANING", "= DEFAULT", "tag NUMBER", "key", "ignorable".

/// Why a schema cannot be read.
public struct SchemaError: Error, Hashable, Sendable, CustomStringConvertible {
    public let file: String
    public let line: Int
    public let reason: String

    public var description: String { "\(file):\(line): \(reason)" }
}

/// Reads one schema file.
public struct SchemaParser {
    private struct Line {
        let number: Int
        let depth: Int
        let words: [Substring]
    }

    private let file: String
    private var lines: [Line] = []
    private var about: [Substring] = []
    private var next = 0

    /// - Parameter file: how errors call it.
    public static func parse(_ text: String, file: String) throws(SchemaError) -> Schema {
        var parser = try SchemaParser(text, file: file)
        return try parser.schema()
    }

    private init(_ text: String, file: String) throws(SchemaError) {
        self.file = file
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.hasPrefix("#") {
                about.append(line.drop { $0 == "#" || $0 == " " })
                continue
            }
            let words = line.split(separator: " ")
            if words.isEmpty { continue }
            let indentation = line.prefix { $0 == " " }.count
            if indentation % 4 != 0 {
                throw SchemaError(
                    file: file, line: index + 1, reason: "indented by \(indentation), not by fours")
            }
            lines.append(Line(number: index + 1, depth: indentation / 4, words: words))
        }
    }

    private func failure(_ line: Line?, _ reason: String) -> SchemaError {
        SchemaError(file: file, line: line?.number ?? lines.last?.number ?? 0, reason: reason)
    }

    private var current: Line? { next < lines.count ? lines[next] : nil }

    private mutating func schema() throws(SchemaError) -> Schema {
        guard let head = current, head.depth == 0, (2...3).contains(head.words.count),
            let kind = Schema.Kind(rawValue: String(head.words[0]))
        else { throw failure(current, "a schema begins with \"api NAME KEY\" or \"record NAME\"") }
        let key = head.words.count == 3 ? Int(head.words[2]) : nil
        if key == nil && (kind == .api || head.words.count == 3) {
            throw failure(head, "the key must be a number")
        }
        next += 1
        var messages: [MessageSchema] = []
        while current != nil { messages.append(try message(of: String(head.words[1]))) }
        let expected: [MessageSchema.Kind] = kind == .api ? [.request, .response] : [.data]
        if messages.map(\.kind) != expected {
            throw failure(nil, "needs \(expected.map(\.rawValue).joined(separator: " and "))")
        }
        return Schema(
            kind: kind, name: String(head.words[1]), key: key, about: about.joined(separator: " "),
            messages: messages)
    }

    private mutating func message(of name: String) throws(SchemaError) -> MessageSchema {
        guard let head = current, head.depth == 0, head.words.count == 4, head.words[2] == "flexible",
            let kind = MessageSchema.Kind(rawValue: String(head.words[0])),
            let versions = VersionRange(head.words[1]), let last = versions.last
        else { throw failure(current, "a message begins with \"request 0-4 flexible 2+\"") }
        let flexible = VersionRange(head.words[3])
        if flexible == nil && head.words[3] != "none" || flexible.map({ $0.last != nil }) == true {
            throw failure(head, "flexible versions are \"none\" or \"N+\"")
        }
        next += 1
        let suffix: String
        switch kind {
        case .request: suffix = "Request"
        case .response: suffix = "Response"
        case .data: suffix = ""
        }
        var structures: [Structure] = []
        let range = VersionRange(versions.first, last)
        try structure(name + suffix, parent: nil, versions: range, depth: 1, into: &structures)
        while let line = current, line.depth == 1, line.words.count == 2, line.words[0] == "struct" {
            next += 1
            try structure(String(line.words[1]), parent: nil, versions: range, depth: 2, into: &structures)
        }
        if let line = current, line.depth != 0 { throw failure(line, "indented too far") }
        let result = MessageSchema(
            kind: kind, name: name + suffix, versions: versions.first...last,
            firstFlexible: flexible?.first, structures: structures)
        try check(result, head)
        return result
    }

    private mutating func structure(
        _ name: String, parent: String?, versions: VersionRange, depth: Int, into result: inout [Structure]
    ) throws(SchemaError) {
        if result.contains(where: { $0.name == name }) {
            throw failure(current, "\(name) has its fields already")
        }
        let place = result.count
        result.append(Structure(name: name, fields: [], parent: parent, versions: versions))
        var fields: [Field] = []
        while let line = current, line.depth == depth, line.words[0] != "struct" {
            let field = try field(line)
            if fields.contains(where: { $0.name == field.name }) {
                throw failure(line, "there are two fields \(field.name)")
            }
            fields.append(field)
            next += 1
            if current?.depth == depth + 1 {
                guard let inner = field.structureName else {
                    throw failure(current, "\(field.name) has no fields: its type is no structure")
                }
                try structure(
                    inner, parent: field.name, versions: field.versions, depth: depth + 1, into: &result)
            }
        }
        result[place] = Structure(name: name, fields: fields, parent: parent, versions: versions)
    }

    private func field(_ line: Line) throws(SchemaError) -> Field {
        var words = line.words[...]
        guard let first = words.popFirst(), first.hasSuffix(":"), var type = words.popFirst(),
            let versions = words.popFirst().flatMap({ VersionRange($0) })
        else { throw failure(line, "a field is \"name: type versions\"") }
        var nullable: VersionRange?
        if type.hasSuffix("?") {
            type.removeLast()
            nullable = versions
        }
        var (meaning, defaultText, tag): (FieldMeaning?, String?, Int?)
        var (isKey, isIgnorable) = (false, false)
        while let word = words.popFirst() {
            switch word {
            case "key": isKey = true
            case "ignorable": isIgnorable = true
            case "=": defaultText = words.popFirst().map { String($0) }
            case "tag": tag = words.popFirst().flatMap { Int($0) }
            case "null": nullable = words.popFirst().flatMap { VersionRange($0) }
            case "as": meaning = words.popFirst().flatMap { FieldMeaning(rawValue: String($0)) }
            default: throw failure(line, "\"\(word)\" is nothing that a field can have")
            }
            let isRead = word == "=" ? defaultText != nil : word == "tag" ? tag != nil : true
            if !isRead || word == "null" && nullable == nil || word == "as" && meaning == nil {
                throw failure(line, "what follows \"\(word)\" cannot be read")
            }
        }
        return Field(
            name: String(first.dropLast()), type: try fieldType(type, line), versions: versions,
            nullable: nullable, meaning: meaning, defaultText: defaultText, tag: tag, isKey: isKey,
            isIgnorable: isIgnorable, line: line.number)
    }

    private func fieldType(_ text: Substring, _ line: Line) throws(SchemaError) -> FieldType {
        if text.hasPrefix("["), text.hasSuffix("]") {
            let element = text.dropFirst().dropLast()
            if element.hasPrefix("[") { throw failure(line, "lists of lists do not occur in the protocol") }
            return .array(try fieldType(element, line))
        }
        if let scalar = FieldType.scalars[String(text)] { return scalar }
        guard text.first?.isUppercase == true else { throw failure(line, "there is no type \(text)") }
        return .structure(String(text))
    }

    /// Every structure that is named has fields, and tags are 0, 1, 2 ... in flexible versions only.
    private func check(_ message: MessageSchema, _ head: Line) throws(SchemaError) {
        for structure in message.structures {
            for field in structure.fields {
                if let name = field.structureName, message.structure(name) == nil {
                    throw failure(head, "\(name) has no fields")
                }
                if field.tag != nil && field.versions.first < message.firstFlexible ?? Int.max {
                    throw failure(head, "\(field.name) is tagged in a version that is not flexible")
                }
            }
            let tags = structure.fields.compactMap(\.tag)
            if Set(tags).count != tags.count { throw failure(head, "\(structure.name) has a tag twice") }
        }
    }
}

extension Field {
    /// The structure that it names, itself or as a list.
    public var structureName: String? {
        switch type {
        case .structure(let name), .array(.structure(let name)): name
        default: nil
        }
    }
}
