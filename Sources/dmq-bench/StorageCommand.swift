import Base
import LogStorage
import SystemIO

/// What `dmq-bench storage` understands.
enum StorageCommand {
    static let description = CommandDescription(
        name: "storage", summary: "Measures the storage engine.", options: options,
        subcommands: [
            CommandDescription(name: "append", summary: "Appends batches to logs."),
            CommandDescription(name: "read", summary: "Reads a log to a socket by sendfile."),
            CommandDescription(
                name: "recover", summary: "Opens a log after a crash: reads and checks all of it."),
            CommandDescription(name: "lookup", summary: "Searches an offset index in mapped memory."),
            CommandDescription(
                name: "open", summary: "Opens a log of many segments after a clean shutdown."),
            CommandDescription(
                name: "endure",
                summary: "Appends numbered records, to be killed meanwhile, saying how many are synced."),
            CommandDescription(
                name: "check", summary: "Looks whether what endure reported is in --directory."),
            CommandDescription(name: "all", summary: "Everything that has a target, with its target."),
        ])

    /// - Returns: the program's exit status.
    static func run(_ command: ParsedCommand) throws -> Int32 {
        let options = StorageOptions(command)
        if let fault = options.fault { throw BenchmarkError.wrongOptions(fault) }
        switch command.path.last {
        case "endure": try EndureCommand(options).endure()
        case "check": return try EndureCommand(options).check() ? 0 : 1
        default: try StorageSuite(options).run(command.path.last ?? "all")
        }
        return 0
    }

    private static let onOff = OptionKind.choice(["on", "off"])

    private static let options =
        [
            CommandOption(
                "batch-bytes", .byteCount, default: "64KiB", summary: "size of a batch before compression"),
            CommandOption("record-bytes", .byteCount, default: "1KiB", summary: "size of a record"),
            CommandOption(
                "codec", .choice(StorageOptions.codecs.map(\.name)), default: "none",
                summary: "compression of the batches"),
            CommandOption(
                "partitions", .integer(1...256), default: "1", summary: "logs that are appended to in turn"),
            CommandOption(
                "appenders", .integer(1...1024),
                summary: "appends that wait at once, over all partitions (1, or 64 if synced)"),
            CommandOption(
                "durability", .choice(AckDurability.allCases.map(\.rawValue)), default: "page-cache",
                summary: "what an append waits for"),
            CommandOption(
                "back-end", .choice(AppendQueueChoice.allCases.map(\.rawValue)), default: "auto",
                summary: "append queue"),
            CommandOption(
                "road", .choice(AppendRoad.allCases.map(\.rawValue)), default: "direct",
                summary: "pwritev by the lane, or write and sync linked in the queue"),
            CommandOption("preallocate", onOff, default: "on", summary: "allocate blocks ahead, both sides"),
            CommandOption(
                "recycle", onOff, default: "off",
                summary: "append over the cached files of deleted segments, both sides"),
            CommandOption("total-bytes", .byteCount, default: "1GiB", summary: "bytes of one run"),
            CommandOption("segment-bytes", .byteCount, default: "1GiB", summary: "size of a segment"),
            CommandOption(
                "slice-bytes", .byteCount, default: "1MiB", summary: "the most that one read may give"),
            CommandOption(
                "segments", .integer(1...100_000), default: "1000", summary: "segments of the log to open"),
            CommandOption(
                "lookups", .integer(1...1_000_000_000), default: "2000000", summary: "searches of one run"),
        ] + SuiteOptions.commandOptions
}
