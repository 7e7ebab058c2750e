import Base
import DMQClient
import SystemIO

/// `dmq config`: shows and changes the settings of topics and brokers.
enum ConfigCommand {
    static let command = Subcommand(description: description) { command in
        let resource = try resource(command)
        return try await ClientOptions.withClient(command) { client in
            try await run(command, Admin(client), resource)
        }
    }

    private static let description = CommandDescription(
        name: "config", summary: "Shows and changes the settings of topics and brokers.",
        options: ClientOptions.all + [
            ClientOptions.json,
            CommandOption(
                "topic", short: "t", .text, placeholder: "TOPIC", summary: "the settings of a topic"),
            CommandOption(
                "broker", .text, placeholder: "ID",
                summary: "the settings of a broker; \"all\" for those of all"),
        ],
        subcommands: [
            CommandDescription(
                name: "list", summary: "Shows settings, their values and where those come from.",
                options: [
                    CommandOption("changed", .flag, summary: "only those that are not at their default")
                ]),
            CommandDescription(
                name: "get", summary: "Shows single settings.",
                arguments: CommandArguments("KEY", count: 1...1000, "names of settings")),
            CommandDescription(
                name: "set", summary: "Changes settings; KEY= without a value goes back to the default.",
                options: [CommandOption("dry-run", .flag, summary: "check only")],
                arguments: CommandArguments("KEY=VALUE", count: 1...1000, "settings and their new values"),
                examples: [
                    CommandExample("dmq config set --topic events retention.ms=60000", "a minute"),
                    CommandExample("dmq config set --topic events retention.ms=", "the default again"),
                ]),
        ])

    private static func resource(_ command: ParsedCommand) throws(CommandLineError) -> ConfigResource {
        switch (command.textIfGiven("topic"), command.textIfGiven("broker")) {
        case (let topic?, nil): return .topic(topic)
        case (nil, "all"?): return .broker(nil)
        case (nil, let text?):
            guard let id = Int32(text), id >= 0 else {
                throw .badValue(option: "--broker", value: text, reason: "use a broker's ID or all")
            }
            return .broker(id)
        case (nil, nil): throw .missingOption("--topic TOPIC or --broker", expected: "ID")
        case (_?, let text?):
            throw .badValue(option: "--broker", value: text, reason: "--topic says already whose settings")
        }
    }

    private static func run(
        _ command: ParsedCommand, _ admin: Admin, _ resource: ConfigResource
    ) async throws -> Int32 {
        let output = Output()
        switch command.path.last {
        case "set":
            var changes: [(name: String, change: ConfigChange)] = []
            for text in command.arguments {
                let setting = try Setting.parse(text)
                changes.append((setting.name, setting.value.isEmpty ? .delete : .set(setting.value)))
            }
            try await admin.alterSettings(of: resource, changes, onlyValidates: command.flag("dry-run"))
            if !command.flag("json") {
                try output.line("\(resource) \(command.flag("dry-run") ? "can be changed" : "changed")")
            }
        case "get":
            let entries = try await admin.describeSettings(of: resource, names: command.arguments)
            for name in command.arguments {
                guard let entry = entries.first(where: { $0.name == name }) else {
                    throw CommandFailure("\(resource) has no setting \(name); dmq config list shows them")
                }
                if command.flag("json") {
                    try json(entry, output)
                } else {
                    try output.line(
                        command.arguments.count == 1 ? entry.value ?? "" : "\(name)=\(entry.value ?? "")")
                }
            }
        default:
            let entries = try await admin.describeSettings(of: resource)
                .filter { !command.flag("changed") || !$0.isDefault }
            if command.flag("json") {
                for entry in entries { try json(entry, output) }
            } else {
                var table = TextTable(columns: [
                    ("setting", .left), ("value", .left), ("from", .left), ("", .left),
                ])
                for entry in entries {
                    table.append([
                        entry.name, entry.isSensitive ? "(secret)" : entry.value ?? "",
                        entry.source.lowercased(), entry.isReadOnly ? "read only" : "",
                    ])
                }
                try output.write(Array(table.shown.utf8))
            }
        }
        try output.flush()
        return 0
    }

    private static func json(_ entry: ConfigEntry, _ output: Output) throws {
        try output.json { json in
            json.field("name", entry.name)
            json.field("value", entry.value)
            json.field("source", entry.source)
            json.field("type", entry.type)
            json.field("default", entry.isDefault)
            json.field("readOnly", entry.isReadOnly)
            json.field("sensitive", entry.isSensitive)
        }
    }
}
