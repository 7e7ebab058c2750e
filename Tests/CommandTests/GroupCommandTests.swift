import Foundation
import Testing

/// `dmq group` against a broker that runs, with groups of kcat's.
@Suite("dmq group")
struct GroupCommandTests {
    private static let settings = ["group.initial.rebalance.delay.ms=0", "num.partitions=2"]

    /// A broker with ten records, of which the group `readers` has read all and stored so.
    private func broker() throws -> BrokerProcess {
        let broker = try BrokerProcess(Self.settings)
        let lines = (1...10).map { "\($0)\n" }.joined()
        try broker.dmq("produce", "events", "-p", "0", input: lines)
        let read = try broker.kcat([
            "-G", "readers", "-q", "-e", "-X", "auto.offset.reset=earliest", "events",
        ])
        #expect(read.lines.count == 10)
        return broker
    }

    private func offsets(_ broker: BrokerProcess, _ group: String) throws -> [NSDictionary] {
        let described = try broker.dmq("group", "describe", group, "--json").objects()
        return try #require(described.first?["offsets"] as? [NSDictionary])
    }

    @Test("groups are listed, and described with what is left to them in records and in time")
    func describe() throws {
        let broker = try broker()
        #expect(
            try broker.dmq("group", "list", "--json").objects().map { $0["group"] as? String } == ["readers"])
        #expect(try broker.dmq("group", "list", "--state", "Stable").lines.isEmpty)
        let done = try offsets(broker, "readers")
        #expect(done.first?["committed"] as? Int == 10 && done.first?["lag"] as? Int == 0)
        #expect(done.first?["lagMilliseconds"] as? Int == 0)
        try broker.dmq("produce", "events", "-p", "0", input: "11\n12\n")
        let behind = try offsets(broker, "readers")
        #expect(behind.first?["lag"] as? Int == 2)
        #expect((behind.first?["lagMilliseconds"] as? Int).map { $0 >= 0 && $0 < 600_000 } == true)
        let text = try broker.dmq("group", "describe", "readers").text
        #expect(text.contains("group readers  Empty  0 members") && text.contains("events-0"))
        let missing = try broker.dmq("group", "describe", "nobody")
        #expect(missing.status == 1 && missing.errors.contains("no group nobody"))
    }

    @Test("a group goes on where it is told to, and only when it is meant")
    func reset() throws {
        let broker = try broker()
        func reset(_ words: String...) throws -> [String: Int] {
            let done = try broker.dmq(["group", "reset-offsets", "readers", "--json"] + words)
            #expect(done.status == 0, "\(done.errors)")
            return Dictionary(
                try done.objects().map { ("\($0["partition"] ?? "")", $0["to"] as? Int ?? -1) },
                uniquingKeysWith: { first, _ in first })
        }
        #expect(try reset("--to-earliest")["0"] == 0)
        #expect(try offsets(broker, "readers").first?["committed"] as? Int == 10)
        #expect(try reset("--shift-by=-3", "--execute")["0"] == 7)
        #expect(try offsets(broker, "readers").first?["committed"] as? Int == 7)
        #expect(try reset("--shift-by=100")["0"] == 10)
        #expect(try reset("--to-offset", "4", "-t", "events:0") == ["0": 4])
        #expect(try reset("--to-time", "1970-01-01T00:00:00Z", "-t", "events") == ["0": 0, "1": 0])
        #expect(try reset("--to-time", "2100-01-01T00:00:00Z", "-t", "events:0") == ["0": 10])
        #expect(try reset("--to-latest", "-t", "events:0") == ["0": 10])
        let again = try broker.kcat(["-G", "readers", "-q", "-e", "events"])
        #expect(again.lines == ["8", "9", "10"])
        for words in [[], ["--to-earliest", "--to-latest"], ["--shift-by", "x"], ["--to-time", "soon"]] {
            #expect(try broker.dmq(["group", "reset-offsets", "readers"] + words).status == 2, "\(words)")
        }
        let other = try broker.dmq("group", "reset-offsets", "nobody", "--to-earliest")
        #expect(other.status == 1 && other.errors.contains("--topic"))
    }

    @Test("groups and what they have stored are deleted")
    func delete() throws {
        let broker = try broker()
        try broker.dmq("group", "reset-offsets", "readers", "--to-latest", "-t", "events", "--execute")
        #expect(try offsets(broker, "readers").count == 2)
        #expect(try broker.dmq("group", "delete-offsets", "readers", "-t", "events:1").status == 0)
        #expect(try offsets(broker, "readers").map { $0["partition"] as? Int } == [0])
        let nothing = try broker.dmq("group", "delete-offsets", "readers", "-t", "events:1")
        #expect(nothing.status == 1 && nothing.errors.contains("stored nothing"))
        let deleted = try broker.dmq("group", "delete", "nobody", "readers")
        #expect(deleted.status == 1 && deleted.errors.contains("GROUP_ID_NOT_FOUND"))
        #expect(deleted.text.contains("group readers deleted"))
        #expect(try broker.dmq("group", "list").lines.isEmpty)
    }
}
