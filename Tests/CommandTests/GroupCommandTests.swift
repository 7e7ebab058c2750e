import Foundation
import KafkaProtocol
import Testing

@testable import dmq_bench

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

    @Test("a consumer group is listed and described with its epochs, and what its members are to have")
    func consumerGroup() throws {
        let broker = try broker()
        let port = try #require(broker.address.split(separator: ":").last.flatMap { Int32($0) })
        let connection = try BlockingConnection(port: port)
        func beat(_ request: ConsumerGroupHeartbeatRequest) throws -> ConsumerGroupHeartbeatResponse {
            while true {
                try connection.send(request, version: 1)
                let answer = try connection.receive(ConsumerGroupHeartbeatRequest.self, version: 1)
                if answer.errorCode != .coordinatorLoadInProgress { return answer }
            }
        }
        func enter(_ member: String, instance: String? = nil) throws {
            let answer = try beat(
                ConsumerGroupHeartbeatRequest(
                    groupID: "watchers", memberID: member, instanceID: instance,
                    rebalanceTimeoutMilliseconds: 60_000, subscribedTopicNames: ["events"],
                    topicPartitions: []))
            #expect(answer.errorCode == .none)
        }
        try enter("first", instance: "one")
        try enter("second")
        let listed = try broker.dmq("group", "list", "--json").objects()
        #expect(listed.map { $0["group"] as? String } == ["readers", "watchers"])
        #expect(listed.map { $0["type"] as? String } == ["classic", "consumer"])
        #expect(listed.map { $0["state"] as? String } == ["Empty", "Reconciling"])
        let all = ["events-0", "events-1"]
        let described = try #require(
            try broker.dmq("group", "describe", "watchers", "--members", "--json").objects().first)
        #expect(
            described["state"] as? String == "Reconciling" && described["assignor"] as? String == "uniform")
        #expect(described["epoch"] as? Int == 2 && described["assignmentEpoch"] as? Int == 2)
        let members = try #require(described["members"] as? [NSDictionary])
        try #require(members.count == 2)
        #expect(members[0]["member"] as? String == "first" && members[0]["instance"] as? String == "one")
        #expect(members.map { $0["epoch"] as? Int } == [1, 2])
        #expect(members.map { $0["partitions"] as? [String] } == [all, []])
        let targets = members.map { $0["target"] as? [String] ?? [] }
        #expect(targets.map(\.count) == [1, 1] && targets.flatMap { $0 }.sorted() == all)
        let text = try broker.dmq("group", "describe", "watchers").text
        #expect(
            text.contains("group watchers  Reconciling  2 members  assignor uniform  epoch 2, assigned 2"))
        let rows = try broker.dmq("group", "describe", "watchers", "--members").lines
        #expect(rows.contains { $0.contains("first") && $0.contains("events-0 events-1") })
        let busy = try broker.dmq("group", "delete", "watchers")
        #expect(busy.status == 1 && busy.errors.contains("NON_EMPTY_GROUP"))
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
