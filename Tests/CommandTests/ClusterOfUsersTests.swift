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
}
