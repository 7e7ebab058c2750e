import Base
import SystemIO

/// One of the things that `dmq` does.
struct Subcommand: Sendable {
    let description: CommandDescription
    /// Runs it; throws what is to be said on the standard error. The exit status is what it returns, 1 when
    /// it throws and 2 when what it throws is a `CommandLineError`.
    let run: @Sendable (ParsedCommand) async throws -> Int32
}

/// The program `dmq`: a table of commands, one file each.
enum Program {
    static let commands: [Subcommand] = [
        ServerCommand.command, TopicCommand.command, ProduceCommand.command, ConsumeCommand.command,
        ConfigCommand.command, ClusterCommand.command, GroupCommand.command, TransactionsCommand.command,
        LogDirectoriesCommand.command, CompletionCommand.command,
    ]

    static let description = CommandDescription(
        name: "dmq", summary: "A message queue that speaks Kafka's protocol.",
        subcommands: commands.map(\.description),
        examples: [
            CommandExample("dmq server", "a broker on port 9092, with its data in ./dmq-data"),
            CommandExample("dmq topic create events --partitions 6", "makes a topic"),
            CommandExample("echo hello | dmq produce events", "writes a record"),
            CommandExample("dmq consume events --exit", "prints what there is"),
        ],
        notes: [
            "The broker is found by --bootstrap, else by the environment variable DMQ_BOOTSTRAP, else at "
                + "127.0.0.1:9092.",
            "Exit status: 0 done, 1 something failed, 2 used wrongly.",
        ])

    /// - Returns: the exit status.
    static func run(_ arguments: [String]) async -> Int32 {
        do {
            switch try CommandLineParser(description).parse(arguments) {
            case .help(let text):
                try StandardStream.output.write(text)
                return 0
            case .run(let command):
                guard let chosen = commands.first(where: { $0.description.name == command.path.first }) else {
                    return CommandLineError.exitStatus
                }
                return try await chosen.run(command)
            }
        } catch let error as IOError where error.errno == .brokenPipe {
            // Who read our output has enough of it.
            return 0
        } catch {
            complain("\(error)")
            return error is CommandLineError ? CommandLineError.exitStatus : 1
        }
    }

    /// Says on the standard error what is wrong.
    static func complain(_ text: String) {
        let isColoured = StandardStream.error.isTerminal
        let name = isColoured ? "\u{1B}[31mdmq\u{1B}[0m" : "dmq"
        _ = try? StandardStream.error.write("\(name): \(text)\n")
    }
}
