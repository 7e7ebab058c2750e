import SystemIO

ProcessExit.end(status: await Program.run(Array(CommandLine.arguments.dropFirst())))
