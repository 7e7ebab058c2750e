internal import Base

/// The settings of one broker, from all layers: what holds, and where it comes from. A value; a change makes
/// another one.
///
/// Reading costs a look-up and the parsing of a short text: whatever reads a setting per request keeps it.
public struct SettingValues: Sendable {
    /// Per layer what is set there, checked. The layer of the defaults is not among them.
    private var layers: [SettingLayer: [String: String]] = [:]
    /// What holds, by the name of a broker's setting.
    private var brokerValues: [String: String]
    /// What holds for topics without a value of their own, by the name of the topic's setting.
    private var topicValues: [String: String]

    /// Nothing is set.
    public init() {
        brokerValues = Self.defaultBrokerValues
        topicValues = Self.defaultTopicValues
    }

    private static let defaultValues: [String: String] = {
        var values: [String: String] = [:]
        for setting in SettingTable.brokerSettings { values[setting.name] = setting.defaultText }
        return values
    }()
    private static let defaultBrokerValues = resolvedBrokerValues([:])
    private static let defaultTopicValues = resolvedTopicValues([:])

    // MARK: Reading

    /// The value that holds.
    public subscript<Value: SettingValue>(setting: BrokerSetting<Value>) -> Value {
        value(of: brokerValues[setting.name], setting.descriptor)
    }

    /// The value for topics that have none of their own. `min.insync.replicas` depends on the topic; ask
    /// `TopicSettingValues` for it.
    public subscript<Value: SettingValue>(setting: TopicSetting<Value>) -> Value {
        value(of: topicValues[setting.name], setting.descriptor)
    }

    /// Nil where there is no such setting, or no value.
    public func text(_ name: String) -> String? { brokerValues[name] }

    func topicText(_ name: String) -> String? { topicValues[name] }

    /// Whether somebody has set this, as against its default.
    public func isSet<Value>(_ setting: BrokerSetting<Value>) -> Bool {
        setting.descriptor.synonyms.contains { synonym in
            layers.values.contains { $0[synonym.name] != nil }
        }
    }

    /// What is set in a layer, by name.
    public func texts(in layer: SettingLayer) -> [String: String] {
        layer == .defaults ? Self.defaultValues : layers[layer] ?? [:]
    }

    // MARK: Other values

    /// With a layer exchanged, such as by what the cluster's metadata say now. Keys that are no settings or
    /// whose values do not fit are left out and told: metadata may come from a later version.
    public func replacing(
        _ layer: SettingLayer, with texts: [String: String]
    ) -> (values: SettingValues, refused: [SettingError]) {
        invariant(layer != .defaults, "defaults do not change")
        var good: [String: String] = [:]
        var refused: [SettingError] = []
        for (name, text) in texts.sorted(by: { $0.key < $1.key }) {
            do throws(SettingError) {
                guard let descriptor = SettingTable.descriptor(name, .broker) else {
                    throw SettingTable.unknown(name, .broker)
                }
                try descriptor.check(text)
                good[name] = trimmed(text)
            } catch {
                refused.append(error)
            }
        }
        var result = self
        result.layers[layer] = good
        result.brokerValues = Self.resolvedBrokerValues(result.layers)
        result.topicValues = Self.resolvedTopicValues(result.layers)
        return (result, refused)
    }

    // MARK: Resolving

    private static func resolvedBrokerValues(
        _ layers: [SettingLayer: [String: String]]
    ) -> [String: String] {
        var values = defaultValues
        for layer in SettingLayer.allCases where layer != .defaults {
            values.merge(layers[layer] ?? [:]) { $1 }
        }
        // A key that stands for another holds for it as well; those for topics are told as they are.
        let ofTopics = Set(TopicSettings.brokerDefaults.map(\.name))
        for setting in SettingTable.brokerSettings
        where setting.synonyms.count > 1 && !ofTopics.contains(setting.name) {
            values[setting.name] = resolved(setting.synonyms, layers)
        }
        return values
    }

    private static func resolvedTopicValues(
        _ layers: [SettingLayer: [String: String]]
    ) -> [String: String] {
        var values: [String: String] = [:]
        for setting in SettingTable.topicSettings {
            values[setting.name] =
                setting.synonyms.isEmpty ? setting.defaultText : resolved(setting.synonyms, layers)
        }
        return values
    }

    /// The last layer in which one of the synonyms is set decides, there the first of them.
    private static func resolved(
        _ synonyms: [SettingSynonym], _ layers: [SettingLayer: [String: String]]
    ) -> String? {
        for layer in SettingLayer.allCases.reversed() {
            let texts = layer == .defaults ? defaultValues : layers[layer] ?? [:]
            for synonym in synonyms {
                if let text = texts[synonym.name] { return synonym.converted(text) }
            }
        }
        return nil
    }
}

/// Values were checked when they were set, so that what is stored can be read.
func value<Value: SettingValue>(of text: String?, _ descriptor: SettingDescriptor) -> Value {
    if let text {
        if let value = Value(settingText: text) { return value }
        invariantFailed("\(descriptor.name) holds \"\(text)\", which is not \(descriptor.form)")
    }
    if let value = Value.absent { return value }
    invariantFailed("\(descriptor.name) has no value")
}
