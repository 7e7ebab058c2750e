internal import Base

/// All settings by their names.
public enum SettingTable {
    /// What a key turns out to be.
    enum Meaning {
        case setting(SettingDescriptor)
        /// A setting of Kafka's that dmq takes and does not look at.
        case ignored(reason: String)
    }

    /// Longer names are told as unknown without looking for what they may have meant.
    static let maximumNameByteCount = 200

    public static let topicSettings = TopicSettings.all
    public static let brokerSettings = BrokerSettings.families.flatMap(\.settings)

    private static let topicByName = byName(topicSettings)
    private static let brokerByName = byName(brokerSettings)

    private static func byName(_ settings: [SettingDescriptor]) -> [String: SettingDescriptor] {
        var result: [String: SettingDescriptor] = [:]
        for setting in settings {
            invariant(result[setting.name] == nil, "\(setting.name) is in the table twice")
            result[setting.name] = setting
        }
        return result
    }

    /// Nil for names that are no setting of this scope.
    public static func descriptor(_ name: String, _ scope: SettingScope) -> SettingDescriptor? {
        switch scope {
        case .broker: brokerByName[name]
        case .topic: topicByName[name]
        }
    }

    /// - Parameter value: what the key is to be set to; some keys are taken with some values only.
    /// - Throws: `unknown`, `misplaced` or `unserved`.
    static func meaning(
        of name: String, value: String, _ scope: SettingScope
    ) throws(SettingError) -> Meaning {
        if let descriptor = descriptor(name, scope) { return .setting(descriptor) }
        if let key = UnservedKey.matching(name, scope) {
            if key.refuses(value) { throw .unserved(name: name, reason: key.reason) }
            return .ignored(reason: key.reason)
        }
        throw unknown(name, scope)
    }

    /// Why a name is no setting of this scope.
    static func unknown(_ name: String, _ scope: SettingScope) -> SettingError {
        switch scope {
        case .broker:
            if let other = topicByName[name] {
                return .misplaced(name: name, scope: .broker, counterparts: other.synonyms.map(\.name))
            }
        case .topic:
            if brokerByName[name] != nil {
                let counterparts = topicSettings.filter { $0.synonyms.contains { $0.name == name } }
                return .misplaced(name: name, scope: .topic, counterparts: counterparts.map(\.name))
            }
        }
        return .unknown(name: name, scope: scope)
    }

    /// The setting that was most likely meant by an unknown name.
    public static func nearest(to name: String, _ scope: SettingScope) -> String? {
        guard name.utf8.count <= maximumNameByteCount else { return nil }
        let known = scope == .broker ? brokerSettings : topicSettings
        return nearestSpelling(to: name, among: known.map(\.name))
    }
}
