import Base
import CBaseline

/// Runs the program.
/// - Returns: its exit status.
func run(_ arguments: [String]) -> Int32 {
    do {
        switch try CommandLineParser(StorageCommand.description).parse(arguments) {
        case .help(let text):
            print(text, terminator: "")
            return 0
        case .run(let command):
            let options = StorageOptions(command)
            if let fault = options.fault {
                dmq_show("dmq-bench: \(fault)\n")
                return CommandLineError.exitStatus
            }
            switch command.path.last {
            case "endure": try EndureCommand(options).endure()
            case "check": return try EndureCommand(options).check() ? 0 : 1
            default: try StorageSuite(options).run(command.path.last ?? "all")
            }
            return 0
        }
    } catch let error as CommandLineError {
        dmq_show("dmq-bench: \(error)\n")
        return CommandLineError.exitStatus
    } catch {
        dmq_show("dmq-bench: \(error)\n")
        return 1
    }
}

dmq_exit(run(Array(CommandLine.arguments.dropFirst())))
