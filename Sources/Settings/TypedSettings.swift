/// A setting of a broker, with the type of its value.
public struct BrokerSetting<Value: SettingValue>: Sendable {
    public let descriptor: SettingDescriptor
    public var name: String { descriptor.name }
    public let defaultValue: Value

    init(
        _ name: String, default defaultValue: Value, _ bounds: SettingBounds = .any,
        _ unit: SettingUnit = .none, _ updateMode: UpdateMode = .readOnly, after earlier: [String] = [],
        before later: [String] = [], meaning: String
    ) {
        self.defaultValue = defaultValue
        descriptor = SettingDescriptor(
            name, scope: .broker, of: Value.self, default: defaultValue.settingText, bounds, unit, updateMode,
            synonyms: (earlier + [name] + later).map { SettingSynonym($0) }, meaning)
    }
}

/// A setting of a topic, with the type of its value.
public struct TopicSetting<Value: SettingValue>: Sendable {
    public let descriptor: SettingDescriptor
    public var name: String { descriptor.name }
    public let defaultValue: Value
    /// The broker's settings that hold for topics without a value of their own.
    let brokerDescriptors: [SettingDescriptor]

    /// - Parameter broker: the broker's keys in the order of their say; the last has the default.
    init(
        _ name: String, default defaultValue: Value, _ bounds: SettingBounds = .any,
        _ unit: SettingUnit = .none, broker: [SettingSynonym] = [], meaning: String
    ) {
        self.defaultValue = defaultValue
        descriptor = SettingDescriptor(
            name, scope: .topic, of: Value.self, default: defaultValue.settingText, bounds, unit, nil,
            synonyms: broker, meaning)
        brokerDescriptors = broker.indices.map { place in
            Self.brokerDescriptor(
                broker[place], of: name, all: broker, default: defaultValue, bounds, unit,
                isFirst: place == 0, isLast: place == broker.count - 1)
        }
    }

    private static func brokerDescriptor(
        _ synonym: SettingSynonym, of topicSetting: String, all: [SettingSynonym], default value: Value,
        _ bounds: SettingBounds, _ unit: SettingUnit, isFirst: Bool, isLast: Bool
    ) -> SettingDescriptor {
        let first = all[0].name
        let meaning =
            isFirst
            ? "`\(topicSetting)` of topics without their own" : "the same, where `\(first)` is not set"
        let mode = isFirst ? UpdateMode.clusterWide : .readOnly
        let defaultText = isLast ? value.settingText : nil
        switch synonym.conversion {
        case .none:
            return SettingDescriptor(
                synonym.name, scope: .broker, of: Value.self, default: defaultText, bounds, unit, mode,
                synonyms: all, meaning)
        case .fromMinutes, .fromHours:
            let number = defaultText.flatMap { Int64($0) }.map { String($0 / synonym.conversion.rawValue) }
            return SettingDescriptor(
                synonym.name, scope: .broker, of: Int.self, default: number, bounds.lowered,
                synonym.conversion == .fromHours ? .hours : .minutes, mode, synonyms: all, meaning)
        }
    }
}

extension SettingBounds {
    /// For the same setting in a larger unit: only what is below the range stays out.
    fileprivate var lowered: SettingBounds {
        guard case .integers(let range, let special) = self else { return self }
        return .integers(range.lowerBound...Int64.max, or: special)
    }
}
