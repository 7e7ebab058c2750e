import Base
import DMQClient
import RecordFormat
import SystemIO

/// `dmq group`: shows groups, and changes what they have stored.
enum GroupCommand {
    static let command = Subcommand(description: description) { command in
        try await ClientOptions.withClient(command) { client in
            let output = Output()
            let isClean: Bool
            switch command.path.last {
            case "list": isClean = try await list(command, Admin(client), output)
            case "describe": isClean = try await GroupReport(command, client, output).run()
            case "reset-offsets": isClean = try await OffsetReset(command, client, output).run()
            case "delete": isClean = try await delete(command, Admin(client), output)
            default: isClean = try await deleteOffsets(command, Admin(client), output)
            }
            try output.flush()
            return isClean ? 0 : 1
        }
    }

    private static let topic = CommandOption(
        "topic", short: "t", .text, placeholder: "TOPIC[:PARTITION,...]", repeats: true,
        summary: "of this topic only, or of these partitions of it")

    private static let description = CommandDescription(
        name: "group", summary: "Shows consumer groups, and changes what they have stored.",
        options: ClientOptions.all + [ClientOptions.json],
        subcommands: [
            CommandDescription(
                name: "list", summary: "Lists groups.",
                options: [
                    CommandOption(
                        "state", .text, placeholder: "STATE", repeats: true,
                        summary: "only those in this state: Stable, Empty, PreparingRebalance, ...")
                ]),
            CommandDescription(
                name: "describe",
                summary: "Shows the members of groups and how far they have come, in records and in time.",
                options: [
                    CommandOption("members", short: "m", .flag, summary: "members and what they read only")
                ], arguments: CommandArguments("GROUP", count: 1...1000, "IDs of groups"),
                examples: [CommandExample("dmq group describe readers", "offsets, lag and members")]),
            CommandDescription(
                name: "reset-offsets",
                summary:
                    "Has a group without members go on elsewhere. Without --execute it only shows how.",
                options: [
                    topic,
                    CommandOption("to-earliest", .flag, summary: "to the first record that there is"),
                    CommandOption("to-latest", .flag, summary: "behind the last record"),
                    CommandOption(
                        "to-offset", .integer(0...Int.max), placeholder: "OFFSET",
                        summary: "to this offset, or the nearest that there is"),
                    CommandOption(
                        "to-time", .text, placeholder: "TIME",
                        summary:
                            "to the first record since then: ISO 8601, or milliseconds since 1970"),
                    CommandOption(
                        "shift-by", .text, placeholder: "COUNT",
                        summary: "so many records on, or back: --shift-by=-10"),
                    CommandOption("execute", .flag, summary: "do it"),
                ], arguments: CommandArguments("GROUP", count: 1...1, "ID of the group"),
                examples: [
                    CommandExample(
                        "dmq group reset-offsets readers --to-earliest", "shows what would become of it"),
                    CommandExample(
                        "dmq group reset-offsets readers -t events:0,1 --shift-by=-100 --execute",
                        "two partitions, a hundred records back"),
                ], notes: ["Without --topic, everything that the group has stored."]),
            CommandDescription(
                name: "delete", summary: "Deletes groups without members, with all that they have stored.",
                arguments: CommandArguments("GROUP", count: 1...1000, "IDs of groups")),
            CommandDescription(
                name: "delete-offsets",
                summary: "Deletes what a group has stored for topics that it does not read.",
                options: [
                    CommandOption(
                        "topic", short: "t", .text, placeholder: "TOPIC[:PARTITION,...]", isRequired: true,
                        repeats: true, summary: "all partitions of the topic, or these")
                ], arguments: CommandArguments("GROUP", count: 1...1, "ID of the group")),
        ])

    // MARK: list

    private static func list(
        _ command: ParsedCommand, _ admin: Admin, _ output: Output
    ) async throws -> Bool {
        let groups = try await admin.listGroups(states: command.texts("state"))
        try output.list(
            groups, asJSON: command.flag("json"),
            [
                .text("group", "group") { $0.id }, .text("state", "state") { $0.state },
                .text("type", "type") { $0.type }, .text("protocol", "protocolType") { $0.protocolType },
                .number("coordinator", "coordinator") { $0.coordinator },
            ])
        return true
    }

    // MARK: delete

    private static func delete(
        _ command: ParsedCommand, _ admin: Admin, _ output: Output
    ) async throws -> Bool {
        var isClean = true
        for id in command.arguments {
            do throws(ClientError) {
                try await admin.deleteGroup(id)
            } catch {
                Program.complain("\(error)")
                isClean = false
                continue
            }
            if command.flag("json") {
                try output.json { json in
                    json.field("group", id)
                    json.field("deleted", true)
                }
            } else {
                try output.line("group \(id) deleted")
            }
        }
        return isClean
    }

    private static func deleteOffsets(
        _ command: ParsedCommand, _ admin: Admin, _ output: Output
    ) async throws -> Bool {
        let group = command.arguments[0]
        let choice = try PartitionChoice(command.texts("topic"))
        let stored = try await admin.groupOffsets(of: group)
        let chosen = stored.keys.filter(choice.contains).inOrder()
        if chosen.isEmpty {
            throw CommandFailure("group \(group) has stored nothing for \(choice)")
        }
        let results = try await admin.deleteGroupOffsets(of: group, chosen)
        var isClean = true
        for partition in chosen {
            switch results[partition] {
            case .success:
                if command.flag("json") {
                    try output.json { json in
                        json.field("group", group)
                        json.field("topic", partition.topic)
                        json.field("partition", partition.partition)
                        json.field("deleted", true)
                    }
                } else {
                    try output.line(
                        "\(partition): offset \(stored[partition].map { "\($0.offset)" } ?? "") deleted")
                }
            case .failure(let error):
                Program.complain("\(error)")
                isClean = false
            case nil:
                Program.complain("the broker's answer says nothing about \(partition)")
                isClean = false
            }
        }
        return isClean
    }
}

extension Sequence where Element == TopicPartition {
    /// By topic, then by number.
    func inOrder() -> [TopicPartition] { sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) } }
}

/// Topics and partitions as the command line names them: `events`, `events:0,3`.
struct PartitionChoice: CustomStringConvertible {
    /// By topic; nil for all partitions of it.
    let topics: [String: Set<Int32>?]

    /// - Parameter texts: none stands for everything.
    init(_ texts: [String]) throws(CommandLineError) {
        var topics: [String: Set<Int32>?] = [:]
        for text in texts {
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard parts.count == 2 else {
                topics[name] = .some(nil)
                continue
            }
            var numbers: Set<Int32> = []
            for part in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
                guard let number = Int32(part), number >= 0 else {
                    throw .badValue(
                        option: "--topic", value: text, reason: "use TOPIC or TOPIC:PARTITION,PARTITION")
                }
                numbers.insert(number)
            }
            topics[name] = numbers
        }
        self.topics = topics
    }

    func contains(_ partition: TopicPartition) -> Bool {
        if topics.isEmpty { return true }
        guard let numbers = topics[partition.topic] else { return false }
        return numbers?.contains(partition.partition) ?? true
    }

    var description: String {
        topics.isEmpty
            ? "any topic"
            : topics.sorted { $0.key < $1.key }.map { name, numbers in
                numbers.map { "\(name):" + $0.sorted().map { "\($0)" }.joined(separator: ",") } ?? name
            }.joined(separator: " ")
    }
}
