import Base
import DMQClient
import RecordFormat

/// `dmq group reset-offsets`: has a group go on elsewhere.
struct OffsetReset {
    /// Where to.
    private enum Target {
        case earliest, latest
        case offset(Int64)
        case time(Timestamp)
        case shift(Int64)
    }

    private struct Change {
        let partition: TopicPartition
        let from: Offset?
        let to: Offset
    }

    private let command: ParsedCommand
    private let client: Client
    private let output: Output
    private let group: String
    private let target: Target
    private let choice: PartitionChoice

    init(_ command: ParsedCommand, _ client: Client, _ output: Output) throws(CommandLineError) {
        self.command = command
        self.client = client
        self.output = output
        group = command.arguments[0]
        target = try Self.target(command)
        choice = try PartitionChoice(command.texts("topic"))
    }

    private static func target(_ command: ParsedCommand) throws(CommandLineError) -> Target {
        let names = ["to-earliest", "to-latest", "to-offset", "to-time", "shift-by"]
        let given = names.filter { command.has($0) }
        guard given.count == 1 else {
            throw .badValue(
                option: "the target", value: given.map { "--" + $0 }.joined(separator: " "),
                reason: "say where to, once: --to-earliest, --to-latest, --to-offset, --to-time or --shift-by"
            )
        }
        switch given[0] {
        case "to-earliest": return .earliest
        case "to-latest": return .latest
        case "to-offset": return .offset(Int64(command.integer("to-offset")))
        case "to-time":
            let text = command.text("to-time")
            guard let milliseconds = CalendarTime.milliseconds(text) else {
                throw .badValue(
                    option: "--to-time", value: text,
                    reason: "use milliseconds since 1970 or ISO 8601, 2026-01-31T23:59:59.123Z")
            }
            return .time(Timestamp(milliseconds))
        default:
            let text = command.text("shift-by")
            guard let count = Int64(text) else {
                throw .badValue(option: "--shift-by", value: text, reason: "use a number of records")
            }
            return .shift(count)
        }
    }

    /// - Returns: whether everything was done that was to be done.
    func run() async throws -> Bool {
        let admin = Admin(client)
        let described = try await admin.describeGroup(group)
        guard described.members.isEmpty else {
            let count = TopicCommand.count(described.members.count, "member")
            throw CommandFailure(
                "group \(group) has \(count), which would go on where they are; stop them first")
        }
        let changes = try await changes(admin)
        if changes.isEmpty {
            throw CommandFailure("group \(group) has stored nothing for \(choice); name a topic with --topic")
        }
        let executes = command.flag("execute")
        var results: [TopicPartition: Result<Void, ClientError>] = [:]
        if executes {
            let offsets = changes.map { ($0.partition, GroupOffset(offset: $0.to)) }
            results = try await admin.setGroupOffsets(
                of: group, Dictionary(offsets, uniquingKeysWith: { first, _ in first }))
        }
        var isClean = true
        for change in changes {
            guard case .failure(let error) = results[change.partition] else { continue }
            Program.complain("\(error)")
            isClean = false
        }
        try show(changes.filter { !executes || Self.isDone(results[$0.partition]) }, executes)
        return isClean
    }

    private static func isDone(_ result: Result<Void, ClientError>?) -> Bool {
        if case .success = result { true } else { false }
    }

    private func changes(_ admin: Admin) async throws -> [Change] {
        let stored = try await admin.groupOffsets(of: group)
        var partitions = Set(stored.keys.filter(choice.contains))
        for (name, numbers) in choice.topics {
            // Also what the group has stored nothing for.
            let topic = try await client.topic(name)
            for partition in topic.partitions where numbers?.contains(partition.partition) ?? true {
                partitions.insert(TopicPartition(topic: name, partition: partition.partition))
            }
        }
        let all = partitions.inOrder()
        if all.isEmpty { return [] }
        let first = try await client.offsets(all, .earliest)
        let next = try await client.offsets(all, .latest)
        var timed: [TopicPartition: FoundOffset] = [:]
        if case .time(let time) = target { timed = try await client.offsets(all, .timestamp(time)) }
        return all.compactMap { partition in
            guard let first = first[partition]?.offset, let next = next[partition]?.offset else { return nil }
            let from = stored[partition]?.offset
            let to: Offset
            switch target {
            case .earliest: to = first
            case .latest: to = next
            case .offset(let number): to = Offset(number)
            case .time:
                let found = timed[partition]?.offset ?? Offset(-1)
                // No record is as late as that.
                to = found.rawValue < 0 ? next : found
            case .shift(let count):
                let (sum, overflows) = (from ?? first).rawValue.addingReportingOverflow(count)
                to = overflows ? (count < 0 ? first : next) : Offset(sum)
            }
            return Change(partition: partition, from: from, to: min(max(to, first), next))
        }
    }

    private func show(_ changes: [Change], _ isDone: Bool) throws {
        if command.flag("json") {
            for change in changes {
                try output.json { json in
                    json.field("group", group)
                    json.field("topic", change.partition.topic)
                    json.field("partition", change.partition.partition)
                    json.field("from", change.from?.rawValue)
                    json.field("to", change.to.rawValue)
                    json.field("executed", isDone)
                }
            }
            return
        }
        var table = TextTable(columns: [("partition", .left), ("from", .right), ("to", .right)])
        for change in changes {
            table.append(["\(change.partition)", change.from.map { "\($0)" } ?? "-", "\(change.to)"])
        }
        try output.write(Array(table.shown.utf8))
        if !isDone { try output.line("nothing has been changed: add --execute to do it") }
    }
}
