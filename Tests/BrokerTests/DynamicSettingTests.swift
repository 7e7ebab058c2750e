import Base
import KafkaProtocol
import LogStorage
import RecordFormat
import Settings
import SimulationKit
import Testing

@testable import Broker

/// Every setting that says that it takes effect at once has to: what it is read for is looked at, not what is
/// stored.
@Suite
struct DynamicSettingTests {
    /// Two values that differ from the default and from each other, and what has to be set for them to show.
    private struct Values {
        let first: String
        let second: String
        var context: [String: String] = [:]

        init(_ first: String, _ second: String, with context: [String: String] = [:]) {
            self.first = first
            self.second = second
            self.context = context
        }
    }

    /// By the names of the topic's settings.
    private static let ofTopics: [String: Values] = [
        "segment.bytes": Values("1000000", "2000000"), "segment.ms": Values("1000", "2000"),
        "segment.jitter.ms": Values("10", "20"), "segment.index.bytes": Values("4000", "8000"),
        "index.interval.bytes": Values("100", "200"),
        "preallocate": Values("true", "true", with: ["dmq.segment.preallocate": "false"]),
        "dmq.segment.preallocate": Values("false", "false"), "file.delete.delay.ms": Values("1", "2"),
        "cleanup.policy": Values("compact", "compact,delete"), "retention.ms": Values("1000", "2000"),
        "retention.bytes": Values("1000", "2000"), "min.cleanable.dirty.ratio": Values("0.1", "0.2"),
        "min.compaction.lag.ms": Values("1", "2"), "max.compaction.lag.ms": Values("1000", "2000"),
        "delete.retention.ms": Values("1", "2"), "max.message.bytes": Values("1000", "2000"),
        "compression.type": Values("zstd", "uncompressed"),
        "compression.gzip.level": Values("1", "9", with: ["compression.type": "gzip"]),
        "compression.lz4.level": Values("1", "17", with: ["compression.type": "lz4"]),
        "compression.zstd.level": Values("1", "22", with: ["compression.type": "zstd"]),
        "message.timestamp.type": Values("LogAppendTime", "LogAppendTime"),
        "message.timestamp.before.max.ms": Values("1000", "2000"),
        "message.timestamp.after.max.ms": Values("1000", "2000"),
        "dmq.record.validation": Values("all", "none"),
        "dmq.ack.durability": Values("page-cache", "page-cache"),
        "flush.messages": Values("10", "20"), "flush.ms": Values("1000", "2000"),
        "min.insync.replicas": Values("2", "3"),
        "unclean.leader.election.enable": Values("true", "true"),
    ]

    private static let ofBrokers: [String: Values] = [
        "max.connections": Values("1000", "2000"), "max.connections.per.ip": Values("1000", "2000"),
        "max.connections.per.ip.overrides": Values("10.0.0.1:7", "10.0.0.1:8"),
        "max.connection.creation.rate": Values("1000", "2000"),
        "dmq.log.level": Values("warn", "error"), "producer.id.expiration.ms": Values("1000", "2000"),
        "log.cleaner.threads": Values("2", "3"),
        "log.cleaner.dedupe.buffer.size": Values("2000000", "3000000"),
        "log.cleaner.io.buffer.load.factor": Values("0.5", "0.6"),
        "log.cleaner.io.buffer.size": Values("8192", "16384"),
        "log.cleaner.io.max.bytes.per.second": Values("1000", "2000"),
        "log.cleaner.backoff.ms": Values("1", "2"),
        "replica.alter.log.dirs.io.max.bytes.per.second": Values("1000", "2000"),
    ]

    /// Of topics, and told by the controller or another node only.
    private static let elsewhere = [
        "unclean.leader.election.enable", "leader.replication.throttled.replicas",
        "follower.replication.throttled.replicas",
    ]

    private static let partition = TopicPartition(topic: "events", partition: 0)

    /// What the parts of a node work with.
    private func state(_ node: TestNode) throws -> [String] {
        let found = Locked<[String]>([])
        node.node.waitForLanes { lane in
            var lines: [String] = []
            if let log = lane.logs[Self.partition] {
                lines.append("\(log.configuration)")
                if let leader = try? lane.replicas.leader(of: Self.partition) {
                    lines.append("in sync \(leader.assignment.minimumInSyncReplicas)")
                }
            }
            if lane.index == 0 {
                let node = lane.node
                let limits = node.connectionLimits
                lines.append(
                    "connections \(limits.total) \(limits.perAddress) \(limits.overrides) "
                        + "\(limits.rate.map { "\($0)" } ?? "free")")
                lines.append("moves \(String(describing: node.copier.rate))")
                lines.append("log \(node.logger.threshold.level)")
                if let cleaner = node.cleaner {
                    lines.append("cleaner \(cleaner.threadCount) \(cleaner.cleaner.configuration)")
                }
                if let policy = node.controller.policy { lines.append("\(policy.allowsUncleanLeaders)") }
            }
            found.withLock { $0 += lines }
        }
        return found.withLock { $0.sorted() }
    }

    private enum Resource: Int8 { case topic = 2, broker = 4 }

    /// - Parameter values: nil has a key deleted.
    private func change(
        _ client: BrokerClient, _ type: Resource, _ name: String, _ values: [String: String?]
    ) throws -> (code: ErrorCode, message: String?) {
        let configs = values.sorted { $0.key < $1.key }.map {
            IncrementalAlterConfigsRequest.AlterableConfig(
                name: $0.key, configOperation: $0.value == nil ? 1 : 0, value: $0.value)
        }
        let answer = try client.ask(
            IncrementalAlterConfigsRequest(resources: [
                IncrementalAlterConfigsRequest.AlterConfigsResource(
                    resourceType: type.rawValue, resourceName: name, configs: configs)
            ]), version: 1)
        let result = try #require(answer.responses.first)
        return (result.errorCode, result.errorMessage)
    }

    private func set(
        _ client: BrokerClient, _ type: Resource, _ name: String, _ values: [String: String?]
    ) throws {
        let result = try change(client, type, name, values)
        try #require(result.code == .none, "\(values): \(result.message ?? "")")
    }

    private func removing(_ values: [String: String?]) -> [String: String?] { values.mapValues { _ in nil } }

    @Test(
        "Every dynamic setting of brokers takes effect at once, for all, for one, and back",
        arguments: [1, 2])
    func brokers(lanes: Int) throws {
        let node = try TestNode(lanes: lanes)
        let client = try node.client()
        try client.metadata(["events"])
        node.node.logger.threshold.level = .info
        var values = Self.ofBrokers
        for setting in SettingTable.topicSettings {
            guard let first = setting.synonyms.first else { continue }
            var own = try #require(Self.ofTopics[setting.name], "\(setting.name) is not tested")
            own.context = Dictionary(
                uniqueKeysWithValues: own.context.map { name, value in
                    (SettingTable.descriptor(name, .topic)?.synonyms.first?.name ?? name, value)
                })
            values[first.name] = own
        }
        let dynamic = SettingTable.brokerSettings.filter { $0.updateMode != .readOnly }
        #expect(Set(dynamic.map(\.name)) == Set(values.keys))
        let own = "\(node.node.configuration.nodeID)"
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            let context = value.context.mapValues { Optional($0) }
            try set(client, .broker, "", context)
            let before = try state(node)
            try set(client, .broker, "", [name: value.first])
            let after = try state(node)
            #expect(after != before, "\(name) for all brokers")
            if value.second != value.first {
                try set(client, .broker, own, [name: value.second])
                let single = try state(node)
                #expect(single != after && single != before, "\(name) for one broker")
                try set(client, .broker, own, [name: nil])
                #expect(try state(node) == after, "\(name) for one broker, taken back")
            }
            try set(client, .broker, "", [name: nil])
            #expect(try state(node) == before, "\(name) taken back")
            try set(client, .broker, own, [name: value.first])
            #expect(try state(node) == after, "\(name) for one broker")
            try set(client, .broker, own, [name: nil])
            try set(client, .broker, "", removing(context))
        }
    }

    @Test("Every setting of topics takes effect at once")
    func topics() throws {
        let node = try TestNode()
        let client = try node.client()
        try client.metadata(["events"])
        for setting in SettingTable.topicSettings where !Self.elsewhere.contains(setting.name) {
            let value = try #require(Self.ofTopics[setting.name], "\(setting.name) is not tested")
            let context = value.context.mapValues { Optional($0) }
            try set(client, .topic, "events", context)
            let before = try state(node)
            try set(client, .topic, "events", [setting.name: value.first])
            #expect(try state(node) != before, "\(setting.name)")
            try set(client, .topic, "events", [setting.name: nil])
            #expect(try state(node) == before, "\(setting.name) taken back")
            try set(client, .topic, "events", removing(context))
        }
    }

    @Test("Every other setting of brokers is refused, and told as read-only")
    func readOnly() throws {
        let node = try TestNode()
        let client = try node.client()
        let own = "\(node.node.configuration.nodeID)"
        let told = try client.ask(
            DescribeConfigsRequest(resources: [
                DescribeConfigsRequest.DescribeConfigsResource(
                    resourceType: Resource.broker.rawValue, resourceName: own)
            ]), version: 4)
        let configs = try #require(told.results.first).configs
        for setting in SettingTable.brokerSettings {
            let entry = try #require(configs.first { $0.name == setting.name }, "\(setting.name)")
            #expect(entry.readOnly == (setting.updateMode == .readOnly), "\(setting.name)")
            guard setting.updateMode == .readOnly else { continue }
            for broker in ["", own] {
                let result = try change(client, .broker, broker, [setting.name: setting.defaultText ?? "1"])
                #expect(result.code == .invalidConfig, "\(setting.name)")
                #expect(result.message?.contains(setting.name) == true)
            }
        }
    }

    @Test("What was set while the node ran holds from the next start on")
    func restart() throws {
        let directory = try TemporaryDirectory()
        var before: [String] = []
        do {
            let node = try TestNode(in: directory)
            let client = try node.client()
            try client.metadata(["events"])
            try set(
                client, .broker, "",
                [
                    "log.cleaner.threads": "5", "dmq.log.level": "error", "log.retention.ms": "77",
                    "unclean.leader.election.enable": "true",
                ])
            before = try state(node)
            node.stop()
        }
        let node = try TestNode(in: directory)
        #expect(try state(node) == before)
        #expect(before.contains("log error"))
    }

    @Test("Values are checked against those that hold now, not those of the start")
    func checked() throws {
        let node = try TestNode()
        let client = try node.client()
        try set(client, .broker, "", ["max.connections.per.ip.overrides": "10.0.0.1:5"])
        let list = IncrementalAlterConfigsRequest.AlterableConfig(
            name: "max.connections.per.ip.overrides", configOperation: 2, value: "10.0.0.2:6")
        let answer = try client.ask(
            IncrementalAlterConfigsRequest(resources: [
                IncrementalAlterConfigsRequest.AlterConfigsResource(
                    resourceType: Resource.broker.rawValue, resourceName: "1", configs: [list])
            ]), version: 1)
        #expect(answer.responses.first?.errorCode == ErrorCode.none)
        #expect(node.node.connectionLimits.overrides.count == 2)
    }
}
