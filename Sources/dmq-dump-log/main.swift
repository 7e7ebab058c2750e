import SystemIO

ProcessExit.end(status: DumpCommand.run(Array(CommandLine.arguments.dropFirst())))
