/// A field as Swift sees it: its name, its type and the expressions that read and write it.
struct SwiftField {
    let field: Field
    let message: MessageSchema
    /// The versions in which the structure around it occurs.
    let around: ClosedRange<Int>

    /// Without backquotes.
    var name: String { SwiftNames.property(field.name) }
    var property: String { SwiftNames.escaped(name) }

    private static let meaningTypes: [FieldMeaning: String] = [
        .directoryId: "DirectoryID", .errorCode: "ErrorCode", .leaderEpoch: "LeaderEpoch", .offset: "Offset",
        .producerEpoch: "ProducerEpoch", .producerId: "ProducerID", .topicId: "TopicID",
    ]

    /// The type that its meaning has, nil when it is a plain number, string or structure.
    var wrapper: String? {
        switch field.type {
        case .int16, .int32, .int64, .uuid, .array(.int16), .array(.int32), .array(.int64), .array(.uuid):
            field.meaning.flatMap { Self.meaningTypes[$0] }
        default: nil
        }
    }

    private func typeName(_ type: FieldType) -> String {
        switch type {
        case .bool: "Bool"
        case .int8: "Int8"
        case .int16: wrapper ?? "Int16"
        case .int32: wrapper ?? "Int32"
        case .int64: wrapper ?? "Int64"
        case .uint16: "UInt16"
        case .float64: "Double"
        case .uuid: wrapper ?? "UniqueID"
        case .string: "String"
        case .bytes: "[UInt8]"
        case .records: "RecordBytes"
        case .structure(let name): SwiftNames.type(name)
        case .array(let element): "[\(typeName(element))]"
        }
    }

    var isOptional: Bool { field.nullable != nil }
    var typeText: String { typeName(field.type) + (isOptional ? "?" : "") }

    // MARK: - Defaults

    /// An expression for the value that the field has when nothing is said.
    var defaultText: String {
        if field.defaultText == "null" { return "nil" }
        let given = field.defaultText
        switch field.type {
        case .bool: return given ?? "false"
        case .int8, .int16, .int32, .int64, .uint16, .float64:
            let number = given ?? "0"
            return wrapper.map { "\($0)(\(number))" } ?? number
        case .uuid: return wrapper.map { "\($0)(.zero)" } ?? ".zero"
        case .string: return "\"\(given ?? "")\""
        case .bytes, .array: return "[]"
        case .records: return "RecordBytes.empty"
        case .structure(let name): return "\(SwiftNames.type(name))()"
        }
    }

    /// An expression that is true when the field has another value than its default.
    var differsFromDefault: String {
        if field.defaultText == "null" { return "\(property) != nil" }
        switch field.type {
        case .bool: return field.defaultText == "true" ? "!\(property)" : property
        case .bytes, .array: return isOptional ? "!(\(property)?.isEmpty ?? false)" : "!\(property).isEmpty"
        case .string where field.defaultText == nil && !isOptional: return "!\(property).isEmpty"
        default: return "\(property) != \(defaultText)"
        }
    }

    // MARK: - Versions

    /// An expression for "the version has it", nil when every version around it has.
    var isCarried: String? { condition(field.versions, within: around) }

    /// The versions that have it, within those around it.
    var carried: ClosedRange<Int> { range(field.versions, within: around) }

    /// "true", "false" or an expression for "it may be null in this version".
    private var mayBeNull: String {
        guard let nullable = field.nullable else { return "false" }
        return condition(nullable, within: carried) ?? "true"
    }

    private func range(_ versions: VersionRange, within: ClosedRange<Int>) -> ClosedRange<Int> {
        let last = min(versions.last ?? within.upperBound, within.upperBound)
        let first = max(versions.first, within.lowerBound)
        return min(first, last)...last
    }

    private func condition(_ versions: VersionRange, within: ClosedRange<Int>) -> String? {
        let part = range(versions, within: within)
        if part == within { return nil }
        if part.lowerBound == part.upperBound { return "version == \(part.lowerBound)" }
        if part.upperBound == within.upperBound { return "version >= \(part.lowerBound)" }
        if part.lowerBound == within.lowerBound { return "version <= \(part.upperBound)" }
        return "version >= \(part.lowerBound) && version <= \(part.upperBound)"
    }

    // MARK: - Expressions

    private var scalarName: String {
        switch field.type {
        case .bool: "bool"
        case .int8: "int8"
        case .int16: "int16"
        case .int32: "int32"
        case .int64: "int64"
        case .uint16: "uint16"
        case .float64: "float64"
        case .uuid: "uuid"
        case .string: "string"
        case .bytes: "bytes"
        case .records: "records"
        case .structure: "structure"
        case .array(.structure): "structures"
        case .array: "scalars"
        }
    }

    private var optionalName: String {
        "optional\(scalarName.prefix(1).uppercased())\(scalarName.dropFirst())"
    }

    /// An expression that reads the field.
    var reading: String {
        if isOptional { return "try reader.\(optionalName)(\"\(name)\", mayBeNull: \(mayBeNull))" }
        let value = "try reader.\(scalarName)(\"\(name)\")"
        if case .array = field.type { return value }
        return wrapper.map { "\($0)(\(value))" } ?? value
    }

    /// A statement that writes the field.
    var writing: String {
        if isOptional {
            return "try writer.\(optionalName)(\(property), \"\(name)\", mayBeNull: \(mayBeNull))"
        }
        var isRefusable = true
        switch field.type {
        case .bool, .int8, .int16, .int32, .int64, .uint16, .float64, .uuid: isRefusable = false
        case .structure: return "try \(property).encode(to: &writer)"
        default: break
        }
        if case .array = field.type { return "try writer.\(scalarName)(\(property), \"\(name)\")" }
        if isRefusable { return "try writer.\(scalarName)(\(property), \"\(name)\")" }
        return "writer.\(scalarName)(\(property)\(wrapper == nil ? "" : ".rawValue"))"
    }

    // MARK: - Sizes

    /// The fewest bytes that it takes in a version.
    func minimumByteCount(_ version: Int) -> Int {
        guard field.versions.contains(version), field.tag == nil else { return 0 }
        let isFlexible = message.isFlexible(version)
        switch field.type {
        case .bool, .int8: return 1
        case .int16, .uint16: return 2
        case .int32: return 4
        case .int64, .float64: return 8
        case .uuid: return 16
        case .string: return isFlexible ? 1 : 2
        case .bytes, .records, .array: return isFlexible ? 1 : 4
        case .structure(let name):
            if field.nullable?.contains(version) == true { return 1 }
            return message.structure(name).map { message.minimumByteCount(of: $0, version) } ?? 0
        }
    }
}

extension MessageSchema {
    /// The fewest bytes that a structure takes in a version.
    func minimumByteCount(of structure: Structure, _ version: Int) -> Int {
        structure.fields.reduce(isFlexible(version) ? 1 : 0) {
            $0 + SwiftField(field: $1, message: self, around: versions).minimumByteCount(version)
        }
    }

    /// The versions in which a structure occurs.
    func occurrence(of structure: Structure) -> ClosedRange<Int> {
        let first = max(structure.versions.first, versions.lowerBound)
        return first...min(structure.versions.last ?? versions.upperBound, versions.upperBound)
    }
}
