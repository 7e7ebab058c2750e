/// Which brokers settings are for.
public enum BrokerTarget: Sendable {
    case allBrokers, thisBroker
}

extension TopicSettingValues {
    /// Checks what a topic is to be created with, or what all its settings are to be.
    ///
    /// - Parameter broker: what other topics have.
    /// - Returns: the values to store, and the keys that are taken and not stored.
    /// - Throws: the first key or value that is refused.
    public static func check(
        _ entries: [(key: String, value: String?)], broker: SettingValues
    ) throws(SettingError) -> CheckedSettings {
        let result = try CheckedSettings(checking: entries, .topic)
        if let conflict = conflict(in: result.values, broker) { throw conflict }
        return result
    }

    /// What does not fit together though each fits by itself.
    private static func conflict(in own: [String: String], _ broker: SettingValues) -> SettingError? {
        let values = TopicSettingValues(broker: broker, own: own, replicationFactor: 1)
        let minimum = values[TopicSettings.minimumCompactionLagMilliseconds]
        let maximum = values[TopicSettings.maximumCompactionLagMilliseconds]
        if minimum <= maximum { return nil }
        return .conflict(
            "min.compaction.lag.ms (\(minimum)) is above max.compaction.lag.ms (\(maximum)); lower it")
    }
}

extension SettingValues {
    /// Checks what all the settings are to be that are stored for a broker, or for all of them.
    ///
    /// - Returns: the values to store, and the keys that are taken and not stored.
    /// - Throws: the first key or value that is refused.
    public func check(
        stored entries: [(key: String, value: String?)], for target: BrokerTarget
    ) throws(SettingError) -> CheckedSettings {
        for entry in entries {
            guard let descriptor = SettingTable.descriptor(entry.key, .broker) else { continue }
            if descriptor.updateMode == .readOnly { throw .readOnly(name: entry.key) }
            if descriptor.updateMode == .perBroker && target == .allBrokers {
                throw .perBrokerOnly(name: entry.key)
            }
        }
        let result = try CheckedSettings(checking: entries, .broker)
        let after = replacing(target == .allBrokers ? .allBrokers : .thisBroker, with: result.values)
        if let conflict = after.values.conflicts().first { throw conflict }
        return result
    }
}

extension CheckedSettings {
    /// Each entry by itself.
    init(checking entries: [(key: String, value: String?)], _ scope: SettingScope) throws(SettingError) {
        for (name, value) in entries {
            guard let value else {
                if SettingTable.descriptor(name, scope) == nil { throw SettingTable.unknown(name, scope) }
                throw .missingValue(name: name)
            }
            guard values[name] == nil else { throw .givenTwice(name: name) }
            switch try SettingTable.meaning(of: name, value: value, scope) {
            case .ignored(let reason): warnings.append(SettingWarning(name: name, reason: reason))
            case .setting(let descriptor):
                try descriptor.check(value)
                values[name] = trimmed(value)
            }
        }
    }
}
