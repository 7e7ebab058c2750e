import Base
import DMQClient
import RecordFormat

/// What `dmq topic describe` prints.
struct TopicReport {
    private let command: ParsedCommand
    private let admin: Admin
    private let client: Client
    private let output: Output

    init(_ command: ParsedCommand, _ admin: Admin, _ client: Client, _ output: Output) {
        self.command = command
        self.admin = admin
        self.client = client
        self.output = output
    }

    /// - Returns: whether all topics could be described.
    func run() async throws -> Bool {
        let names = command.arguments.isEmpty ? nil : command.arguments
        let topics = try await admin.describeTopics(names)
        var isClean = true
        for name in names ?? topics.keys.sorted() {
            switch topics[name] {
            case .success(let topic): try await show(topic)
            case .failure(let error):
                Program.complain("\(error)")
                isClean = false
            case nil:
                Program.complain("the broker's answer says nothing about topic \(name)")
                isClean = false
            }
        }
        return isClean
    }

    private struct Ends {
        var first: [TopicPartition: FoundOffset] = [:]
        var next: [TopicPartition: FoundOffset] = [:]
    }

    private func show(_ topic: TopicDescription) async throws {
        // Settings are a help to the reader; a broker that does not tell them is no reason to show nothing.
        let all = (try? await admin.describeSettings(of: .topic(topic.name))) ?? []
        let settings = all.filter { $0.source == "DYNAMIC_TOPIC_CONFIG" }
        var ends: Ends?
        if command.flag("offsets") {
            let partitions = topic.partitions.map {
                TopicPartition(topic: topic.name, partition: $0.partition)
            }
            ends = Ends(
                first: try await client.offsets(partitions, .earliest),
                next: try await client.offsets(partitions, .latest))
        }
        if command.flag("json") { try json(topic, settings, ends) } else { try text(topic, settings, ends) }
    }

    private func json(_ topic: TopicDescription, _ settings: [ConfigEntry], _ ends: Ends?) throws {
        try output.json { json in
            json.field("topic", topic.name)
            json.field("id", topic.id.description)
            json.field("internal", topic.isInternal)
            json.object("config") { json in for entry in settings { json.field(entry.name, entry.value) } }
            json.array("partitions") { json in
                for partition in topic.partitions {
                    let place = TopicPartition(topic: topic.name, partition: partition.partition)
                    json.object { json in
                        json.field("partition", partition.partition)
                        json.field("leader", partition.leader)
                        json.field("leaderEpoch", partition.leaderEpoch.rawValue)
                        json.array("replicas") { json in for node in partition.replicas { json.value(node) } }
                        json.array("inSync") { json in
                            for node in partition.inSyncReplicas { json.value(node) }
                        }
                        if let ends {
                            json.field("firstOffset", ends.first[place]?.offset.rawValue)
                            json.field("nextOffset", ends.next[place]?.offset.rawValue)
                        }
                    }
                }
            }
        }
    }

    private func text(_ topic: TopicDescription, _ settings: [ConfigEntry], _ ends: Ends?) throws {
        try output.line(
            "topic \(topic.name)  id \(topic.id)  \(TopicCommand.count(topic.partitions.count, "partition"))")
        for entry in settings { try output.line("  \(entry.name)=\(entry.value ?? "")") }
        var columns: [(title: String, alignment: TextTable.Alignment)] = [
            ("partition", .right), ("leader", .right), ("epoch", .right), ("replicas", .left),
            ("in sync", .left),
        ]
        if ends != nil { columns += [("first offset", .right), ("next offset", .right)] }
        var table = TextTable(columns: columns)
        for partition in topic.partitions {
            let place = TopicPartition(topic: topic.name, partition: partition.partition)
            var cells = [
                "\(partition.partition)", partition.leader.map { "\($0)" } ?? "none",
                "\(partition.leaderEpoch)", list(partition.replicas), list(partition.inSyncReplicas),
            ]
            if let ends {
                cells.append(ends.first[place].map { "\($0.offset)" } ?? "")
                cells.append(ends.next[place].map { "\($0.offset)" } ?? "")
            }
            table.append(cells)
        }
        try output.write(Array(table.shown.utf8))
    }

    private func list(_ nodes: [Int32]) -> String { nodes.map { "\($0)" }.joined(separator: ",") }
}
