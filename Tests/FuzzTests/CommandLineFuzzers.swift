import Base

let commandLineFuzzers: [Fuzzer] = [
    Fuzzer(
        name: "command-line",
        seeds: {
            [
                Array("write\n--size\n64KiB\n--time=10s\n-n\n5\nfile".utf8),
                Array("write\n--codec\nzstd\n--\n-x".utf8),
                Array("--help".utf8),
            ]
        },
        run: { input in
            let words = input.split(separator: 10, omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
            guard case .run(let parsed) = try CommandLineParser(command).parse(words) else { return }
            // What was accepted can be read without breaking an invariant.
            _ = (
                parsed.byteCount("size"), parsed.duration("time"), parsed.integer("number"),
                parsed.text("codec")
            )
            if parsed.arguments.count > words.count { throw FuzzFailure("more arguments than words") }
        })
]

private let command = CommandDescription(
    name: "tool", summary: "Is parsed.",
    subcommands: [
        CommandDescription(
            name: "write", summary: "Writes.",
            options: [
                CommandOption("size", .byteCount, default: "1KiB", summary: "bytes"),
                CommandOption("time", .duration, default: "1s", summary: "time"),
                CommandOption("number", short: "n", .integer(0...9), default: "1", summary: "number"),
                CommandOption("codec", .choice(["none", "zstd"]), default: "none", summary: "codec"),
            ],
            arguments: CommandArguments("FILE", count: 0...3, "files"))
    ])
