import Base
import RecordFormat

/// What stands behind a name in a printed line.
indirect enum DumpValue {
    case integer(Int64)
    case text(String)
    case flag(Bool)
    /// As milliseconds in JSON; in text also as date and time.
    case time(Timestamp)
    /// JSON on one line, already checked.
    case json(String)
    case list([DumpValue])
    case object([DumpField])
    case null
}

/// A name and its value.
struct DumpField {
    let name: String
    let value: DumpValue

    init(_ name: String, _ value: DumpValue) {
        self.name = name
        self.value = value
    }

    init(_ name: String, _ value: some BinaryInteger) { self.init(name, .integer(Int64(value))) }
    init(_ name: String, _ value: String) { self.init(name, .text(value)) }
    init(_ name: String, _ value: Bool) { self.init(name, .flag(value)) }
    init(_ name: String, _ value: Offset) { self.init(name, .integer(value.rawValue)) }
    init(_ name: String, _ value: Timestamp) { self.init(name, .time(value)) }
}

/// A line of output, in either form: `batch position=0 baseOffset=0 ...`, or an object with a `type`.
struct DumpLine {
    /// What it is about: `batch`, `record`, `damage`.
    let type: String
    let path: String
    let fields: [DumpField]

    init(_ type: String, _ path: String, _ fields: [DumpField]) {
        self.type = type
        self.path = path
        self.fields = fields
    }

    /// The line as one JSON object, without a line end.
    func appendJSON(to json: inout JSONText) {
        json.object { json in
            json.field("type", type)
            json.field("file", path)
            for field in fields {
                json.field(field.name, rawJSON: Self.json(field.value))
            }
        }
    }

    private static func json(_ value: DumpValue) -> String {
        var text = JSONText()
        append(value, to: &text)
        return text.text
    }

    private static func append(_ value: DumpValue, to text: inout JSONText) {
        switch value {
        case .integer(let number): text.value(number)
        case .text(let string): text.value(string)
        case .flag(let flag): text.value(flag)
        case .time(let time): text.value(time.rawValue)
        case .json(let json): text.value(rawJSON: json)
        case .null: text.value(String?.none)
        case .list(let values):
            text.array { text in
                for value in values { append(value, to: &text) }
            }
        case .object(let fields):
            text.object { text in
                for field in fields { text.field(field.name, rawJSON: json(field.value)) }
            }
        }
    }

    /// The line for people, without the path, which stands above all lines of a file.
    var text: String {
        var line = type
        for field in fields {
            line += " \(field.name)="
            Self.append(field.value, to: &line)
        }
        return line
    }

    private static func append(_ value: DumpValue, to line: inout String) {
        switch value {
        case .integer(let number): line += String(number)
        case .text(let string): line += quoted(string)
        case .flag(let flag): line += flag ? "true" : "false"
        case .time(let time):
            line += String(time.rawValue)
            if let date = CalendarTime.text(ofMilliseconds: time.rawValue), time != .none {
                line += "(\(date))"
            }
        case .json(let json): line += json
        case .null: line += "null"
        case .list(let values):
            line += "["
            for (index, value) in values.enumerated() {
                if index > 0 { line += " " }
                append(value, to: &line)
            }
            line += "]"
        case .object(let fields):
            line += "{"
            for (index, field) in fields.enumerated() {
                if index > 0 { line += " " }
                line += "\(field.name)="
                append(field.value, to: &line)
            }
            line += "}"
        }
    }

    /// In quotes where there are spaces or nothing, and with control characters escaped: what a producer
    /// sent must not steer the terminal.
    private static func quoted(_ string: String) -> String {
        var result = ""
        var needsQuotes = string.isEmpty || string == "null"
        for scalar in string.unicodeScalars {
            switch scalar.value {
            case 0x0A: result += "\\n"
            case 0x0D: result += "\\r"
            case 0x09: result += "\\t"
            case 0x22: result += "\\\""
            case 0x5C: result += "\\\\"
            case 0..<0x20, 0x7F..<0xA0, 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default:
                if scalar == " " || scalar == "=" { needsQuotes = true }
                result.unicodeScalars.append(scalar)
                continue
            }
            needsQuotes = true
        }
        return needsQuotes ? "\"\(result)\"" : result
    }
}
