import Base
import LogStorage
import SystemIO

/// What `dmq-bench` understands.
enum StorageCommand {
    static let description = CommandDescription(
        name: "dmq-bench", summary: "Measures dmq beside the least that the same work needs in C.",
        subcommands: [
            CommandDescription(
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
                        summary:
                            "Appends numbered records, to be killed meanwhile, saying how many are synced."),
                    CommandDescription(
                        name: "check", summary: "Looks whether what endure reported is in --directory."),
                    CommandDescription(
                        name: "all", summary: "Everything that has a target, with its target."),
                ])
        ],
        examples: [
            CommandExample("dmq-bench storage append", "64 KiB batches to the page cache"),
            CommandExample(
                "dmq-bench storage append --durability synced --appenders 64 --batch-bytes 4KiB",
                "64 producers that wait for stable storage"),
            CommandExample("dmq-bench storage all --json", "all figures, one JSON object a line"),
        ],
        notes: [
            "dmq-bench produce, consume, end-to-end and mixed measure a broker from outside, "
                + "dmq-bench metadata a controller; each has a --help of its own.",
            "Runs of the C baseline and of dmq take turns; "
                + "\"dmq/C\" is the median of the ratios of neighbouring runs.",
            "Exit status: 0 measured, 1 something failed, 2 used wrongly.",
        ])

    private static let onOff = OptionKind.choice(["on", "off"])

    private static let options = [
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
            summary: "appends that wait at once, over all partitions (1, or 64 with --durability synced)"),
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
        CommandOption("slice-bytes", .byteCount, default: "1MiB", summary: "the most that one read may give"),
        CommandOption(
            "segments", .integer(1...100_000), default: "1000", summary: "segments of the log to open"),
        CommandOption(
            "lookups", .integer(1...1_000_000_000), default: "2000000", summary: "searches of one run"),
        CommandOption(
            "directory", .text, placeholder: "PATH", default: "/var/tmp",
            summary: "where the files go, in a directory of their own that is removed at the end"),
        CommandOption("repeat", .integer(1...1000), default: "5", summary: "runs of each side"),
        CommandOption(
            "touch-bytes", .byteCount, default: "8GiB",
            summary:
                "memory to touch first, half of what is free at most: fresh pages are slow"
        ),
        CommandOption("json", .flag, summary: "print JSON, one benchmark a line"),
        CommandOption("smoke", .flag, summary: "small sizes, one run: shows that it works, measures nothing"),
    ]
}
