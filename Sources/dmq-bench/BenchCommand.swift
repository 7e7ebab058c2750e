import Base

/// What `dmq-bench` understands, but for what measures a cluster from outside.
enum BenchCommand {
    static let description = CommandDescription(
        name: "dmq-bench", summary: "Measures dmq beside the least that the same work needs in C.",
        subcommands: [StorageCommand.description, BrokerCommand.description],
        examples: [
            CommandExample("dmq-bench storage append", "64 KiB batches to the page cache"),
            CommandExample(
                "dmq-bench storage append --durability synced --appenders 64 --batch-bytes 4KiB",
                "64 producers that wait for stable storage"),
            CommandExample(
                "dmq-bench broker produce --record-bytes 100", "100-byte records through a broker"),
            CommandExample("dmq-bench broker all --json", "all figures, one JSON object a line"),
        ],
        notes: [
            "dmq-bench produce, consume, end-to-end and mixed measure a broker from outside, "
                + "dmq-bench metadata a controller; each has a --help of its own.",
            "Runs of the C baseline and of dmq take turns; "
                + "\"dmq/C\" is the median of the ratios of neighbouring runs.",
            "Exit status: 0 measured, 1 something failed, 2 used wrongly.",
        ])
}
