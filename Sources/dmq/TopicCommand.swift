import Base
import DMQClient
import RecordFormat
import SystemIO

/// `dmq topic`: makes, shows, changes and deletes topics.
enum TopicCommand {
    static let command = Subcommand(description: description) { command in
        try await ClientOptions.withClient(command) { client in
            try await run(command, Admin(client), client)
        }
    }

    private static let names = CommandArguments("TOPIC", count: 1...10_000, "names of topics")
    private static let setting = CommandOption(
        "config", short: "c", .text, placeholder: "KEY=VALUE", repeats: true,
        summary: "a setting of the topic, such as retention.ms=60000")

    private static let description = CommandDescription(
        name: "topic", summary: "Makes, shows, changes and deletes topics.",
        options: ClientOptions.all + [ClientOptions.json],
        subcommands: [
            CommandDescription(
                name: "create", summary: "Makes topics.",
                options: [
                    CommandOption(
                        "partitions", short: "p", .integer(1...1_000_000),
                        summary: "how many partitions [the broker's num.partitions]"),
                    CommandOption(
                        "replicas", short: "r", .integer(1...1000),
                        summary: "how many replicas of each [the broker's default.replication.factor]"),
                    setting,
                    CommandOption("if-not-exists", .flag, summary: "a topic that exists is no failure"),
                    CommandOption("dry-run", .flag, summary: "check only"),
                ], arguments: names,
                examples: [
                    CommandExample(
                        "dmq topic create events --partitions 6", "with the broker's defaults else"),
                    CommandExample(
                        "dmq topic create audit -c cleanup.policy=compact -c retention.ms=-1",
                        "compacted, kept for ever"),
                ]),
            CommandDescription(
                name: "list", summary: "Lists topics.",
                options: [
                    CommandOption("internal", .flag, summary: "those of the broker itself too")
                ]),
            CommandDescription(
                name: "describe", summary: "Shows partitions, leaders, replicas and settings of topics.",
                options: [CommandOption("offsets", .flag, summary: "the first and the next offset too")],
                arguments: CommandArguments("TOPIC", count: 0...10_000, "names of topics; none for all")),
            CommandDescription(
                name: "alter", summary: "Gives topics more partitions or other settings.",
                options: [
                    CommandOption(
                        "partitions", short: "p", .integer(1...1_000_000),
                        summary: "how many there are to be; keys go elsewhere from then on"),
                    setting,
                    CommandOption(
                        "delete-config", .text, placeholder: "KEY", repeats: true,
                        summary: "a setting that goes back to its default"),
                    CommandOption("dry-run", .flag, summary: "check only"),
                ], arguments: names),
            CommandDescription(
                name: "delete", summary: "Deletes topics with everything in them.",
                options: [
                    CommandOption("if-exists", .flag, summary: "a topic that is missing is no failure")
                ],
                arguments: names),
        ])

    private static func run(_ command: ParsedCommand, _ admin: Admin, _ client: Client) async throws -> Int32
    {
        let output = Output()
        let isClean: Bool
        switch command.path.last {
        case "create": isClean = try await create(command, admin, output)
        case "list": isClean = try await list(command, admin, output)
        case "describe": isClean = try await TopicReport(command, admin, client, output).run()
        case "alter": isClean = try await alter(command, admin, output)
        default: isClean = try await delete(command, admin, output)
        }
        try output.flush()
        return isClean ? 0 : 1
    }

    private static func create(_ command: ParsedCommand, _ admin: Admin, _ output: Output) async throws
        -> Bool
    {
        let settings = try command.texts("config").map { try Setting.parse($0) }
        let topics = command.arguments.map {
            NewTopic(
                $0, partitions: command.integerIfGiven("partitions").map { Int32($0) },
                replicationFactor: command.integerIfGiven("replicas").map { Int16($0) }, settings: settings)
        }
        let results = try await admin.createTopics(topics, onlyValidates: command.flag("dry-run"))
        var isClean = true
        for name in command.arguments {
            switch results[name] {
            case .success(let created):
                if command.flag("json") {
                    try output.json { json in
                        json.field("topic", name)
                        json.field("id", created.id.description)
                        json.field("partitions", created.partitions)
                        json.field("replicationFactor", created.replicationFactor)
                        json.field("created", !command.flag("dry-run"))
                    }
                } else {
                    let word = command.flag("dry-run") ? "can be made" : "made"
                    let count =
                        created.partitions < 0 ? "" : " with \(count(created.partitions, "partition"))"
                    try output.line("topic \(name) \(word)\(count)")
                }
            case .failure(let error):
                if error.code == .topicAlreadyExists && command.flag("if-not-exists") { continue }
                Program.complain("\(error)")
                isClean = false
            case nil:
                Program.complain("the broker's answer says nothing about topic \(name)")
                isClean = false
            }
        }
        return isClean
    }

    static func count(_ number: some BinaryInteger, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }

    private static func list(_ command: ParsedCommand, _ admin: Admin, _ output: Output) async throws -> Bool
    {
        let topics = try await admin.describeTopics()
        for (_, result) in topics.sorted(by: { $0.key < $1.key }) {
            guard case .success(let topic) = result, !topic.isInternal || command.flag("internal") else {
                continue
            }
            if command.flag("json") {
                try output.json { json in
                    json.field("topic", topic.name)
                    json.field("id", topic.id.description)
                    json.field("partitions", topic.partitions.count)
                    json.field("replicationFactor", topic.partitions.first?.replicas.count ?? 0)
                    json.field("internal", topic.isInternal)
                }
            } else {
                try output.line(topic.name)
            }
        }
        return true
    }

    private static func alter(_ command: ParsedCommand, _ admin: Admin, _ output: Output) async throws -> Bool
    {
        var changes: [(name: String, change: ConfigChange)] = []
        for text in command.texts("config") {
            let setting = try Setting.parse(text)
            changes.append((setting.name, .set(setting.value)))
        }
        changes += command.texts("delete-config").map { ($0, .delete) }
        let partitions = command.integerIfGiven("partitions").map { Int32($0) }
        if changes.isEmpty && partitions == nil {
            throw CommandLineError.missingOption("--partitions, --config or --delete-config", expected: "...")
        }
        var isClean = true
        for name in command.arguments {
            do {
                if !changes.isEmpty {
                    try await admin.alterSettings(
                        of: .topic(name), changes, onlyValidates: command.flag("dry-run"))
                }
                if let partitions {
                    try await admin.createPartitions(
                        [name: partitions], onlyValidates: command.flag("dry-run"))[name]?.get()
                }
                if command.flag("json") {
                    try output.json {
                        $0.field("topic", name)
                        $0.field("altered", !command.flag("dry-run"))
                    }
                } else {
                    try output.line("topic \(name) \(command.flag("dry-run") ? "can be altered" : "altered")")
                }
            } catch {
                Program.complain("\(error)")
                isClean = false
            }
        }
        return isClean
    }

    private static func delete(_ command: ParsedCommand, _ admin: Admin, _ output: Output) async throws
        -> Bool
    {
        let results = try await admin.deleteTopics(command.arguments)
        var isClean = true
        for name in command.arguments {
            switch results[name] {
            case .success:
                if command.flag("json") {
                    try output.json {
                        $0.field("topic", name)
                        $0.field("deleted", true)
                    }
                } else {
                    try output.line("topic \(name) deleted")
                }
            case .failure(let error):
                if error.code == .unknownTopicOrPartition && command.flag("if-exists") { continue }
                Program.complain("\(error)")
                isClean = false
            case nil:
                Program.complain("the broker's answer says nothing about topic \(name)")
                isClean = false
            }
        }
        return isClean
    }
}

/// A setting as the command line gives it.
enum Setting {
    static func parse(_ text: String) throws(CommandLineError) -> (name: String, value: String) {
        guard let sign = text.firstIndex(of: "="), sign > text.startIndex else {
            throw .badValue(
                option: "--config", value: text, reason: "write KEY=VALUE, as in retention.ms=60000")
        }
        return (String(text[..<sign]), String(text[text.index(after: sign)...]))
    }
}
