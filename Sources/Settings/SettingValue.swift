/// A Swift type that a setting's value may have. Values are written as in Kafka's property files.
public protocol SettingValue: Sendable, Equatable {
    static var settingType: SettingType { get }
    /// What the text has to be, for messages: "true or false".
    static func form(in unit: SettingUnit) -> String
    /// The value of a setting that nothing gives one to and that has no default; nil where there must be one.
    static var absent: Self? { get }
    /// Nil for text that is none of this type. White space around it does not count.
    init?(settingText: String)
    /// The value as it is stored and shown; nil for `absent`.
    var settingText: String? { get }
}

extension SettingValue {
    public static var absent: Self? { nil }
}

extension Bool: SettingValue {
    public static var settingType: SettingType { .boolean }
    public static func form(in unit: SettingUnit) -> String { "true or false" }
    public var settingText: String? { description }

    public init?(settingText: String) {
        switch trimmed(settingText).lowercased() {
        case "true": self = true
        case "false": self = false
        default: return nil
        }
    }
}

/// Kafka's int: 32 bits, whatever Swift's has.
extension Int: SettingValue {
    public static var settingType: SettingType { .int }
    public static func form(in unit: SettingUnit) -> String { wholeNumber(in: unit) }
    public var settingText: String? { description }

    public init?(settingText: String) {
        guard let value = Int32(trimmed(settingText)) else { return nil }
        self = Int(value)
    }
}

extension Int16: SettingValue {
    public static var settingType: SettingType { .short }
    public static func form(in unit: SettingUnit) -> String { wholeNumber(in: unit) }
    public var settingText: String? { description }

    public init?(settingText: String) { self.init(trimmed(settingText)) }
}

/// Kafka's long.
extension Int64: SettingValue {
    public static var settingType: SettingType { .long }
    public static func form(in unit: SettingUnit) -> String { wholeNumber(in: unit) }
    public var settingText: String? { description }

    public init?(settingText: String) { self.init(trimmed(settingText)) }
}

extension Double: SettingValue {
    public static var settingType: SettingType { .double }
    public static func form(in unit: SettingUnit) -> String { "a number" + of(unit) }
    public var settingText: String? { description }

    public init?(settingText: String) {
        guard let value = Double(trimmed(settingText)), value.isFinite else { return nil }
        self = value
    }
}

extension String: SettingValue {
    public static var settingType: SettingType { .string }
    public static func form(in unit: SettingUnit) -> String { "text" }
    public var settingText: String? { self }

    public init?(settingText: String) { self = trimmed(settingText) }
}

/// A setting that may be without a value. So is a text or list that is given as empty.
extension Optional: SettingValue where Wrapped: SettingValue {
    public static var settingType: SettingType { Wrapped.settingType }
    public static func form(in unit: SettingUnit) -> String { Wrapped.form(in: unit) }
    public static var absent: Wrapped?? { .some(nil) }
    public var settingText: String? { flatMap(\.settingText) }

    public init?(settingText: String) {
        if trimmed(settingText).isEmpty && (Wrapped.settingType == .string || Wrapped.settingType == .list) {
            self = .none
            return
        }
        guard let value = Wrapped(settingText: settingText) else { return nil }
        self = .some(value)
    }
}

/// One of a few words.
public protocol SettingChoice: SettingValue, RawRepresentable<String>, CaseIterable {}

extension SettingChoice {
    public static var settingType: SettingType { .string }
    public static func form(in unit: SettingUnit) -> String {
        let words = allCases.map(\.rawValue)
        return words.count > 1
            ? words.dropLast().joined(separator: ", ") + " or " + words[words.count - 1]
            : words.joined()
    }
    public var settingText: String? { rawValue }

    public init?(settingText: String) { self.init(rawValue: trimmed(settingText)) }
}

/// What a list may consist of; written between commas.
public protocol SettingListElement: SettingValue {
    /// Half a sentence, plural: "addresses of the form HOST:PORT".
    static var listForm: String { get }
}

extension String: SettingListElement {
    public static var listForm: String { "words" }
}

extension SettingListElement where Self: SettingChoice {
    public static var listForm: String { "words out of " + allCases.map(\.rawValue).joined(separator: ", ") }
}

extension Array: SettingValue where Element: SettingListElement {
    public static var settingType: SettingType { .list }
    public static func form(in unit: SettingUnit) -> String {
        "\(Element.listForm), with commas between them"
    }
    public var settingText: String? { map { $0.settingText ?? "" }.joined(separator: ",") }

    public init?(settingText: String) {
        self = []
        for part in listParts(settingText) {
            guard let element = Element(settingText: part) else { return nil }
            append(element)
        }
    }
}

/// The parts of a list, without white space around them. Empty text is an empty list.
func listParts(_ text: String) -> [String] {
    let content = trimmed(text)
    if content.isEmpty { return [] }
    return content.split(separator: ",", omittingEmptySubsequences: false).map { trimmed(String($0)) }
}

/// Without white space around it.
func trimmed(_ text: String) -> String {
    let space: Set<Character> = [" ", "\t", "\n", "\r", "\r\n", "\u{C}"]
    guard let first = text.first, let last = text.last, space.contains(first) || space.contains(last) else {
        return text
    }
    let tail = text.drop { space.contains($0) }
    guard let end = tail.lastIndex(where: { !space.contains($0) }) else { return "" }
    return String(tail[...end])
}

private func wholeNumber(in unit: SettingUnit) -> String { "a whole number" + of(unit) }
private func of(_ unit: SettingUnit) -> String { unit.words.isEmpty ? "" : " of \(unit.words)" }
