/// Another key that gives a setting its value, where the first in the list that has one decides.
public struct SettingSynonym: Sendable, Equatable {
    /// What the synonym's number counts, against the milliseconds of the setting.
    public enum Conversion: Int64, Sendable {
        case none = 1
        case fromMinutes = 60_000
        case fromHours = 3_600_000
    }

    public let name: String
    public let conversion: Conversion

    init(_ name: String, _ conversion: Conversion = .none) {
        self.name = name
        self.conversion = conversion
    }

    static func minutes(_ name: String) -> SettingSynonym { SettingSynonym(name, .fromMinutes) }
    static func hours(_ name: String) -> SettingSynonym { SettingSynonym(name, .fromHours) }

    /// A value of the synonym's as one of the setting's. Numbers below zero, which mean "without limit", come
    /// out as -1.
    func converted(_ text: String) -> String {
        guard conversion != .none, let number = Int64(trimmed(text)) else { return text }
        if number < 0 { return "-1" }
        let (product, overflow) = number.multipliedReportingOverflow(by: conversion.rawValue)
        return String(overflow ? Int64.max : product)
    }
}

/// Everything there is to know about a setting but its value.
public struct SettingDescriptor: Sendable {
    public let name: String
    public let scope: SettingScope
    public let type: SettingType
    public let unit: SettingUnit
    /// The value that holds when nobody sets one; nil: none, or that of a synonym.
    public let defaultText: String?
    public let bounds: SettingBounds
    /// What its text must be, as half a sentence: "a whole number of bytes".
    public let form: String
    /// When a changed value takes effect; nil for topic settings, whose values always do at once.
    public let updateMode: UpdateMode?
    /// A broker's: the keys that give the value, this one among them; the first that is set decides.
    /// A topic's: the keys of the broker that give the value where the topic does not.
    public let synonyms: [SettingSynonym]
    /// One sentence without a capital and a full stop.
    public let meaning: String
    /// Values are not shown to anyone.
    public var isSensitive: Bool { type == .password }
    private let isOfType: @Sendable (String) -> Bool

    init<Value: SettingValue>(
        _ name: String, scope: SettingScope, of type: Value.Type, default defaultText: String?,
        _ bounds: SettingBounds, _ unit: SettingUnit, _ updateMode: UpdateMode?,
        synonyms: [SettingSynonym], _ meaning: String
    ) {
        self.name = name
        self.scope = scope
        self.type = Value.settingType
        self.unit = unit
        self.defaultText = defaultText
        self.bounds = bounds
        form = Value.form(in: unit)
        self.updateMode = updateMode
        self.synonyms = synonyms
        self.meaning = meaning
        isOfType = { Value(settingText: $0) != nil }
    }

    /// Refuses a value that is not of the setting's type or not within its bounds.
    public func check(_ text: String) throws(SettingError) {
        if isOfType(text) && bounds.contains(text) { return }
        var expected = form
        if let limits = bounds.text { expected += ", \(limits)" }
        if let number = unit.number(from: trimmed(text)) { expected += "; write \(number)" }
        throw .invalid(name: name, value: isSensitive ? "..." : text, expected: expected)
    }

    /// A value as people write it on a command line, with a unit of its own if they like, as it is stored.
    ///
    /// - Throws: `invalid` for what is no value of this setting.
    public func text(fromCommandLine input: String) throws(SettingError) -> String {
        let plain = trimmed(input)
        let text = unit.number(from: plain).map(String.init) ?? plain
        do {
            try check(text)
        } catch {
            // The number that a quantity came out as is not what was typed.
            if case .invalid(let name, _, let expected) = error {
                throw .invalid(name: name, value: isSensitive ? "..." : plain, expected: expected)
            }
            throw error
        }
        return text
    }

    /// A value as people read it: `7 days`, `no limit`; nil where it is best shown as it is.
    public func readable(_ text: String) -> String? {
        if type == .double { return Double(text) == .greatestFiniteMagnitude ? "no limit" : nil }
        guard let number = Int64(text) else { return nil }
        if number == Int64.max || (type == .int && number == Int64(Int32.max)) { return "no limit" }
        return unit.readable(number)
    }
}
