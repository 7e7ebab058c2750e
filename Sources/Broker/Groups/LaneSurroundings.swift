internal import ClusterMetadata
internal import Coordinators
internal import RecordFormat
internal import Settings

/// What the coordinators of a lane see of the cluster: the lane's metadata, as they are at the moment.
final class LaneSurroundings: GroupSurroundings {
    private unowned let broker: BrokerLane
    /// Changes that this lane has seen.
    private(set) var version: Int64 = 0

    init(_ broker: BrokerLane) { self.broker = broker }

    func noteChange() { version += 1 }

    func topic(named name: String) -> GroupTopic? { broker.metadata.topics[name].map(Self.topic) }

    func topic(id: TopicID) -> GroupTopic? { broker.metadata.topics[id].map(Self.topic) }

    private static func topic(_ image: TopicImage) -> GroupTopic {
        GroupTopic(name: image.name, id: image.id, partitionCount: Int32(clamping: image.partitions.count))
    }

    var topicNames: [String] { broker.metadata.topics.all.map(\.name) }

    func ownSettings(of group: String) -> OwnGroupSettings {
        let own = broker.metadata.configurations[ConfigurationResource(.group, group)]
        if own.isEmpty { return OwnGroupSettings() }
        return OwnGroupSettings(
            session: GroupSetting.session.value(in: own, broker.settings),
            heartbeat: GroupSetting.heartbeat.value(in: own, broker.settings))
    }
}
