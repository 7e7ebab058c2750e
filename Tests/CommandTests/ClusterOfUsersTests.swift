import Foundation
import Testing

/// The commands that look after topics and brokers, as a person uses them, against a broker that runs.
@Suite("dmq topic, config, cluster and log-dirs")
struct ClusterOfUsersTests {
    @Test("the cluster and its broker are shown, as text and as JSON")
    func cluster() throws {
        let broker = try BrokerProcess()
        let text = try broker.dmq("cluster", "info")
        #expect(text.status == 0 && text.text.contains(broker.address) && text.text.contains("controller"))
        let object = try #require(try broker.dmq("cluster", "info", "--json").objects().first)
        let brokers = try #require(object["brokers"] as? [NSDictionary])
        #expect(brokers.count == 1 && "127.0.0.1:\(brokers[0]["port"] ?? "")" == broker.address)
    }

    @Test("topics are listed and described with their offsets")
    func describe() throws {
        let broker = try BrokerProcess(["num.partitions=3"])
        #expect(try broker.dmq("topic", "list").text == "")
        try broker.dmq("produce", "b", "-p", "1", input: "1\n2\n")
        try broker.dmq("produce", "a", input: "1\n")
        #expect(try broker.dmq("topic", "list").lines == ["a", "b"])
        #expect(
            try broker.dmq("topic", "list", "--json").objects().map { $0["partitions"] as? Int } == [3, 3])
        let described = try broker.dmq("topic", "describe", "b", "--offsets", "--json").objects()
        let partitions = try #require(described.first?["partitions"] as? [NSDictionary])
        #expect(partitions.map { $0["nextOffset"] as? Int } == [0, 2, 0])
        #expect(partitions.map { $0["firstOffset"] as? Int } == [0, 0, 0])
        let text = try broker.dmq("topic", "describe", "b", "--offsets")
        #expect(text.status == 0 && text.text.contains("topic b") && text.lines.count == 5)
        let missing = try broker.dmq("topic", "describe", "c", "a")
        #expect(missing.status == 1 && missing.errors.contains("topic c") && missing.text.contains("topic a"))
    }

    @Test("nothing is coloured where no terminal reads it")
    func colours() throws {
        let broker = try BrokerProcess()
        try broker.dmq("produce", "t", input: "x\n")
        for words in [["topic", "describe", "t"], ["cluster", "info"], ["topic", "list"]] {
            #expect(try !broker.dmq(words).text.contains("\u{1B}"))
        }
    }

    @Test("topics are made with settings, altered, grown and deleted; what is refused says why")
    func topics() throws {
        let broker = try BrokerProcess()
        let made = try broker.dmq("topic", "create", "a", "b", "-p", "3", "-c", "retention.ms=5000", "--json")
        #expect(try made.objects().map { $0["partitions"] as? Int } == [3, 3])
        let again = try broker.dmq("topic", "create", "a", "c")
        #expect(again.status == 1 && again.errors.contains("TOPIC_ALREADY_EXISTS"))
        #expect(again.text.contains("topic c made"))
        #expect(try broker.dmq("topic", "create", "a", "--if-not-exists").status == 0)
        #expect(try broker.dmq("topic", "create", "d", "--dry-run").text.contains("can be made"))
        for words in [["bad/name"], ["e", "-c", "retention.mss=1"], ["e", "-r", "9"]] {
            let refused = try broker.dmq(["topic", "create"] + words)
            #expect(refused.status == 1 && refused.errors.hasPrefix("dmq: CreateTopics"), "\(words)")
        }
        #expect(try broker.dmq("topic", "create", "e", "-c", "retention").status == 2)

        let altered = try broker.dmq("topic", "alter", "a", "-p", "5", "-c", "cleanup.policy=compact")
        #expect(altered.status == 0, "\(altered.errors)")
        let described = try broker.dmq("topic", "describe", "a", "--json").objects()
        #expect((described[0]["partitions"] as? [NSDictionary])?.count == 5)
        #expect(
            described[0]["config"] as? [String: String]
                == ["cleanup.policy": "compact", "retention.ms": "5000"])
        #expect(try broker.dmq("topic", "alter", "a", "-p", "2").errors.contains("INVALID_PARTITIONS"))

        #expect(try broker.dmq("topic", "delete", "a", "c").lines == ["topic a deleted", "topic c deleted"])
        #expect(try broker.dmq("topic", "delete", "a").status == 1)
        #expect(try broker.dmq("topic", "delete", "a", "--if-exists").status == 0)
        #expect(try broker.dmq("topic", "list").lines == ["b"])
    }

    @Test("settings are listed, read, changed and taken back")
    func settings() throws {
        let broker = try BrokerProcess()
        try broker.dmq("topic", "create", "t")
        #expect(try broker.dmq("config", "set", "--topic", "t", "retention.ms=60000").status == 0)
        #expect(try broker.dmq("config", "get", "--topic", "t", "retention.ms").text == "60000\n")
        let changed = try broker.dmq("config", "list", "--topic", "t", "--changed", "--json").objects()
        #expect(changed.map { $0["name"] as? String } == ["retention.ms"])
        #expect(changed[0]["source"] as? String == "DYNAMIC_TOPIC_CONFIG")
        try broker.dmq("config", "set", "--topic", "t", "retention.ms=")
        #expect(try broker.dmq("config", "list", "--topic", "t", "--changed", "--json").text == "")
        for setting in ["retention.ms=soon", "nonsense=1"] {
            let refused = try broker.dmq("config", "set", "--topic", "t", setting)
            #expect(refused.status == 1 && refused.errors.contains("INVALID_CONFIG"), "\(setting)")
        }
        let dry = try broker.dmq("config", "set", "--topic", "t", "retention.ms=1", "--dry-run")
        #expect(dry.status == 0)
        #expect(try broker.dmq("config", "list", "--topic", "t", "--changed", "--json").text == "")
        let ofBroker = try broker.dmq("config", "list", "--broker", "1")
        #expect(ofBroker.status == 0 && ofBroker.text.contains("log.dirs"))
        #expect(try broker.dmq("config", "get", "--topic", "t", "nonsense").status == 1)
        #expect(try broker.dmq("config", "list").status == 2)
    }

    @Test("log directories are shown with what lies in them")
    func directories() throws {
        let broker = try BrokerProcess()
        try broker.dmq("produce", "t", input: String(repeating: "x", count: 500) + "\n")
        let object = try #require(try broker.dmq("log-dirs", "--json").objects().first)
        #expect(object["path"] as? String == broker.directory / "data" && object["error"] is NSNull)
        let partitions = try #require(object["partitions"] as? [NSDictionary])
        let found = try #require(partitions.first { $0["topic"] as? String == "t" })
        #expect((found["byteCount"] as? Int ?? 0) > 500)
        #expect(try broker.dmq("log-dirs", "--partitions").text.contains("t-0"))
    }

    @Test(
        "bash completes commands, options and their values",
        arguments: [
            ("topic cr", "create"), ("topic create --par", "--partitions"), ("produce -z l", "lz4"),
            ("produce --codec sn", "snappy"), ("cons", "consume"), ("cluster info --js", "--json"),
        ])
    func completion(line: String, expected: String) throws {
        let words = "dmq \(line)".split(separator: " ")
        let script = """
            source <('\(Programs.built("dmq").path)' completion bash)
            COMP_WORDS=(\(words.joined(separator: " "))); COMP_CWORD=\(words.count - 1)
            _dmq; echo "${COMPREPLY[@]}"
            """
        let shell = try Programs.run(URL(fileURLWithPath: "/bin/bash"), ["-c", script])
        #expect(shell.text == "\(expected)\n", "\(shell.errors)")
    }
}
