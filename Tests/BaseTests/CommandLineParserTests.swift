import Base
import Testing

@Suite struct CommandLineParserTests {
    private static let command = CommandDescription(
        name: "tool", summary: "Does things to files.",
        options: [CommandOption("verbose", short: "v", .flag, summary: "say more")],
        subcommands: [
            CommandDescription(
                name: "write", summary: "Writes.",
                options: [
                    CommandOption(
                        "batch-size", short: "b", .byteCount, default: "64KiB", summary: "bytes a batch"),
                    CommandOption("time", .duration, summary: "how long to run"),
                    CommandOption("records", .integer(1...1000), default: "10", summary: "how many records"),
                    CommandOption("offset", .integer(Int.min...Int.max), summary: "where to start"),
                    CommandOption(
                        "codec", .choice(["none", "gzip", "zstd"]), default: "none",
                        summary: "how to compress"),
                    CommandOption(
                        "property", .text, placeholder: "KEY=VALUE", repeats: true, summary: "a setting"),
                    CommandOption(
                        "target", .text, placeholder: "DIRECTORY", isRequired: true, summary: "where to write"
                    ),
                ],
                arguments: CommandArguments("FILE", count: 0...2, "what to write"),
                examples: [CommandExample("tool write --target /tmp/x", "writes ten records")],
                notes: ["Ends with status 0."]),
            CommandDescription(
                name: "read", summary: "Reads.",
                arguments: CommandArguments("FILE", count: 1...1, "what to read")),
        ])

    private func parse(_ words: String...) throws(CommandLineError) -> ParsedCommand {
        guard case .run(let parsed) = try CommandLineParser(Self.command).parse(words) else {
            Issue.record("help instead of a command")
            throw .missingSubcommand(known: [])
        }
        return parsed
    }

    private func refusal(_ words: String...) -> String {
        do throws(CommandLineError) {
            _ = try CommandLineParser(Self.command).parse(words)
            return "accepted"
        } catch {
            return error.description
        }
    }

    @Test("values attach with a space or an equals sign, to long and short names")
    func spellings() throws {
        for words in [["--batch-size", "1MiB"], ["--batch-size=1MiB"], ["-b", "1MiB"], ["-b=1MiB"]] {
            let request = try CommandLineParser(Self.command).parse(["write", "--target", "t"] + words)
            guard case .run(let parsed) = request else {
                Issue.record("help for \(words)")
                continue
            }
            #expect(parsed.byteCount("batch-size") == 1 << 20)
            #expect(parsed.has("batch-size"))
        }
    }

    @Test("options, defaults, arguments and the path of subcommands arrive")
    func everythingArrives() throws {
        let parsed = try parse(
            "-v", "write", "a", "--target=", "--time", "250us", "--offset", "-1", "--property", "x=1",
            "--property=y=2",
            "--", "-b")
        #expect(parsed.path == ["write"])
        #expect(parsed.arguments == ["a", "-b"])
        #expect(parsed.flag("verbose"))
        #expect(parsed.text("target") == "")
        #expect(parsed.duration("time") == .microseconds(250))
        #expect(parsed.integer("offset") == -1)
        #expect(parsed.texts("property") == ["x=1", "y=2"])
        #expect(parsed.text("codec") == "none")
        #expect(parsed.integer("records") == 10)
        #expect(parsed.byteCount("batch-size") == 65536)
        #expect(!parsed.has("batch-size"))
        #expect(try parse("read", "-").durationIfGiven("verbose") == nil)
    }

    @Test("an option of the outer command may follow the subcommand")
    func outerOptionsStayKnown() throws {
        #expect(try parse("read", "x", "--verbose").flag("verbose"))
        #expect(try !parse("read", "x").flag("verbose"))
    }

    @Test("a refusal names the value and what is right instead")
    func refusals() {
        #expect(
            refusal("write", "--batchsize", "1") == "unknown option --batchsize; did you mean --batch-size?")
        #expect(refusal("write", "--zzzzzzz") == "unknown option --zzzzzzz; --help lists the options")
        #expect(refusal("write", "-x") == "unknown option -x; --help lists the options")
        #expect(refusal("wirte") == "unknown command \"wirte\"; did you mean write?")
        #expect(refusal("compact") == "unknown command \"compact\"; there are: write, read")
        #expect(refusal() == "name a command: write, read")
        #expect(refusal("write", "--target", "--verbose") == "--target needs a value: --target DIRECTORY")
        #expect(refusal("write", "--target") == "--target needs a value: --target DIRECTORY")
        #expect(refusal("write") == "--target DIRECTORY is required")
        #expect(refusal("write", "--verbose=yes") == "--verbose takes no value, but was given \"yes\"")
        #expect(refusal("write", "--time", "1s", "--time", "2s") == "--time is given twice")
        #expect(refusal("read") == "FILE is missing")
        #expect(refusal("read", "a", "b") == "unexpected argument \"b\"")
        #expect(
            refusal("write", "--records", "0")
                == "--records cannot be \"0\": it must be a whole number from 1 to 1000")
        #expect(
            refusal("write", "-b", "64KB!")
                == "-b cannot be \"64KB!\": it must be a number of bytes such as 4096, 64KiB or 1GB")
        #expect(
            refusal("write", "--time", "10")
                == "--time cannot be \"10\": it must be a time with its unit such as 250us, 10s or 14d")
        #expect(
            refusal("write", "--codec", "zst")
                == "--codec cannot be \"zst\": it must be one of none, gzip, zstd, perhaps zstd")
    }

    @Test("help is given anywhere, even beside mistakes made later, and shows everything")
    func help() throws {
        guard
            case .help(let text) = try CommandLineParser(Self.command).parse(["write", "--help", "--bogus"])
        else {
            Issue.record("no help")
            return
        }
        #expect(
            text == """
                Writes.

                usage: tool write --target DIRECTORY [OPTIONS] [FILE...]

                arguments:
                  FILE  what to write

                options:
                  -v, --verbose               say more
                  -b, --batch-size BYTES      bytes a batch [64KiB]
                      --time TIME             how long to run
                      --records NUMBER        how many records [10]
                      --offset NUMBER         where to start
                      --codec none|gzip|zstd  how to compress [none]
                      --property KEY=VALUE    a setting (may be given several times)
                      --target DIRECTORY      where to write (required)
                  -h, --help                  print this text

                examples:
                  tool write --target /tmp/x
                      writes ten records

                Ends with status 0.

                """)
        guard case .help(let outer) = try CommandLineParser(Self.command).parse(["-h"]) else {
            Issue.record("no help")
            return
        }
        #expect(outer.contains("usage: tool COMMAND [OPTIONS]"))
        #expect(outer.contains("  write  Writes.\n  read   Reads."))
    }

    @Test("any words are either understood or refused", arguments: 1...200)
    func neverTraps(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let words = [
            "write", "read", "--", "-", "-v", "--verbose", "--target", "--target=", "=", "--=", "", "-b",
            "-b=", "99999999999999999999",
            "1KiB", "--records", "-1", "--codec", "zstd", "--help", "ü", "--ü=1", "-=", "--time",
            "9999999999d",
        ]
        for _ in 0..<50 {
            let line = (0..<(generator.next() % 8)).map { _ in
                words[Int(generator.next() % UInt64(words.count))]
            }
            do throws(CommandLineError) {
                if case .run(let parsed) = try CommandLineParser(Self.command).parse(line) {
                    #expect(line.contains(parsed.path[0]))
                }
            } catch {
                #expect(!error.description.isEmpty)
            }
        }
    }
}

@Suite struct QuantityTextTests {
    @Test("byte counts are read with binary and decimal units")
    func byteCounts() {
        let good: [(String, Int64)] = [
            ("0", 0), ("4096", 4096), ("1B", 1), ("64KiB", 65536), ("64 kib", 65536), ("64k", 65536),
            ("1KB", 1000),
            ("3MiB", 3 << 20), ("2GB", 2_000_000_000), ("1TiB", 1 << 40), ("9223372036854775807", .max),
        ]
        for (text, byteCount) in good { #expect(ByteCountText.parse(text) == byteCount, "\(text)") }
        for text in ["", "KiB", "-1", "1.5MiB", "1KiBs", "9223372036854775808", "9007199254740992KiB", "1 2"]
        {
            #expect(ByteCountText.parse(text) == nil, "\(text)")
        }
    }

    @Test("durations are read with their unit")
    func durations() {
        let good: [(String, Duration)] = [
            ("0", .zero), ("5ns", .nanoseconds(5)), ("250us", .microseconds(250)), ("7ms", .milliseconds(7)),
            ("10s", .seconds(10)), ("5m", .seconds(300)), ("5min", .seconds(300)), ("2h", .seconds(7200)),
            ("14d", .seconds(14 * 86400)),
        ]
        for (text, duration) in good { #expect(DurationText.parse(text) == duration, "\(text)") }
        for text in ["", "s", "10", "-1s", "1.5s", "1w", "999999999999d"] {
            #expect(DurationText.parse(text) == nil, "\(text)")
        }
    }

    @Test("quantities are written with three digits and a fitting unit")
    func formatting() {
        #expect(ByteCountText.format(0) == "0 B")
        #expect(ByteCountText.format(1023) == "1023 B")
        #expect(ByteCountText.format(1536) == "1.50 KiB")
        #expect(ByteCountText.format(1 << 30) == "1.00 GiB")
        #expect(ByteCountText.format(1000 << 20) == "1000 MiB")
        #expect(DurationText.format(nanoseconds: 999) == "999 ns")
        #expect(DurationText.format(nanoseconds: 1000) == "1.00 us")
        #expect(DurationText.format(nanoseconds: 12_345_678) == "12.3 ms")
        #expect(DurationText.format(nanoseconds: 999_499) == "999 us")
        #expect(DurationText.format(nanoseconds: 999_500) == "1.00 ms")
        #expect(DurationText.format(nanoseconds: 59_949_999_999) == "59.9 s")
        #expect(DurationText.format(nanoseconds: 185_000_000_000) == "3m 05s")
        #expect(DurationText.format(nanoseconds: 8_100_000_000_000) == "2h 15m")
        #expect(DecimalText.format(9.996, significantDigits: 3) == "10.0")
        #expect(DecimalText.format(1234.5, significantDigits: 3) == "1235")
        #expect(DecimalText.format(-0.004, fractionDigits: 2) == "0.00")
        #expect(DecimalText.format(-1.999, fractionDigits: 2) == "-2.00")
        #expect(DecimalText.format(.infinity, fractionDigits: 2) == "inf")
        #expect(DecimalText.grouped(-1_234_567) == "-1,234,567")
        #expect(DecimalText.grouped(123) == "123")
    }

    @Test("a misspelt word finds the nearest known one, a strange one finds none")
    func nearest() {
        let known = ["append", "read", "recover"]
        #expect(nearestSpelling(to: "appned", among: known) == "append")
        #expect(nearestSpelling(to: "Recovr", among: known) == "recover")
        #expect(nearestSpelling(to: "rec", among: known) == "recover")
        #expect(nearestSpelling(to: "compaction", among: known) == nil)
        #expect(nearestSpelling(to: "x", among: known) == nil)
        #expect(nearestSpelling(to: "", among: known) == nil)
    }
}
