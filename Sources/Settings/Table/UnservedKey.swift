/// A key that Kafka knows and dmq does nothing with, so that a file or a tool made for Kafka gets an answer
/// that helps.
public struct UnservedKey: Sendable {
    /// What happens to it.
    public enum Treatment: Sendable, Equatable {
        /// Taken with a warning: without it nothing would be different.
        case ignored
        /// An error: whoever sets it relies on something that does not happen.
        case refused
        /// Ignored with one of these values, which say that it is not used; an error with any other.
        case refusedUnless([String])
    }

    /// The whole key, or its beginning.
    public let name: String
    public let isPrefix: Bool
    public let scope: SettingScope
    public let treatment: Treatment
    /// Half a sentence: why, and what to do instead.
    public let reason: String

    fileprivate init(
        _ name: String, _ treatment: Treatment, _ reason: String, scope: SettingScope = .broker
    ) {
        isPrefix = name.hasSuffix("*")
        self.name = isPrefix ? String(name.dropLast()) : name
        self.treatment = treatment
        self.reason = reason
        self.scope = scope
    }

    func refuses(_ value: String) -> Bool {
        switch treatment {
        case .ignored: false
        case .refused: true
        case .refusedUnless(let values): !values.contains(trimmed(value))
        }
    }

    /// Whole keys come before beginnings, longer beginnings before shorter.
    static func matching(_ name: String, _ scope: SettingScope) -> UnservedKey? {
        var best: UnservedKey?
        for key in all where key.scope == scope {
            if !key.isPrefix && key.name == name { return key }
            if key.isPrefix && name.hasPrefix(key.name) && key.name.utf8.count > best?.name.utf8.count ?? 0 {
                best = key
            }
        }
        return best
    }

    /// All of them, in the order of the page.
    public static let all: [UnservedKey] = machine + security + plugins + past + elsewhere + ofTopics

    private static let lanes = "dmq serves everything on its lanes; dmq.lanes says how many"
    private static let machine = [
        UnservedKey("num.network.threads", .ignored, lanes),
        UnservedKey("num.io.threads", .ignored, lanes),
        UnservedKey("background.threads", .ignored, lanes),
        UnservedKey("num.replica.alter.log.dirs.threads", .ignored, lanes),
        UnservedKey("group.coordinator.threads", .ignored, lanes),
        UnservedKey("group.coordinator.background.threads", .ignored, lanes),
        UnservedKey("group.coordinator.append.linger.ms", .ignored, "appends share syncs as they come"),
        UnservedKey("group.coordinator.cached.buffer.max.bytes", .ignored, "no buffers are kept for that"),
        UnservedKey("offsets.load.buffer.size", .ignored, "offsets are loaded in reads of a fixed size"),
        UnservedKey(
            "transaction.state.log.load.buffer.size", .ignored, "states are loaded in reads of a fixed size"),
        UnservedKey("fetch.purgatory.purge.interval.requests", .ignored, "waiting requests need no purging"),
        UnservedKey(
            "producer.purgatory.purge.interval.requests", .ignored, "waiting requests need no purging"),
        UnservedKey(
            "delete.records.purgatory.purge.interval.requests", .ignored, "waiting requests need no purging"),
        UnservedKey("log.initial.task.delay.ms", .ignored, "background work begins with the node"),
        UnservedKey("replica.socket.receive.buffer.bytes", .ignored, "the kernel sizes these buffers"),
        UnservedKey("controller.socket.timeout.ms", .ignored, "the quorum's time-outs hold"),
        UnservedKey("socket.connection.setup.timeout.ms", .ignored, "the quorum's time-outs hold"),
        UnservedKey("socket.connection.setup.timeout.max.ms", .ignored, "the quorum's time-outs hold"),
        UnservedKey("request.timeout.ms", .ignored, "the quorum's time-outs hold"),
        UnservedKey("controller.performance.*", .ignored, "dmq measures in its own way"),
        UnservedKey("server.max.startup.time.ms", .ignored, "a start has no time limit"),
    ]

    private static let plain = "listeners speak PLAINTEXT only"
    private static let security = [
        UnservedKey(
            "authorizer.class.name", .refusedUnless([""]),
            "access control lists are not enforced, whoever reaches a listener may do everything; remove"
                + " the key"
                + " if that is meant"),
        UnservedKey(
            "security.inter.broker.protocol", .refusedUnless(["PLAINTEXT"]),
            "\(plain); remove the key or set it to PLAINTEXT"),
        UnservedKey("super.users", .ignored, "there are no access control lists"),
        UnservedKey("allow.everyone.if.no.acl.found", .ignored, "there are no access control lists"),
        UnservedKey("early.start.listeners", .ignored, "there are no access control lists to wait for"),
        UnservedKey("principal.builder.class", .ignored, plain),
        UnservedKey("connections.max.reauth.ms", .ignored, plain),
        UnservedKey("connection.failed.authentication.delay.ms", .ignored, plain),
        UnservedKey("security.providers", .ignored, plain),
        UnservedKey("ssl.*", .ignored, plain),
        UnservedKey("sasl.*", .ignored, plain),
        UnservedKey("password.encoder.*", .ignored, "dmq keeps no passwords"),
        UnservedKey("delegation.token.*", .ignored, "there are no delegation tokens"),
        UnservedKey("listener.name.*", .ignored, "settings hold for all listeners"),
    ]

    private static let java = "dmq runs no Java classes; remove the key"
    private static let plugins = [
        UnservedKey("create.topic.policy.class.name", .refusedUnless([""]), java),
        UnservedKey("alter.config.policy.class.name", .refusedUnless([""]), java),
        UnservedKey("client.quota.callback.class", .refusedUnless([""]), java),
        UnservedKey(
            "config.providers", .refusedUnless([""]), "values are taken as they stand; write them out"),
        UnservedKey("config.providers.*", .ignored, "values are taken as they stand"),
        UnservedKey("replica.selector.class", .ignored, "consumers read from the leader"),
        UnservedKey("metric.reporters", .ignored, "dmq runs no Java classes"),
        UnservedKey("metrics.*", .ignored, "dmq measures in its own way"),
        UnservedKey("auto.include.jmx.reporter", .ignored, "there is no Java virtual machine"),
        UnservedKey("kafka.metrics.*", .ignored, "dmq measures in its own way"),
        UnservedKey("confluent.*", .ignored, "it belongs to another product"),
    ]

    private static let format = "dmq writes record batches of version 2, as Kafka does since 0.11"
    private static let zookeeper = "dmq keeps its metadata itself"
    private static let past = [
        UnservedKey(
            "zookeeper.metadata.migration.enable", .refusedUnless(["false"]),
            "migrate the cluster to KRaft with Kafka first"),
        UnservedKey("zookeeper.*", .ignored, zookeeper),
        UnservedKey("broker.id.generation.enable", .ignored, "set node.id"),
        UnservedKey("reserved.broker.max.id", .ignored, "node.id may be any number"),
        UnservedKey("control.plane.listener.name", .ignored, "see controller.listener.names"),
        UnservedKey("inter.broker.protocol.version", .ignored, "nodes agree on versions by themselves"),
        UnservedKey("log.message.format.version", .ignored, format),
        UnservedKey("log.message.downconversion.enable", .ignored, format),
        UnservedKey(
            "log.message.timestamp.difference.max.ms", .refused,
            "set log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms"),
        UnservedKey("host.name", .refused, "set listeners"),
        UnservedKey("port", .refused, "set listeners"),
        UnservedKey("advertised.host.name", .refused, "set advertised.listeners"),
        UnservedKey("advertised.port", .refused, "set advertised.listeners"),
        UnservedKey("quota.producer.default", .refused, "set the quota of all clients instead"),
        UnservedKey("quota.consumer.default", .refused, "set the quota of all clients instead"),
    ]

    private static let tiered = "there is no tiered storage"
    private static let shared = "there are no share groups"
    private static let elsewhere = [
        UnservedKey(
            "remote.log.storage.system.enable", .refusedUnless(["false"]), "\(tiered); remove the key"),
        UnservedKey("remote.*", .ignored, tiered),
        UnservedKey("log.local.retention.*", .ignored, "\(tiered); log.retention.* holds"),
        UnservedKey("group.share.*", .ignored, shared),
        UnservedKey("share.coordinator.*", .ignored, shared),
        UnservedKey("group.streams.*", .ignored, "streams use the other group protocols"),
        UnservedKey(
            "transaction.two.phase.commit.enable", .refusedUnless(["false"]),
            "transactions cannot be prepared; remove the key"),
        UnservedKey(
            "controller.quorum.auto.join.enable", .refusedUnless(["false"]), "add voters by a command"),
        UnservedKey("eligible.leader.replicas.enable", .ignored, "leaders are in sync"),
        UnservedKey("replication.quota.window.*", .ignored, "replication is slowed down without windows"),
        UnservedKey(
            "alter.log.dirs.replication.quota.window.*", .ignored, "copies are slowed down without windows"),
        UnservedKey("unstable.*", .ignored, "only released versions are served"),
    ]

    private static let ofTopics = [
        UnservedKey(
            "remote.storage.enable", .refusedUnless(["false"]), "\(tiered); remove the key", scope: .topic),
        UnservedKey(
            "remote.log.copy.disable", .refusedUnless(["false"]), "\(tiered); remove the key", scope: .topic),
        UnservedKey(
            "remote.log.delete.on.disable", .refusedUnless(["false"]), "\(tiered); remove the key",
            scope: .topic),
        UnservedKey(
            "local.retention.ms", .refusedUnless(["-2"]), "\(tiered); set retention.ms", scope: .topic),
        UnservedKey(
            "local.retention.bytes", .refusedUnless(["-2"]), "\(tiered); set retention.bytes", scope: .topic),
        UnservedKey("message.format.version", .ignored, format, scope: .topic),
        UnservedKey("message.downconversion.enable", .ignored, format, scope: .topic),
        UnservedKey(
            "message.timestamp.difference.max.ms", .refused,
            "set message.timestamp.before.max.ms and message.timestamp.after.max.ms", scope: .topic),
        UnservedKey("confluent.*", .ignored, "it belongs to another product", scope: .topic),
    ]
}
