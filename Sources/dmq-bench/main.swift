import Base
import CBaseline

/// Runs the program.
/// - Returns: its exit status.
func run(_ arguments: [String]) async -> Int32 {
    do {
        if let kind = arguments.first.flatMap({ TrafficKind(rawValue: $0) }) {
            return try await TrafficCommand.run(kind, Array(arguments.dropFirst()))
        }
        if arguments.first == "metadata" { return try runMetadata(Array(arguments.dropFirst())) }
        switch try CommandLineParser(BenchCommand.description).parse(arguments) {
        case .help(let text):
            print(text, terminator: "")
            return 0
        case .run(let command):
            return command.path.first == BrokerCommand.name
                ? try BrokerCommand.run(command) : try StorageCommand.run(command)
        }
    } catch let error as CommandLineError {
        dmq_show("dmq-bench: \(error)\n")
        return CommandLineError.exitStatus
    } catch {
        dmq_show("dmq-bench: \(error)\n")
        if case BenchmarkError.wrongOptions = error { return CommandLineError.exitStatus }
        return 1
    }
}

/// Runs `dmq-bench metadata`.
func runMetadata(_ arguments: [String]) throws -> Int32 {
    switch try CommandLineParser(MetadataCommand.description).parse(arguments) {
    case .help(let text): print(text, terminator: "")
    case .run(let command): try MetadataCommand(command).run()
    }
    return 0
}

dmq_exit(await run(Array(CommandLine.arguments.dropFirst())))
