/// What DescribeConfigs and `dmq config list` tell of one setting.
public struct SettingReport: Sendable {
    /// A place that has a value, whether it holds or not.
    public struct Synonym: Sendable, Equatable {
        public let name: String
        /// Nil for one that is not shown.
        public let value: String?
        public let source: SettingSource
    }

    public let descriptor: SettingDescriptor
    /// The value that holds; nil for none, and for one that is not shown.
    public let value: String?
    public let source: SettingSource
    /// Cannot be changed while the broker runs.
    public let isReadOnly: Bool
    /// All places that have a value, the one that holds first.
    public let synonyms: [Synonym]

    public var name: String { descriptor.name }
    public var isSensitive: Bool { descriptor.isSensitive }
    public var isDefault: Bool { source == .defaults }

    init(_ descriptor: SettingDescriptor, value: String?, isReadOnly: Bool, synonyms: [Synonym]) {
        self.descriptor = descriptor
        self.value = descriptor.isSensitive ? nil : value
        source = synonyms.first?.source ?? .defaults
        self.isReadOnly = isReadOnly
        self.synonyms = synonyms
    }
}

extension SettingValues {
    /// All settings of the broker, by name.
    public func reports() -> [SettingReport] {
        SettingTable.brokerSettings.sorted { $0.name < $1.name }.map(report)
    }

    /// Nil where there is no such setting.
    public func report(_ name: String) -> SettingReport? {
        SettingTable.descriptor(name, .broker).map(report)
    }

    /// What is set for all brokers together, by name.
    public func reportsForAllBrokers() -> [SettingReport] {
        texts(in: .allBrokers).keys.sorted().compactMap { name in
            SettingTable.descriptor(name, .broker).map { descriptor in
                SettingReport(
                    descriptor, value: texts(in: .allBrokers)[name],
                    isReadOnly: descriptor.updateMode == .readOnly,
                    synonyms: places(of: descriptor).filter { $0.source == .dynamicAllBrokers })
            }
        }
    }

    private func report(_ descriptor: SettingDescriptor) -> SettingReport {
        SettingReport(
            descriptor, value: text(descriptor.name), isReadOnly: descriptor.updateMode == .readOnly,
            synonyms: places(of: descriptor))
    }

    /// Where the setting or one of its synonyms has a value, the place with the most say first.
    func places(of descriptor: SettingDescriptor) -> [SettingReport.Synonym] {
        var places: [SettingReport.Synonym] = []
        for layer in SettingLayer.allCases.reversed() {
            let texts = texts(in: layer)
            for synonym in descriptor.synonyms {
                // The file's value of what the command line sets as well is of no interest.
                guard let text = texts[synonym.name],
                    !places.contains(where: { $0.name == synonym.name && $0.source == layer.source })
                else { continue }
                places.append(
                    SettingReport.Synonym(
                        name: synonym.name, value: descriptor.isSensitive ? nil : text, source: layer.source))
            }
        }
        return places
    }

    func isSet(named name: String) -> Bool {
        SettingLayer.allCases.contains { $0 != .defaults && texts(in: $0)[name] != nil }
    }
}

extension TopicSettingValues {
    /// All settings of the topic, by name.
    public func reports() -> [SettingReport] {
        SettingTable.topicSettings.sorted { $0.name < $1.name }.map(report)
    }

    /// Nil where there is no such setting.
    public func report(_ name: String) -> SettingReport? {
        SettingTable.descriptor(name, .topic).map(report)
    }

    private func report(_ descriptor: SettingDescriptor) -> SettingReport {
        let own = own[descriptor.name].map {
            SettingReport.Synonym(
                name: descriptor.name, value: descriptor.isSensitive ? nil : $0, source: .topic)
        }
        let value = text(descriptor.name)
        var places = broker.places(of: descriptor)
        // The default of one setting depends on the topic.
        if own == nil, let value, let last = places.last, places.count == 1, last.source == .defaults,
            descriptor.name == TopicSettings.minimumInSyncReplicas.name
        {
            places = [SettingReport.Synonym(name: last.name, value: value, source: .defaults)]
        }
        return SettingReport(
            descriptor, value: value, isReadOnly: false, synonyms: (own.map { [$0] } ?? []) + places)
    }
}
