import Base
import CBaseline
import LogStorage

/// `dmq-bench broker`: dmq's server and a server in C, as children of this program, under the same load.
enum BrokerCommand {
    static let name = "broker"

    static let description = CommandDescription(
        name: name, summary: "Measures dmq server beside a server in C that only receives and writes.",
        options: options,
        subcommands: [
            CommandDescription(name: "produce", summary: "One producer with large batches."),
            CommandDescription(name: "consume", summary: "One consumer of what is in the page cache."),
            CommandDescription(name: "latency", summary: "One record at a time, at a rate."),
            CommandDescription(
                name: "crowd", summary: "Many producers of single records, and consumers at the tail."),
            CommandDescription(
                name: "start", summary: "Start to the first answer; memory and CPU time with nothing to do."),
            CommandDescription(name: "restart", summary: "The same with many partitions that were stored."),
            CommandDescription(
                name: "groups", summary: "Members of one group, and groups: join, heartbeat, commit."),
            CommandDescription(name: "all", summary: "Everything that has a target, with its target."),
            CommandDescription(
                name: "ceiling", summary: "Only serves, in C, with its files in --directory, until killed."),
        ],
        examples: [
            CommandExample("dmq-bench broker all", "all figures and their targets"),
            CommandExample(
                "dmq-bench broker produce --record-bytes 100 --durability synced", "small records, synced"),
            CommandExample(
                "dmq-bench broker produce --set num.network.threads=1", "with another setting of the server"),
        ])

    /// - Returns: the program's exit status.
    static func run(_ command: ParsedCommand) throws -> Int32 {
        let options = BrokerOptions(command)
        if let fault = options.fault { throw BenchmarkError.wrongOptions(fault) }
        if command.path.last == "ceiling" {
            guard dmq_ceiling_serve(options.suite.directory, options.durability == .synced ? 1 : 0) == 0
            else { throw BenchmarkError.baselineFailed("cannot serve in \(options.suite.directory)") }
        }
        try BrokerSuite(options).run(command.path.last ?? "all")
        return 0
    }

    private static let options =
        [
            CommandOption("record-bytes", .byteCount, default: "1KiB", summary: "size of a value"),
            CommandOption(
                "batch-bytes", .byteCount, default: "64KiB",
                summary: "size of a batch; crowds send single records"),
            CommandOption(
                "partitions", .integer(1...256), default: "6", summary: "of the topic, written to in turn"),
            CommandOption(
                "durability", .choice(AckDurability.allCases.map(\.rawValue)), default: "page-cache",
                summary: "what an acknowledgement means"),
            CommandOption(
                "in-flight", .integer(1...256), default: "5", summary: "requests of a connection at once"),
            CommandOption(
                "total-bytes", .byteCount, default: "1GiB", summary: "values written or read in a run"),
            CommandOption(
                "fetch-bytes", .byteCount, default: "1MiB", summary: "the most that one answer may have"),
            CommandOption(
                "rate", .integer(1...100_000), default: "1000", summary: "records a second, for latency"),
            CommandOption("duration", .duration, default: "10s", summary: "of a run at a rate, or idle"),
            CommandOption("producers", .integer(1...10_000), default: "1000", summary: "of a crowd"),
            CommandOption("consumers", .integer(0...1000), default: "50", summary: "of a crowd, at the tail"),
            CommandOption(
                "requests", .integer(1...100_000_000), default: "300000", summary: "of a crowd's run"),
            CommandOption(
                "stored-partitions", .integer(1...1_000_000), default: "10000",
                summary: "of a server that starts again"),
            CommandOption(
                "stored-batches", .integer(0...100_000), default: "0",
                summary: "in each of up to 5000 of them, so that logs are opened and recovered"),
            CommandOption("members", .integer(2...100_000), default: "1000", summary: "of one group"),
            CommandOption(
                "groups", .integer(2...1_000_000), default: "10000", summary: "of one member each"),
            CommandOption(
                "server", .text, placeholder: "PATH", summary: "the dmq to measure [beside this program]"),
            CommandOption(
                "set", .text, placeholder: "KEY=VALUE", repeats: true, summary: "a setting for dmq server"),
        ] + SuiteOptions.commandOptions
}
