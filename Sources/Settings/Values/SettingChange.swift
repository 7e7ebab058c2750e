/// One change of one key, as IncrementalAlterConfigs asks for it (KIP-339).
public struct SettingChange: Sendable, Equatable {
    /// Raw values are the protocol's.
    public enum Operation: Int8, Sendable, CaseIterable {
        /// The key gets the value.
        case set = 0
        /// The key gets its default again; there is no value.
        case delete = 1
        /// The parts of the value are added to a list that does not have them.
        case append = 2
        /// The parts of the value are taken from a list.
        case subtract = 3
    }

    public let name: String
    public let operation: Operation
    public let value: String?

    public init(_ name: String, _ operation: Operation, _ value: String?) {
        self.name = name
        self.operation = operation
        self.value = value
    }
}

/// What changes come to: pure functions of what is stored now.
public enum SettingChanges {
    /// Which brokers a change is for.
    public enum BrokerTarget: Sendable {
        case allBrokers, thisBroker
    }

    /// What is stored for a topic after the changes.
    ///
    /// - Parameters:
    ///   - own: what is stored for the topic now.
    ///   - broker: what other topics have; adding to a list that the topic does not have adds to the
    ///     broker's.
    /// - Returns: the values, and the keys that are taken and not stored.
    /// - Throws: the first change that is refused; then nothing is to be changed.
    public static func apply(
        _ changes: [SettingChange], toTopic own: [String: String], broker: SettingValues
    ) throws(SettingError) -> CheckedSettings {
        let result = try apply(changes, to: own, .topic) { broker.topicText($0.name) }
        if let conflict = TopicSettingValues.conflict(in: result.values, broker) { throw conflict }
        return result
    }

    /// What is stored for a broker, or for all of them, after the changes.
    ///
    /// - Parameter stored: what is stored there now.
    /// - Throws: the first change that is refused; then nothing is to be changed.
    public static func apply(
        _ changes: [SettingChange], toBroker stored: [String: String], _ target: BrokerTarget,
        values: SettingValues
    ) throws(SettingError) -> CheckedSettings {
        for change in changes {
            guard let descriptor = SettingTable.descriptor(change.name, .broker) else { continue }
            if descriptor.updateMode == .readOnly { throw .readOnly(name: change.name) }
            if descriptor.updateMode == .perBroker && target == .allBrokers {
                throw .perBrokerOnly(name: change.name)
            }
        }
        let result = try apply(changes, to: stored, .broker) { values.text($0.name) }
        let after = values.replacing(target == .allBrokers ? .allBrokers : .thisBroker, with: result.values)
        if let conflict = after.values.conflicts().first { throw conflict }
        return result
    }

    /// AlterConfigs, the older request: the entries are all there is afterwards.
    public static func replace(
        topicBy entries: [(key: String, value: String?)], broker: SettingValues
    ) throws(SettingError) -> CheckedSettings {
        try TopicSettingValues.check(entries, broker: broker)
    }

    /// The same for a broker, or for all of them.
    public static func replace(
        brokerBy entries: [(key: String, value: String?)], _ target: BrokerTarget, values: SettingValues
    ) throws(SettingError) -> CheckedSettings {
        try apply(
            entries.map { SettingChange($0.key, .set, $0.value) }, toBroker: [:], target, values: values)
    }

    private static func apply(
        _ changes: [SettingChange], to stored: [String: String], _ scope: SettingScope,
        current: (SettingDescriptor) -> String?
    ) throws(SettingError) -> CheckedSettings {
        var values = stored
        var warnings: [SettingWarning] = []
        var seen: Set<String> = []
        for change in changes {
            guard seen.insert(change.name).inserted else { throw .givenTwice(name: change.name) }
            if change.operation == .delete {
                try checkDeletable(change.name, stored, scope)
                values[change.name] = nil
                continue
            }
            guard let value = change.value else { throw .missingValue(name: change.name) }
            switch try SettingTable.meaning(of: change.name, value: value, scope) {
            case .ignored(let reason): warnings.append(SettingWarning(name: change.name, reason: reason))
            case .setting(let descriptor):
                var text = trimmed(value)
                if change.operation != .set {
                    guard descriptor.type == .list else { throw .notAList(name: change.name) }
                    let before = stored[change.name] ?? current(descriptor) ?? ""
                    text = changedList(before, change.operation, value)
                }
                try descriptor.check(text)
                values[change.name] = text
            }
        }
        return CheckedSettings(values: values, warnings: warnings)
    }

    /// What is stored may always go, also what this version would not take any more.
    private static func checkDeletable(
        _ name: String, _ stored: [String: String], _ scope: SettingScope
    ) throws(SettingError) {
        guard stored[name] == nil, SettingTable.descriptor(name, scope) == nil,
            UnservedKey.matching(name, scope) == nil
        else { return }
        throw SettingTable.unknown(name, scope)
    }

    /// Parts that are there already are not added again, parts that are not there are not missed.
    private static func changedList(
        _ before: String, _ operation: SettingChange.Operation, _ value: String
    ) -> String {
        // Both lists are as long as clients like.
        let parts = listParts(before)
        if operation == .subtract {
            let removed = Set(listParts(value))
            return parts.filter { !removed.contains($0) }.joined(separator: ",")
        }
        var known = Set(parts)
        return (parts + listParts(value).filter { known.insert($0).inserted }).joined(separator: ",")
    }
}
