/// A setting that a group of the consumer protocol may have of its own (resource type "group"), within bounds
/// that the broker sets. Milliseconds.
public struct GroupSetting: Sendable {
    public let name: String
    private let least: BrokerSetting<Int>
    private let most: BrokerSetting<Int>
    /// What holds for groups without it.
    private let common: BrokerSetting<Int>

    public static let session = GroupSetting(
        name: "consumer.session.timeout.ms",
        least: BrokerSettings.consumerGroupMinimumSessionMilliseconds,
        most: BrokerSettings.consumerGroupMaximumSessionMilliseconds,
        common: BrokerSettings.consumerGroupSessionMilliseconds)
    public static let heartbeat = GroupSetting(
        name: "consumer.heartbeat.interval.ms",
        least: BrokerSettings.consumerGroupMinimumHeartbeatMilliseconds,
        most: BrokerSettings.consumerGroupMaximumHeartbeatMilliseconds,
        common: BrokerSettings.consumerGroupHeartbeatMilliseconds)

    private static let all = [session, heartbeat]

    /// What the group has set; nil where it has not. The broker's bounds may have become others since.
    public func value(in own: [String: String], _ broker: SettingValues) -> Int64? {
        guard let number = own[name].flatMap({ Int64(trimmed($0)) }) else { return nil }
        return max(Int64(broker[least]), min(number, Int64(broker[most])))
    }

    private func check(_ text: String, _ broker: SettingValues) throws(SettingError) {
        let (low, high) = (broker[least], broker[most])
        if let number = Int(trimmed(text)), number >= low, number <= high { return }
        throw .invalid(
            name: name, value: text,
            expected: "a whole number of milliseconds from \(low) to \(high), as the broker's "
                + "\(least.descriptor.name) and \(most.descriptor.name) have it")
    }

    /// Checks what all the settings of a group are to be.
    ///
    /// - Throws: the first name or value that is refused.
    public static func check(_ entries: [String: String], broker: SettingValues) throws(SettingError) {
        for (name, value) in entries.sorted(by: { $0.key < $1.key }) {
            guard let setting = all.first(where: { $0.name == name }) else {
                throw .unserved(
                    name: name, reason: "a group has \(session.name) and \(heartbeat.name) only")
            }
            try setting.check(value, broker)
        }
        let silence = session.value(in: entries, broker) ?? Int64(broker[session.common])
        let interval = heartbeat.value(in: entries, broker) ?? Int64(broker[heartbeat.common])
        if interval < silence { return }
        throw .conflict(
            "\(heartbeat.name) (\(interval)) is not below \(session.name) (\(silence)); lower it")
    }
}
