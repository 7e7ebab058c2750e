import Foundation
import Testing

@testable import Settings

/// What a broker starts with; a test fails that does not expect a refusal.
func startingValues(
    _ file: String = "", _ commandLine: [(key: String, value: String)] = []
) throws -> SettingValues {
    try SettingValues.starting(file: Array(file.utf8), commandLine: commandLine).values
}

@Suite("values of settings")
struct SettingValuesTests {
    @Test("without anything set, every setting has its default, typed")
    func defaults() {
        let values = SettingValues()
        #expect(values[BrokerSettings.nodeID] == 1)
        #expect(values[BrokerSettings.processRoles] == [.broker, .controller])
        #expect(values[BrokerSettings.rack] == nil)
        #expect(values[BrokerSettings.advertisedListeners] == nil)
        #expect(values.logDirectoryPaths == ["dmq-data"])
        #expect(values[TopicSettings.retentionMilliseconds] == 14 * 86_400_000)
        #expect(values[TopicSettings.segmentMilliseconds] == 7 * 86_400_000)
        #expect(values[TopicSettings.flushMilliseconds] == .max)
        #expect(values[TopicSettings.cleanupPolicy] == [.delete])
        #expect(values[TopicSettings.durability] == .synced)
        #expect(values.text("log.retention.ms") == nil)
        #expect(values.text("log.retention.hours") == "336")
        #expect(values.text("nothing") == nil)
        #expect(!values.isSet(BrokerSettings.nodeID))
    }

    @Test("what a broker says for topics counts by layers, within one by Kafka's order of synonyms")
    func layers() throws {
        var values = try startingValues("log.retention.hours=1\nlog.retention.minutes=2\nlog.roll.hours=3\n")
        #expect(values[TopicSettings.retentionMilliseconds] == 120_000)
        #expect(values[TopicSettings.segmentMilliseconds] == 3 * 3_600_000)
        values = try startingValues(
            "log.retention.ms=5\n", [("log.retention.hours", "1"), ("log.dir", "/a")])
        #expect(values[TopicSettings.retentionMilliseconds] == 3_600_000)
        #expect(values.logDirectoryPaths == ["/a"])
        values = values.replacing(.allBrokers, with: ["log.retention.ms": "7"]).values
        #expect(values[TopicSettings.retentionMilliseconds] == 7)
        values = values.replacing(.thisBroker, with: ["log.retention.ms": "8"]).values
        #expect(values[TopicSettings.retentionMilliseconds] == 8)
        values = values.replacing(.thisBroker, with: [:]).values
        #expect(values[TopicSettings.retentionMilliseconds] == 7)
        #expect(try startingValues("log.retention.hours=-1")[TopicSettings.retentionMilliseconds] == -1)
        #expect(try startingValues("log.dirs=/a,/b\nlog.dir=/c").logDirectoryPaths == ["/a", "/b"])
        #expect(try startingValues("log.dirs=\nlog.dir=/c").logDirectoryPaths == ["/c"])
        #expect(try startingValues("broker.id=7")[BrokerSettings.nodeID] == 7)
    }

    @Test("a topic's own value goes before its broker's")
    func topics() throws {
        let broker = try startingValues("log.segment.bytes=2000\nmessage.max.bytes=500\n")
        let own = [
            "segment.bytes": "3000", "cleanup.policy": "compact,delete", "later.key": "x", "flush.ms": "y",
        ]
        let topic = TopicSettingValues(broker: broker, own: own, replicationFactor: 3)
        #expect(topic[TopicSettings.segmentBytes] == 3000)
        #expect(topic[TopicSettings.maximumMessageBytes] == 500)
        #expect(topic[TopicSettings.cleanupPolicy] == [.compact, .delete])
        #expect(topic[TopicSettings.flushMilliseconds] == .max)
        #expect(topic.own.keys.sorted() == ["cleanup.policy", "segment.bytes"])
        #expect(topic.text("later.key") == nil)
    }

    @Test("min.insync.replicas is two where there is more than one replica and nobody set it")
    func minimumInSync() throws {
        func value(_ file: String, _ own: [String: String], _ replicas: Int) throws -> Int {
            TopicSettingValues(broker: try startingValues(file), own: own, replicationFactor: replicas)[
                TopicSettings.minimumInSyncReplicas]
        }
        #expect(try value("", [:], 1) == 1)
        #expect(try value("", [:], 2) == 2)
        #expect(try value("", [:], 5) == 2)
        #expect(try value("min.insync.replicas=3", [:], 1) == 3)
        #expect(try value("min.insync.replicas=3", ["min.insync.replicas": "2"], 1) == 2)
        let topic = TopicSettingValues(broker: SettingValues(), own: [:], replicationFactor: 1)
        let report = try #require(topic.report("min.insync.replicas"))
        #expect(report.value == "1" && report.isDefault)
        #expect(report.synonyms == [.init(name: "min.insync.replicas", value: "1", source: .defaults)])
    }

    @Test(
        "a report has the value, its source and all places that have one, as Kafka's AdminClient shows them")
    func reports() throws {
        var broker = try startingValues("log.retention.hours=24\n", [("log.retention.hours", "48")])
        broker = broker.replacing(.allBrokers, with: ["log.retention.ms": "9"]).values
        let topic = TopicSettingValues(broker: broker, own: ["retention.ms": "5"], replicationFactor: 1)
        let report = try #require(topic.report("retention.ms"))
        #expect(report.value == "5" && report.source == .topic && !report.isReadOnly && !report.isDefault)
        #expect(
            report.synonyms == [
                .init(name: "retention.ms", value: "5", source: .topic),
                .init(name: "log.retention.ms", value: "9", source: .dynamicAllBrokers),
                .init(name: "log.retention.hours", value: "48", source: .staticBroker),
                .init(name: "log.retention.hours", value: "336", source: .defaults),
            ])
        let other = try #require(
            TopicSettingValues(broker: broker, own: [:], replicationFactor: 1).report("retention.ms"))
        #expect(other.value == "9" && other.source == .dynamicAllBrokers)
        #expect(topic.reports().map(\.name) == SettingTable.topicSettings.map(\.name).sorted())
        #expect(broker.reports().count == SettingTable.brokerSettings.count)
        #expect(broker.reportsForAllBrokers().map(\.name) == ["log.retention.ms"])
        #expect(broker.report("node.id")?.isReadOnly == true)
        #expect(broker.report("log.retention.ms")?.isReadOnly == false)
        #expect(broker.report("retention.ms") == nil)
        let unset = try #require(SettingValues().report("log.dirs"))
        #expect(unset.value == "dmq-data" && unset.isDefault)
    }

    @Test("values of metadata that do not fit are left out and told")
    func metadata() {
        let (values, refused) = SettingValues().replacing(
            .allBrokers, with: ["log.segment.bytes": "x", "log.segment.byte": "1", "max.connections": "4"])
        #expect(values[BrokerSettings.maximumConnections] == 4)
        #expect(values[TopicSettings.segmentBytes] == 1 << 30)
        #expect(
            refused == [
                .unknown(name: "log.segment.byte", scope: .broker),
                .invalid(
                    name: "log.segment.bytes", value: "x", expected: "a whole number of bytes, at least 14"),
            ])
    }

    @Test("a start tells everything that is wrong")
    func errors() throws {
        let file = "log.retention.hour=1\nnum.partitions=0\nauthorizer.class.name=a.B\nssl.key.password=x\n"
        let error = #expect(throws: SettingErrors.self) {
            _ = try startingValues(file, [("log.segment.bytes", "1XB")])
        }
        #expect(
            try #require(error).description.split(separator: "\n") == [
                "\"log.retention.hour\" is no setting of a broker; did you mean log.retention.hours?",
                "num.partitions cannot be \"0\": it must be a whole number, at least 1",
                "authorizer.class.name is not served: access control lists are not enforced, whoever"
                    + " reaches a"
                    + " listener may do everything; remove the key if that is meant",
                "log.segment.bytes cannot be \"1XB\": it must be a whole number of bytes, at least 14",
            ])
        let twice = #expect(throws: SettingErrors.self) { _ = try startingValues("a=1\n\na=2") }
        #expect(try #require(twice).description == "line 3: \"a\" is set a second time; correct the line")
    }

    @Test(
        "values that contradict each other are refused with both",
        arguments: [
            ("node.id=1\nbroker.id=2", "node.id is 1 and broker.id 2"),
            ("broker.session.timeout.ms=2000", "broker.heartbeat.interval.ms (2000) must be below"),
            ("group.min.session.timeout.ms=9\ngroup.max.session.timeout.ms=8", "(9) is above"),
            ("queued.max.request.bytes=2000000", "socket.request.max.bytes (104857600) is above"),
            ("log.cleaner.max.compaction.lag.ms=5\nlog.cleaner.min.compaction.lag.ms=6", "(6) is above"),
        ])
    func conflicts(file: String, text: String) throws {
        let error = #expect(throws: SettingErrors.self) { _ = try startingValues(file) }
        #expect(try #require(error).description.contains(text))
    }

    @Test("a server.properties made for Kafka starts, with warnings for what does nothing")
    func kafkaFile() throws {
        let (values, warnings) = try SettingValues.starting(file: Array(kafkaServerProperties.utf8))
        #expect(warnings.map(\.name) == ["num.network.threads", "num.io.threads"])
        #expect(warnings[0].description.hasPrefix("num.network.threads is ignored: dmq serves everything"))
        #expect(values[BrokerSettings.nodeID] == 1)
        #expect(values[BrokerSettings.offsetsReplicationFactor] == 1)
        #expect(values[TopicSettings.retentionMilliseconds] == 168 * 3_600_000)
        #expect(values.logDirectoryPaths == ["/tmp/kraft-combined-logs"])
        let plan = try ListenerPlan(values)
        #expect(plan.listeners.map(\.name) == ["PLAINTEXT", "CONTROLLER"])
        #expect(plan.voters == [QuorumVoter(nodeID: 1, address: HostAndPort(host: "localhost", port: 9093))])
    }

    @Test("old ZooKeeper and TLS keys are warned of, or refused where somebody relies on them")
    func otherKeys() throws {
        let file = """
            broker.id=3
            zookeeper.connect=localhost:2181
            inter.broker.protocol.version=3.5
            ssl.keystore.location=/k
            sasl.enabled.mechanisms=PLAIN
            listener.name.internal.ssl.client.auth=none
            confluent.metrics.reporter.topic.replicas=1
            remote.log.storage.system.enable=false
            security.inter.broker.protocol=PLAINTEXT
            """
        let (values, warnings) = try SettingValues.starting(file: Array(file.utf8))
        #expect(values[BrokerSettings.nodeID] == 3)
        #expect(warnings.count == 8)
        for line in [
            "remote.log.storage.system.enable=true", "security.inter.broker.protocol=SSL", "port=9092",
        ] {
            #expect(throws: SettingErrors.self) { _ = try startingValues(line) }
        }
    }
}

/// Keys and values of Kafka's own file for a node with both roles, without its comments.
let kafkaServerProperties = #"""
    process.roles=broker,controller
    node.id=1
    controller.quorum.voters=1@localhost:9093
    listeners=PLAINTEXT://:9092,CONTROLLER://:9093
    inter.broker.listener.name=PLAINTEXT
    advertised.listeners=PLAINTEXT://localhost:9092
    controller.listener.names=CONTROLLER
    listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\
      SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
    num.network.threads=3
    num.io.threads=8
    socket.send.buffer.bytes=102400
    socket.receive.buffer.bytes=102400
    socket.request.max.bytes=104857600
    log.dirs=/tmp/kraft-combined-logs
    num.partitions=1
    num.recovery.threads.per.data.dir=1
    offsets.topic.replication.factor=1
    transaction.state.log.replication.factor=1
    transaction.state.log.min.isr=1
    log.retention.hours=168
    log.segment.bytes=1073741824
    log.retention.check.interval.ms=300000
    """#
