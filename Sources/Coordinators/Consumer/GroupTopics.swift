public import RecordFormat

/// What a coordinator has to know of a topic.
public struct GroupTopic: Hashable, Sendable {
    public let name: String
    public let id: TopicID
    public let partitionCount: Int32

    public init(name: String, id: TopicID, partitionCount: Int32) {
        self.name = name
        self.id = id
        self.partitionCount = partitionCount
    }
}

/// The settings that a group has of its own (resource type "group" of IncrementalAlterConfigs). Milliseconds;
/// nil where the group goes by the broker's.
public struct OwnGroupSettings: Hashable, Sendable {
    /// `consumer.session.timeout.ms`
    public var session: Int64?
    /// `consumer.heartbeat.interval.ms`
    public var heartbeat: Int64?

    public init(session: Int64? = nil, heartbeat: Int64? = nil) {
        self.session = session
        self.heartbeat = heartbeat
    }
}

/// The cluster as coordinators see it: an input of the state machine, like time. Whoever changes it tells the
/// machine: `GroupMachine.topicsChanged`.
public protocol GroupSurroundings: AnyObject {
    /// Grows with every change; written down beside what a regular expression stood for.
    var version: Int64 { get }
    func topic(named name: String) -> GroupTopic?
    func topic(id: TopicID) -> GroupTopic?
    /// In any order.
    var topicNames: [String] { get }
    func ownSettings(of group: String) -> OwnGroupSettings
}

/// Nothing there.
final class NoSurroundings: GroupSurroundings {
    let version: Int64 = 0
    let topicNames: [String] = []

    func topic(named name: String) -> GroupTopic? { nil }
    func topic(id: TopicID) -> GroupTopic? { nil }
    func ownSettings(of group: String) -> OwnGroupSettings { OwnGroupSettings() }
}
