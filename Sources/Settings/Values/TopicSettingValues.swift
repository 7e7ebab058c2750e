internal import Base

/// The settings of one topic: its own over what its broker says for all.
public struct TopicSettingValues: Sendable {
    public let broker: SettingValues
    /// What was set for the topic, checked.
    public let own: [String: String]
    /// Decides the default of `min.insync.replicas`.
    public let replicationFactor: Int

    /// - Parameters:
    ///   - own: what was set for the topic. Keys that are no settings or whose values do not fit are left
    ///     out: metadata may come from a later version.
    ///   - replicationFactor: at least 1.
    public init(broker: SettingValues, own: [String: String], replicationFactor: Int) {
        invariant(replicationFactor >= 1, "a topic with \(replicationFactor) replicas")
        self.broker = broker
        self.replicationFactor = replicationFactor
        var good: [String: String] = [:]
        for (name, text) in own {
            if let descriptor = SettingTable.descriptor(name, .topic),
                (try? descriptor.check(text)) != nil
            {
                good[name] = trimmed(text)
            }
        }
        self.own = good
    }

    /// The value that holds.
    public subscript<Value: SettingValue>(setting: TopicSetting<Value>) -> Value {
        value(of: text(setting.name), setting.descriptor)
    }

    /// Nil where there is no such setting.
    public func text(_ name: String) -> String? {
        if let text = own[name] { return text }
        if name == TopicSettings.minimumInSyncReplicas.name,
            replicationFactor == 1, !broker.isSet(named: name)
        {
            return "1"
        }
        return broker.topicText(name)
    }
}
