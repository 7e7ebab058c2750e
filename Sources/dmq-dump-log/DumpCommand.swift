import Base
import SystemIO

/// The program: reads its arguments, looks into what they name, says what it saw.
enum DumpCommand {
    static let description = CommandDescription(
        name: "dmq-dump-log",
        summary:
            "Looks into log directories, partitions and single files, dmq's and Kafka's; changes nothing.",
        options: options,
        arguments: CommandArguments(
            "PATH", count: 1...1_000_000,
            "log directories, partitions' directories, or files of them, also .deleted, .cleaned or .swap"
        ),
        examples: [
            CommandExample("dmq-dump-log /var/lib/dmq/events-0", "batches, index entries, producers, epochs"),
            CommandExample(
                "dmq-dump-log --print-data-log --offset 1000 --max-batches 1 /var/lib/dmq/events-0",
                "the records of the batch that holds offset 1000"),
            CommandExample(
                "dmq-dump-log --print-data-log --json --format base64 --from-time 2026-01-31T12:00 events-0",
                "records from a time on, one JSON object a line"),
            CommandExample(
                "dmq-dump-log --verify /var/lib/dmq", "checks every file, every batch, every record"),
        ],
        notes: [
            "Positions are bytes from the beginning of a file; times are milliseconds since 1970, UTC.",
            "Exit status: 0 nothing is damaged, 1 something is, 2 used wrongly or a path cannot be read.",
        ])

    private static let formats = OptionKind.choice(ByteFormat.allCases.map(\.rawValue))

    private static let options = [
        CommandOption(
            "print-data-log", .flag, summary: "print records: offset, timestamp, key, value, headers"),
        CommandOption("format", formats, summary: "how keys and values are printed (text)"),
        CommandOption("key-format", formats, summary: "how keys are printed"),
        CommandOption("value-format", formats, summary: "how values and the values of headers are printed"),
        CommandOption(
            "raw", .flag, summary: "print records of the brokers' own topics undecoded"),
        CommandOption(
            "cluster-metadata-decoder", .flag,
            summary: "as --print-data-log: records of __cluster_metadata are always decoded"),
        CommandOption(
            "verify", .flag,
            summary: "check batches, records, indexes and the files beside them; print only what is wrong"),
        CommandOption("json", .flag, summary: "print JSON, one object a line"),
        CommandOption(
            "offset", .integer(0...Int.max), placeholder: "OFFSET",
            summary: "begin with the batch that holds this offset, found by the index"),
        CommandOption(
            "from-time", .text, placeholder: "TIME",
            summary: "begin with the first batch this young: milliseconds or ISO 8601"),
        CommandOption("max-bytes", .byteCount, summary: "stop after so many bytes of each log file"),
        CommandOption(
            "max-batches", .integer(1...Int.max), summary: "stop after so many batches of each log file"),
        CommandOption("no-progress", .flag, summary: "show no progress on the terminal"),
    ]

    /// Runs the program on the standard streams.
    /// - Returns: its exit status.
    static func run(_ arguments: [String]) -> Int32 {
        run(arguments, PosixFileSystem(), error: { _ = try? StandardStream.error.write($0) }) {
            (text) throws(IOError) in try StandardStream.output.write(text)
        }
    }

    /// Runs the program.
    /// - Parameters:
    ///   - error: takes what is said on the standard error.
    ///   - output: takes whole lines of the output.
    /// - Returns: its exit status.
    static func run(
        _ arguments: [String], _ fileSystem: any FileSystem, error errorSink: @escaping (String) -> Void,
        output sink: @escaping DumpOutput.Sink
    ) -> Int32 {
        do {
            switch try CommandLineParser(description).parse(arguments) {
            case .help(let text):
                try sink(text)
                return 0
            case .run(let command):
                let options = try DumpOptions(command)
                let output = DumpOutput(writesJSON: options.writesJSON, errorSink: errorSink, sink: sink)
                try DumpRun(options, fileSystem, output).run()
                return output.exitStatus
            }
        } catch {
            errorSink("dmq-dump-log: \(error)\n")
            return CommandLineError.exitStatus
        }
    }
}
