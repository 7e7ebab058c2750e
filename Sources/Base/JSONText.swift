/// Writes JSON (RFC 8259), one value after the other, without Foundation.
///
/// ```
/// var json = JSONText()
/// json.object { json in
///     json.field("offset", 12)
///     json.nullField("key")
///     json.array("headers") { json in json.value("a") }
/// }
/// print(json.text)
/// ```
///
/// Keys are written in the order given and not checked for being different. Integers keep all their digits,
/// also above 2^53. A Double that is not a finite number becomes `null`. Values written side by side outside
/// of any object or array are set apart by line ends: one object a line.
public struct JSONText: Sendable {
    /// The UTF-8 text so far.
    public private(set) var bytes: [UInt8] = []
    /// For each open object or array whether something stands in it already, the innermost last.
    private var hasItems: [Bool] = []
    private var hasTopLevelValue = false
    /// A key was written, its value comes next.
    private var awaitsFieldValue = false

    public init() {}

    public var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Starts afresh with the memory there is. Only between values.
    public mutating func removeAll() {
        invariant(hasItems.isEmpty, "JSON text is cleared within an object or array")
        bytes.removeAll(keepingCapacity: true)
        hasTopLevelValue = false
    }

    // MARK: Values (elements of an array, or the whole text)

    /// Writes an object; the body writes its fields.
    public mutating func object<Failure: Error>(
        _ body: (inout JSONText) throws(Failure) -> Void
    ) throws(Failure) {
        try nested(opening: UInt8(ascii: "{"), closing: UInt8(ascii: "}"), body)
    }

    /// Writes an array; the body writes its values.
    public mutating func array<Failure: Error>(
        _ body: (inout JSONText) throws(Failure) -> Void
    ) throws(Failure) {
        try nested(opening: UInt8(ascii: "["), closing: UInt8(ascii: "]"), body)
    }

    /// Writes a value, nil as `null`. So the three that follow.
    public mutating func value(_ value: String?) {
        startValue()
        guard let value else { return append("null") }
        appendQuoted(value)
    }

    public mutating func value(_ value: (some BinaryInteger)?) {
        startValue()
        guard let value else { return append("null") }
        append(value.description)
    }

    public mutating func value(_ value: Double?) {
        startValue()
        guard let value, value.isFinite else { return append("null") }
        // The shortest digits that read back as the same number; `1e+20` and `5e-324` are JSON as well.
        append(value.description)
    }

    public mutating func value(_ value: Bool?) {
        startValue()
        guard let value else { return append("null") }
        append(value ? "true" : "false")
    }

    /// Writes text that is JSON already, unchanged.
    public mutating func value(rawJSON: String) {
        startValue()
        append(rawJSON)
    }

    // MARK: Fields of an object

    /// Writes a field of an object, nil as `null`. So the three that follow.
    public mutating func field(_ key: String, _ value: String?) {
        startField(key)
        self.value(value)
    }

    public mutating func field(_ key: String, _ value: (some BinaryInteger)?) {
        startField(key)
        self.value(value)
    }

    public mutating func field(_ key: String, _ value: Double?) {
        startField(key)
        self.value(value)
    }

    public mutating func field(_ key: String, _ value: Bool?) {
        startField(key)
        self.value(value)
    }

    /// A field that is `null`.
    public mutating func nullField(_ key: String) {
        startField(key)
        startValue()
        append("null")
    }

    /// A field whose value is JSON already.
    public mutating func field(_ key: String, rawJSON: String) {
        startField(key)
        value(rawJSON: rawJSON)
    }

    /// A field that is an object.
    public mutating func object<Failure: Error>(
        _ key: String, _ body: (inout JSONText) throws(Failure) -> Void
    ) throws(Failure) {
        startField(key)
        try object(body)
    }

    /// A field that is an array.
    public mutating func array<Failure: Error>(
        _ key: String, _ body: (inout JSONText) throws(Failure) -> Void
    ) throws(Failure) {
        startField(key)
        try array(body)
    }

    // MARK: Bytes

    private mutating func nested<Failure: Error>(
        opening: UInt8, closing: UInt8, _ body: (inout JSONText) throws(Failure) -> Void
    ) throws(Failure) {
        startValue()
        bytes.append(opening)
        hasItems.append(false)
        try body(&self)
        invariant(!awaitsFieldValue, "a JSON key has no value")
        hasItems.removeLast()
        bytes.append(closing)
    }

    private mutating func startValue() {
        if awaitsFieldValue {
            awaitsFieldValue = false
            return
        }
        separate()
    }

    private mutating func startField(_ key: String) {
        invariant(
            !hasItems.isEmpty && !awaitsFieldValue, "the JSON key \"\(key)\" does not stand in an object")
        separate()
        appendQuoted(key)
        bytes.append(UInt8(ascii: ":"))
        awaitsFieldValue = true
    }

    /// What stands between a value and the one before it: a comma within something, a line end outside.
    private mutating func separate() {
        if let last = hasItems.indices.last {
            if hasItems[last] { bytes.append(UInt8(ascii: ",")) }
            hasItems[last] = true
        } else {
            if hasTopLevelValue { bytes.append(UInt8(ascii: "\n")) }
            hasTopLevelValue = true
        }
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func appendQuoted(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): append("\\\"")
            case UInt8(ascii: "\\"): append("\\\\")
            case 0x08: append("\\b")
            case 0x09: append("\\t")
            case 0x0A: append("\\n")
            case 0x0C: append("\\f")
            case 0x0D: append("\\r")
            case 0..<0x20, 0x7F:
                append("\\u00")
                bytes.append(Self.hexDigit(byte >> 4))
                bytes.append(Self.hexDigit(byte & 0x0F))
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + (value - 10)
    }
}
