public import ClusterMetadata
internal import KafkaProtocol

/// What becomes of one setting; raw values are the protocol's (KIP-339).
public enum ConfigurationOperation: Int8, Hashable, Sendable, CaseIterable {
    case set = 0
    case delete = 1
    /// Adds to a list.
    case append = 2
    /// Takes from a list.
    case subtract = 3
}

/// What became of the changes of one resource.
public struct ConfigurationOutcome: Sendable {
    public let resource: ConfigurationResource
    /// Nil: done.
    public let refusal: CommandRefusal?
}

/// Changes single settings of resources, each resource on its own (KIP-339).
public struct IncrementalAlterConfigurations: ControllerCommand {
    /// What is to become of one setting.
    public struct Change: Hashable, Sendable {
        public var name: String
        public var operation: ConfigurationOperation
        /// Not needed to delete.
        public var value: String?

        public init(name: String, operation: ConfigurationOperation, value: String? = nil) {
            self.name = name
            self.operation = operation
            self.value = value
        }
    }

    /// What is to become of the settings of one resource.
    public struct ResourceChanges: Hashable, Sendable {
        public var resource: ConfigurationResource
        public var changes: [Change]

        public init(_ resource: ConfigurationResource, _ changes: [Change]) {
            self.resource = resource
            self.changes = changes
        }
    }

    public var resources: [ResourceChanges]
    /// Nothing is changed.
    public var validateOnly: Bool

    public init(_ resources: [ResourceChanges], validateOnly: Bool = false) {
        self.resources = resources
        self.validateOnly = validateOnly
    }

    /// The outcomes are in the order of the resources; one that is named twice has one outcome.
    public func decide(
        _ image: MetadataImage, _ context: inout DecisionContext
    ) throws(CommandRefusal) -> Decision<[ConfigurationOutcome]> {
        let plans = resources.map { ($0.resource, $0.changes) }
        return try ConfigurationPlan.decide(plans, image, context, validateOnly) {
            (resource, changes, current) throws(CommandRefusal) in
            try Self.apply(changes, to: current, of: resource, context.policy.rules)
        }
    }

    private static func apply(
        _ changes: [Change], to current: [String: String], of resource: ConfigurationResource,
        _ rules: ConfigurationRules
    ) throws(CommandRefusal) -> [String: String] {
        var settings = current
        var named: Set<String> = []
        for change in changes {
            guard named.insert(change.name).inserted else {
                throw CommandRefusal(
                    .invalidRequest, "\(resource): \(change.name) is changed more than once")
            }
            if change.operation == .delete {
                settings[change.name] = nil
                continue
            }
            guard let value = change.value else {
                throw CommandRefusal(.invalidRequest, "\(resource): \(change.name) is given no value")
            }
            if change.operation == .set {
                settings[change.name] = value
                continue
            }
            guard rules.isList(resource.type, change.name) else {
                throw CommandRefusal(
                    .invalidConfig,
                    "\(change.name) is no list that something could be added to or taken from; set it")
            }
            let text = settings[change.name] ?? rules.defaultValue(resource.type, change.name) ?? ""
            settings[change.name] = combine(text, change.operation, value)
        }
        return settings
    }

    /// A list with entries added or taken away.
    private static func combine(
        _ text: String, _ operation: ConfigurationOperation, _ value: String
    ) -> String {
        func parts(_ text: String) -> [String] { text.split(separator: ",").map(String.init) }
        // Both lists are as long as clients like.
        let entries = parts(text)
        if operation == .subtract {
            let removed = Set(parts(value))
            return entries.filter { !removed.contains($0) }.joined(separator: ",")
        }
        var known = Set(entries)
        return (entries + parts(value).filter { known.insert($0).inserted }).joined(separator: ",")
    }
}

/// Replaces all settings of resources, each resource on its own: what is not named goes back to its default.
public struct AlterConfigurations: ControllerCommand {
    /// The new settings of one resource.
    public struct Replacement: Hashable, Sendable {
        public var resource: ConfigurationResource
        /// All that it is to have; those with nil are refused.
        public var settings: [String: String?]

        public init(_ resource: ConfigurationResource, _ settings: [String: String?]) {
            self.resource = resource
            self.settings = settings
        }
    }

    public var resources: [Replacement]
    /// Nothing is changed.
    public var validateOnly: Bool

    public init(_ resources: [Replacement], validateOnly: Bool = false) {
        self.resources = resources
        self.validateOnly = validateOnly
    }

    /// The outcomes are in the order of the resources; one that is named twice has one outcome.
    public func decide(
        _ image: MetadataImage, _ context: inout DecisionContext
    ) throws(CommandRefusal) -> Decision<[ConfigurationOutcome]> {
        let plans = resources.map { ($0.resource, $0.settings) }
        return try ConfigurationPlan.decide(plans, image, context, validateOnly) {
            (resource, settings, _) throws(CommandRefusal) in
            var result: [String: String] = [:]
            for (name, value) in settings.sorted(by: { $0.key < $1.key }) {
                guard let value else {
                    throw CommandRefusal(.invalidRequest, "\(resource): \(name) is given no value")
                }
                result[name] = value
            }
            return result
        }
    }
}

/// What both ways of changing settings have in common.
private enum ConfigurationPlan {
    static func decide<Changes>(
        _ plans: [(ConfigurationResource, Changes)], _ image: MetadataImage, _ context: DecisionContext,
        _ validateOnly: Bool,
        _ apply: (ConfigurationResource, Changes, [String: String]) throws(CommandRefusal)
            -> [String: String]
    ) throws(CommandRefusal) -> Decision<[ConfigurationOutcome]> {
        try context.checkCount(plans.count)
        var counts: [ConfigurationResource: Int] = [:]
        for (resource, _) in plans { counts[resource, default: 0] += 1 }
        var records: [MetadataRecord] = []
        var outcomes: [ConfigurationOutcome] = []
        for (resource, changes) in plans {
            guard let count = counts.removeValue(forKey: resource) else { continue }
            do throws(CommandRefusal) {
                if count > 1 {
                    throw CommandRefusal(.invalidRequest, "\(resource) is named \(count) times")
                }
                try checkExists(resource, image)
                let current = image.configurations[resource]
                let settings = try apply(resource, changes, current)
                if let problem = context.policy.rules.problem(resource, settings) {
                    throw CommandRefusal(.invalidConfig, problem)
                }
                let new = difference(resource, current, settings)
                try context.checkCount(records.count + new.count)
                records += new
                outcomes.append(ConfigurationOutcome(resource: resource, refusal: nil))
            } catch {
                outcomes.append(ConfigurationOutcome(resource: resource, refusal: error))
            }
        }
        return Decision(outcomes, records: validateOnly ? [] : records)
    }

    private static func checkExists(
        _ resource: ConfigurationResource, _ image: MetadataImage
    ) throws(CommandRefusal) {
        switch resource.type {
        case .topic:
            if image.topics.id(named: resource.name) == nil {
                throw CommandRefusal(
                    .unknownTopicOrPartition, "there is no topic \(TopicName.quoted(resource.name))")
            }
        case .broker:
            if resource.name.isEmpty { return }
            guard let id = Int32(resource.name) else {
                throw CommandRefusal(
                    .invalidRequest, "\(TopicName.quoted(resource.name)) is no node ID of a broker")
            }
            if image.brokers[id] == nil {
                throw CommandRefusal(.brokerIDNotRegistered, "broker \(id) is not registered")
            }
        case .brokerLogger:
            throw CommandRefusal(
                .invalidRequest, "log levels are changed at the broker, not at the controller")
        case .clientMetrics, .group:
            if resource.name.isEmpty {
                throw CommandRefusal(.invalidRequest, "a \(resource.type) resource needs a name")
            }
        }
    }

    /// Only what differs is written.
    private static func difference(
        _ resource: ConfigurationResource, _ old: [String: String], _ new: [String: String]
    ) -> [MetadataRecord] {
        Set(old.keys).union(new.keys).sorted().filter { old[$0] != new[$0] }.map { name in
            .configuration(
                ConfigRecord(
                    resourceType: resource.type.rawValue, resourceName: resource.name, name: name,
                    value: new[name]))
        }
    }
}
